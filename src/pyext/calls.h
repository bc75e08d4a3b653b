/* calls.h - calls from the core into Python that are not task steps.
 *
 * Between begin and end a KeyboardInterrupt is deferred: the handler stops its walk at this frame
 * (ki.c).  The mark lives in the run, not in the thread: greenlets switch under us. */
#ifndef CTRIO_PYEXT_CALLS_H
#define CTRIO_PYEXT_CALLS_H
#include "pyext/coroutine.h"

/* Both accept NULL, and keep an exception that is set. */
PyObject *ctrio__callout_begin(struct ctrio__py_runner *runner);
void ctrio__callout_end(struct ctrio__py_runner *runner, PyObject *previous);

/* The run is broken: the current exception (there is one) becomes a TrioInternalError's cause. */
void ctrio__runner_fail(struct ctrio__py_runner *runner);

/* Spawns async_fn(*args) as Trio's spawn_impl does; `nursery` may be NULL (init).  A new
 * reference to the task; NULL with an error. */
PyObject *ctrio__spawn(struct ctrio__py_runner *runner, PyObject *async_fn, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames, struct ctrio__nursery *nursery,
                       PyObject *name, bool system, PyObject *context);
/* Runs call(*args) soon in the run; [any thread that holds the GIL].  -1 with an error. */
int ctrio__run_sync_soon(struct ctrio__py_runner *runner, PyObject *fn, PyObject *args,
                         bool idempotent);
struct ctrio__py_task *ctrio__task_make(struct ctrio__py_runner *runner, PyObject *coro,
                                        PyObject *context, PyObject *name, bool system);
/* A step of a task whose wake is where it was put: the operation takes it from there.  *io is for
 * what the task ends with. */
enum ctrio__step ctrio__py_step(struct ctrio_task *task, struct ctrio__outcome *io);
/* Something was yielded that is not ours: an asyncio future, say.  *answer is to be thrown in at
 * the next step, for which the task is queued. */
void ctrio__answer_foreign_yield(struct ctrio__py_task *task, PyObject *value, PyObject **answer);
/* coro.throw(*exception) as a step; takes the exception. */
PySendResult ctrio__throw_into(struct ctrio__state *state, PyObject *coro, PyObject **exception,
                               PyObject **value);

/* collector.c: the garbage collector need not look at it; it must again, before the task ends or
 * parts with its coroutine or its context. */
void ctrio__task_hide(struct ctrio__py_task *task);
void ctrio__task_show(struct ctrio__py_task *task);
/* But not the task, which has failed, and is the nursery's: who looks at that looks at it, too. */
void ctrio__task_show_parts(struct ctrio__py_task *task);
int ctrio__task_traverse(PyObject *task, visitproc visit, void *arg);
enum { CTRIO_FEW_TASKS = 100 }; /* are looked at: who debugs asks the collector for objects */
static inline void ctrio__task_hide_among_many(struct ctrio__py_task *task)
{
    if (!task->hidden && task->task.run->tasks_living > CTRIO_FEW_TASKS)
        ctrio__task_hide(task);
}

/* scope.c */
PyObject *ctrio__scope_make(struct ctrio__state *state);
/* An entered scope holds a reference to itself until it is closed: the kernel links it. */
void ctrio__scope_hold(struct ctrio__py_scope *self);
void ctrio__scope_let_go(struct ctrio__py_scope *self); /* no-op while it is open */
/* Opens it in the task; -1 with RuntimeError if it was used before. */
int ctrio__scope_enter(struct ctrio__py_scope *self, struct ctrio__py_task *task);
void ctrio__scope_exit(struct ctrio__py_scope *self, struct ctrio__py_task *task,
                       struct ctrio__outcome *io);
/* nursery.c: a new open nursery (its scope entered) of the task */
struct ctrio__py_nursery *ctrio__nursery_make(struct ctrio__state *state, bool strict);
int ctrio__nursery_enter(struct ctrio__py_nursery *self, struct ctrio__py_task *task);

void ctrio__py_nursery_release(struct ctrio__nursery *nursery);
int ctrio__nursery_refuse_closed(const struct ctrio__py_nursery *self);
/* Splits name= off the keywords of start_soon and start: only it is ours. */
int ctrio__take_name(const char *function, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames, PyObject **name);

/* context.c: a run starts or ends */
int ctrio__context_note(struct ctrio__py_runner *runner);
int ctrio__context_forget(struct ctrio__py_runner *runner);
/* lot.c: the front end's lot_broken */
void ctrio__py_lot_broken(struct ctrio_parking_lot *lot, struct ctrio_task *task);
/* runner.c */
struct ctrio__runner_options {
    PyObject *clock, *instruments; /* borrowed; NULL or None: the system's, none */
    bool strict, ki_at_checkpoints;
    bool every_turn;                /* no shortcuts of the loop (kernel/loop.h) */
    struct ctrio__os *os;           /* lent; NULL: the machine's own */
    struct ctrio__chooser *chooser; /* lent; NULL: the seeded coin */
};
struct ctrio__py_runner *ctrio__runner_new(struct ctrio__state *state,
                                           const struct ctrio__runner_options *options);
/* The four keywords that run() shares, from the objects given for them, NULL for none. -1 with an
 * error.  `function` is in Trio's words of deprecation. */
int ctrio__read_run_options(struct ctrio__state *state, const char *function,
                            PyObject *const *given, struct ctrio__runner_options *options);
