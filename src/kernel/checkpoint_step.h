/* checkpoint_step.h - the step of a checkpoint, for whoever calls it directly.
 *
 * The Python front end makes more of these than of all other operations together, and has it
 * inlined; everybody else goes through ctrio__checkpoint_kind, which is the same. */
#ifndef CTRIO_KERNEL_CHECKPOINT_STEP_H
#define CTRIO_KERNEL_CHECKPOINT_STEP_H
#include "base/inline.h"
#include "kernel/checkpoint.h"
#include "kernel/loop.h"

enum { CTRIO__CHECKPOINT_START, CTRIO__CHECKPOINT_YIELDED, CTRIO__CHECKPOINT_RAISING };

CTRIO__INLINED enum ctrio__step
ctrio__checkpoint_step(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    switch (op->stage) {
    case CTRIO__CHECKPOINT_START:
        if (ctrio__may_continue(task->run, task)) {
            task->cancel_points++;
            return CTRIO__DONE;
        }
        op->stage = CTRIO__CHECKPOINT_YIELDED;
        ctrio__task_yield(task);
        return CTRIO__PARKED;
    case CTRIO__CHECKPOINT_YIELDED:
        io->code = 0;
        io->value = NULL;
        task->cancel_points++;
        if (!ctrio__task_cancel_pending(task))
            return CTRIO__DONE;
        op->stage = CTRIO__CHECKPOINT_RAISING;
        ctrio__task_park(task, ctrio__abort_simply, NULL);
        return CTRIO__PARKED;
    default:
        CTRIO_ASSERT(op->stage == CTRIO__CHECKPOINT_RAISING);
        CTRIO_ASSERT(io->code == CTRIO_CANCELLED || io->code == CTRIO_INTERRUPTED);
        ctrio__take_back_cancelled(task, io);
        return CTRIO__DONE;
    }
}
#endif
