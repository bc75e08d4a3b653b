/* lock.h - a mutex owned by a task; strictly first come first served (Lock and StrictFIFOLock). */
#ifndef CTRIO_KERNEL_LOCK_H
#define CTRIO_KERNEL_LOCK_H
#include "kernel/parking_lot.h"
void ctrio__lock_init(struct ctrio_lock *lock, const struct ctrio__frontend *frontend);
/* False too when the owner has exited: then `owner` only says who broke the lock. */
bool ctrio__lock_held_by(const struct ctrio_lock *lock, const struct ctrio_task *task);
/* CTRIO_WOULD_BLOCK; CTRIO_MISUSE: held by this task already (out->value says so). */
int ctrio__lock_acquire_nowait(struct ctrio_lock *lock, struct ctrio_task *task,
                               struct ctrio__outcome *out);
/* Hands it to the first waiter.  CTRIO_MISUSE: not the owner. */
int ctrio__lock_release(struct ctrio_lock *lock, struct ctrio_task *task,
                        struct ctrio__outcome *out);
/* struct ctrio__primitive; object: the lock.  CTRIO_BROKEN_RESOURCE: its owner exited. */
extern const struct ctrio__op_kind ctrio__lock_acquire_kind;
#endif
