/* thread_call.c - ThreadPlaceholder: a function in a thread, as its task and the thread know it.
 *
 * It borrows a token on behalf of the thread, which may outlive the task, and takes what the
 * function came to back to the run as an entry of its queue.  Invariant: from `deliver` until the
 * entry is called the object holds the outcome, and the queue holds the object. */
#include "pyext/thread_call.h"
#include "pyext/calls.h"
#include "pyext/outcome.h"

struct thread_call {
    PyObject_HEAD
    uint64_t serial; /* its hash; see ctrio__serial_new */
    uint64_t number; /* of the calls of the process, in its name */
    struct ctrio__entry entry;
    struct ctrio__outcome outcome;   /* while it is on its way */
    struct ctrio__py_runner *runner; /* strong */
    PyObject *limiter, *context;
    PyObject *task_register; /* [Task], or [None] if it has left */
    PyObject *weakrefs;
    PyObject *cancel_register; /* [None], or what raises Cancelled, once the task was cancelled */
    bool may_abandon;
    bool counted; /* among the run's threads */
    char done;    /* the task has been given the outcome */
};

static struct thread_call *call_of(PyObject *self)
{
    return (struct thread_call *)self;
}

/* --- making one -------------------------------------------------------------------- */

/* This task's context, less what sniffio knows.  Trio does not set that variable; somebody else may
 * have, and in the thread there would be nothing left to hide it. */
static PyObject *context_for_thread(struct ctrio__state *state)
{
    PyObject *context = PyContext_CopyCurrent();
    PyObject *variable =
        ctrio__lazy(&state->sniffio_variable, "sniffio", "current_async_library_cvar");
    PyObject *library = NULL;
    if (context == NULL || variable == NULL || PyContextVar_Get(variable, NULL, &library) < 0) {
        Py_XDECREF(context);
        return NULL;
    }
    bool known = library != NULL && library != Py_None;
    Py_XDECREF(library);
    if (!known)
        return context;
    PyObject *set = ctrio__getattr(variable, "set");
    PyObject *run = set != NULL ? ctrio__getattr(context, "run") : NULL;
    PyObject *result = run != NULL ? PyObject_CallFunctionObjArgs(run, set, Py_None, NULL) : NULL;
    if (result == NULL)
        Py_CLEAR(context);
    Py_XDECREF(set);
    Py_XDECREF(run);
    Py_XDECREF(result);
    return context;
}

static PyObject *list_of(PyObject *item)
{
    PyObject *list = PyList_New(1);
    if (list != NULL)
        PyList_SET_ITEM(list, 0, Py_NewRef(item));
    return list;
}

static void report_back(struct ctrio__entry *entry, struct ctrio_run *run);

