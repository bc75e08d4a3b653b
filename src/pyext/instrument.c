/* instrument.c - Trio's instruments, on the kernel's hooks.
 *
 * Which hooks an instrument has is looked up once, when it is added.  The kernel calls us only for
 * hooks somebody listens to: run.hooks.wanted follows every change, so that a run without
 * instruments pays one test an event.  A hook that raises costs its instrument the place, and
 * nobody else anything. */
#include "pyext/calls.h"

struct instruments {
    PyObject_HEAD
    /* hook name -> dict of instruments (values None), in the order they were added; "_all" has
     * every instrument and is never missing, other names have at least one. */
    PyObject *hooks;
};
static struct instruments *instruments_of(PyObject *self)
{
    return (struct instruments *)self;
}

/* --- adding and removing
 * -------------------------------------------------------------------------- */

struct event {
    enum ctrio__hook bit;
    PyObject *name; /* borrowed from the state */
};
#define EVENT_COUNT 7
static void list_events(const struct ctrio__state *state, struct event *out)
{
    out[0] = (struct event){CTRIO__HOOK_TASK_SPAWNED, state->names.task_spawned};
    out[1] = (struct event){CTRIO__HOOK_TASK_SCHEDULED, state->names.task_scheduled};
    out[2] = (struct event){CTRIO__HOOK_BEFORE_TASK_STEP, state->names.before_task_step};
    out[3] = (struct event){CTRIO__HOOK_AFTER_TASK_STEP, state->names.after_task_step};
    out[4] = (struct event){CTRIO__HOOK_TASK_EXITED, state->names.task_exited};
    out[5] = (struct event){CTRIO__HOOK_BEFORE_IO_WAIT, state->names.before_io_wait};
    out[6] = (struct event){CTRIO__HOOK_AFTER_IO_WAIT, state->names.after_io_wait};
}

static PyObject *name_of(const struct ctrio__state *state, enum ctrio__hook which)
{
    struct event events[EVENT_COUNT];
    list_events(state, events);
    for (int i = 0; i < EVENT_COUNT; i++)
        if (events[i].bit == which)
            return events[i].name;
    CTRIO_ASSERT(false);
    return NULL;
}

/* The kernel calls what is listened to, and nothing else. */
static int follow(struct ctrio__py_runner *runner)
{
    PyObject *hooks = instruments_of(runner->instruments)->hooks;
    struct event events[EVENT_COUNT];
    list_events(runner->state, events);
    for (int i = 0; i < EVENT_COUNT; i++) {
        int present = PyDict_Contains(hooks, events[i].name);
        if (present < 0)
            return -1;
        if (present)
            runner->run.hooks.wanted |= (uint32_t)events[i].bit;
        else
            runner->run.hooks.wanted &= ~(uint32_t)events[i].bit;
    }
    return 0;
}

/* Takes the instrument off one hook. */
static int drop_from(PyObject *hooks, PyObject *name, PyObject *instrument)
{
    PyObject *listeners = Py_XNewRef(PyDict_GetItemWithError(hooks, name));
    if (listeners == NULL)
        return PyErr_Occurred() ? -1 : 0;
    int result = PyDict_Contains(listeners, instrument);
    if (result > 0)
        result = PyDict_DelItem(listeners, instrument);
    if (result == 0 && PyDict_GET_SIZE(listeners) == 0 &&
        PyUnicode_CompareWithASCIIString(name, "_all") != 0)
        result = PyDict_DelItem(hooks, name);
    Py_DECREF(listeners);
    return result;
}

static PyObject *all_of(const struct ctrio__state *state, PyObject *hooks)
{
    return PyDict_GetItemWithError(hooks, state->names.all_hooks); /* borrowed, always there */
}

/* -1 with KeyError if it is not there. */
static int drop_instrument(struct ctrio__py_runner *runner, PyObject *instrument)
{
    PyObject *hooks = Py_NewRef(instruments_of(runner->instruments)->hooks);
    PyObject *names = NULL;
    /* pop(): nothing is in an empty dict, not even what has no hash. */
    PyObject *none = ctrio__call_method1(all_of(runner->state, hooks), "pop", instrument);
    int result = none != NULL ? 0 : -1;
    Py_XDECREF(none);
    if (result == 0) {
        names = PyDict_Keys(hooks);
        result = names != NULL ? 0 : -1;
    }
    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(names); i++)
        result = drop_from(hooks, PyList_GET_ITEM(names, i), instrument);
    Py_XDECREF(names);
    Py_DECREF(hooks);
    return result == 0 ? follow(runner) : -1;
}

