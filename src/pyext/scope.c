/* scope.c - CancelScope, and the two ways to open one with a time limit.
 *
 * An entered scope holds a reference to itself until it is exited: the kernel links it. */
#include "pyext/calls.h"
#include "pyext/outcome.h"
#include "pyext/pool.h"

static struct ctrio__py_scope *scope_of(PyObject *self)
{
    return (struct ctrio__py_scope *)self;
}

PyObject *ctrio__scope_make(struct ctrio__state *state)
{
    struct ctrio__py_scope *self = scope_of(ctrio__pool_new(state, TYPE_SCOPE));
    if (self == NULL)
        return NULL;
    self->serial = ctrio__serial_new(state);
    self->weakrefs = NULL;
    self->held = false;
    ctrio__scope_init(&self->scope, &ctrio__python);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* -1 with an error; NAN is refused with Trio's words. */
static int as_seconds(PyObject *object, const char *nan_text, double *out)
{
    double value = PyFloat_AsDouble(object);
    if (value == -1.0 && PyErr_Occurred())
        return -1;
    if (isnan(value)) {
        PyErr_SetString(PyExc_ValueError, nan_text);
        return -1;
    }
    *out = value;
    return 0;
}

static const char *const deadline_nan = "deadline must not be NaN";
static const char *const relative_nan = "relative deadline must not be NaN";

static PyObject *scope_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"relative_deadline", "deadline", "shield"};
    PyObject *out[3];
    if (ctrio__parse_tuple("CancelScope.__init__", args, kwargs, names, 0, 0, 3, out) < 0)
        return NULL;
    PyObject *relative = out[0], *deadline = out[1], *shield = out[2];
    double absolute_seconds = INFINITY, relative_seconds = INFINITY;
    if (deadline != NULL && as_seconds(deadline, deadline_nan, &absolute_seconds) < 0)
        return NULL;
    if (relative != NULL && as_seconds(relative, relative_nan, &relative_seconds) < 0)
        return NULL;
    if (relative_seconds < 0) {
        PyErr_SetString(PyExc_ValueError, "timeout must be non-negative");
        return NULL;
    }
    if (relative_seconds != INFINITY && absolute_seconds != INFINITY) {
        PyErr_SetString(PyExc_ValueError, "Cannot specify both a deadline and a relative deadline");
        return NULL;
    }
    int shielded = shield != NULL ? PyObject_IsTrue(shield) : 0;
    PyObject *self = shielded >= 0 ? ctrio__scope_make(ctrio__state_of_type(type)) : NULL;
    if (self == NULL)
        return NULL;
    scope_of(self)->scope.deadline = absolute_seconds;
    scope_of(self)->scope.relative_deadline = relative_seconds;
    scope_of(self)->scope.shield = shielded != 0;
    return self;
}

int ctrio__scope_enter(struct ctrio__py_scope *self, struct ctrio__py_task *task)
{
    if (self->scope.state != CTRIO_SCOPE_UNENTERED) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Each CancelScope may only be used for a single 'with' block");
        return -1;
    }
    double now = 0;
    if (ctrio__scope_limited(&self->scope) && /* read here: the clock may be Python's */
        ctrio__clock_read(ctrio__runner_of(task), &now) < 0)
        return -1;
    ctrio__scope_hold(self);
    ctrio__scope_open_at(&self->scope, &task->task, now);
    return 0;
}

void ctrio__scope_hold(struct ctrio__py_scope *self)
{
    CTRIO_ASSERT(!self->held);
    self->held = true;
    Py_INCREF(self);
}

void ctrio__scope_let_go(struct ctrio__py_scope *self)
{
    if (!self->held || self->scope.state == CTRIO_SCOPE_OPEN)
        return;
    self->held = false;
    Py_DECREF(self);
}

static PyObject *scope_enter(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *kwnames)
{
    if (ctrio__parse_nothing("CancelScope.__enter__", args, nargs, kwnames) < 0)
        return NULL;
    struct ctrio__py_task *task = ctrio__current_task(ctrio__state_of(self));
    if (task == NULL || ctrio__scope_enter(scope_of(self), task) < 0)
        return NULL;
    return Py_NewRef(self);
}