static PyObject *call_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"limiter", "may_abandon"};
    struct ctrio__state *state = ctrio__state_of_type(type);
    PyObject *out[2];
    if (ctrio__parse_tuple("ThreadPlaceholder", args, kwargs, names, 2, 2, 2, out) < 0)
        return NULL;
    int may_abandon = PyObject_IsTrue(out[1]); /* may raise: now, if at all */
    struct ctrio__py_task *task = may_abandon >= 0 ? ctrio__current_task(state) : NULL;
    struct thread_call *self = task != NULL ? (struct thread_call *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL)
        return NULL;
    self->serial = ctrio__serial_new(state);
    self->number = state->thread_calls++;
    self->entry.fn = report_back;
    self->runner = (struct ctrio__py_runner *)Py_NewRef(ctrio__runner_of(task));
    self->limiter = Py_NewRef(out[0]);
    self->may_abandon = may_abandon != 0;
    self->task_register = list_of((PyObject *)task);
    self->cancel_register = list_of(Py_None);
    self->context = context_for_thread(state);
    if (self->task_register == NULL || self->cancel_register == NULL || self->context == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

/* --- in the run -------------------------------------------------------------------- */

/* The call counts among the threads that a task waits for. */
static PyObject *call_enter(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    struct thread_call *self = call_of(object);
    CTRIO_ASSERT(!self->counted);
    self->counted = true;
    self->runner->thread_count++;
    Py_RETURN_NONE;
}

/* True: it was the last one. */
static PyObject *call_leave(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    struct thread_call *self = call_of(object);
    if (self->counted)
        self->runner->thread_count--;
    self->counted = false;
    return PyBool_FromLong(self->runner->thread_count == 0);
}

/* Lets the task go, if it may leave the thread alone. */
static PyObject *call_abort(PyObject *object, PyObject *raise_cancel)
{
    struct thread_call *self = call_of(object);
    struct ctrio__state *state = self->runner->state;
    if (PyList_SetItem(self->cancel_register, 0, Py_NewRef(raise_cancel)) < 0)
        return NULL;
    if (!self->may_abandon)
        return Py_NewRef(state->abort_failed);
    if (PyList_SetItem(self->task_register, 0, Py_NewRef(Py_None)) < 0)
        return NULL;
    return Py_NewRef(state->abort_succeeded);
}

/* As in a `finally`: what the function raised is at the end of what this raises. */
static void chain(PyObject *error, PyObject *earlier)
{
    PyObject *last = Py_NewRef(error);
    for (;;) {
        PyObject *next = PyException_GetContext(last);
        if (last == earlier || next == NULL) {
            if (last != earlier)
                PyException_SetContext(last, Py_NewRef(earlier));
            Py_XDECREF(next);
            break;
        }
        Py_SETREF(last, next);
    }
    Py_DECREF(last);
}

/* The limiter may be the user's.  If it fails, both errors are to be seen. */
static void give_token_back(struct thread_call *self, struct ctrio__outcome *outcome)
{
    struct ctrio__py_runner *runner = self->runner;
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *result = PyObject_CallMethodOneArg(
        self->limiter, runner->state->names.release_on_behalf_of, (PyObject *)self);
    ctrio__callout_end(runner, previous);
    if (result != NULL) {
        Py_DECREF(result);
        return;
    }
    PyObject *error = PyErr_GetRaisedException();
    if (outcome->code < 0)
        chain(error, outcome->value);
    ctrio__py_outcome_drop(outcome);
    *outcome = (struct ctrio__outcome){CTRIO_FOREIGN, error};
}

/* The outcome is for the task, if it is still there. */
static void report_back(struct ctrio__entry *entry, struct ctrio_run *run)
{
    struct thread_call *self = ctrio__container(entry, struct thread_call, entry);
    struct ctrio__outcome outcome = self->outcome;
    self->outcome = (struct ctrio__outcome){0, NULL};
    if (run != NULL) {
        give_token_back(self, &outcome);
        PyObject *task = PyList_GetItemRef(self->task_register, 0);
        self->done = 1;
        if (task == NULL || (task != Py_None && ctrio__wake_with(self->runner, task, &outcome) < 0))
            ctrio__callback_failed(self->runner);
        Py_XDECREF(task);
    }
    ctrio__py_outcome_drop(&outcome);
    Py_DECREF(self);
}

/* --- in the thread ----------------------------------------------------------------- */

/* What `trio.from_thread` asks its thread for. */
static int tell_thread(struct thread_call *self, PyObject *known)
{
    struct ctrio__state *state = self->runner->state;
    PyObject *token = ctrio__runner_token(self->runner);
    int result = -1;
    if (token != NULL && PyDict_SetItem(known, state->names.token, token) == 0 &&
        PyDict_SetItem(known, state->names.abandon_on_cancel,
                       self->may_abandon ? Py_True : Py_False) == 0 &&
        PyDict_SetItem(known, state->names.cancel_register, self->cancel_register) == 0)
        result = PyDict_SetItem(known, state->names.task_register, self->task_register);
    Py_XDECREF(token);
    return result;
}

/* run(data, fn, args): fn(*args) in the task's context, while data.__dict__ knows the task. */
static PyObject *call_run(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    struct thread_call *self = call_of(object);
    if (nargs != 3 || !PyTuple_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "run() takes the thread's data, a function, a tuple");
        return NULL;
    }
    PyObject *known = PyObject_GetAttr(args[0], self->runner->state->names.dunder_dict);
    PyObject *result = NULL;
    if (known != NULL && tell_thread(self, known) == 0 && PyContext_Enter(self->context) == 0) {
        result = PyObject_Call(args[1], args[2], NULL);
        if (PyContext_Exit(self->context) < 0)
            Py_CLEAR(result);
    }
    if (known != NULL)
        PyDict_Clear(known);
    Py_XDECREF(known);
    return result;
}

