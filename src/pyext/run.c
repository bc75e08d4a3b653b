/* run.c - run(): a runner is opened, driven until its last task is gone, and closed.
 *
 * The loop is the kernel's four pieces.  The GIL is given up only around a wait that may sleep.
 * After each wait pending signals are handled, with the call-out frame set: a Ctrl-C that hit the
 * loop goes to the main task and not to whichever task happens to run next. */
#include "io/native.h"
#include "kernel/loop.h"
#include "pyext/calls.h"
#include "pyext/gil.h"
#include "pyext/outcome.h"
#include "pyext/sockets.h"

/* --- the tasks every run has ------------------------------------------------------- */

static int begin_init(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    ctrio__op_init(&coro->op.op, &ctrio__init_kind, task->task.run);
    return 0;
}
/* The init task's failure is the run's: what its nurseries came to. */
static PyObject *finish_init(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    if (io->code < 0)
        ctrio__raise_object(ctrio__exception_taken(ctrio__state_of_coro(coro), io));
    else
        return Py_NewRef(Py_None);
    return NULL;
}
static int begin_entry_queue(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    ctrio__op_init(&coro->op.op, &ctrio__entry_queue_kind, task->task.run);
    return 0;
}
static const struct ctrio__async init_async = {.qualname = "Runner.init",
                                               .module = "trio._core._run",
                                               .self = TYPE_NONE,
                                               .begin = begin_init,
                                               .finish = finish_init};
static const struct ctrio__async entry_queue_async = {.qualname = "EntryQueue.task",
                                                      .module = "trio._core._entry_queue",
                                                      .self = TYPE_NONE,
                                                      .begin = begin_entry_queue};

static PyObject *spawn_own(struct ctrio__py_runner *runner, const struct ctrio__async *async,
                           const char *name, struct ctrio__nursery *nursery)
{
    PyObject *function = ctrio__function_new(runner->state, async);
    PyObject *text = PyUnicode_FromString(name);
    PyObject *task = NULL;
    if (function != NULL && text != NULL)
        task = ctrio__spawn(runner, function, NULL, 0, NULL, nursery, text, true, NULL);
    Py_XDECREF(function);
    Py_XDECREF(text);
    return task;
}

static void spawn_main(struct ctrio_run *run, struct ctrio__outcome *io)
{
    struct ctrio__py_runner *runner = ctrio__py_runner_from(run);
    PyObject *args = runner->args;
    PyObject *task =
        ctrio__spawn(runner, runner->async_fn, &PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args),
                     NULL, run->system.main_nursery, NULL, false, NULL);
    if (task == NULL) {
        *io = ctrio__outcome_from_error(runner->state);
        return;
    }
    run->main_task = &((struct ctrio__py_task *)task)->task;
    runner->main_task = task;
    Py_CLEAR(runner->async_fn);
    Py_CLEAR(runner->args);
}

static int spawn_entry_queue(struct ctrio_run *run)
{
    struct ctrio__py_runner *runner = ctrio__py_runner_from(run);
    PyObject *task = spawn_own(runner, &entry_queue_async, "<TrioToken.run_sync_soon task>",
                               run->system.entry_nursery);
    if (task == NULL) {
        ctrio__runner_fail(runner);
        return -ENOMEM;
    }
    runner->entry_coro = Py_NewRef(((struct ctrio__py_task *)task)->coro);
    Py_DECREF(task);
    return 0;
}