void ctrio__scope_exit(struct ctrio__py_scope *self, struct ctrio__py_task *task,
                       struct ctrio__outcome *io)
{
    ctrio__scope_close(&self->scope, &task->task, io);
    ctrio__scope_let_go(self);
}

static PyObject *exit_with(struct ctrio__py_scope *self, PyObject *exception)
{
    struct ctrio__state *state = ctrio__state_of(self);
    if (self->scope.state != CTRIO_SCOPE_OPEN) { /* no task is needed to say so */
        PyObject *error = NULL;
        PyObject *text = PyUnicode_FromFormat(
            "Cancel scope stack corrupted: attempted to exit %R which had already been exited",
            self);
        if (text != NULL)
            error = PyObject_CallOneArg(PyExc_RuntimeError, text);
        Py_XDECREF(text);
        if (error == NULL)
            return NULL;
        if (exception != Py_None)
            PyException_SetContext(error, Py_NewRef(exception));
        ctrio__raise_saving_context(error);
        return NULL;
    }
    struct ctrio__py_task *task = ctrio__current_task(state);
    if (task == NULL)
        return NULL;
    struct ctrio__outcome io = {0, NULL};
    if (exception != Py_None)
        io = ctrio__outcome_from_exception(state, Py_NewRef(exception));
    Py_INCREF(self);
    ctrio__scope_exit(self, task, &io);
    Py_DECREF(self);
    return ctrio__exit_result(state, &io, exception);
}

static PyObject *scope_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    static const char *const names[] = {"etype", "exc", "tb"};
    PyObject *out[3];
    if (nargs == 3 && kwnames == NULL) /* as `with` does */
        return exit_with(scope_of(self), args[1]);
    if (ctrio__parse("CancelScope.__exit__", args, nargs, kwnames, names, 3, 3, out) < 0)
        return NULL;
    return exit_with(scope_of(self), out[1]);
}

/* A call-out: a name may be anything. */
static PyObject *name_of(struct ctrio__py_task *task)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *text = PyObject_Repr((PyObject *)task);
    ctrio__callout_end(runner, previous);
    return text;
}

static PyObject *scope_cancel(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    static const char *const names[] = {"reason"};
    PyObject *text;
    if (ctrio__parse("CancelScope.cancel", args, nargs, kwnames, names, 0, 1, &text) < 0)
        return NULL;
    struct ctrio_cancel_scope *scope = &scope_of(self)->scope;
    if (scope->cancel_called)
        Py_RETURN_NONE;
    struct ctrio__py_task *task = ctrio__peek_task(ctrio__state_of(self));
    PyObject *by = task != NULL ? name_of(task) : NULL;
    if (task != NULL && by == NULL)
        return NULL;
    struct ctrio__reason *reason = ctrio__reason_new(CTRIO__BY_EXPLICIT, by, text);
    Py_XDECREF(by);
    if (reason == NULL)
        return PyErr_NoMemory();
    Py_INCREF(self);
    ctrio__scope_cancel(scope, reason);
    Py_DECREF(self);
    Py_RETURN_NONE;
}

/* --- properties -------------------------------------------------------------------- */

static int now(PyObject *self, double *out)
{
    struct ctrio__py_runner *runner = ctrio__current_runner(ctrio__state_of(self));
    if (runner == NULL)
        return -1;
    return ctrio__clock_read(runner, out);
}

static int refuse_relative(const struct ctrio_cancel_scope *scope)
{
    if (scope->relative_deadline == INFINITY)
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "Unentered relative cancel scope does not have an absolute deadline.");
    return -1;
}

static PyObject *get_deadline(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio_cancel_scope *scope = &scope_of(self)->scope;
    return refuse_relative(scope) < 0 ? NULL : PyFloat_FromDouble(scope->deadline);
}

static int refuse_delete(PyObject *value, const char *name)
{
    if (value != NULL)
        return 0;
    PyErr_Format(PyExc_AttributeError, "can't delete attribute '%s'", name);
    return -1;
}

