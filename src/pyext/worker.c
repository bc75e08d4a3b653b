/* worker.c - WorkerBase: what a thread of the cache does from its first job to its end.
 *
 * `idle` is the cache's dict of workers without a job, the latest last.  Invariant: a worker is in
 * it exactly while nobody has given it a job since its last one; whoever takes it out owes it a
 * job. It goes in before its outcome is delivered: what is delivered may lead to the next job,
 * which would otherwise start another thread.  By then nothing of the job is left here, as
 * delivering may hold the thread up for long. */
#include "pyext/coroutine.h"
#include "pyext/outcome.h"
#include "pyext/thread_call.h"
#include "pyext/thread_cell.h"

struct worker {
    PyObject_HEAD
    struct ctrio__state *state;
    PyObject *fn, *deliver, *name; /* the job; NULL: none. name NULL: the thread keeps its own */
    PyObject *idle;                /* the cache's dict */
    PyObject *lock;                /* is free when there is a job */
    PyObject *cell;                /* what is in it, if it is a lock of ours; else None */
    PyObject *module;              /* dict of _core._thread_cache, for IDLE_TIMEOUT */
    PyObject *thread, *default_name;
    PyObject *weakrefs;
    struct ctrio__spin event_spin, gil_spin;
};

static struct worker *worker_of(PyObject *self)
{
    return (struct worker *)self;
}

/* --- sleeping until there is a job ------------------------------------------------- */

/* Seconds, or -1 with an error. */
static double idle_timeout(struct worker *self)
{
    if (self->state->workers_end)
        return 0;
    PyObject *object = PyDict_GetItemWithError(self->module, self->state->names.idle_timeout);
    if (object == NULL) {
        PyErr_SetString(PyExc_NameError, "name 'IDLE_TIMEOUT' is not defined");
        return -1;
    }
    return PyFloat_AsDouble(object);
}

/* 1: there is a job; 0: none has come in time; -1 with an error. */
static int await_job(struct worker *self)
{
    double seconds = idle_timeout(self);
    if (seconds == -1.0 && PyErr_Occurred())
        return -1;
    struct ctrio__cell *cell = ctrio__machine_cell(self->state, self->cell);
    if (cell != NULL)
        return ctrio__cell_sleep(cell, seconds, &self->event_spin, &self->gil_spin);
    PyObject *method = ctrio__getattr(self->lock, "acquire");
    PyObject *kwargs = method != NULL ? Py_BuildValue("{s:d}", "timeout", seconds) : NULL;
    PyObject *empty = PyTuple_New(0);
    PyObject *taken = kwargs != NULL && empty != NULL ? PyObject_Call(method, empty, kwargs) : NULL;
    int answer = taken != NULL ? PyObject_IsTrue(taken) : -1;
    Py_XDECREF(method);
    Py_XDECREF(kwargs);
    Py_XDECREF(empty);
    Py_XDECREF(taken);
    return answer;
}

/* --- a job ------------------------------------------------------------------------- */

/* The system's names are short, and plain where they can be shown at all. */
static void rename_for_system(PyObject *name)
{
    char plain[16] = {0};
    Py_ssize_t length = PyUnicode_GetLength(name);
    for (Py_ssize_t i = 0; i < length && i < 15; i++) {
        Py_UCS4 character = PyUnicode_ReadChar(name, i);
        plain[i] = character < 128 ? (char)character : '?';
    }
    ctrio__native_threads.rename(NULL, plain);
}

static int rename_thread(struct worker *self, PyObject *name)
{
    if (PyObject_SetAttr(self->thread, self->state->names.name, name) < 0)
        return -1;
    if (PyUnicode_Check(name))
        rename_for_system(name);
    return 0;
}