/* Asynchronous generators are finalised by Python code that runs inside the init task. */
enum ctrio__step ctrio__runner_finalize(struct ctrio_run *run, struct ctrio__outcome *io)
{
    struct ctrio__py_runner *runner = ctrio__py_runner_from(run);
    struct ctrio__py_task *task = (struct ctrio__py_task *)runner->init_task;
    PyObject *value = NULL;
    if (runner->finalizer == NULL) {
        runner->finalizer =
            ctrio__call_method1(runner->asyncgens, "finalize_remaining", (PyObject *)runner);
    } else { /* the wake-up is for what the finaliser waits in */
        task->task.wake = *io;
        task->has_wake = true;
        task->asked_by = runner->finalizer_asked_by;
    }
    *io = (struct ctrio__outcome){0, NULL};
    PySendResult result = PYGEN_ERROR;
    if (runner->finalizer_throws != NULL)
        result =
            ctrio__throw_into(runner->state, runner->finalizer, &runner->finalizer_throws, &value);
    else if (runner->finalizer != NULL)
        result = PyIter_Send(runner->finalizer, Py_None, &value);
    if (result == PYGEN_NEXT && value != runner->state->yield_token)
        ctrio__answer_foreign_yield(task, value, &runner->finalizer_throws);
    Py_XDECREF(value);
    runner->finalizer_asked_by = task->asked_by;
    if (result == PYGEN_NEXT)
        return CTRIO__PARKED;
    if (result == PYGEN_ERROR)
        *io = ctrio__outcome_from_error(runner->state);
    Py_CLEAR(runner->finalizer);
    return CTRIO__DONE;
}

static int make_system(struct ctrio__py_runner *runner, struct ctrio__system *system)
{
    system->init = &((struct ctrio__py_task *)runner->init_task)->task;
    struct ctrio__nursery **nurseries[] = {&system->entry_nursery, &system->system_nursery,
                                           &system->main_nursery};
    struct ctrio_cancel_scope **scopes[] = {&system->entry_scope, &system->system_scope,
                                            &system->main_scope};
    for (int i = 0; i < 3; i++) {
        struct ctrio__py_nursery *made = ctrio__nursery_make(runner->state, runner->strict);
        if (made == NULL)
            return -1;
        runner->nurseries[i] = (PyObject *)made;
        made->parent_task = Py_NewRef(runner->init_task);
        Py_INCREF(made); /* the init task's */
        *nurseries[i] = &made->nursery;
        *scopes[i] = &((struct ctrio__py_scope *)made->scope)->scope;
    }
    runner->system_nursery = Py_NewRef(runner->nurseries[1]);
    system->spawn_main = spawn_main;
    system->spawn_entry_queue = spawn_entry_queue;
    return 0;
}

/* --- opening and closing ----------------------------------------------------------- */

static struct ctrio__py_task *make_init_task(struct ctrio__py_runner *runner)
{
    PyObject *function = ctrio__function_new(runner->state, &init_async);
    PyObject *coro = function != NULL ? PyObject_CallNoArgs(function) : NULL;
    PyObject *name = PyUnicode_FromString("<init>");
    PyObject *context = PyContext_Copy(runner->system_context);
    struct ctrio__py_task *task = NULL;
    if (coro != NULL && name != NULL && context != NULL)
        task = ctrio__task_make(runner, coro, context, name, true);
    Py_XDECREF(function);
    Py_XDECREF(coro);
    Py_XDECREF(name);
    Py_XDECREF(context);
    return task;
}

