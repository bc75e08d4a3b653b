/* loop.h - shortcuts of the loop, and the exact conditions under which they keep Trio's promises.
 * (docs/design/cadence.md; each condition was found by breaking it.)
 *
 * Both are off for a chooser, an instrument, guest mode, deterministic order, any clock but the
 * system's, and run->strict. */
#ifndef CTRIO_KERNEL_LOOP_H
#define CTRIO_KERNEL_LOOP_H
#include "kernel/run.h"

/* A checkpoint of the running task may return at once instead of going through the queue: nothing
 * else is runnable, nothing is pending or due, and the last poll is recent.  True: counted as a
 * schedule point. */
bool ctrio__may_continue_alone(struct ctrio_run *run, struct ctrio_task *task);
static inline bool ctrio__may_continue(struct ctrio_run *run, struct ctrio_task *task)
{
    return run->ready_count + run->batch_count == 0 && ctrio__may_continue_alone(run, task);
}
/* The same for an operation that has completed at once.  Where run->bounded allows it (a documented
 * departure from Trio, the C front end's default), others may be runnable too: a hundred times in a
 * step, or for 20 us after the first; and then it counts as no schedule point. */
bool ctrio__may_go_on(struct ctrio_run *run, struct ctrio_task *task);
/* With tasks runnable, the look at the machine may be left out this turn: the last one is recent,
 * and nothing has voided the budget since (a new wait for I/O, the entry queue, a near deadline).
 */
bool ctrio__may_skip_poll(struct ctrio_run *run);
/* A task waits for I/O from now on: look soon. */
static inline void ctrio__void_poll_budget(struct ctrio_run *run)
{
    run->poll_now = true;
}
#endif
