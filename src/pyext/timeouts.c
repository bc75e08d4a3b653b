/* timeouts.c - move_on_*, fail_*: scopes with a time limit, and the one that complains. */
#include "pyext/calls.h"
#include "pyext/outcome.h"

/* --- fail_*: a context manager around a scope -------------------------------------- */

struct fail_scope {
    PyObject_HEAD
    PyObject *scope;
};

static PyObject *fail_make(struct ctrio__state *state, PyObject *scope)
{
    if (scope == NULL)
        return NULL;
    struct fail_scope *made = PyObject_GC_New(struct fail_scope, state->types[TYPE_FAIL_SCOPE]);
    if (made == NULL) {
        Py_DECREF(scope);
        return NULL;
    }
    made->scope = scope;
    PyObject_GC_Track(made);
    return (PyObject *)made;
}
static PyObject *fail_enter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__py_task *task = ctrio__current_task(ctrio__state_of(self));
    PyObject *scope = ((struct fail_scope *)self)->scope;
    if (task == NULL || ctrio__scope_enter((struct ctrio__py_scope *)scope, task) < 0)
        return NULL;
    return Py_NewRef(scope);
}
static PyObject *fail_exit(PyObject *self, PyObject *args)
{
    struct ctrio__state *state = ctrio__state_of(self);
    PyObject *scope = ((struct fail_scope *)self)->scope;
    PyObject *exit = ctrio__getattr(scope, "__exit__");
    PyObject *result = exit != NULL ? PyObject_Call(exit, args, NULL) : NULL;
    Py_XDECREF(exit);
    if (result == NULL || !((struct ctrio__py_scope *)scope)->scope.cancelled_caught)
        return result;
    Py_DECREF(result);
    PyErr_SetNone(state->bound.TooSlowError);
    return NULL;
}
static int fail_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct fail_scope *)self)->scope);
    return 0;
}
static void fail_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(((struct fail_scope *)self)->scope);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}
static PyMethodDef fail_methods[] = {{"__enter__", fail_enter, METH_NOARGS, NULL},
                                     {"__exit__", fail_exit, METH_VARARGS, NULL},
                                     {NULL, NULL, 0, NULL}};
static PyType_Slot fail_slots[] = {{Py_tp_methods, fail_methods},
                                   {Py_tp_traverse, fail_traverse},
                                   {Py_tp_dealloc, fail_dealloc},
                                   {0, NULL}};
static PyType_Spec fail_spec = {.name = "trio._timeouts.fail_scope",
                                .basicsize = sizeof(struct fail_scope),
                                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                         Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                .slots = fail_slots};

/* --- the four functions ------------------------------------------------------------ */

/* A scope from (number, *, shield=False).  `relative`: the number counts from the entry. */
static PyObject *make_scope(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames, const char *function, bool relative)
{
    const char *const names[] = {relative ? "seconds" : "deadline", "shield"};
    struct ctrio__state *state = PyModule_GetState(module);
    PyObject *out[2];
    double number;
    if (ctrio__parse_keywords(function, args, nargs, kwnames, names, 1, 1, 2, out) < 0)
        return NULL;
    int shield = out[1] != NULL ? PyObject_IsTrue(out[1]) : 0;
    if (shield < 0)
        return NULL;
    if (relative && ctrio__seconds(out[0], &number) < 0)
        return NULL;
    if (!relative && (number = PyFloat_AsDouble(out[0])) == -1.0 && PyErr_Occurred())
        return NULL;
    if (relative && isnan(number)) {
        PyErr_SetString(PyExc_ValueError, "`seconds` must not be NaN");
        return NULL;
    }
    if (!relative && isnan(number)) {
        PyErr_SetString(PyExc_ValueError, "deadline must not be NaN");
        return NULL;
    }
    if (relative && number < 0) {
        PyErr_SetString(PyExc_ValueError, "`seconds` must be non-negative");
        return NULL;
    }
    PyObject *made = ctrio__scope_make(state);
    if (made == NULL)
        return NULL;
    struct ctrio_cancel_scope *scope = &((struct ctrio__py_scope *)made)->scope;
    if (relative)
        scope->relative_deadline = number;
    else
        scope->deadline = number;
    scope->shield = shield != 0;
    return made;
}

static PyObject *move_on_at(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    return make_scope(module, args, nargs, kwnames, "move_on_at", false);
}
static PyObject *move_on_after(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *kwnames)
{
    return make_scope(module, args, nargs, kwnames, "move_on_after", true);
}
static PyObject *fail_at(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    return fail_make(PyModule_GetState(module),
                     make_scope(module, args, nargs, kwnames, "fail_at", false));
}
static PyObject *fail_after(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    return fail_make(PyModule_GetState(module),
                     make_scope(module, args, nargs, kwnames, "fail_after", true));
}

#define FUNCTION(name, doc)                                                                        \
    {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL | METH_KEYWORDS, doc}
static PyMethodDef functions[] = {
    FUNCTION(move_on_at, "move_on_at($module, /, deadline, *, shield=False)\n--\n\n"
                         "Return a cancel scope with a deadline; no error when it passes.\n\n"
                         "Args:\n    deadline: A time on the run's clock, in seconds: see\n"
                         "        `current_time`.\n"
                         "    shield: Keep outer cancellations out.\n\n"
                         "Raises:\n    ValueError: The deadline is NaN."),
    FUNCTION(move_on_after, "move_on_after($module, /, seconds, *, shield=False)\n--\n\n"
                            "Return a cancel scope with a time limit; no error when it is up.\n\n"
                            "Args:\n    seconds: The limit, counted from where the block is\n"
                            "        entered.\n"
                            "    shield: Keep outer cancellations out.\n\n"
                            "Raises:\n    ValueError: The limit is negative or NaN."),
    FUNCTION(fail_at, "fail_at($module, /, deadline, *, shield=False)\n--\n\n"
                      "As `move_on_at`, but with an error when the deadline passes.\n\n"
                      "Args:\n    deadline: A time on the run's clock, in seconds.\n"
                      "    shield: Keep outer cancellations out.\n\n"
                      "Raises:\n    trio.TooSlowError: The block was cancelled by its deadline.\n"
                      "    ValueError: The deadline is NaN."),
    FUNCTION(fail_after, "fail_after($module, /, seconds, *, shield=False)\n--\n\n"
                         "As `move_on_after`, but with an error when time is up.\n\n"
                         "Args:\n    seconds: The limit, counted from where the block is\n"
                         "        entered.\n"
                         "    shield: Keep outer cancellations out.\n\n"
                         "Raises:\n    trio.TooSlowError: The block was cancelled by its limit.\n"
                         "    ValueError: The limit is negative or NaN."),
    {NULL, NULL, 0, NULL}};

int ctrio__exec_timeouts(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    if (ctrio__add_type(module, TYPE_FAIL_SCOPE, &fail_spec, NULL, NULL) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
