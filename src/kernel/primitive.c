/* primitive.c - the cadence that Trio's blocking calls share.
 *
 * Invariant: an attempt that succeeds is followed by exactly one schedule point and never by a
 * cancellation; an attempt that must wait is followed by exactly one park. */
#include "kernel/primitive.h"
#include "kernel/checkpoint.h"
#include "kernel/loop.h"
#include "kernel/parking_lot.h"

static enum ctrio__step attempt(struct ctrio__op *op, struct ctrio_task *task,
                                struct ctrio__outcome *io)
{
    struct ctrio__primitive *primitive = ctrio__container(op, struct ctrio__primitive, op);
    *io = (struct ctrio__outcome){0, NULL};
    int code = op->kind->attempt(op, task, io);
    if (code == CTRIO_WOULD_BLOCK) {
        op->stage = CTRIO__STAGE_WAITING;
        code = op->kind->park(op, task);
        if (code == 0)
            return CTRIO__PARKED;
    }
    io->code = code;
    /* After a wait the schedule point has been; Trio adds no second one. */
    if (code < 0 || op->stage == CTRIO__STAGE_WAITING || ctrio__may_go_on(task->run, task))
        return CTRIO__DONE;
    primitive->result = io->value;
    primitive->code = code;
    op->stage = CTRIO__STAGE_YIELDED;
    ctrio__task_yield(task);
    return CTRIO__PARKED;
}

static enum ctrio__step start(struct ctrio__op *op, struct ctrio_task *task,
                              struct ctrio__outcome *io)
{
    if (ctrio__task_cancel_pending(task)) {
        op->stage = CTRIO__STAGE_CANCELLING;
        ctrio__task_yield(task);
        return CTRIO__PARKED;
    }
    task->cancel_points++;
    return attempt(op, task, io);
}

enum ctrio__step ctrio__primitive_step(struct ctrio__op *op, struct ctrio_task *task,
                                       struct ctrio__outcome *io)
{
    struct ctrio__primitive *primitive = ctrio__container(op, struct ctrio__primitive, op);
    switch (op->stage) {
    case CTRIO__STAGE_START:
        return start(op, task, io);
    case CTRIO__STAGE_CANCELLING:
        task->cancel_points++;
        if (!ctrio__task_cancel_pending(task))
            return start(op, task, io); /* a shield went up while we yielded */
        op->stage = CTRIO__STAGE_RAISING;
        ctrio__task_park(task, ctrio__abort_simply, NULL);
        return CTRIO__PARKED;
    case CTRIO__STAGE_YIELDED:
        *io = (struct ctrio__outcome){primitive->code, primitive->result};
        primitive->result = NULL;
        return CTRIO__DONE;
    case CTRIO__STAGE_WAITING:
        if (op->kind->woken != NULL)
            return op->kind->woken(op, task, io);
        return CTRIO__DONE;
    default:
        CTRIO_ASSERT(op->stage == CTRIO__STAGE_RAISING);
        return ctrio__take_back_cancelled(task, io) ? start(op, task, io) : CTRIO__DONE;
    }
}

enum ctrio__step ctrio__primitive_retry(struct ctrio__op *op, struct ctrio_task *task,
                                        struct ctrio__outcome *io)
{
    CTRIO_ASSERT(op->stage == CTRIO__STAGE_WAITING);
    return attempt(op, task, io);
}

void ctrio__op_abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    if (op->kind->abandon != NULL)
        op->kind->abandon(op, task);
    ctrio__lot_leave(task);
    if (ctrio__task_waits(task)) {
        if (task->abort_fn != NULL)
            task->abort_fn = ctrio__abort_simply; /* the op's own would look for the op */
        task->park_data = NULL;
    }
    if (task->state == CTRIO__TASK_RUNNING) { /* it was driven by hand: the task does not park */
        task->trap = CTRIO__TRAP_NONE;
        task->abort_fn = NULL;
    }
}

void ctrio__op_abandon_withdrawn(struct ctrio__op *op, struct ctrio_task *task)
{
    op->stage = CTRIO__STAGE_WITHDRAWN;
    if (op->kind->abandon != NULL)
        op->kind->abandon(op, task);
}