/* For programs that are not to be changed: how the loop looks at the machine.  -1 with an error. */
int ctrio__read_run_environment(struct ctrio_run *run);
/* Takes what is to be run: args[0](*args[1:]); -1 with an error. */
int ctrio__runner_take_main(struct ctrio__py_runner *runner, PyObject *args);
/* Makes the runner this thread's, with all that belongs to it, and starts its init task.  A failure
 * is noted as the run's. */
void ctrio__runner_set_up(struct ctrio__py_runner *runner);
/* One turn: signals, then events (NULL: not looked for), then a batch of tasks. */
void ctrio__runner_turn(struct ctrio__py_runner *runner, const struct ctrio__io_events *events);
/* Takes back what set_up did, and gives the run's result: a new reference or an error. */
PyObject *ctrio__runner_finish(struct ctrio__py_runner *runner);
/* sniffio's name for what runs on this thread is `name`, and was what is given back: a new
 * reference; NULL with an error. */
PyObject *ctrio__swap_sniffio(struct ctrio__state *state, PyObject *name);
/* The same back again, with whatever error is set kept; steals `previous`. */
void ctrio__restore_sniffio(struct ctrio__state *state, PyObject *previous);
/* guest.c: the loop must turn, as something has changed from outside of it. */
void ctrio__guest_force_tick(struct ctrio_run *run);
/* Runs args[0](*args[1:]) to its end and gives its result; steals the runner, which may be NULL
 * with an error. */
PyObject *ctrio__runner_run(struct ctrio__py_runner *runner, PyObject *args);
int ctrio__refuse_nested(struct ctrio__state *state); /* -1 with an error inside a run */
/* run.c */
int ctrio__runner_open(struct ctrio__py_runner *runner,
                       const struct ctrio__runner_options *options);
int ctrio__runner_start(struct ctrio__py_runner *runner);
void ctrio__runner_close(struct ctrio__py_runner *runner);
/* The hook that finalises asynchronous generators. */
enum ctrio__step ctrio__runner_finalize(struct ctrio_run *run, struct ctrio__outcome *io);
/* current.c */
PyObject *ctrio__runner_statistics(struct ctrio__py_runner *runner);
PyObject *ctrio__spawn_system(struct ctrio__py_runner *runner, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames);
/* traps.c: reschedule(task, next_send=None) */
PyObject *ctrio__reschedule(struct ctrio__py_runner *runner, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames);
/* The same with an outcome of the kernel's, which it takes; `task` may be any object. */
int ctrio__wake_with(struct ctrio__py_runner *runner, PyObject *task, struct ctrio__outcome *wake);
/* token.c: a callback of the run's has raised (the error is set): all tasks are told */
void ctrio__callback_failed(struct ctrio__py_runner *runner);
/* runner.c: the run's TrioToken, a new reference */
PyObject *ctrio__runner_token(struct ctrio__py_runner *runner);
/* token.c */
PyObject *ctrio__token_make(struct ctrio__py_runner *runner, enum ctrio__type_id type);
/* module.c: everything that bind() must have given is there */
int ctrio__check_bound(struct ctrio__state *state);

/* wakeup.c: -1 with an error */
int ctrio__wakeup_install(struct ctrio__py_runner *runner);
void ctrio__wakeup_remove(struct ctrio__py_runner *runner);
/* ki.c: from ctrio__run_open on, to after ctrio__run_close.  After the removal nobody sets
 * run.interrupt_pending any more: look at it then. */
bool ctrio__ki_install(struct ctrio__py_runner *runner); /* false with an error */
void ctrio__ki_remove(struct ctrio__py_runner *runner);
/* An interrupt for the main task, at its next checkpoint. */
void ctrio__ki_deliver(struct ctrio__py_runner *runner);
/* ki_code.c: whether the call that the frame is in is one after which nothing may be raised.  The
 * next place where CPython looks for signals will do. */
bool ctrio__ki_would_lose(PyFrameObject *frame);
/* instrument.c: the kernel's hooks.  Setup comes after ctrio__run_open: it fills in those of
 * run.hooks that are its own, and leaves the others.  -1 with an error. */
extern const struct ctrio__hooks ctrio__py_hooks;
int ctrio__instruments_setup(struct ctrio__py_runner *runner, PyObject *instruments);
/* before_run, after_run.  `arg` may be NULL. */
void ctrio__instruments_call(struct ctrio__py_runner *runner, const char *hook, PyObject *arg);
/* batch_order.c: the hook, and whether this run begins with it.  -1 with an error. */
void ctrio__batch_order(struct ctrio_run *run, struct ctrio_task **batch, size_t count);
int ctrio__batch_order_choose(struct ctrio__py_runner *runner);
/* clock.c.  Setup comes before ctrio__run_open, which wants the kernel_clock it sets; runner->os
 * is there, `clock` may be NULL or None.  -1 with an error. */
int ctrio__clock_setup(struct ctrio__py_runner *runner, PyObject *clock);
/* The time for somebody who can be told that a clock of the user's raised: -1 with that error.
 * ctrio__run_time has nobody to tell, and fails the run. */
int ctrio__clock_read(struct ctrio__py_runner *runner, double *out);
/* What current_clock() gives: a new reference. */
PyObject *ctrio__runner_clock(struct ctrio__py_runner *runner);
#endif