static int set_deadline(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    struct ctrio_cancel_scope *scope = &scope_of(self)->scope;
    double seconds;
    if (refuse_delete(value, "deadline") < 0 || as_seconds(value, deadline_nan, &seconds) < 0 ||
        refuse_relative(scope) < 0)
        return -1;
    ctrio__scope_set_deadline(scope, seconds);
    return 0;
}

static int refuse_absolute(const struct ctrio_cancel_scope *scope)
{
    if (scope->deadline == INFINITY)
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "Unentered non-relative cancel scope does not have a relative deadline");
    return -1;
}

static PyObject *get_relative(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio_cancel_scope *scope = &scope_of(self)->scope;
    if (scope->state != CTRIO_SCOPE_UNENTERED) {
        double time;
        return now(self, &time) < 0 ? NULL : PyFloat_FromDouble(scope->deadline - time);
    }
    return refuse_absolute(scope) < 0 ? NULL : PyFloat_FromDouble(scope->relative_deadline);
}

static int set_relative(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    struct ctrio_cancel_scope *scope = &scope_of(self)->scope;
    double seconds, time;
    if (refuse_delete(value, "relative_deadline") < 0 ||
        as_seconds(value, relative_nan, &seconds) < 0)
        return -1;
    if (seconds < 0) {
        PyErr_SetString(PyExc_ValueError, "relative deadline must be non-negative");
        return -1;
    }
    if (scope->state != CTRIO_SCOPE_UNENTERED) {
        if (now(self, &time) < 0)
            return -1;
        ctrio__scope_set_deadline(scope, time + seconds);
        return 0;
    }
    if (refuse_absolute(scope) < 0)
        return -1;
    scope->relative_deadline = seconds;
    return 0;
}

static PyObject *get_is_relative(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio_cancel_scope *scope = &scope_of(self)->scope;
    if (scope->state != CTRIO_SCOPE_UNENTERED)
        Py_RETURN_NONE;
    return PyBool_FromLong(scope->relative_deadline != INFINITY);
}

static PyObject *get_shield(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(scope_of(self)->scope.shield);
}

static int set_shield(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (refuse_delete(value, "shield") < 0)
        return -1;
    if (!PyBool_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "shield must be a bool");
        return -1;
    }
    Py_INCREF(self);
    ctrio__scope_set_shield(&scope_of(self)->scope, value == Py_True);
    Py_DECREF(self);
    return 0;
}

static PyObject *get_cancel_called(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio_cancel_scope *scope = &scope_of(self)->scope;
    double time;
    if (scope->state == CTRIO_SCOPE_CLOSED || scope->cancel_called)
        return PyBool_FromLong(scope->cancel_called);
    if (now(self, &time) < 0)
        return NULL;
    return PyBool_FromLong(ctrio__scope_cancel_called(scope, time));
}

static PyObject *get_cancelled_caught(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(scope_of(self)->scope.cancelled_caught);
}

static PyObject *scope_repr(PyObject *self)
{
    static const char *const bindings[] = {"unbound", "active", "exited"};
    const struct ctrio_cancel_scope *scope = &scope_of(self)->scope;
    const char *binding = bindings[scope->state];
    struct ctrio__py_runner *runner = ctrio__peek_runner(ctrio__state_of(self));
    if (scope->cancel_called)
        return PyUnicode_FromFormat("<trio.CancelScope at %p, %s, cancelled>", self, binding);
    if (scope->deadline == INFINITY || runner == NULL)
        return PyUnicode_FromFormat("<trio.CancelScope at %p, %s>", self, binding);
    double now;
    if (ctrio__clock_read(runner, &now) < 0)
        return NULL;
    double left = scope->deadline - now;
    char *number = PyOS_double_to_string(fabs(left), 'f', 2, 0, NULL);
    if (number == NULL)
        return NULL;
    PyObject *text = PyUnicode_FromFormat("<trio.CancelScope at %p, %s, deadline is %s seconds %s>",
                                          self, binding, number, left >= 0 ? "from now" : "ago");
    PyMem_Free(number);
    return text;
}