/* 1: the ABC has a method of this name, and the instrument one of its own. */
static int overrides(PyObject *abc, PyObject *instrument, PyObject *name)
{
    PyObject *prototype = PyObject_GetAttr(abc, name);
    if (prototype == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    PyObject *method = PyObject_GetAttr(instrument, name);
    int result = -1;
    if (method != NULL)
        result = !(PyMethod_Check(method) && PyMethod_GET_FUNCTION(method) == prototype);
    Py_DECREF(prototype);
    Py_XDECREF(method);
    return result;
}

static int listen(PyObject *hooks, PyObject *name, PyObject *instrument)
{
    PyObject *listeners = Py_XNewRef(PyDict_GetItemWithError(hooks, name));
    if (listeners == NULL && !PyErr_Occurred()) {
        listeners = PyDict_New();
        if (listeners != NULL && PyDict_SetItem(hooks, name, listeners) < 0)
            Py_CLEAR(listeners);
    }
    int result = listeners != NULL ? PyDict_SetItem(listeners, instrument, Py_None) : -1;
    Py_XDECREF(listeners);
    return result;
}

static int listen_to_all(struct ctrio__py_runner *runner, PyObject *hooks, PyObject *instrument)
{
    PyObject *names = PyObject_Dir(instrument);
    int result = names != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *name = Py_NewRef(PyList_GET_ITEM(names, i));
        bool hidden = !PyUnicode_Check(name) || PyUnicode_GET_LENGTH(name) == 0 ||
                      PyUnicode_READ_CHAR(name, 0) == '_';
        if (!hidden)
            result = overrides(runner->state->bound.Instrument, instrument, name);
        if (result > 0)
            result = listen(hooks, name, instrument);
        Py_DECREF(name);
    }
    Py_XDECREF(names);
    return result == 0 ? follow(runner) : -1;
}

static int add_one(struct ctrio__py_runner *runner, PyObject *instrument)
{
    PyObject *hooks = Py_NewRef(instruments_of(runner->instruments)->hooks);
    PyObject *all = all_of(runner->state, hooks);
    int present = PyDict_Contains(all, instrument);
    int result = present > 0 ? 0 : -1;
    if (present == 0 && PyDict_SetItem(all, instrument, Py_None) == 0) {
        result = listen_to_all(runner, hooks, instrument);
        if (result < 0) { /* not half of it */
            PyObject *error = PyErr_GetRaisedException();
            if (drop_instrument(runner, instrument) < 0)
                PyErr_Clear();
            PyErr_SetRaisedException(error);
        }
    }
    Py_DECREF(hooks);
    return result;
}

/* --- calling
 * -------------------------------------------------------------------------------------- */

