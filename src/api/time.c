/* time.c - the clock, checkpoints and sleeping. */
#include "api/await.h"
#include "kernel/idle.h"
#include "kernel/loop.h"
#include <ctrio/lowlevel.h>
#include <ctrio/testing.h>

double ctrio_current_time(void)
{
    struct ctrio__c_run *run = ctrio__c_current;
    return run != NULL ? ctrio__run_time(&run->run) : NAN;
}

static int await_plain(const struct ctrio__op_kind *kind)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__op op;
    if (self == NULL)
        return ctrio__refuse_outside();
    ctrio__op_init(&op, kind, NULL);
    return ctrio__await(self, &op);
}

/* Parks for the loop to deliver what is pending. */
static int deliver(struct ctrio__c_task *self)
{
    struct ctrio__wait_op op = {.abort_fn = ctrio__abort_simply};
    ctrio__op_init(&op.op, &ctrio__wait_kind, NULL);
    return ctrio__await(self, &op.op);
}

/* The same cadence as the op's: a schedule point, then a look.  Only what is cancelled makes one.
 */
int ctrio_checkpoint(void)
{
    struct ctrio__c_task *self = ctrio__self();
    if (self == NULL)
        return ctrio__refuse_outside();
    if (ctrio__may_continue(self->task.run, &self->task)) {
        self->task.cancel_points++;
        return 0;
    }
    ctrio__c_yield(self);
    if (ctrio__task_cancel_pending(&self->task))
        return deliver(self);
    self->task.cancel_points++;
    return 0;
}

int ctrio_checkpoint_if_cancelled(void)
{
    return await_plain(&ctrio__checkpoint_if_cancelled_kind);
}

int ctrio_cancel_shielded_checkpoint(void)
{
    return await_plain(&ctrio__cancel_shielded_checkpoint_kind);
}

CTRIO__WAITS int ctrio_sleep_until(double deadline)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__sleep_op op;
    if (self == NULL)
        return ctrio__refuse_outside();
    if (isnan(deadline))
        return ctrio__fail(-EINVAL, "a deadline that is not a number");
    if (deadline < INFINITY && deadline <= ctrio__run_time(self->task.run))
        return ctrio_checkpoint();
    ctrio__sleep_op_init(&op, deadline);
    return ctrio__await_here(self, &op.op);
}

CTRIO__WAITS int ctrio_sleep(double seconds)
{
    struct ctrio__c_task *self = ctrio__self();
    if (self == NULL)
        return ctrio__refuse_outside();
    if (isnan(seconds) || seconds < 0)
        return ctrio__fail(-EINVAL, "a length of time that is negative or not a number");
    if (seconds <= 0)
        return ctrio_checkpoint();
    struct ctrio__sleep_op op;
    double now = seconds < INFINITY ? ctrio__run_time(self->task.run) : 0.0;
    ctrio__sleep_op_init(&op, now + seconds);
    return ctrio__await_here(self, &op.op);
}

int ctrio_wait_all_tasks_blocked(double cushion)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__idle_op op;
    if (self == NULL)
        return ctrio__refuse_outside();
    if (isnan(cushion) || cushion < 0)
        return ctrio__fail(-EINVAL, "a length of time that is negative or not a number");
    ctrio__idle_op_init(&op, cushion);
    return ctrio__await(self, &op.op);
}