/* deliver(Value(…)) or deliver(Error(…)); takes the outcome. -1 with an error. */
static int deliver_to(struct ctrio__state *state, PyObject *deliver, struct ctrio__outcome *outcome)
{
    PyObject *call = ctrio__thread_call_behind(state, deliver);
    if (call != NULL) {
        ctrio__thread_call_deliver(call, outcome);
        return 0;
    }
    PyObject *object = ctrio__outcome_to_python(state, outcome);
    PyObject *result = object != NULL ? PyObject_CallOneArg(deliver, object) : NULL;
    Py_XDECREF(object);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* What fn(), with the thread called after the job, comes to. */
static struct ctrio__outcome run_job(struct worker *self, PyObject *fn, PyObject *name)
{
    if (name != NULL && rename_thread(self, name) < 0)
        return (struct ctrio__outcome){CTRIO_FOREIGN, PyErr_GetRaisedException()};
    struct ctrio__outcome outcome = {0, PyObject_CallNoArgs(fn)};
    if (outcome.value == NULL)
        outcome = (struct ctrio__outcome){CTRIO_FOREIGN, PyErr_GetRaisedException()};
    if (name != NULL && rename_thread(self, self->default_name) < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    return outcome;
}

static int handle_job(struct worker *self)
{
    PyObject *fn = self->fn, *deliver = self->deliver, *name = self->name;
    CTRIO_ASSERT(fn != NULL && deliver != NULL);
    self->fn = NULL;
    self->deliver = NULL;
    self->name = NULL;
    struct ctrio__outcome outcome = run_job(self, fn, name);
    Py_DECREF(fn);
    Py_XDECREF(name);
    int result = PyDict_SetItem(self->idle, (PyObject *)self, Py_None);
    if (result == 0 && deliver_to(self->state, deliver, &outcome) < 0) {
        PyObject *error = PyErr_GetRaisedException();
        PyObject *told = ctrio__call_method1((PyObject *)self, "_complain", error);
        result = told != NULL ? 0 : -1;
        Py_XDECREF(told);
        Py_DECREF(error);
    }
    ctrio__py_outcome_drop(&outcome);
    Py_DECREF(deliver);
    return result;
}

/* The thread's function. */
static PyObject *worker_work(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    struct worker *self = worker_of(object);
    for (;;) {
        int answer = await_job(self);
        if (answer > 0 && self->fn == NULL) /* dismissed */
            Py_RETURN_NONE;
        if (answer < 0 || (answer > 0 && handle_job(self) < 0))
            return NULL;
        if (answer > 0)
            continue;
        if (PyDict_DelItem(self->idle, object) == 0)
            Py_RETURN_NONE;
        if (!PyErr_ExceptionMatches(PyExc_KeyError))
            return NULL;
        PyErr_Clear(); /* somebody has taken it out to give it a job: wait for it */
    }
}

static PyObject *wake(struct worker *self)
{
    struct ctrio__cell *cell = ctrio__machine_cell(self->state, self->cell);
    if (cell == NULL)
        return ctrio__call_method0(self->lock, "release");
    ctrio__cell_post_here(self->state, cell);
    Py_RETURN_NONE;
}

/* In place of give(): its thread ends. */
static PyObject *worker_dismiss(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    CTRIO_ASSERT(worker_of(object)->fn == NULL);
    return wake(worker_of(object));
}

/* give(fn, deliver, name), after it was taken out of the idle ones. */
static PyObject *worker_give(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    struct worker *self = worker_of(object);
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "give() takes a function, where to deliver to, a name");
        return NULL;
    }
    CTRIO_ASSERT(self->fn == NULL);
    self->fn = Py_NewRef(args[0]);
    self->deliver = Py_NewRef(args[1]);
    self->name = args[2] != Py_None ? Py_NewRef(args[2]) : NULL;
    return wake(self);
}

/* --- the object -------------------------------------------------------------------- */

static PyObject *worker_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                            PyObject *Py_UNUSED(kwargs))
{
    struct ctrio__state *state = ctrio__state_by_def(type);
    PyObject *self = state != NULL ? type->tp_alloc(type, 0) : NULL;
    if (self != NULL)
        worker_of(self)->state = state;
    return self;
}

