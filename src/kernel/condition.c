/* condition.c - a second lot in front of a lock: notify moves waiters from one to the other.
 *
 * A waiter that is notified sleeps on until the lock is handed to it, so one wake-up means both.
 * Invariant: whoever leaves wait() holds the lock, but for an interrupt or a broken lock (Trio's
 * rule).  There is no look for a cancellation first: the lock is given up and the loop tells. */
#include "kernel/condition.h"

enum {
    STAGE_PARKED = CTRIO__STAGE_OWN, /* in the condition's lot, or moved on to the lock's */
    STAGE_YIELDED,                   /* not notified; the lock was free; a schedule point */
    STAGE_REACQUIRING,               /* not notified; in the lock's lot, shielded */
};

void ctrio__condition_init(struct ctrio_condition *condition, struct ctrio_lock *lock,
                           const struct ctrio__frontend *frontend)
{
    ctrio__lot_init(&condition->lot, frontend);
    condition->lock = lock;
}

int ctrio__condition_notify(struct ctrio_condition *condition, struct ctrio_task *task,
                            size_t count, struct ctrio__outcome *out)
{
    if (!ctrio__lock_held_by(condition->lock, task)) {
        out->value = "must hold the lock to notify";
        return out->code = CTRIO_MISUSE;
    }
    ctrio__lot_repark(&condition->lot, &condition->lock->lot, count);
    return 0;
}

/* A shield without a scope: a cancellation is refused, as often as it comes; an interrupt, which
 * is outside all scopes, gets through. */
static enum ctrio__abort shielded(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    CTRIO_ASSERT(task->abort_fn == NULL);
    if (why->code == CTRIO_CANCELLED) {
        task->abort_fn = shielded;
        return CTRIO__ABORT_FAILED;
    }
    ctrio__lot_leave(task);
    return CTRIO__ABORT_SUCCEEDED;
}

static void drop_pending(struct ctrio__condition_wait_op *wait, struct ctrio_task *task)
{
    struct ctrio__outcome pending = wait->pending;
    wait->pending = (struct ctrio__outcome){0, NULL};
    ctrio__wake_drop(task->frontend, &pending);
}

/* Ends with `pending`, *io having been without value. */
static enum ctrio__step finish(struct ctrio__condition_wait_op *wait, struct ctrio__outcome *io)
{
    *io = wait->pending;
    wait->pending = (struct ctrio__outcome){0, NULL};
    return CTRIO__DONE;
}

/* Not notified, for the reason in *io: the lock must come back first. */
static enum ctrio__step reacquire(struct ctrio__condition_wait_op *wait, struct ctrio_task *task,
                                  struct ctrio__outcome *io)
{
    struct ctrio_lock *lock = ((struct ctrio_condition *)wait->op.object)->lock;
    CTRIO_ASSERT(io->code < 0);
    wait->pending = *io;
    *io = (struct ctrio__outcome){0, NULL};
    int code = ctrio__lock_acquire_nowait(lock, task, io);
    if (code == 0) {
        wait->op.stage = STAGE_YIELDED;
        ctrio__task_yield(task);
        return CTRIO__PARKED;
    }
    CTRIO_ASSERT(code == CTRIO_WOULD_BLOCK);
    if (lock->lot.broken) {
        drop_pending(wait, task);
        *io = (struct ctrio__outcome){CTRIO_BROKEN_RESOURCE, NULL};
        return CTRIO__DONE;
    }
    wait->op.stage = STAGE_REACQUIRING;
    ctrio__lot_enter(&lock->lot, task);
    ctrio__task_park(task, shielded, &lock->lot);
    return CTRIO__PARKED;
}

static enum ctrio__step start(struct ctrio__condition_wait_op *wait, struct ctrio_task *task,
                              struct ctrio__outcome *io)
{
    struct ctrio_condition *condition = wait->op.object;
    wait->pending = (struct ctrio__outcome){0, NULL};
    if (!ctrio__lock_held_by(condition->lock, task)) {
        *io = (struct ctrio__outcome){CTRIO_MISUSE, "must hold the lock to wait"};
        return CTRIO__DONE;
    }
    ctrio__lock_release(condition->lock, task, io);
    if (condition->lot.broken) {
        *io = (struct ctrio__outcome){CTRIO_BROKEN_RESOURCE, NULL};
        return reacquire(wait, task, io);
    }
    wait->op.stage = STAGE_PARKED;
    ctrio__lot_park(&condition->lot, task);
    return CTRIO__PARKED;
}

static enum ctrio__step wait_step(struct ctrio__op *op, struct ctrio_task *task,
                                  struct ctrio__outcome *io)
{
    struct ctrio__condition_wait_op *wait =
        ctrio__container(op, struct ctrio__condition_wait_op, op);
    switch (op->stage) {
    case CTRIO__STAGE_START:
        return start(wait, task, io);
    case STAGE_PARKED:
        return io->code >= 0 ? CTRIO__DONE : reacquire(wait, task, io);
    case STAGE_YIELDED:
        return finish(wait, io);
    default:
        CTRIO_ASSERT(op->stage == STAGE_REACQUIRING);
        if (io->code >= 0)
            return finish(wait, io);
        drop_pending(wait, task); /* interrupted, or the lock broke: that is the result */
        return CTRIO__DONE;
    }
}

static void wait_abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio__condition_wait_op *wait =
        ctrio__container(op, struct ctrio__condition_wait_op, op);
    struct ctrio_lock *lock = ((struct ctrio_condition *)op->object)->lock;
    struct ctrio__outcome ignored = {0};
    if (op->stage == CTRIO__STAGE_START) /* it may hold the lock, by an acquire of its own */
        return;
    ctrio__lot_leave_this(&((struct ctrio_condition *)op->object)->lot, task);
    ctrio__lot_leave_this(&lock->lot, task);
    if (op->stage != CTRIO__STAGE_WITHDRAWN && ctrio__lock_held_by(lock, task))
        ctrio__lock_release(lock, task, &ignored);
    drop_pending(wait, task);
}

const struct ctrio__op_kind ctrio__condition_wait_kind = {
    .verb = "wait",
    .step = wait_step,
    .abandon = wait_abandon,
};
