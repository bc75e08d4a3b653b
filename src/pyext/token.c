/* token.c - TrioToken and the entry queue as Python sees them.
 *
 * A call queued from any thread (the GIL is held) or from a signal handler becomes an entry of
 * the kernel's queue.  Idempotent calls that wait are also keys of a dict, so that an equal one is
 * dropped. */
#include "pyext/calls.h"
#include "pyext/outcome.h"

struct py_entry {
    struct ctrio__entry entry;
    PyObject *fn, *args;
    PyObject *key; /* (fn, args) in runner->idempotent; NULL: not idempotent */
};

/* --- what happens to a callback that raises: all tasks are told -------------------- */

static int begin_raise(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    PyObject *error = coro->arg;
    (void)task;
    coro->arg = NULL;
    ctrio__raise_object(error);
    return -1;
}
static int parse_raise(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    static const char *const names[] = {"exc"};
    PyObject *out;
    if (ctrio__parse("kill_everything", args, nargs, kwnames, names, 1, 1, &out) < 0)
        return -1;
    coro->arg = Py_NewRef(out);
    return 0;
}
static const struct ctrio__async kill_everything = {.qualname = "kill_everything",
                                                    .module = "trio._core._entry_queue",
                                                    .self = TYPE_NONE,
                                                    .parse = parse_raise,
                                                    .begin = begin_raise};

/* As a system task; when those are over, beside the entry queue's own task. */
void ctrio__callback_failed(struct ctrio__py_runner *runner)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *function = ctrio__function_new(runner->state, &kill_everything);
    PyObject *task = NULL;
    struct ctrio__nursery *nursery = runner->run.system.system_nursery;
    if (function != NULL) {
        if (nursery->closed)
            nursery = runner->run.system.entry_nursery;
        task = ctrio__spawn(runner, function, &error, 1, NULL, nursery, NULL, true, NULL);
    }
    Py_XDECREF(function);
    if (task == NULL)
        ctrio__runner_fail(runner);
    Py_XDECREF(task);
    Py_DECREF(error);
}

static void entry_free(struct py_entry *entry)
{
    Py_XDECREF(entry->fn);
    Py_XDECREF(entry->args);
    Py_XDECREF(entry->key);
    PyMem_Free(entry);
}

static void entry_call(struct ctrio__entry *base, struct ctrio_run *run)
{
    struct py_entry *entry = ctrio__container(base, struct py_entry, entry);
    if (run == NULL) { /* the run broke down */
        entry_free(entry);
        return;
    }
    struct ctrio__py_runner *runner = ctrio__py_runner_from(run);
    if (entry->key != NULL && PyDict_DelItem(runner->idempotent, entry->key) < 0)
        PyErr_Clear();
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *result = PyObject_Call(entry->fn, entry->args, NULL);
    ctrio__callout_end(runner, previous);
    if (result == NULL)
        ctrio__callback_failed(runner);
    Py_XDECREF(result);
    entry_free(entry);
}