/* WorkerBase(idle, lock, cell, module, default_name); the thread comes later. */
static int worker_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"idle", "lock", "cell", "module", "default_name"};
    struct worker *self = worker_of(object);
    PyObject *out[5];
    if (ctrio__parse_tuple("WorkerBase", args, kwargs, names, 5, 5, 5, out) < 0)
        return -1;
    if (!PyDict_Check(out[0]) || !PyDict_Check(out[3])) {
        PyErr_SetString(PyExc_TypeError,
                        "WorkerBase() takes the idle workers' and a module's dict");
        return -1;
    }
    Py_XSETREF(self->idle, Py_NewRef(out[0]));
    Py_XSETREF(self->lock, Py_NewRef(out[1]));
    Py_XSETREF(self->cell, Py_NewRef(out[2]));
    Py_XSETREF(self->module, Py_NewRef(out[3]));
    Py_XSETREF(self->default_name, Py_NewRef(out[4]));
    return 0;
}

static int worker_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct worker *self = worker_of(object);
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->fn);
    Py_VISIT(self->deliver);
    Py_VISIT(self->idle);
    Py_VISIT(self->lock);
    Py_VISIT(self->cell);
    Py_VISIT(self->module);
    Py_VISIT(self->thread);
    return 0;
}
static int worker_clear(PyObject *object)
{
    struct worker *self = worker_of(object);
    Py_CLEAR(self->fn);
    Py_CLEAR(self->deliver);
    Py_CLEAR(self->name);
    Py_CLEAR(self->idle);
    Py_CLEAR(self->lock);
    Py_CLEAR(self->cell);
    Py_CLEAR(self->module);
    Py_CLEAR(self->thread);
    Py_CLEAR(self->default_name);
    return 0;
}
static void worker_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (worker_of(object)->weakrefs != NULL)
        PyObject_ClearWeakRefs(object);
    worker_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef worker_methods[] = {
    {"_work", worker_work, METH_NOARGS, "_work($self, /)\n--\n\nDo jobs until none comes."},
    {"give", (PyCFunction)(void (*)(void))worker_give, METH_FASTCALL,
     "give($self, fn, deliver, name, /)\n--\n\nHave a job done: by one who is not idle any more."},
    {"dismiss", worker_dismiss, METH_NOARGS,
     "dismiss($self, /)\n--\n\nEnd the thread: of one who is not idle any more."},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef worker_members[] = {
    {"_worker_lock", T_OBJECT, offsetof(struct worker, lock), READONLY, NULL},
    {"_thread", T_OBJECT, offsetof(struct worker, thread), 0, NULL},
    {"_default_name", T_OBJECT, offsetof(struct worker, default_name), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct worker, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot worker_slots[] = {
    {Py_tp_new, worker_new},           {Py_tp_init, worker_init},
    {Py_tp_methods, worker_methods},   {Py_tp_members, worker_members},
    {Py_tp_traverse, worker_traverse}, {Py_tp_clear, worker_clear},
    {Py_tp_dealloc, worker_dealloc},   {0, NULL},
};
static PyType_Spec worker_spec = {
    .name = "ctrio._ctrio.WorkerBase",
    .basicsize = sizeof(struct worker),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = worker_slots,
};

static PyObject *after_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    ctrio__native_spin_after_fork();
    Py_RETURN_NONE;
}
/* Those that have a job end when it is done. */
static PyObject *end_workers(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    ((struct ctrio__state *)PyModule_GetState(module))->workers_end = true;
    Py_RETURN_NONE;
}
static PyMethodDef functions[] = {
    {"end_workers", end_workers, METH_NOARGS, NULL},
    {"after_fork", after_fork, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int ctrio__exec_worker(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    if (ctrio__add_type(module, TYPE_WORKER, &worker_spec, NULL, "WorkerBase") < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
