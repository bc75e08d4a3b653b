/* guest.c - start_guest_run(): a run whose turns are callbacks of another event loop, its host.
 *
 * A tick is one turn of the loop and a look at the machine.  If that found nothing and nothing is
 * due, a thread of the cache sleeps in the backend and has the host make the next tick; meanwhile
 * the host's own code may wake tasks or move deadlines, and the kernel's guest_tick hook then ends
 * that sleep.  Invariant: exactly one of these holds while the run lives - a tick is under way, the
 * host has been asked for one, or the thread waits; run->guest_tick_scheduled is false in the last
 * case only.
 *
 * Nothing in the run leads to the guest object: the host's callbacks and the thread hold it.  Given
 * up by them it is garbage, and says so. */
#include "kernel/loop.h"
#include "pyext/calls.h"
#include "pyext/outcome.h"
#include "pyext/sockets.h"

struct guest {
    PyObject_HEAD
    struct ctrio__py_runner *runner;         /* strong; NULL: the run has ended */
    PyObject *soon_threadsafe, *soon, *done; /* the host's; NULL as well then */
    struct ctrio__io_events events;          /* what the next tick begins with */
    double timeout;                          /* seconds; of the thread's wait */
    PyObject *error;                         /* that the thread's wait ended with, or NULL */
};

static struct guest *guest_of(PyObject *self)
{
    return (struct guest *)self;
}

void ctrio__guest_force_tick(struct ctrio_run *run)
{
    if (!run->guest || run->guest_tick_scheduled)
        return;
    run->guest_tick_scheduled = true;
    run->io_ops->force_wakeup(run->io);
}

/* --- the end ----------------------------------------------------------------------- */

static void let_go(struct guest *guest)
{
    struct ctrio__py_runner *runner = guest->runner;
    guest->runner = NULL;
    Py_CLEAR(guest->soon_threadsafe);
    Py_CLEAR(guest->soon);
    Py_CLEAR(guest->done);
    Py_CLEAR(guest->error);
    if (runner != NULL)
        ctrio__runner_close(runner); /* a token may keep the object for long */
    Py_XDECREF(runner);
}

/* Tells the host what the run has come to.  What done_callback returns. */
static PyObject *finish(struct guest *guest)
{
    struct ctrio__state *state = guest->runner->state;
    PyObject *done = Py_NewRef(guest->done);
    PyObject *value = ctrio__runner_finish(guest->runner);
    struct ctrio__outcome io = {0, value};
    if (value == NULL)
        io = ctrio__outcome_from_error(state);
    let_go(guest);
    PyObject *outcome = ctrio__outcome_to_python(state, &io);
    PyObject *result = outcome != NULL ? PyObject_CallOneArg(done, outcome) : NULL;
    Py_XDECREF(outcome);
    Py_DECREF(done);
    return result;
}

static void abandon(struct guest *guest)
{
    static const char *const text = "Trio guest run got abandoned without properly finishing... "
                                    "weird stuff might happen";
    PyObject *error = PyErr_GetRaisedException();
    if (PyErr_WarnEx(PyExc_RuntimeWarning, text, 1) < 0)
        PyErr_WriteUnraisable((PyObject *)guest);
    Py_XDECREF(ctrio__runner_finish(guest->runner));
    PyErr_Clear();
    let_go(guest);
    if (error != NULL)
        PyErr_SetRaisedException(error);
}

static int abandon_in_main_thread(void *arg)
{
    abandon(arg);
    Py_DECREF((PyObject *)arg);
    return 0;
}

/* The host has dropped the callback, or the thread has: there will never be another tick.  The
 * collector may run in any thread, and what a run has changed about signals is undone in the main
 * thread only. */
static void guest_finalize(PyObject *self)
{
    struct guest *guest = guest_of(self);
    const struct ctrio__py_runner *runner = guest->runner;
    if (runner == NULL)
        return;
    bool elsewhere = ctrio__thread.runner != (const PyObject *)runner;
    Py_INCREF(self);
    if (elsewhere && (runner->wakeup_installed || runner->ki_undo != NULL) &&
        Py_AddPendingCall(abandon_in_main_thread, self) == 0)
        return; /* with the reference */
    abandon(guest);
    Py_DECREF(self);
}

/* --- ticks ------------------------------------------------------------------------- */

