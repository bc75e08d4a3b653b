/* io.c - wait_readable, wait_writable, notify_closing, and the class behind TheIOManager.
 *
 * The functions go to the backend directly.  Tests and debuggers replace methods of TheIOManager,
 * a Python subclass of IOManagerBase; its metaclass then sets io_manager_patched, and only from
 * then on are the methods looked up and called.  Handles of Python's are descriptors: an int, or
 * whatever has a fileno(). */
#include "pyext/calls.h"
#include "pyext/gil.h"
#include "pyext/outcome.h"
#include "pyext/sockets.h"

struct io_manager {
    PyObject_HEAD
    PyObject *runner; /* strong; NULL: made outside of a run */
};

/* --- arguments and results --------------------------------------------------------- */

int ctrio__fd_of(struct ctrio__state *state, PyObject *object, int *out)
{
    PyObject *number;
    if (PyLong_Check(object)) {
        number = Py_NewRef(object);
    } else {
        struct ctrio__py_runner *runner = ctrio__peek_runner(state);
        PyObject *previous = ctrio__callout_begin(runner);
        number = PyObject_CallMethodNoArgs(object, state->names.fileno);
        ctrio__callout_end(runner, previous);
    }
    if (number == NULL)
        return -1;
    *out = PyObject_AsFileDescriptor(number);
    Py_DECREF(number);
    return *out < 0 ? -1 : 0;
}

PyObject *ctrio__raise_io(struct ctrio__state *state, struct ctrio__outcome *io)
{
    CTRIO_ASSERT(io->code < 0);
    if (io->code == CTRIO_BUSY_RESOURCE)
        PyErr_SetString(state->bound.BusyResourceError,
                        "another task is already reading / writing this fd");
    else if (io->code == CTRIO_CLOSED_RESOURCE)
        PyErr_SetString(state->bound.ClosedResourceError, "another task closed this fd");
    else
        return ctrio__raise(state, io);
    return NULL;
}

void ctrio__raise_instead(PyObject *error, PyObject *cause, bool hide)
{
    if (error == NULL) {
        Py_DECREF(cause);
        return;
    }
    ctrio__raise_object(Py_NewRef(cause)); /* its own context is what is being handled now */
    PyObject *raised = PyErr_GetRaisedException();
    CTRIO_ASSERT(raised == cause);
    PyException_SetCause(error, hide ? NULL : Py_NewRef(cause));
    PyException_SetContext(error, cause);
    Py_DECREF(raised);
    ctrio__raise_saving_context(error);
}

/* --- TheIOManager ------------------------------------------------------------------ */

/* A new reference; NULL with an error. */
static PyObject *manager_make(struct ctrio__state *state, struct ctrio__py_runner *runner)
{
    PyTypeObject *base = state->types[TYPE_IO_MANAGER];
    PyObject *class = ctrio__getattr(state->bound.run_module, "TheIOManager");
    PyObject *made = class != NULL ? PyObject_CallNoArgs(class) : NULL;
    Py_XDECREF(class);
    if (made != NULL && !PyObject_TypeCheck(made, base)) {
        PyErr_Format(PyExc_TypeError, "TheIOManager must make a %s, not %R", base->tp_name, made);
        Py_CLEAR(made);
    }
    if (made != NULL)
        Py_XSETREF(((struct io_manager *)made)->runner, Py_XNewRef((PyObject *)runner));
    return made;
}

/* What await TheIOManager().name(fd) awaits. */
static PyObject *call_manager(struct ctrio__coroutine *coro, struct ctrio__py_task *task,
                              const char *name)
{
    struct ctrio__state *state = ctrio__state_of_coro(coro);
    CTRIO_ASSERT(state->io_manager_patched);
    PyObject *manager = manager_make(state, ctrio__runner_of(task));
    PyObject *method = manager != NULL ? ctrio__getattr(manager, name) : NULL;
    PyObject *awaitable = method != NULL ? PyObject_CallOneArg(method, coro->arg) : NULL;
    Py_XDECREF(manager);
    Py_XDECREF(method);
    return awaitable;
}

/* --- waiting ----------------------------------------------------------------------- */

