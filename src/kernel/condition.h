/* condition.h - waiting for a state that a lock guards. */
#ifndef CTRIO_KERNEL_CONDITION_H
#define CTRIO_KERNEL_CONDITION_H
#include "kernel/lock.h"
void ctrio__condition_init(struct ctrio_condition *condition, struct ctrio_lock *lock,
                           const struct ctrio__frontend *frontend);
/* Moves up to `count` waiters to the lock's queue.  CTRIO_MISUSE: the task does not hold it. */
int ctrio__condition_notify(struct ctrio_condition *condition, struct ctrio_task *task,
                            size_t count, struct ctrio__outcome *out);
/* Releases the lock, waits, holds the lock again whatever the result: cancelled too (then the
 * lock is reacquired under a shield, and the cancellation passed on).  object: the condition.
 * CTRIO_MISUSE: the task does not hold the lock. */
struct ctrio__condition_wait_op {
    struct ctrio__op op;
    struct ctrio__outcome pending; /* what to end with once the lock is back */
};
extern const struct ctrio__op_kind ctrio__condition_wait_kind;
#endif
