/* lock.c - a lock is handed from owner to first waiter, never thrown into the air.
 *
 * Invariant: owner == NULL => nobody is parked; the breaker is linked exactly while a living task
 * owns the lock.  Once broken, `owner` only says who broke it.  Barging (the releaser frees,
 * whoever runs first takes) would be quicker and unfair: refused, Trio promises order. */
#include "kernel/lock.h"

void ctrio__lock_init(struct ctrio_lock *lock, const struct ctrio__frontend *frontend)
{
    ctrio__lot_init(&lock->lot, frontend);
    lock->owner = NULL;
    ctrio__list_init(&lock->breaker.link);
    lock->breaker.lot = &lock->lot;
}

bool ctrio__lock_held_by(const struct ctrio_lock *lock, const struct ctrio_task *task)
{
    CTRIO_ASSERT(lock->owner != NULL || lock->lot.count == 0);
    return lock->owner == task && ctrio__list_linked(&lock->breaker.link);
}

int ctrio__lock_acquire_nowait(struct ctrio_lock *lock, struct ctrio_task *task,
                               struct ctrio__outcome *out)
{
    if (ctrio__lock_held_by(lock, task)) {
        out->value = "attempt to re-acquire an already held Lock";
        return out->code = CTRIO_MISUSE;
    }
    if (lock->owner != NULL)
        return CTRIO_WOULD_BLOCK;
    lock->owner = task;
    ctrio__lot_breaker_add(&lock->breaker, &lock->lot, task);
    return 0;
}

int ctrio__lock_release(struct ctrio_lock *lock, struct ctrio_task *task,
                        struct ctrio__outcome *out)
{
    if (!ctrio__lock_held_by(lock, task)) {
        out->value = "can't release a Lock you don't own";
        return out->code = CTRIO_MISUSE;
    }
    struct ctrio_task *next = ctrio__lot_first(&lock->lot);
    ctrio__lot_breaker_remove(&lock->breaker);
    lock->owner = next;
    if (next != NULL) {
        CTRIO_ASSERT(next != task);
        ctrio__lot_breaker_add(&lock->breaker, &lock->lot, next);
        ctrio__lot_unpark_one(&lock->lot);
    }
    return 0;
}

static int attempt(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio_lock *lock = op->object;
    int code = ctrio__lock_acquire_nowait(lock, task, io);
    if (code == CTRIO_WOULD_BLOCK && lock->lot.broken)
        return CTRIO_BROKEN_RESOURCE;
    return code;
}

static int park(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio_lock *lock = op->object;
    CTRIO_ASSERT(lock->owner != NULL);
    CTRIO_ASSERT(lock->owner != task);
    ctrio__lot_park(&lock->lot, task);
    return 0;
}

static void abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio_lock *lock = op->object;
    struct ctrio__outcome ignored = {0};
    ctrio__lot_leave_this(&lock->lot, task);
    bool taken = op->stage == CTRIO__STAGE_YIELDED || op->stage == CTRIO__STAGE_WAITING;
    if (taken && ctrio__lock_held_by(lock, task))
        ctrio__lock_release(lock, task, &ignored);
}

const struct ctrio__op_kind ctrio__lock_acquire_kind = {
    .verb = "acquire",
    .step = ctrio__primitive_step,
    .attempt = attempt,
    .park = park,
    .abandon = abandon,
};
