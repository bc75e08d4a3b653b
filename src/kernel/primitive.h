/* primitive.h - the way through a primitive that Trio's all share, written once:
 *
 *   look for a cancellation (if there is one: yield, then raise it);
 *   attempt();            >= 0: a schedule point, then done;  another failure: done at once;
 *                         CTRIO_WOULD_BLOCK: park(), and on the wake woken() (NULL: done).
 *
 * So that an operation is always a checkpoint, a cancelled one has had no effect, and one that
 * succeeds is never cancelled after the fact. */
#ifndef CTRIO_KERNEL_PRIMITIVE_H
#define CTRIO_KERNEL_PRIMITIVE_H
#include "kernel/task.h"

enum { /* stages; an op's own start at CTRIO__STAGE_OWN */
       CTRIO__STAGE_START,
       CTRIO__STAGE_CANCELLING, /* yielded because a cancellation was pending */
       CTRIO__STAGE_RAISING,    /* parked for the loop to deliver it */
       CTRIO__STAGE_YIELDED,    /* the attempt succeeded; a schedule point */
       CTRIO__STAGE_WAITING,    /* parked by park() */
       CTRIO__STAGE_OWN,
       CTRIO__STAGE_WITHDRAWN = 255, /* only during kind->abandon */
};
/* The head of an op that is driven so.  kind->step is ctrio__primitive_step.
 * attempt(): on >= 0, its result, it may leave a value in io->value.
 * park(): queues the task and calls ctrio__task_park.
 * woken(): *io is the wake; may answer PARKED after parking again, or call
 *          ctrio__primitive_retry to attempt once more. */
struct ctrio__primitive {
    struct ctrio__op op;
    int code;     /* >= 0: what the attempt gave, kept over the schedule point, */
    void *result; /* and its value; the front end's to drop if abandoned then */
};
enum ctrio__step ctrio__primitive_step(struct ctrio__op *op, struct ctrio_task *task,
                                       struct ctrio__outcome *io);
/* From woken(): tries again without looking for a cancellation first. */
enum ctrio__step ctrio__primitive_retry(struct ctrio__op *op, struct ctrio_task *task,
                                        struct ctrio__outcome *io);
/* Takes an op that will not be stepped again out of the queues, whatever its stage; the task's
 * wake stays as it is if it is already on the run queue.  Calls kind->abandon. */
void ctrio__op_abandon(struct ctrio__op *op, struct ctrio_task *task);
/* The same of an op whose task has asked for something else since (ctrio__task_withdraw): only
 * what it owns is given back, and what the task waits in now is left alone. */
void ctrio__op_abandon_withdrawn(struct ctrio__op *op, struct ctrio_task *task);
#endif