static int parse_fd(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    static const char *const names[] = {"fd"};
    const char *function = coro->function->async->qualname;
    PyObject *out;
    if (ctrio__parse(function, args, nargs, kwnames, names, 1, 1, &out) < 0)
        return -1;
    coro->arg = Py_NewRef(out);
    return 0;
}

static int begin_wait(struct ctrio__coroutine *coro, enum ctrio__io_interest interest)
{
    int fd;
    if (ctrio__fd_of(ctrio__state_of_coro(coro), coro->arg, &fd) < 0)
        return -1;
    CTRIO_ASSERT(fd >= 0);
    static_assert(sizeof(struct ctrio__wait_handle_op) <= sizeof coro->op, "no room");
    ctrio__wait_handle_init((struct ctrio__wait_handle_op *)(void *)&coro->op, fd, interest);
    return 0;
}

/* Trio's functions find the manager where a missing one is an AttributeError, and take every
 * AttributeError for that: so does what has no fileno() end. */
static int refuse_as_trio(int result)
{
    if (result >= 0 || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return result;
    PyObject *cause = PyErr_GetRaisedException();
    CTRIO_ASSERT(cause != NULL);
    PyObject *error =
        PyObject_CallFunction(PyExc_RuntimeError, "s", "must be called from async context");
    ctrio__raise_instead(error, cause, true);
    return -1;
}
static int begin_readable(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    if (ctrio__state_of_task(task)->io_manager_patched)
        return ctrio__delegate(coro, call_manager(coro, task, "wait_readable"));
    return refuse_as_trio(begin_wait(coro, CTRIO__READABLE));
}
static int begin_writable(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    if (ctrio__state_of_task(task)->io_manager_patched)
        return ctrio__delegate(coro, call_manager(coro, task, "wait_writable"));
    return refuse_as_trio(begin_wait(coro, CTRIO__WRITABLE));
}
static int begin_method_readable(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_wait(coro, CTRIO__READABLE);
}
static int begin_method_writable(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_wait(coro, CTRIO__WRITABLE);
}

static PyObject *finish_wait(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    if (ctrio__delegated(coro))
        return ctrio__delegate_finish(coro, io);
    if (io->code < 0)
        return ctrio__raise_io(ctrio__state_of_coro(coro), io);
    Py_RETURN_NONE;
}

static int close_handle(struct ctrio__state *state, struct ctrio__py_runner *runner,
                        PyObject *object)
{
    int fd;
    if (ctrio__fd_of(state, object, &fd) >= 0) {
        runner->run.io_ops->notify_closing(runner->run.io, fd);
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_ValueError))
        return -1;
    PyErr_Clear(); /* -1: it is closed already */
    return 0;
}

static PyObject *notify_closing(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames)
{
    static const char *const names[] = {"fd"};
    struct ctrio__state *state = PyModule_GetState(module);
    PyObject *fd;
    if (ctrio__parse("notify_closing", args, nargs, kwnames, names, 1, 1, &fd) < 0)
        return NULL;
    struct ctrio__py_runner *runner = ctrio__current_runner(state);
    if (runner == NULL)
        return NULL;
    if (!state->io_manager_patched)
        return refuse_as_trio(close_handle(state, runner, fd)) < 0 ? NULL : Py_NewRef(Py_None);
    PyObject *manager = manager_make(state, runner);
    if (manager == NULL)
        return NULL;
    PyObject *result = ctrio__call_method1(manager, "notify_closing", fd);
    Py_DECREF(manager);
    return result;
}

static PyObject *io_manager_patched(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__state *state = PyModule_GetState(module);
    state->io_manager_patched = true;
    Py_RETURN_NONE;
}

/* --- events ------------------------------------------------------------------------ */

/* A clock that jumps is asked again and again while everybody waits, and threads are what they may
 * wait for: these need the GIL. */
static bool waits_for_a_jump(const struct ctrio_run *run)
{
    return run->ready_count == 0 && run->clock->autojump_threshold != INFINITY;
}

/* A thread of ours has something to do that the run waits for: it may well be through before this
 * one would be asleep. */
