/* traps.c - the raw wait, waking, and lending a task's coroutine to another runner. */
#include "pyext/calls.h"
#include "pyext/outcome.h"

/* --- raise_cancel: what an abort function is given --------------------------------- */

struct raise_cancel {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct ctrio__reason *reason; /* one reference; NULL: an interrupt */
    PyObject *runner;
};

static PyObject *raise_call(PyObject *self, PyObject *const *Py_UNUSED(args), size_t nargsf,
                            PyObject *kwnames)
{
    struct raise_cancel *raise = (struct raise_cancel *)self;
    struct ctrio__py_runner *runner = (struct ctrio__py_runner *)raise->runner;
    if (PyVectorcall_NARGS(nargsf) != 0 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "raise_cancel() takes no arguments");
        return NULL;
    }
    if (raise->reason == NULL) {
        runner->run.interrupt_pending = false;
        PyErr_SetNone(PyExc_KeyboardInterrupt);
        return NULL;
    }
    PyObject *error = ctrio__cancelled_new(runner->state, raise->reason);
    if (error != NULL)
        ctrio__raise_object(error);
    return NULL;
}

static PyObject *raise_make(struct ctrio__py_task *task, const struct ctrio__outcome *why)
{
    struct raise_cancel *made =
        PyObject_GC_New(struct raise_cancel, ctrio__state_of_task(task)->types[TYPE_RAISE_CANCEL]);
    if (made == NULL)
        return NULL;
    made->vectorcall = raise_call;
    made->reason = why->code == CTRIO_CANCELLED ? ctrio__reason_share(why->value) : NULL;
    made->runner = Py_NewRef(ctrio__runner_of(task));
    PyObject_GC_Track(made);
    return (PyObject *)made;
}
static int raise_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct raise_cancel *)self)->runner);
    return 0;
}
static int raise_clear(PyObject *self)
{
    (void)self; /* the runner is needed by every call; it is a root of no cycle through us */
    return 0;
}
static void raise_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ctrio__reason_drop(((struct raise_cancel *)self)->reason);
    Py_CLEAR(((struct raise_cancel *)self)->runner);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}
static PyMemberDef raise_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct raise_cancel, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot raise_slots[] = {
    {Py_tp_call, PyVectorcall_Call},  {Py_tp_members, raise_members},
    {Py_tp_traverse, raise_traverse}, {Py_tp_clear, raise_clear},
    {Py_tp_dealloc, raise_dealloc},   {0, NULL}};
static PyType_Spec raise_spec = {.name = "ctrio._ctrio.raise_cancel",
                                 .basicsize = sizeof(struct raise_cancel),
                                 .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                          Py_TPFLAGS_HAVE_VECTORCALL |
                                          Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                 .slots = raise_slots};

/* --- wait_task_rescheduled --------------------------------------------------------- */

/* Asks the user's abort function.  One that raises, or answers nonsense, breaks the run. */
static enum ctrio__abort ask_abort_func(struct ctrio_task *kernel_task,
                                        const struct ctrio__outcome *why)
{
    struct ctrio__py_task *task = ctrio__py_task_from(kernel_task);
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    struct ctrio__state *state = ctrio__state_of_task(task);
    if (why->code == 0) /* the task goes on without having waited */
        return CTRIO__ABORT_SUCCEEDED;
    PyObject *abort_func = task->what_is_kept == KEPT_ABORT_FUNC ? Py_NewRef(task->kept) : NULL;
    PyObject *raise = abort_func != NULL ? raise_make(task, why) : NULL;
    PyObject *answer = NULL;
    if (raise != NULL) {
        PyObject *previous = ctrio__callout_begin(runner);
        answer = PyObject_CallOneArg(abort_func, raise);
        ctrio__callout_end(runner, previous);
    }
    Py_XDECREF(raise);
    Py_XDECREF(abort_func);
    bool succeeded = answer == state->abort_succeeded;
    if (answer != NULL && !succeeded && answer != state->abort_failed) {
        PyErr_SetString(state->bound.TrioInternalError, "abort function must return Abort enum");
        Py_CLEAR(answer);
    }
    if (answer == NULL) {
        ctrio__runner_fail(runner);
        return CTRIO__ABORT_FAILED;
    }
    Py_DECREF(answer);
    return succeeded ? CTRIO__ABORT_SUCCEEDED : CTRIO__ABORT_FAILED;
}