void ctrio__thread_call_deliver(PyObject *object, struct ctrio__outcome *outcome)
{
    struct thread_call *self = call_of(object);
    CTRIO_ASSERT(self->outcome.value == NULL);
    self->outcome = *outcome;
    *outcome = (struct ctrio__outcome){0, NULL};
    Py_INCREF(self);
    if (ctrio__entry_queue_push(&self->runner->run, &self->entry) == 0)
        return;
    ctrio__py_outcome_drop(&self->outcome); /* abandoned, so long ago that the run has ended */
    Py_DECREF(self);
}

static PyObject *call_deliver(PyObject *object, PyObject *arg)
{
    struct ctrio__outcome outcome;
    if (ctrio__outcome_from_python(call_of(object)->runner->state, arg, &outcome) < 0)
        return NULL;
    ctrio__thread_call_deliver(object, &outcome);
    Py_RETURN_NONE;
}

PyObject *ctrio__thread_call_behind(const struct ctrio__state *state, PyObject *deliver)
{
    if (!PyCFunction_Check(deliver) ||
        PyCFunction_GET_FUNCTION(deliver) != (PyCFunction)call_deliver)
        return NULL;
    PyObject *self = PyCFunction_GET_SELF(deliver);
    return Py_IS_TYPE(self, state->types[TYPE_THREAD_PLACEHOLDER]) ? self : NULL;
}

/* --- the object -------------------------------------------------------------------- */

static PyObject *call_name(PyObject *self, void *Py_UNUSED(closure))
{
    return PyUnicode_FromFormat("trio.to_thread.run_sync-%llu",
                                (unsigned long long)call_of(self)->number);
}
static PyObject *call_repr(PyObject *self)
{
    return PyUnicode_FromFormat("ThreadPlaceholder(name='trio.to_thread.run_sync-%llu')",
                                (unsigned long long)call_of(self)->number);
}

static int call_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct thread_call *self = call_of(object);
    Py_VISIT(Py_TYPE(object));
    Py_VISIT((PyObject *)self->runner);
    Py_VISIT(self->limiter);
    Py_VISIT(self->context);
    Py_VISIT(self->task_register);
    Py_VISIT(self->cancel_register);
    Py_VISIT((PyObject *)self->outcome.value);
    return 0;
}
/* The rest is needed to the end, and what could close a circle with it is cleared by itself. */
static int call_clear(PyObject *object)
{
    Py_CLEAR(call_of(object)->limiter);
    Py_CLEAR(call_of(object)->context);
    return 0;
}
static void call_dealloc(PyObject *object)
{
    struct thread_call *self = call_of(object);
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    CTRIO_ASSERT(self->outcome.value == NULL);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(object);
    call_clear(object);
    Py_CLEAR(self->task_register);
    Py_CLEAR(self->cancel_register);
    Py_XDECREF((PyObject *)self->runner);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef call_methods[] = {
    {"enter", call_enter, METH_NOARGS, NULL},
    {"leave", call_leave, METH_NOARGS, NULL},
    {"abort", call_abort, METH_O, NULL},
    {"run", (PyCFunction)(void (*)(void))call_run, METH_FASTCALL, NULL},
    {"deliver", call_deliver, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef call_members[] = {
    {"done", T_BOOL, offsetof(struct thread_call, done), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct thread_call, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyGetSetDef call_getset[] = {
    {"name", call_name, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot call_slots[] = {
    {Py_tp_hash, ctrio__hash_by_serial},
    {Py_tp_new, call_new},
    {Py_tp_repr, call_repr},
    {Py_tp_methods, call_methods},
    {Py_tp_members, call_members},
    {Py_tp_getset, call_getset},
    {Py_tp_traverse, call_traverse},
    {Py_tp_clear, call_clear},
    {Py_tp_dealloc, call_dealloc},
    {0, NULL},
};
static PyType_Spec call_spec = {
    .name = "trio._threads.ThreadPlaceholder",
    .basicsize = sizeof(struct thread_call),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = call_slots,
};

static PyObject *thread_count(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__py_runner *runner = ctrio__current_runner(PyModule_GetState(module));
    return runner != NULL ? PyLong_FromSize_t(runner->thread_count) : NULL;
}
static PyMethodDef functions[] = {
    {"thread_count", thread_count, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int ctrio__exec_thread_call(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    if (ctrio__add_type(module, TYPE_THREAD_PLACEHOLDER, &call_spec, NULL, "ThreadPlaceholder") < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
