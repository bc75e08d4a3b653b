/* semaphore.h - a counter that cannot go below zero. */
#ifndef CTRIO_KERNEL_SEMAPHORE_H
#define CTRIO_KERNEL_SEMAPHORE_H
#include "kernel/parking_lot.h"
void ctrio__semaphore_init(struct ctrio_semaphore *semaphore, size_t value, size_t max_value,
                           const struct ctrio__frontend *frontend);
int ctrio__semaphore_acquire_nowait(struct ctrio_semaphore *semaphore); /* CTRIO_WOULD_BLOCK */
/* Hands it to the first waiter, or counts up.  CTRIO_MISUSE: beyond max_value. */
int ctrio__semaphore_release(struct ctrio_semaphore *semaphore);
/* struct ctrio__primitive; object: the semaphore. */
extern const struct ctrio__op_kind ctrio__semaphore_acquire_kind;
#endif