static int log_failure(PyObject *hook, PyObject *instrument, PyObject *exception)
{
    PyObject *logging = PyImport_ImportModule("logging");
    PyObject *logger = logging != NULL
                           ? PyObject_CallMethod(logging, "getLogger", "s", "trio.abc.Instrument")
                           : NULL;
    PyObject *method = logger != NULL ? ctrio__getattr(logger, "exception") : NULL;
    PyObject *args = Py_BuildValue("(sOO)",
                                   "Exception raised when calling %r on instrument %r. "
                                   "Instrument has been disabled.",
                                   hook, instrument);
    PyObject *kwargs = Py_BuildValue("{sO}", "exc_info", exception);
    PyObject *result = NULL;
    if (method != NULL && args != NULL && kwargs != NULL)
        result = PyObject_Call(method, args, kwargs);
    Py_XDECREF(logging);
    Py_XDECREF(logger);
    Py_XDECREF(method);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Its hook has raised.  Perhaps it had removed itself before. */
static void disable(struct ctrio__py_runner *runner, PyObject *hook, PyObject *instrument)
{
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *previous = ctrio__callout_begin(runner);
    int result = drop_instrument(runner, instrument);
    if (result < 0 && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
        result = 0;
    }
    if (result == 0)
        result = log_failure(hook, instrument, exception);
    ctrio__callout_end(runner, previous);
    Py_DECREF(exception);
    if (result < 0)
        ctrio__runner_fail(runner);
}

static void call_one(struct ctrio__py_runner *runner, PyObject *hook, PyObject *instrument,
                     PyObject *arg)
{
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *result = arg != NULL ? PyObject_CallMethodOneArg(instrument, hook, arg)
                                   : PyObject_CallMethodNoArgs(instrument, hook);
    ctrio__callout_end(runner, previous);
    if (result == NULL)
        disable(runner, hook, instrument);
    Py_XDECREF(result);
}

/* Calls those that listen now; they may add and remove meanwhile. */
static void call_listeners(struct ctrio__py_runner *runner, PyObject *hook, PyObject *arg)
{
    PyObject *hooks = instruments_of(runner->instruments)->hooks;
    PyObject *listeners = PyDict_GetItemWithError(hooks, hook);
    PyObject *snapshot = listeners != NULL ? PyDict_Keys(listeners) : NULL;
    Py_ssize_t count = snapshot != NULL ? PyList_GET_SIZE(snapshot) : 0;
    for (Py_ssize_t i = 0; i < count; i++)
        call_one(runner, hook, PyList_GET_ITEM(snapshot, i), arg);
    Py_XDECREF(snapshot);
    if (PyErr_Occurred())
        ctrio__runner_fail(runner);
}

/* A task's step begins before its front end is asked to run it and ends after that; to the
 * instruments it is the current task all the while. */
static void call_in_task(struct ctrio__py_runner *runner, PyObject *hook, PyObject *arg)
{
    struct ctrio__thread *thread = &ctrio__thread;
    struct ctrio_task *current = runner->run.current;
    PyObject *saved = thread->task;
    bool entered = current != NULL && thread->state == runner->state &&
                   saved != (PyObject *)ctrio__py_task_from(current);
    if (entered)
        thread->task = Py_NewRef(ctrio__py_task_from(current));
    call_listeners(runner, hook, arg);
    if (entered)
        Py_XSETREF(thread->task, saved);
}

/* Events happen inside other calls, in deallocations too: an exception that is set stays. */
static void call(struct ctrio__py_runner *runner, PyObject *hook, PyObject *arg)
{
    if (runner->instruments == NULL)
        return;
    PyObject *error = PyErr_GetRaisedException();
    call_in_task(runner, hook, arg);
    CTRIO_ASSERT(!PyErr_Occurred());
    if (error != NULL)
        PyErr_SetRaisedException(error);
}

void ctrio__instruments_call(struct ctrio__py_runner *runner, const char *hook, PyObject *arg)
{
    PyObject *name = PyUnicode_InternFromString(hook);
    if (name != NULL)
        call(runner, name, arg);
    else
        ctrio__runner_fail(runner);
    Py_XDECREF(name);
}

static void task_event(struct ctrio_run *run, enum ctrio__hook which, struct ctrio_task *task)
{
    struct ctrio__py_runner *runner = ctrio__py_runner_from(run);
    CTRIO_ASSERT(task->frontend == &ctrio__python);
    PyObject *object = Py_NewRef(ctrio__py_task_from(task));
    call(runner, name_of(runner->state, which), object);
    Py_DECREF(object);
}

static void io_event(struct ctrio_run *run, enum ctrio__hook which, double timeout)
{
    struct ctrio__py_runner *runner = ctrio__py_runner_from(run);
    PyObject *seconds = PyFloat_FromDouble(timeout);
    if (seconds != NULL)
        call(runner, name_of(runner->state, which), seconds);
    else
        ctrio__runner_fail(runner);
    Py_XDECREF(seconds);
}

/* --- the run's side
 * ------------------------------------------------------------------------------- */

const struct ctrio__hooks ctrio__py_hooks = {
    .task_event = task_event, .io_event = io_event, .order_batch = ctrio__batch_order};

static PyObject *instruments_new(struct ctrio__state *state)
{
    PyTypeObject *type = state->types[TYPE_INSTRUMENTS];
    PyObject *self = type->tp_alloc(type, 0);
    PyObject *all = self != NULL ? PyDict_New() : NULL;
    PyObject *hooks = all != NULL ? PyDict_New() : NULL;
    if (hooks == NULL || PyDict_SetItem(hooks, state->names.all_hooks, all) < 0) {
        Py_CLEAR(hooks);
        Py_CLEAR(self);
    } else {
        instruments_of(self)->hooks = hooks;
    }
    Py_XDECREF(all);
    return self;
}

int ctrio__instruments_setup(struct ctrio__py_runner *runner, PyObject *instruments)
{
    struct ctrio__hooks *hooks = &runner->run.hooks;
    hooks->task_event = ctrio__py_hooks.task_event;
    hooks->io_event = ctrio__py_hooks.io_event;
    hooks->order_batch = ctrio__py_hooks.order_batch;
    Py_XSETREF(runner->instruments, instruments_new(runner->state));
    if (runner->instruments == NULL || ctrio__batch_order_choose(runner) < 0)
        return -1;
    if (instruments == NULL || instruments == runner->state->empty_tuple)
        return 0;
    PyObject *iterator = PyObject_GetIter(instruments);
    PyObject *instrument = NULL;
    while (iterator != NULL && (instrument = PyIter_Next(iterator)) != NULL) {
        int result = add_one(runner, instrument);
        Py_DECREF(instrument);
        if (result < 0)
            Py_CLEAR(iterator);
    }
    Py_XDECREF(iterator);
    return PyErr_Occurred() ? -1 : 0;
}

/* --- for Python
 * ----------------------------------------------------------------------------------- */

static struct ctrio__py_runner *parse_instrument(PyObject *module, const char *function,
                                                 PyObject *const *args, Py_ssize_t nargs,
                                                 PyObject *kwnames, PyObject **out)
{
    static const char *const names[] = {"instrument"};
    if (ctrio__parse(function, args, nargs, kwnames, names, 1, 1, out) < 0)
        return NULL;
    return ctrio__current_runner(PyModule_GetState(module));
}
static PyObject *protected_call(struct ctrio__py_runner *runner,
                                int (*act)(struct ctrio__py_runner *runner, PyObject *instrument),
                                PyObject *instrument)
{
    PyObject *previous = ctrio__callout_begin(runner);
    int result = act(runner, instrument);
    ctrio__callout_end(runner, previous);
    return result == 0 ? Py_NewRef(Py_None) : NULL;
}
static PyObject *add_instrument(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames)
{
    PyObject *instrument;
    struct ctrio__py_runner *runner =
        parse_instrument(module, "add_instrument", args, nargs, kwnames, &instrument);
    return runner != NULL ? protected_call(runner, add_one, instrument) : NULL;
}
static PyObject *remove_instrument(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kwnames)
{
    PyObject *instrument;
    struct ctrio__py_runner *runner =
        parse_instrument(module, "remove_instrument", args, nargs, kwnames, &instrument);
    return runner != NULL ? protected_call(runner, drop_instrument, instrument) : NULL;
}

static int instruments_contains(PyObject *self, PyObject *name)
{
    return PyDict_Contains(instruments_of(self)->hooks, name);
}
static PyObject *instruments_get(PyObject *self, PyObject *name)
{
    PyObject *listeners = PyObject_GetItem(instruments_of(self)->hooks, name);
    PyObject *view = listeners != NULL ? PyDictProxy_New(listeners) : NULL;
    Py_XDECREF(listeners);
    return view;
}
static Py_ssize_t instruments_length(PyObject *self)
{
    return PyDict_GET_SIZE(instruments_of(self)->hooks);
}
static PyObject *instruments_iter(PyObject *self)
{
    return PyObject_GetIter(instruments_of(self)->hooks);
}
static PyObject *instruments_keys(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyDict_Keys(instruments_of(self)->hooks);
}
static int instruments_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(instruments_of(self)->hooks);
    return 0;
}
static void instruments_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(instruments_of(self)->hooks);
    type->tp_free(self);
    Py_DECREF(type);
}