static int parse_abort(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    static const char *const names[] = {"abort_func"};
    PyObject *out;
    const char *function = coro->function->async->qualname;
    if (ctrio__parse(function, args, nargs, kwnames, names, 1, 1, &out) < 0)
        return -1;
    coro->arg = Py_NewRef(out);
    return 0;
}

static int begin_wait(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    ctrio__op_init(&coro->op.op, &ctrio__wait_kind, NULL);
    coro->op.wait.abort_fn = ask_abort_func;
    PyObject *abort_func = coro->arg;
    coro->arg = NULL;
    ctrio__task_keep(task, KEPT_ABORT_FUNC, abort_func);
    return 0;
}

static PyObject *finish_wait(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    if (io->code < 0)
        return ctrio__raise(ctrio__state_of_coro(coro), io);
    PyObject *value = io->value;
    *io = (struct ctrio__outcome){0, NULL};
    return value != NULL ? value : Py_NewRef(Py_None);
}

/* --- reschedule -------------------------------------------------------------------- */

/* Waits in nothing that would still know the task afterwards: in wait_task_rescheduled(), in
 * sleep_forever(), in a lot and no more. */
static bool may_be_woken(const struct ctrio_task *task)
{
    if (task->state != CTRIO__TASK_PARKED)
        return false;
    return task->park_data == NULL ||
           (ctrio__list_linked(&task->lot_link) && task->park_data == task->lot);
}

int ctrio__wake_with(struct ctrio__py_runner *runner, PyObject *object, struct ctrio__outcome *wake)
{
    struct ctrio__py_task *task = (struct ctrio__py_task *)object;
    if (!Py_IS_TYPE(object, runner->state->types[TYPE_TASK])) {
        PyErr_Format(PyExc_TypeError, "reschedule() expects a Task, not %R", object);
        return -1;
    }
    if (task->task.run != &runner->run || !may_be_woken(&task->task)) {
        PyErr_Format(PyExc_AssertionError,
                     "%R is not waiting to be rescheduled in this run: exactly one reschedule() "
                     "must answer each wait_task_rescheduled()",
                     task);
        return -1;
    }
    ctrio__task_drop_kept(task, KEPT_ABORT_FUNC);
    Py_SETREF(task->custom_sleep_data, Py_NewRef(Py_None));
    ctrio__lot_leave(&task->task);
    ctrio__task_reschedule(&task->task, *wake);
    *wake = (struct ctrio__outcome){0, NULL};
    return 0;
}

PyObject *ctrio__reschedule(struct ctrio__py_runner *runner, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"task", "next_send"};
    PyObject *out[2];
    struct ctrio__outcome wake = {0, NULL};
    if (ctrio__parse("reschedule", args, nargs, kwnames, names, 1, 2, out) < 0)
        return NULL;
    if (out[1] != NULL && ctrio__outcome_from_python(runner->state, out[1], &wake) < 0)
        return NULL;
    if (ctrio__wake_with(runner, out[0], &wake) < 0) {
        ctrio__py_outcome_drop(&wake);
        return NULL;
    }
    Py_RETURN_NONE;
}
static PyObject *reschedule(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    struct ctrio__py_runner *runner = ctrio__current_runner(PyModule_GetState(module));
    return runner != NULL ? ctrio__reschedule(runner, args, nargs, kwnames) : NULL;
}

/* reschedule_with(task, value): reschedule(task, Value(value)) without the outcome. */
static PyObject *reschedule_with(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    struct ctrio__py_runner *runner = ctrio__current_runner(PyModule_GetState(module));
    if (runner == NULL)
        return NULL;
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "reschedule_with() takes a task and a value");
        return NULL;
    }
    struct ctrio__outcome wake = {0, Py_NewRef(args[1])};
    int result = ctrio__wake_with(runner, args[0], &wake);
    ctrio__py_outcome_drop(&wake);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

/* --- detaching --------------------------------------------------------------------- */

static int parse_outcome(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    static const char *const names[] = {"final_outcome"};
    PyObject *out;
    if (ctrio__parse("permanently_detach_coroutine_object", args, nargs, kwnames, names, 1, 1,
                     &out) < 0)
        return -1;
    coro->arg = Py_NewRef(out);
    return 0;
}