static struct py_entry *entry_new(PyObject *fn, PyObject *args, PyObject *key)
{
    struct py_entry *entry = PyMem_Malloc(sizeof *entry);
    if (entry == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    entry->entry.next = NULL;
    entry->entry.later = key != NULL;
    entry->entry.fn = entry_call;
    entry->fn = Py_NewRef(fn);
    entry->args = Py_NewRef(args);
    entry->key = Py_XNewRef(key);
    return entry;
}

int ctrio__run_sync_soon(struct ctrio__py_runner *runner, PyObject *fn, PyObject *args,
                         bool idempotent)
{
    PyObject *key = NULL;
    if (idempotent) {
        key = PyTuple_Pack(2, fn, args);
        int waits = key != NULL ? PyDict_Contains(runner->idempotent, key) : -1;
        if (waits != 0) {
            Py_XDECREF(key);
            return waits < 0 ? -1 : 0;
        }
    }
    struct py_entry *entry = entry_new(fn, args, key);
    int failed = entry == NULL;
    if (!failed && key != NULL)
        failed = PyDict_SetItem(runner->idempotent, key, Py_None) < 0;
    Py_XDECREF(key);
    if (!failed && ctrio__entry_queue_push(&runner->run, &entry->entry) < 0) {
        if (entry->key != NULL && PyDict_DelItem(runner->idempotent, entry->key) < 0)
            PyErr_Clear();
        PyErr_SetString(runner->state->bound.RunFinishedError, "run() has exited");
        failed = 1;
    }
    if (failed && entry != NULL)
        entry_free(entry);
    return failed ? -1 : 0;
}

/* --- TrioToken and EntryQueue: the same object under two names --------------------- */

struct token {
    PyObject_HEAD
    PyObject *runner;
    PyObject *weakrefs;
};
static struct ctrio__py_runner *runner_of(PyObject *self)
{
    return (struct ctrio__py_runner *)((struct token *)self)->runner;
}

PyObject *ctrio__token_make(struct ctrio__py_runner *runner, enum ctrio__type_id type)
{
    struct token *made = PyObject_GC_New(struct token, runner->state->types[type]);
    if (made == NULL)
        return NULL;
    made->runner = Py_NewRef(runner);
    made->weakrefs = NULL;
    PyObject_GC_Track(made);
    return (PyObject *)made;
}

static PyObject *token_run_sync_soon(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"idempotent"};
    const char *function = Py_IS_TYPE(self, ctrio__state_of(self)->types[TYPE_TOKEN])
                               ? "TrioToken.run_sync_soon"
                               : "EntryQueue.run_sync_soon";
    PyObject *out;
    if (ctrio__parse_tuple(function, NULL, kwargs, names, 0, 0, 1, &out) < 0)
        return NULL;
    if (PyTuple_GET_SIZE(args) < 1) {
        PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: 'sync_fn'",
                     function);
        return NULL;
    }
    int idempotent = out != NULL ? PyObject_IsTrue(out) : 0;
    if (idempotent < 0)
        return NULL;
    PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    if (rest == NULL)
        return NULL;
    int result =
        ctrio__run_sync_soon(runner_of(self), PyTuple_GET_ITEM(args, 0), rest, idempotent != 0);
    Py_DECREF(rest);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *token_size(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSize_t(
        atomic_load_explicit(&runner_of(self)->run.entries.size, memory_order_relaxed));
}
static PyObject *token_queue(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__py_runner *runner = runner_of(self);
    if (runner->entry_queue == NULL)
        runner->entry_queue = ctrio__token_make(runner, TYPE_ENTRY_QUEUE);
    return Py_XNewRef(runner->entry_queue);
}
static int token_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct token *)self)->runner);
    return 0;
}
static void token_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (((struct token *)self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    Py_CLEAR(((struct token *)self)->runner);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}
static const char run_sync_soon_doc[] =
    "run_sync_soon($self, /, sync_fn, *args, idempotent=False)\n--\n\n"
    "Have ``sync_fn(*args)`` called in the run soon; from any thread or signal handler.\n\n"
    "Calls are made in the order in which they come (idempotent ones apart), by a task of the\n"
    "run itself. One that raises breaks the run. What was accepted is called, even if the run\n"
    "is ending.\n\n"
    "Args:\n    sync_fn: A function; it must not take time.\n    args: Its arguments.\n"
    "    idempotent: Drop the call if an equal one waits already.\n\n"
    "Raises:\n    trio.RunFinishedError: The run is over.";
static const char token_doc[] =
    "TrioToken(*args, **kwargs)\n--\n\n"
    "What other threads reach a run by; `current_trio_token` returns it.\n\n"
    "There is one for each run. It may outlive the run, and then refuses calls.";
#define RUN_SYNC_SOON                                                                              \
    {"run_sync_soon", (PyCFunction)(void (*)(void))token_run_sync_soon,                            \
     METH_VARARGS | METH_KEYWORDS, run_sync_soon_doc}
static PyMethodDef token_methods[] = {RUN_SYNC_SOON, {NULL, NULL, 0, NULL}};
static PyMethodDef queue_methods[] = {
    RUN_SYNC_SOON, {"size", token_size, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyGetSetDef token_getset[] = {{"_reentry_queue", token_queue, NULL, NULL, NULL},
                                     {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef token_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct token, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
#define COMMON_SLOTS                                                                               \
    {Py_tp_new, ctrio__no_constructor}, {Py_tp_getset, token_getset},                              \
        {Py_tp_members, token_members}, {Py_tp_traverse, token_traverse},                          \
    {                                                                                              \
        Py_tp_dealloc, token_dealloc                                                               \
    }
static PyType_Slot token_slots[] = {
    {Py_tp_doc, (void *)token_doc}, COMMON_SLOTS, {Py_tp_methods, token_methods}, {0, NULL}};
static PyType_Slot queue_slots[] = {COMMON_SLOTS, {Py_tp_methods, queue_methods}, {0, NULL}};
static PyType_Spec token_spec = {.name = "trio.lowlevel.TrioToken",
                                 .basicsize = sizeof(struct token),
                                 .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                 .slots = token_slots};
static PyType_Spec queue_spec = {.name = "trio._core._entry_queue.EntryQueue",
                                 .basicsize = sizeof(struct token),
                                 .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                 .slots = queue_slots};

int ctrio__exec_token(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    if (ctrio__add_type(module, TYPE_TOKEN, &token_spec, NULL, "TrioToken") < 0)
        return -1;
    return ctrio__add_type(module, TYPE_ENTRY_QUEUE, &queue_spec, NULL, "EntryQueue");
}