static bool answer_is_near(struct ctrio__py_runner *runner)
{
    bool due = runner->thread_due;
    runner->thread_due = false;
    return due && !runner->run.guest && !ctrio__spin_held();
}

static bool is_pending(const void *queue)
{
    return ctrio__entry_queue_pending(queue);
}

/* True: there is something in the entry queue. */
static bool spin_for_answer(struct ctrio__py_runner *runner)
{
    struct ctrio__entry_queue *queue = &runner->run.entries;
    ctrio__entry_queue_watch(queue);
    runner->os->threads->spin(runner->os, &runner->event_spin, CTRIO__SPIN_FOR_EVENT, is_pending,
                              queue);
    return ctrio__entry_queue_unwatch(queue);
}

static int get_events(struct ctrio__py_runner *runner, double timeout,
                      struct ctrio__io_events *events)
{
    const struct ctrio__io_ops *ops = runner->run.io_ops;
    struct ctrio__io *io = runner->run.io;
    int result;
    CTRIO_ASSERT(timeout >= 0);
    *events = (struct ctrio__io_events){NULL, 0};
    if (timeout > 0 || waits_for_a_jump(&runner->run)) {
        bool near = timeout > 0 && answer_is_near(runner);
        PyThreadState *thread = ctrio__gil_leave();
        near = near && spin_for_answer(runner);
        result = ops->get_events(io, near ? 0 : timeout, events);
        ctrio__gil_enter(thread, runner->os->threads, near ? &runner->gil_spin : NULL);
    } else {
        result = ops->get_events(io, 0, events);
    }
    if (result >= 0)
        return result;
    struct ctrio__outcome failure = {result, NULL};
    ctrio__raise(runner->state, &failure);
    return -1;
}

/* Trio passes what get_events gave to process_events: here the bytes of the kernel's record,
 * which are false exactly if there is none. */
static int get_events_of_python(struct ctrio__py_runner *runner, double timeout,
                                struct ctrio__io_events *events)
{
    PyObject *manager = manager_make(runner->state, runner);
    *events = (struct ctrio__io_events){NULL, 0};
    if (manager == NULL)
        return -1;
    struct ctrio__py_runner *here =
        ctrio__peek_runner(runner->state); /* none in a thread of ours */
    PyObject *previous = ctrio__callout_begin(here);
    PyObject *seconds = PyFloat_FromDouble(timeout);
    PyObject *record = seconds != NULL ? ctrio__call_method1(manager, "get_events", seconds) : NULL;
    Py_XDECREF(seconds);
    ctrio__callout_end(here, previous);
    Py_DECREF(manager);
    if (record == NULL)
        return -1;
    bool known = PyBytes_Check(record) &&
                 (PyBytes_GET_SIZE(record) == 0 || PyBytes_GET_SIZE(record) == sizeof *events);
    if (known && PyBytes_GET_SIZE(record) != 0)
        memcpy(events, PyBytes_AS_STRING(record), sizeof *events);
    else if (!known)
        PyErr_Format(PyExc_TypeError,
                     "get_events() must return what IOManagerBase.get_events() returns, not %R",
                     record);
    Py_DECREF(record);
    CTRIO_ASSERT(known != (PyErr_Occurred() != NULL));
    return known ? events->count : -1;
}

int ctrio__runner_get_events(struct ctrio__py_runner *runner, double timeout,
                             struct ctrio__io_events *events)
{
    CTRIO_ASSERT(runner->opened && !PyErr_Occurred());
    if (runner->state->io_manager_patched)
        return get_events_of_python(runner, timeout, events);
    return get_events(runner, timeout, events);
}

/* [any thread] in guest mode. */
static PyObject *manager_get_events(PyObject *self, PyObject *arg)
{
    struct ctrio__py_runner *runner =
        (struct ctrio__py_runner *)((struct io_manager *)self)->runner;
    struct ctrio__io_events events;
    double timeout = PyFloat_AsDouble(arg);
    if (timeout == -1.0 && PyErr_Occurred())
        return NULL;
    if (runner == NULL || !runner->opened) {
        PyErr_SetString(PyExc_RuntimeError, "must be called from async context");
        return NULL;
    }
    if (!(timeout > 0))
        timeout = 0;
    int count = get_events(runner, timeout, &events);
    if (count < 0)
        return NULL;
    return PyBytes_FromStringAndSize((const char *)&events, count != 0 ? sizeof events : 0);
}