int ctrio__runner_start(struct ctrio__py_runner *runner)
{
    struct ctrio__system system;
    struct ctrio__py_task *init = make_init_task(runner);
    if (init == NULL)
        return -1;
    runner->init_task = (PyObject *)init;
    if (make_system(runner, &system) < 0)
        return -1;
    Py_INCREF(init);
    if (ctrio__run_start(&runner->run, &system) < 0) {
        Py_DECREF(init);
        if (runner->failure == NULL && !PyErr_Occurred())
            PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int open_os(struct ctrio__py_runner *runner)
{
    struct ctrio__native_os *native = ctrio__native_os_new();
    if (native == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    runner->os = &native->os;
    return 0;
}

int ctrio__runner_open(struct ctrio__py_runner *runner, const struct ctrio__runner_options *given)
{
    PyObject *clock = given->clock != NULL ? given->clock : Py_None;
    if (runner->os == NULL && open_os(runner) < 0)
        return -1;
    uint64_t seed = 0;
    if (runner->os->random(runner->os, &seed, sizeof seed) < 0)
        seed = runner->os->now(runner->os, CTRIO__MONOTONIC);
    if (ctrio__clock_setup(runner, clock) < 0)
        return -1;
    struct ctrio__run_options options = {.os = runner->os,
                                         .io_ops = runner->os->io,
                                         .now = runner->os->now,
                                         .clock = runner->kernel_clock,
                                         .chooser = runner->chooser,
                                         .seed = seed,
                                         .data = runner};
    int result = ctrio__run_open(&runner->run, &options);
    if (result < 0) {
        ctrio__raise(runner->state, &(struct ctrio__outcome){result, NULL});
        return -1;
    }
    runner->opened = true;
    runner->run.strict = given->every_turn;
    if (ctrio__read_run_environment(&runner->run) < 0)
        return -1;
    runner->holds_spin = runner->os->threads->spin == NULL || !runner->kernel_clock->is_system ||
                         runner->chooser != NULL;
    if (runner->holds_spin)
        ctrio__spin_hold(true);
    return ctrio__instruments_setup(runner, given->instruments);
}

static void close_kernel_run(struct ctrio__py_runner *runner)
{
    if (!runner->opened)
        return;
    ctrio__run_close(&runner->run);
    runner->opened = false;
    if (runner->holds_spin)
        ctrio__spin_hold(false);
}

/* Gives back what the kernel still links, whatever state the run is in.  Idempotent. */
void ctrio__runner_close(struct ctrio__py_runner *runner)
{
    close_kernel_run(runner);
    for (int i = 0; i < 3; i++) {
        struct ctrio__py_nursery *nursery = (struct ctrio__py_nursery *)runner->nurseries[i];
        if (nursery == NULL)
            continue;
        Py_CLEAR(nursery->parent_task);
        if (nursery->nursery.run == NULL) /* the init task never got to opening it */
            Py_DECREF(nursery);
        Py_CLEAR(runner->nurseries[i]);
    }
    if (runner->os_lent) { /* its owner takes it back now */
        runner->os = NULL;
        runner->run.os = NULL;
    }
}

static int install_asyncgens(struct ctrio__py_runner *runner)
{
    runner->asyncgens = PyObject_CallNoArgs(runner->state->bound.asyncgens_factory);
    if (runner->asyncgens == NULL)
        return -1;
    runner->asyncgens_undo =
        ctrio__call_method1(runner->asyncgens, "install_hooks", (PyObject *)runner);
    if (runner->asyncgens_undo == NULL)
        return -1;
    CTRIO_ASSERT(PyTuple_CheckExact(runner->asyncgens_undo));
    runner->run.hooks.finalize = ctrio__runner_finalize;
    runner->run.hooks.wanted |= CTRIO__HOOK_FINALIZE;
    return 0;
}

/* What a call of `object` that cleans up has come to: what went wrong is reported.  Such calls have
 * made beforehand what they need, so that they work without memory. */
static void report(PyObject *object, PyObject *result)
{
    if (result == NULL)
        PyErr_WriteUnraisable(object);
    Py_XDECREF(result);
}

static void remove_asyncgens(struct ctrio__py_runner *runner)
{
    PyObject *undo = runner->asyncgens_undo;
    runner->asyncgens_undo = NULL;
    if (undo == NULL)
        return;
    PyObject *function = PyTuple_GET_ITEM(undo, 0);
    report(function, PyObject_Call(function, PyTuple_GET_ITEM(undo, 1), NULL));
    Py_DECREF(undo);
}

/* A run that broke down leaves the coroutines of our own tasks unfinished.  The init task's op
 * borrows the nurseries, which go before it does, and one that never began is nobody's mistake to
 * hear of. */
static void close_own_tasks(struct ctrio__py_runner *runner)
{
    struct ctrio__py_task *init = (struct ctrio__py_task *)runner->init_task;
    PyObject *close = runner->state->names.close;
    if (init != NULL && init->coro != NULL)
        report(init->coro, PyObject_CallMethodNoArgs(init->coro, close));
    if (runner->entry_coro != NULL)
        report(runner->entry_coro, PyObject_CallMethodNoArgs(runner->entry_coro, close));
    Py_CLEAR(runner->entry_coro);
}

/* A run of another interpreter may be in the middle of a step on this thread. */
static void enter_thread(struct ctrio__py_runner *runner)
{
    struct ctrio__thread *thread = &ctrio__thread;
    if (thread->state != runner->state) {
        runner->outer = *thread;
        *thread = (struct ctrio__thread){.state = runner->state};
    }
    Py_XSETREF(thread->runner, Py_NewRef(runner));
}
/* An abandoned guest run may be collected in another thread, which has a run of its own. */
static void leave_thread(struct ctrio__py_runner *runner)
{
    if (ctrio__thread.runner != NULL && ctrio__thread.runner != (PyObject *)runner)
        return;
    Py_CLEAR(ctrio__thread.task);
    Py_CLEAR(ctrio__thread.runner);
    if (runner->outer.state != NULL)
        ctrio__thread = runner->outer;
    runner->outer.state = NULL;
}

static void shut_down(struct ctrio__py_runner *runner)
{
    ctrio__wakeup_remove(runner);
    close_own_tasks(runner);
    close_kernel_run(runner);
    remove_asyncgens(runner);
    ctrio__instruments_call(runner, "after_run", NULL);
    ctrio__ki_remove(runner);
    if (ctrio__context_forget(runner) < 0)
        PyErr_WriteUnraisable((PyObject *)runner);
    leave_thread(runner);
}

/* --- the loop ---------------------------------------------------------------------- */

/* The frame that handlers are called from is runner->frame, so it need not be noted. */
static void handle_signals(struct ctrio__py_runner *runner)
{
    if (PyErr_CheckSignals() < 0)
        ctrio__runner_fail(runner);
}

/* False: the run is broken. */
static bool look(struct ctrio__py_runner *runner, struct ctrio__io_events *events)
{
    struct ctrio_run *run = &runner->run;
    double timeout = ctrio__run_timeout(run);
    if (run->failed == 0 && ctrio__runner_get_events(runner, timeout, events) < 0)
        ctrio__runner_fail(runner);
    return run->failed == 0;
}

/* ctrio__run_step, but that a task of Python's is called directly, and its wake not moved. */
static inline bool next_step(struct ctrio_run *run)
{
    struct ctrio_task *task = ctrio__run_pick(run);
    struct ctrio__outcome io;
    enum ctrio__step step;
    if (task == NULL)
        return false;
    if (task->frontend == &ctrio__python) {
        step = ctrio__py_step(task, &io);
    } else {
        ctrio__task_take_wake(task, &io);
        step = task->frontend->resume(task, &io);
    }
    ctrio__run_put_back(run, step, &io); /* of run->current, read anew: foreign code ran */
    return true;
}

static inline void turn(struct ctrio__py_runner *runner, const struct ctrio__io_events *events,
                        bool each_step)
{
    handle_signals(runner);
    ctrio__run_begin(&runner->run, events);
    while (next_step(&runner->run)) {
        Py_CLEAR(ctrio__thread.task);
        if (each_step)
            break;
    }
}

static void drive(struct ctrio__py_runner *runner)
{
    struct ctrio_run *run = &runner->run;
    struct ctrio__io_events events = {NULL, 0};
    bool each_step = ctrio__run_looks_each_step(run);
    while (ctrio__run_alive(run)) {
        bool skip = ctrio__may_skip_poll(run);
        if (!skip && !look(runner, &events))
            return;
        turn(runner, skip ? NULL : &events, each_step);
    }
}

void ctrio__runner_turn(struct ctrio__py_runner *runner, const struct ctrio__io_events *events)
{
    CTRIO_ASSERT(ctrio__run_alive(&runner->run));
    turn(runner, events, false);
}

/* --- the result -------------------------------------------------------------------- */

static PyObject *internal_error(struct ctrio__py_runner *runner, PyObject *cause)
{
    PyObject *class = runner->state->bound.TrioInternalError;
    if (PyObject_TypeCheck(cause, (PyTypeObject *)class)) {
        ctrio__raise_object(cause);
        return NULL;
    }
    PyObject *error =
        PyObject_CallFunction(class, "s", "internal error in Trio - please file a bug!");
    if (error == NULL) {
        Py_DECREF(cause);
        return NULL;
    }
    PyException_SetContext(error, Py_NewRef(cause));
    PyException_SetCause(error, cause);
    ctrio__raise_saving_context(error);
    return NULL;
}

static PyObject *result_of(struct ctrio__py_runner *runner)
{
    static char broken[] = "a task was woken that was not waiting, or has outlived its nursery";
    struct ctrio__outcome main = runner->run.main_outcome;
    struct ctrio__outcome fatal = runner->run.fatal;
    PyObject *failure = runner->failure;
    bool interrupted = runner->run.interrupt_pending;
    runner->run.main_outcome = (struct ctrio__outcome){0, NULL};
    runner->run.fatal = (struct ctrio__outcome){0, NULL};
    runner->failure = NULL;
    if (failure == NULL && fatal.code < 0)
        failure = ctrio__exception_taken(runner->state, &fatal);
    if (failure == NULL &&
        runner->run.failed != 0) { /* the kernel has stopped on its own account */
        struct ctrio__outcome misuse = {CTRIO_MISUSE, broken};
        failure = ctrio__exception_taken(runner->state, &misuse);
    }
    ctrio__py_outcome_drop(&fatal);
    if (failure != NULL) {
        ctrio__py_outcome_drop(&main);
        return internal_error(runner, failure);
    }
    if (interrupted) {
        PyObject *interrupt = PyObject_CallNoArgs(PyExc_KeyboardInterrupt);
        if (interrupt != NULL && main.code < 0) {
            PyException_SetContext(interrupt, main.value);
            main.value = NULL;
        }
        ctrio__py_outcome_drop(&main);
        if (interrupt != NULL)
            ctrio__raise_saving_context(interrupt);
        return NULL;
    }
    if (main.code >= 0)
        return main.value != NULL ? main.value : Py_NewRef(Py_None);
    ctrio__raise_object(ctrio__exception_taken(runner->state, &main));
    return NULL;
}

static int set_up(struct ctrio__py_runner *runner)
{
    if (install_asyncgens(runner) < 0 || !ctrio__ki_install(runner))
        return -1;
    enter_thread(runner);
    if (ctrio__context_note(runner) < 0)
        return -1;
    if (!runner->leave_wakeup_fd && ctrio__wakeup_install(runner) < 0)
        return -1;
    ctrio__instruments_call(runner, "before_run", NULL);
    return ctrio__runner_start(runner);
}

/* A failure while setting up is an internal error like any other, once the run exists. */
void ctrio__runner_set_up(struct ctrio__py_runner *runner)
{
    if (set_up(runner) < 0 && PyErr_Occurred())
        ctrio__runner_fail(runner);
}

PyObject *ctrio__runner_finish(struct ctrio__py_runner *runner)
{
    shut_down(runner);
    PyObject *result = result_of(runner);
    Py_CLEAR(runner->init_task);
    Py_CLEAR(runner->entry_coro);
    Py_CLEAR(runner->main_task);
    Py_CLEAR(runner->asyncgens);
    return result;
}

int ctrio__refuse_nested(struct ctrio__state *state)
{
    const struct ctrio__thread *thread = &ctrio__thread;
    while (thread->runner != NULL && thread->state != state) /* another interpreter's: around it? */
        thread = &((const struct ctrio__py_runner *)thread->runner)->outer;
    if (thread->runner == NULL)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "Attempted to call run() from inside a run()");
    return -1;
}

int ctrio__runner_take_main(struct ctrio__py_runner *runner, PyObject *args)
{
    runner->async_fn = Py_NewRef(PyTuple_GET_ITEM(args, 0));
    runner->args = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    return runner->args != NULL ? 0 : -1;
}

static PyObject *run_to_the_end(struct ctrio__py_runner *runner)
{
    ctrio__runner_set_up(runner);
    if (runner->failure == NULL)
        drive(runner);
    return ctrio__runner_finish(runner);
}

PyObject *ctrio__runner_run(struct ctrio__py_runner *runner, PyObject *args)
{
    if (runner == NULL)
        return NULL;
    struct ctrio__state *state = runner->state;
    PyObject *library = NULL, *result = NULL;
    if (ctrio__runner_take_main(runner, args) == 0)
        library = ctrio__swap_sniffio(state, state->names.trio);
    if (library != NULL) {
        result = run_to_the_end(runner);
        ctrio__restore_sniffio(state, library);
    }
    PyObject *error = PyErr_GetRaisedException();
    ctrio__runner_close(runner); /* a token may keep the object for long */
    Py_DECREF(runner);
    if (error != NULL)
        PyErr_SetRaisedException(error);
    return result;
}

static PyObject *run(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"clock", "instruments",
                                        "restrict_keyboard_interrupt_to_checkpoints",
                                        "strict_exception_groups", "strict_checkpoints"};
    struct ctrio__state *state = PyModule_GetState(module);
    struct ctrio__runner_options options;
    PyObject *given[5];
    if (ctrio__parse_tuple("run", NULL, kwargs, names, 0, 0, 5, given) < 0)
        return NULL;
    if (PyTuple_GET_SIZE(args) < 1) {
        PyErr_SetString(PyExc_TypeError,
                        "run() missing 1 required positional argument: 'async_fn'");
        return NULL;
    }
    int every_turn = given[4] != NULL ? PyObject_IsTrue(given[4]) : 0;
    if (every_turn < 0 || ctrio__read_run_options(state, "run", given, &options) < 0)
        return NULL;
    options.every_turn = every_turn != 0;
    return ctrio__runner_run(ctrio__runner_new(state, &options), args);
}

static PyMethodDef functions[] = {
    {"run", (PyCFunction)(void (*)(void))run, METH_VARARGS | METH_KEYWORDS,
     "run($module, /, async_fn, *args, clock=None, instruments=(),\n"
     "    restrict_keyboard_interrupt_to_checkpoints=False, strict_exception_groups=True,\n"
     "    strict_checkpoints=False)\n--\n\n"
     "Run ``await async_fn(*args)`` with everything it starts, and return its result.\n\n"
     "It returns when the last task has ended.\n\n"
     "Args:\n    async_fn: An async function, not called yet: the main task.\n"
     "    args: Its positional arguments.\n"
     "    clock: A `trio.abc.Clock`; by default the system's, in real seconds.\n"
     "    instruments: See `trio.abc.Instrument`.\n"
     "    restrict_keyboard_interrupt_to_checkpoints: Raise KeyboardInterrupt only where\n"
     "        Cancelled could be raised.\n"
     "    strict_exception_groups: False lets single failures come out bare (deprecated).\n"
     "    strict_checkpoints: Only here, not in Trio. True: every checkpoint goes through the\n"
     "        queue, and every turn of the loop looks at the machine. So does the environment\n"
     "        variable CTRIO_STRICT_CHECKPOINTS=1. Programs get the same results either way.\n\n"
     "Returns:\n    What the function returns.\n\n"
     "Raises:\n    RuntimeError: This thread is inside a run already.\n"
     "    trio.TrioInternalError: The machinery itself broke.\n"
     "    BaseException: What the function raised."},
    {NULL, NULL, 0, NULL}};

int ctrio__exec_run(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    return PyModule_AddFunctions(module, functions);
}