/* --- life -------------------------------------------------------------------------- */

static int scope_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void scope_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (scope_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    CTRIO_ASSERT(scope_of(self)->scope.state != CTRIO_SCOPE_OPEN);
    ctrio__scope_forget(&scope_of(self)->scope);
    ctrio__pool_free(ctrio__state_of_type(type), TYPE_SCOPE, self);
    Py_DECREF(type);
}

static PyMethodDef scope_methods[] = {
    {"cancel", (PyCFunction)(void (*)(void))scope_cancel, METH_FASTCALL | METH_KEYWORDS,
     "cancel($self, /, reason=None)\n--\n\n"
     "Cancel everything inside this scope, now and until it is exited.\n\n"
     "Tasks inside get `trio.Cancelled` where they wait, and at every checkpoint from now on.\n"
     "Cancelling again does nothing; a scope not yet entered is cancelled when it is.\n"
     "No checkpoint.\n\n"
     "Args:\n    reason: In words; each of the Cancelled exceptions has it. The first call's\n"
     "        counts."},
    {NULL, NULL, 0, NULL}};
static PyGetSetDef scope_getset[] = {
    {"deadline", get_deadline, set_deadline,
     "When the scope is cancelled: a time on the run's clock, in seconds. May be changed.", NULL},
    {"relative_deadline", get_relative, set_relative,
     "Seconds left until the deadline; before entering, from the entry on. May be changed.", NULL},
    {"is_relative", get_is_relative, NULL,
     "Whether the deadline counts from the entry; None once entered.", NULL},
    {"shield", get_shield, set_shield,
     "Whether outer cancellations stop at this scope. May be changed.", NULL},
    {"cancel_called", get_cancel_called, NULL,
     "Whether cancellation was asked for, by cancel() or by the deadline.", NULL},
    {"cancelled_caught", get_cancelled_caught, NULL,
     "Whether the exit has caught a Cancelled of this scope's own.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef scope_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct ctrio__py_scope, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
/* 1e999 is how a signature says infinity. */
static const char scope_doc[] =
    "CancelScope(*, relative_deadline=1e999, deadline=1e999, shield=False)\n--\n\n"
    "A block of code that can be cancelled as a whole: ``with CancelScope() as scope:``.\n\n"
    "Leaving the block catches the `trio.Cancelled` that the scope itself has caused, and no\n"
    "other; `cancelled_caught` tells. A scope is good for one block.\n\n"
    "Args:\n    relative_deadline: Seconds from the entry of the block to its cancellation.\n"
    "    deadline: The same as an absolute time on the run's clock.\n"
    "    shield: Keep outer cancellations out.\n\n"
    "Raises:\n    ValueError: If a number is NaN or negative, or both deadlines are given.";

static PyType_Slot scope_slots[] = {{Py_tp_doc, (void *)scope_doc},
                                    {Py_tp_new, scope_new},
                                    {Py_tp_hash, ctrio__hash_by_serial},
                                    {Py_tp_methods, scope_methods},
                                    {Py_tp_getset, scope_getset},
                                    {Py_tp_members, scope_members},
                                    {Py_tp_repr, scope_repr},
                                    {Py_tp_traverse, scope_traverse},
                                    {Py_tp_dealloc, scope_dealloc},
                                    {0, NULL}};
static PyType_Spec scope_spec = {.name = "trio.CancelScope",
                                 .basicsize = sizeof(struct ctrio__py_scope),
                                 .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                 .slots = scope_slots};

static const struct ctrio__sync scope_sync[] = {
    {"CancelScope.__enter__", "trio", TYPE_SCOPE, scope_enter},
    {"CancelScope.__exit__", "trio", TYPE_SCOPE, scope_exit},
    {NULL, NULL, TYPE_NONE, NULL}};

int ctrio__exec_scope(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_SCOPE, &scope_spec, NULL, "CancelScope") < 0)
        return -1;
    return ctrio__add_sync_methods(state, TYPE_SCOPE, scope_sync);
}