static int begin_detach_for_good(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    if (!ctrio__list_empty(&task->task.nurseries)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "can't permanently detach a coroutine object with open nurseries");
        return -1;
    }
    ctrio__op_init(&coro->op.op, &ctrio__wait_kind, NULL);
    coro->op.wait.abort_fn = NULL;
    PyObject *outcome = coro->arg;
    coro->arg = NULL;
    ctrio__task_keep(task, KEPT_OUTCOME, outcome);
    return 0;
}

/* Yields a value to whoever runs the coroutine now, and goes on when Trio resumes it. */
static int parse_reattach(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames)
{
    static const char *const names[] = {"task", "yield_value"};
    struct ctrio__state *state = ctrio__state_of_coro(coro);
    PyObject *out[2];
    if (ctrio__parse("reattach_detached_coroutine_object", args, nargs, kwnames, names, 2, 2, out) <
        0)
        return -1;
    if (!Py_IS_TYPE(out[0], state->types[TYPE_TASK])) {
        PyErr_Format(PyExc_TypeError, "expected a Task, not %R", out[0]);
        return -1;
    }
    coro->arg = Py_NewRef(out[0]);
    coro->arg2 = Py_NewRef(out[1]);
    return 0;
}

static enum ctrio__step reattach_step(struct ctrio__op *op, struct ctrio_task *task,
                                      struct ctrio__outcome *io)
{
    (void)task;
    (void)io;
    if (op->stage++ == 0)
        return CTRIO__PARKED; /* the task is on the run queue already */
    return CTRIO__DONE;
}
static const struct ctrio__op_kind reattach_kind = {
    .verb = "reattach", .step = reattach_step, .bare = true};

static int begin_reattach(struct ctrio__coroutine *coro, struct ctrio__py_task *current)
{
    struct ctrio__py_task *task = (struct ctrio__py_task *)coro->arg;
    (void)current;
    PyObject *running = ctrio__getattr(task->coro, "cr_running");
    int is_running = running != NULL ? PyObject_IsTrue(running) : -1;
    Py_XDECREF(running);
    if (is_running < 0)
        return -1;
    if (!is_running || task->task.state != CTRIO__TASK_PARKED) {
        PyErr_SetString(PyExc_RuntimeError, "given task does not match calling coroutine");
        return -1;
    }
    coro->task = (struct ctrio__py_task *)Py_NewRef(task);
    coro->yield_value = Py_NewRef(coro->arg2);
    ctrio__op_init(&coro->op.op, &reattach_kind, NULL);
    ctrio__task_wake(&task->task, 0, NULL);
    return 0;
}

static const struct ctrio__async functions[] = {{.qualname = "wait_task_rescheduled",
                                                 .module = "trio.lowlevel",
                                                 .self = TYPE_NONE,
                                                 .parse = parse_abort,
                                                 .begin = begin_wait,
                                                 .finish = finish_wait},
                                                {.qualname = "temporarily_detach_coroutine_object",
                                                 .module = "trio.lowlevel",
                                                 .self = TYPE_NONE,
                                                 .parse = parse_abort,
                                                 .begin = begin_wait,
                                                 .raw = true},
                                                {.qualname = "permanently_detach_coroutine_object",
                                                 .module = "trio.lowlevel",
                                                 .self = TYPE_NONE,
                                                 .parse = parse_outcome,
                                                 .begin = begin_detach_for_good,
                                                 .raw = true},
                                                {.qualname = "reattach_detached_coroutine_object",
                                                 .module = "trio.lowlevel",
                                                 .self = TYPE_NONE,
                                                 .parse = parse_reattach,
                                                 .begin = begin_reattach,
                                                 .outside_task = true},
                                                {.qualname = NULL}};

static PyMethodDef methods[] = {
    {"reschedule", (PyCFunction)(void (*)(void))reschedule, METH_FASTCALL | METH_KEYWORDS,
     "reschedule($module, /, task, next_send=None)\n--\n\n"
     "Wake a task that waits in `wait_task_rescheduled`.\n\n"
     "It runs a little later, and is not cancelled before. To be done once for each wait.\n\n"
     "Args:\n    task: The task.\n    next_send: An `outcome.Value` or `outcome.Error`: what the\n"
     "        wait returns or raises; by default it returns None."},
    {"reschedule_with", (PyCFunction)(void (*)(void))reschedule_with, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL}};

int ctrio__exec_traps(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_RAISE_CANCEL, &raise_spec, NULL, NULL) < 0 ||
        ctrio__add_functions(module, state, functions) < 0)
        return -1;
    return PyModule_AddFunctions(module, methods);
}