#define FUNCTION(name, doc)                                                                        \
    {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL | METH_KEYWORDS, doc}
static PyMethodDef functions[] = {
    FUNCTION(add_instrument,
             "add_instrument($module, /, instrument)\n--\n\n"
             "Have an instrument called by this run from now on; again does nothing.\n\n"
             "Args:\n    instrument: An object with some of the methods of `trio.abc.Instrument`."),
    FUNCTION(remove_instrument,
             "remove_instrument($module, /, instrument)\n--\n\n"
             "Stop an instrument from being called.\n\n"
             "Args:\n    instrument: What was given to `add_instrument` or `run`.\n\n"
             "Raises:\n    KeyError: It is not active; perhaps it has raised and was removed."),
    {NULL, NULL, 0, NULL}};
static PyMethodDef instruments_methods[] = {{"keys", instruments_keys, METH_NOARGS, NULL},
                                            {NULL, NULL, 0, NULL}};
static PyType_Slot instruments_slots[] = {
    {Py_tp_methods, instruments_methods}, {Py_sq_contains, instruments_contains},
    {Py_mp_subscript, instruments_get},   {Py_mp_length, instruments_length},
    {Py_tp_iter, instruments_iter},       {Py_tp_traverse, instruments_traverse},
    {Py_tp_dealloc, instruments_dealloc}, {0, NULL}};
static PyType_Spec instruments_spec = {.name = "ctrio._ctrio.Instruments",
                                       .basicsize = sizeof(struct instruments),
                                       .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                                Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                       .slots = instruments_slots};

int ctrio__exec_instrument(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_INSTRUMENTS, &instruments_spec, NULL, NULL) < 0 ||
        PyModule_AddFunctions(module, functions) < 0)
        return -1;
    return ctrio__exec_batch_order(module, state);
}
