/* lowlevel.h - for those who build primitives, or count bytes: readiness, parking, step tasks. */
#ifndef CTRIO_LOWLEVEL_H
#define CTRIO_LOWLEVEL_H
#include <ctrio/types.h>
#ifdef __cplusplus
extern "C" {
#endif
/* One waiter a direction and handle (CTRIO_BUSY_RESOURCE).  `handle`: a descriptor; a SOCKET on
 * Windows. */
CTRIO_ASYNC int ctrio_wait_readable(intptr_t handle);
/* The same for writing. */
CTRIO_ASYNC int ctrio_wait_writable(intptr_t handle);
/* Call before closing a handle of yours: its waiters get CTRIO_CLOSED_RESOURCE. */
CTRIO_API void ctrio_notify_closing(intptr_t handle);

/* Half checkpoints: looks for a cancellation without yielding if there is none; yields without
 * looking. */
CTRIO_ASYNC int ctrio_checkpoint_if_cancelled(void);
/* Yields without looking for a cancellation; always 0. */
CTRIO_ASYNC int ctrio_cancel_shielded_checkpoint(void);

enum ctrio_abort { CTRIO_ABORT_SUCCEEDED, CTRIO_ABORT_FAILED };
/* Called at most once, when a cancellation reaches the parked task.  SUCCEEDED: you have forgotten
 * the task and it wakes with CTRIO_CANCELLED.  FAILED: you still owe it one reschedule. */
typedef enum ctrio_abort ctrio_abort_fn(struct ctrio_task *task, void *arg);
/* Parks the running task until exactly one ctrio_reschedule(); returns its `result`. */
CTRIO_ASYNC int ctrio_wait_task_rescheduled(ctrio_abort_fn *abort_fn, void *arg);
/* From any task or run-soon call of the run; a task that does not wait so is CTRIO_MISUSE.
 * CTRIO_CANCELLED cannot be given: that is the scopes' word. */
CTRIO_API int ctrio_reschedule(struct ctrio_task *task, int result);

/* An empty lot; needs no end, but nobody may be parked when it goes. */
CTRIO_API void ctrio_parking_lot_init(struct ctrio_parking_lot *lot);
/* Waits to be unparked; cancelled: has left the lot. */
CTRIO_ASYNC int ctrio_parking_lot_park(struct ctrio_parking_lot *lot);
/* Wakes up to `count`, first come first served (SIZE_MAX: all); returns how many. */
CTRIO_API size_t ctrio_parking_lot_unpark(struct ctrio_parking_lot *lot, size_t count);
/* Moves up to `count` waiters to another lot without waking them; returns how many. */
CTRIO_API size_t ctrio_parking_lot_repark(struct ctrio_parking_lot *lot,
                                          struct ctrio_parking_lot *to, size_t count);

/* A task of the run itself: cancelled after the main task's exit; its failure ends the run.  `arg`
 * must live until then. */
CTRIO_CHECKED int ctrio_spawn_system_task(ctrio_task_fn *fn, void *arg);

/* --- step tasks -------------------------------------------------------------------------------
 * A task without a stack: a function that is called when its turn comes, says what it waits for,
 * and returns; it is called again when that is there.  It costs 290 bytes while it waits, and its
 * state is yours to keep in `arg`.  It must not call what suspends (CTRIO_ASYNC): that is
 * CTRIO_MISUSE. */

enum { CTRIO_STEP_WAITS = 1 };
/* `woken` is 0 at first, then what the wait came to: 0, or CTRIO_CANCELLED.  Answers what one of
 * the waits below answered; or 0, and the task has ended; or a failure, and its nursery fails. */
typedef int ctrio_step_fn(struct ctrio_task *task, void *arg, int woken);
/* Starts one as a child.  -ENOMEM, CTRIO_CLOSED_RESOURCE: not started.  `arg` is borrowed until it
 * has ended. */
CTRIO_CHECKED int ctrio_start_step(struct ctrio_nursery *nursery, ctrio_step_fn *fn, void *arg);
/* To be called again at the next turn. */
CTRIO_CHECKED int ctrio_step_yield(struct ctrio_task *task);
/* When unparked. */
CTRIO_CHECKED int ctrio_step_park(struct ctrio_task *task, struct ctrio_parking_lot *lot);
/* Borrowed until the wait is over. */
struct ctrio_step_timer {
    struct ctrio_timer timer;
    struct ctrio_task *task;
};
/* At ctrio_current_time() == deadline; INFINITY: when cancelled (`timer` may be NULL then). */
CTRIO_CHECKED int ctrio_step_sleep_until(struct ctrio_task *task, struct ctrio_step_timer *timer,
                                         double deadline);

/* --- statistics ------------------------------------------------------------------------------ */

struct ctrio_run_statistics {
    size_t tasks_living, tasks_runnable, tasks_waiting_io, stacks_cached;
    double seconds_to_next_deadline; /* INFINITY: none */
    uint64_t reserved[8];
};
/* A snapshot of the current run; zeros outside one. */
CTRIO_API void ctrio_get_run_statistics(struct ctrio_run_statistics *statistics);
#ifdef __cplusplus
}
#endif
#endif