static PyObject *manager_notify_closing(PyObject *self, PyObject *fd)
{
    struct ctrio__state *state = ctrio__state_by_def(Py_TYPE(self));
    struct ctrio__py_runner *runner = state != NULL ? ctrio__current_runner(state) : NULL;
    if (runner == NULL || close_handle(state, runner, fd) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *manager_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                             PyObject *Py_UNUSED(kwargs))
{
    struct ctrio__state *state = ctrio__state_by_def(type);
    PyObject *self = state != NULL ? type->tp_alloc(type, 0) : NULL;
    if (self != NULL)
        ((struct io_manager *)self)->runner = Py_XNewRef((PyObject *)ctrio__peek_runner(state));
    return self;
}
static int manager_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct io_manager *)self)->runner);
    return 0;
}
static int manager_clear(PyObject *self)
{
    Py_CLEAR(((struct io_manager *)self)->runner);
    return 0;
}
static void manager_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    manager_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- tables ------------------------------------------------------------------------ */

static PyMethodDef manager_methods[] = {
    {"get_events", manager_get_events, METH_O,
     "get_events($self, timeout, /)\n--\n\n"
     "Wait for events, at most so many seconds, and return them for the run loop."},
    {"notify_closing", manager_notify_closing, METH_O,
     "notify_closing($self, fd, /)\n--\n\nWake the tasks that wait for a handle."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot manager_slots[] = {
    {Py_tp_new, manager_new},           {Py_tp_methods, manager_methods},
    {Py_tp_traverse, manager_traverse}, {Py_tp_clear, manager_clear},
    {Py_tp_dealloc, manager_dealloc},   {0, NULL},
};
static PyType_Spec manager_spec = {.name = "trio._core._run.IOManagerBase",
                                   .basicsize = sizeof(struct io_manager),
                                   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
                                            Py_TPFLAGS_HAVE_GC,
                                   .slots = manager_slots};

static const struct ctrio__async manager_async[] = {
    {.qualname = "IOManagerBase.wait_readable",
     .module = "trio._core._run",
     .self = TYPE_IO_MANAGER,
     .parse = parse_fd,
     .begin = begin_method_readable,
     .finish = finish_wait},
    {.qualname = "IOManagerBase.wait_writable",
     .module = "trio._core._run",
     .self = TYPE_IO_MANAGER,
     .parse = parse_fd,
     .begin = begin_method_writable,
     .finish = finish_wait},
    {.qualname = NULL},
};
static const struct ctrio__async async_functions[] = {
    {.qualname = "wait_readable",
     .module = "trio.lowlevel",
     .self = TYPE_NONE,
     .parse = parse_fd,
     .begin = begin_readable,
     .finish = finish_wait},
    {.qualname = "wait_writable",
     .module = "trio.lowlevel",
     .self = TYPE_NONE,
     .parse = parse_fd,
     .begin = begin_writable,
     .finish = finish_wait},
    {.qualname = NULL},
};

static PyMethodDef functions[] = {
    {"notify_closing", (PyCFunction)(void (*)(void))notify_closing, METH_FASTCALL | METH_KEYWORDS,
     "notify_closing($module, /, fd)\n--\n\n"
     "Tell that a descriptor is about to be closed.\n\n"
     "Tasks that wait for it get ClosedResourceError. Close it right afterwards, without a\n"
     "checkpoint in between, so that no other task starts to wait for it.\n\n"
     "Args:\n    fd: The descriptor, or what has it as its fileno()."},
    {"io_manager_patched", io_manager_patched, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int ctrio__exec_io(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_IO_MANAGER, &manager_spec, NULL, "IOManagerBase") < 0 ||
        ctrio__add_methods(state, TYPE_IO_MANAGER, manager_async) < 0 ||
        ctrio__add_functions(module, state, async_functions) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