static PyObject *guest_tick(PyObject *self, PyObject *ignored);
static PyObject *wait_in_thread(PyObject *self, PyObject *ignored);
static PyObject *deliver(PyObject *self, PyObject *outcome);
static PyObject *resume(PyObject *self, PyObject *ignored);
static PyMethodDef tick_method = {"guest_tick", guest_tick, METH_NOARGS,
                                  "guest_tick()\n--\n\nOne turn of the guest run's loop."};
static PyMethodDef wait_method = {"get_events", wait_in_thread, METH_NOARGS,
                                  "get_events()\n--\n\nSleep until something happens."};
static PyMethodDef deliver_method = {"deliver", deliver, METH_O,
                                     "deliver(outcome, /)\n--\n\nAsk the host for a tick."};
static PyMethodDef resume_method = {"in_main_thread", resume, METH_NOARGS,
                                    "in_main_thread()\n--\n\nThe tick after a sleep."};

/* host(method), the method being the guest's. */
static int ask(PyObject *host, struct guest *guest, PyMethodDef *method)
{
    PyObject *callback = PyCFunction_New(method, (PyObject *)guest);
    PyObject *result = callback != NULL ? PyObject_CallOneArg(host, callback) : NULL;
    Py_XDECREF(callback);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

static int start_thread(struct guest *guest)
{
    PyObject *module = PyImport_ImportModule("ctrio._core._thread_cache");
    PyObject *start = module != NULL ? ctrio__getattr(module, "start_thread_soon") : NULL;
    PyObject *wait = PyCFunction_New(&wait_method, (PyObject *)guest);
    PyObject *then = PyCFunction_New(&deliver_method, (PyObject *)guest);
    PyObject *result = NULL;
    if (start != NULL && wait != NULL && then != NULL)
        result = PyObject_CallFunctionObjArgs(start, wait, then, NULL);
    Py_XDECREF(module);
    Py_XDECREF(start);
    Py_XDECREF(wait);
    Py_XDECREF(then);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* `timeout`: how long nothing is due, seconds.  A failed look is the run's failure, which the next
 * tick tells. */
static int schedule(struct guest *guest, double timeout)
{
    struct ctrio_run *run = &guest->runner->run;
    int count = ctrio__runner_get_events(guest->runner, 0, &guest->events);
    if (count < 0)
        ctrio__runner_fail(guest->runner);
    run->guest_tick_scheduled = count != 0 || !(timeout > 0);
    if (run->guest_tick_scheduled)
        return ask(guest->soon, guest, &tick_method);
    guest->timeout = timeout;
    return start_thread(guest);
}

/* The turn itself, under the library's name; `timeout` is for what comes next.  True: it was the
 * last one, and *result is what the host's callback gave. */
static bool turn(struct guest *guest, double *timeout, PyObject **result)
{
    struct ctrio__py_runner *runner = guest->runner;
    Py_INCREF(runner);
    runner->frame = (PyObject *)PyEval_GetFrame(); /* whoever called us is the host */
    if (ctrio__run_alive(&runner->run))
        ctrio__runner_turn(runner, &guest->events);
    if (ctrio__run_alive(&runner->run))
        *timeout = ctrio__run_timeout(&runner->run);
    bool last = !ctrio__run_alive(&runner->run);
    if (last)
        *result = finish(guest);
    runner->frame = NULL;
    Py_DECREF(runner);
    return last;
}

static PyObject *guest_tick(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct guest *guest = guest_of(self);
    PyObject *result = NULL;
    double timeout = 0.0;
    if (guest->runner == NULL || ctrio__thread.runner != (PyObject *)guest->runner) {
        PyErr_SetString(PyExc_RuntimeError, guest->runner == NULL
                                                ? "this guest run has ended"
                                                : "a guest run's callbacks must be called in the "
                                                  "thread in which it was started");
        return NULL;
    }
    struct ctrio__state *state = guest->runner->state;
    PyObject *library = ctrio__swap_sniffio(state, state->names.trio);
    if (library == NULL)
        return NULL;
    bool last = turn(guest, &timeout, &result);
    ctrio__restore_sniffio(state, library);
    if (last)
        return result;
    return schedule(guest, timeout) == 0 ? Py_NewRef(Py_None) : NULL;
}

/* [the thread]  The GIL is given up inside. */
static PyObject *wait_in_thread(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct guest *guest = guest_of(self);
    CTRIO_ASSERT(guest->runner != NULL && guest->error == NULL);
    if (ctrio__runner_get_events(guest->runner, guest->timeout, &guest->events) < 0)
        guest->error = PyErr_GetRaisedException();
    Py_RETURN_NONE;
}

/* [the thread] */
static PyObject *deliver(PyObject *self, PyObject *Py_UNUSED(outcome))
{
    struct guest *guest = guest_of(self);
    PyObject *host = Py_NewRef(guest->soon_threadsafe);
    int result = ask(host, guest, &resume_method);
    Py_DECREF(host);
    return result == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *resume(PyObject *self, PyObject *ignored)
{
    struct guest *guest = guest_of(self);
    if (guest->runner != NULL)
        guest->runner->run.guest_tick_scheduled = true;
    if (guest->error != NULL) {
        PyErr_SetRaisedException(guest->error);
        guest->error = NULL;
        ctrio__runner_fail(guest->runner);
    }
    return guest_tick(self, ignored);
}

/* --- the beginning ----------------------------------------------------------------- */

/* The init task's first step is made at once, so that there is a run when start_guest_run returns:
 * system tasks may be spawned.  No code of the user's runs in it but what the call of async_fn
 * itself does. */
static int begin(struct guest *guest)
{
    struct ctrio__py_runner *runner = guest->runner;
    struct ctrio_run *run = &runner->run;
    run->guest = true;
    run->guest_tick_scheduled = true;
    run->hooks.guest_tick = ctrio__guest_force_tick;
    run->hooks.wanted |= CTRIO__HOOK_GUEST_TICK;
    ctrio__runner_set_up(runner);
    if (ctrio__run_alive(run)) {
        ctrio__run_timeout(run);
        ctrio__runner_turn(runner, &guest->events);
    }
    runner->frame = NULL;
    if (run->failed != 0) {
        Py_XDECREF(ctrio__runner_finish(runner)); /* an error: that is what broken runs give */
        let_go(guest);
        return -1;
    }
    CTRIO_ASSERT(run->main_task != NULL || run->main_exited);
    if (ctrio__run_alive(run))
        ctrio__run_timeout(run);
    return ask(guest->soon, guest, &tick_method);
}

enum { THREADSAFE, DONE, NOT_THREADSAFE, HOST_HAS_WAKEUP, RUN_OPTIONS, NAMES = RUN_OPTIONS + 4 };

static int check_required(PyObject *args, PyObject *const *given)
{
    static const char *const text = "start_guest_run() missing %s";
    const char *what = NULL;
    if (PyTuple_GET_SIZE(args) < 1)
        what = "1 required positional argument: 'async_fn'";
    else if (given[THREADSAFE] == NULL && given[DONE] == NULL)
        what = "2 required keyword-only arguments: 'run_sync_soon_threadsafe' and 'done_callback'";
    else if (given[THREADSAFE] == NULL)
        what = "1 required keyword-only argument: 'run_sync_soon_threadsafe'";
    else if (given[DONE] == NULL)
        what = "1 required keyword-only argument: 'done_callback'";
    if (what != NULL)
        PyErr_Format(PyExc_TypeError, text, what);
    return what != NULL ? -1 : 0;
}

/* Steals the runner. */
static struct guest *guest_new(struct ctrio__py_runner *runner, PyObject *const *given)
{
    PyTypeObject *type = runner->state->types[TYPE_GUEST];
    struct guest *guest = (struct guest *)type->tp_alloc(type, 0);
    if (guest == NULL) {
        ctrio__runner_close(runner);
        Py_DECREF(runner);
        return NULL;
    }
    bool one = given[NOT_THREADSAFE] == NULL || given[NOT_THREADSAFE] == Py_None;
    guest->runner = runner;
    guest->soon_threadsafe = Py_NewRef(given[THREADSAFE]);
    guest->soon = Py_NewRef(given[one ? THREADSAFE : NOT_THREADSAFE]);
    guest->done = Py_NewRef(given[DONE]);
    return guest;
}

static PyObject *start_guest_run(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static const char *const names[NAMES] = {"run_sync_soon_threadsafe",
                                             "done_callback",
                                             "run_sync_soon_not_threadsafe",
                                             "host_uses_signal_set_wakeup_fd",
                                             "clock",
                                             "instruments",
                                             "restrict_keyboard_interrupt_to_checkpoints",
                                             "strict_exception_groups"};
    struct ctrio__state *state = PyModule_GetState(module);
    struct ctrio__runner_options options;
    PyObject *given[NAMES];
    if (ctrio__parse_tuple("start_guest_run", NULL, kwargs, names, 0, 0, NAMES, given) < 0 ||
        check_required(args, given) < 0)
        return NULL;
    int lent = given[HOST_HAS_WAKEUP] != NULL ? PyObject_IsTrue(given[HOST_HAS_WAKEUP]) : 0;
    if (lent < 0 ||
        ctrio__read_run_options(state, "start_guest_run", given + RUN_OPTIONS, &options) < 0)
        return NULL;
    struct ctrio__py_runner *runner = ctrio__runner_new(state, &options);
    struct guest *guest = runner != NULL ? guest_new(runner, given) : NULL;
    if (guest == NULL)
        return NULL;
    runner->leave_wakeup_fd = lent != 0;
    int result = -1;
    if (ctrio__runner_take_main(runner, args) == 0)
        result = begin(guest);
    else
        let_go(guest);
    Py_DECREF(guest);
    return result == 0 ? Py_NewRef(Py_None) : NULL;
}

/* --- the type ---------------------------------------------------------------------- */

static int guest_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct guest *guest = guest_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(guest->runner);
    Py_VISIT(guest->soon_threadsafe);
    Py_VISIT(guest->soon);
    Py_VISIT(guest->done);
    Py_VISIT(guest->error);
    return 0;
}
static int guest_clear(PyObject *self)
{
    let_go(guest_of(self));
    return 0;
}
static void guest_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    guest_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot guest_slots[] = {
    {Py_tp_finalize, guest_finalize},
    {Py_tp_traverse, guest_traverse},
    {Py_tp_clear, guest_clear},
    {Py_tp_dealloc, guest_dealloc},
    {0, NULL},
};
static PyType_Spec guest_spec = {.name = "trio._core._run.GuestState",
                                 .basicsize = sizeof(struct guest),
                                 .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                          Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                 .slots = guest_slots};

static PyMethodDef functions[] = {
    {"start_guest_run", (PyCFunction)(void (*)(void))start_guest_run, METH_VARARGS | METH_KEYWORDS,
     "start_guest_run($module, /, async_fn, *args, run_sync_soon_threadsafe, done_callback,\n"
     "    run_sync_soon_not_threadsafe=None, host_uses_signal_set_wakeup_fd=False, clock=None,\n"
     "    instruments=(), restrict_keyboard_interrupt_to_checkpoints=False,\n"
     "    strict_exception_groups=True)\n--\n\n"
     "Run ``await async_fn(*args)`` inside another event loop, the host, and return at once.\n\n"
     "The run exists when this returns: system tasks can be spawned, its token be had. Its tasks\n"
     "run in callbacks of the host, between which the host's own code may wake tasks, cancel\n"
     "scopes and move deadlines. Let it finish before the host stops; one run a thread.\n\n"
     "Args:\n"
     "    async_fn: Called with args; its end is the run's.\n"
     "    args: What async_fn is called with.\n"
     "    run_sync_soon_threadsafe: Called with a function of no arguments, from any thread; has\n"
     "        the host call that soon, in the thread in which this was called.\n"
     "    done_callback: Called with the outcome.Outcome of the run, from the host.\n"
     "    run_sync_soon_not_threadsafe: The same as the first, only ever called in the host's own\n"
     "        thread; may be faster.\n"
     "    host_uses_signal_set_wakeup_fd: The host wakes up for signals by itself; leave\n"
     "        signal.set_wakeup_fd() to it.\n"
     "    clock: As for trio.run.\n"
     "    instruments: As for trio.run.\n"
     "    restrict_keyboard_interrupt_to_checkpoints: As for trio.run.\n"
     "    strict_exception_groups: As for trio.run.\n\n"
     "Raises:\n    trio.TrioInternalError: If the run could not even begin.\n"
     "    RuntimeError: Inside of another run."},
    {NULL, NULL, 0, NULL}};

int ctrio__exec_guest(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    if (ctrio__add_type(module, TYPE_GUEST, &guest_spec, NULL, "GuestState") < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
