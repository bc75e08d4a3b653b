/* sync.h - between the tasks of one run.  All FIFO.  A cancelled wait has acquired nothing. */
#ifndef CTRIO_SYNC_H
#define CTRIO_SYNC_H
#include <ctrio/types.h>
#ifdef __cplusplus
extern "C" {
#endif
/* Not set.  Nobody may wait on it when it goes. */
CTRIO_API void ctrio_event_init(struct ctrio_event *event);
/* Wakes every waiter, cancels every scope of ctrio_cancel_on_event(); stays set. */
CTRIO_API void ctrio_event_set(struct ctrio_event *event);
/* True from the first set on. */
CTRIO_API bool ctrio_event_is_set(const struct ctrio_event *event);
/* At once (still a checkpoint) when it is set. */
CTRIO_ASYNC int ctrio_event_wait(struct ctrio_event *event);

/* Owned by a task.  Acquiring it twice or releasing another's is CTRIO_MISUSE. */
CTRIO_API void ctrio_lock_init(struct ctrio_lock *lock);
/* Waits for the lock; cancelled: not held. */
CTRIO_ASYNC int ctrio_lock_acquire(struct ctrio_lock *lock);
/* CTRIO_WOULD_BLOCK when another task holds it. */
CTRIO_CHECKED int ctrio_lock_acquire_nowait(struct ctrio_lock *lock);
/* Hands it to the first waiter. */
CTRIO_API int ctrio_lock_release(struct ctrio_lock *lock);

/* `max_value` 0: no upper limit. */
CTRIO_API void ctrio_semaphore_init(struct ctrio_semaphore *semaphore, size_t value,
                                    size_t max_value);
/* Takes one; cancelled: none taken. */
CTRIO_ASYNC int ctrio_semaphore_acquire(struct ctrio_semaphore *semaphore);
/* CTRIO_WOULD_BLOCK at zero. */
CTRIO_CHECKED int ctrio_semaphore_acquire_nowait(struct ctrio_semaphore *semaphore);
/* From any task; beyond max_value: CTRIO_MISUSE. */
CTRIO_API int ctrio_semaphore_release(struct ctrio_semaphore *semaphore);

/* `lock` is borrowed for the condition's life. */
CTRIO_API void ctrio_condition_init(struct ctrio_condition *condition, struct ctrio_lock *lock);
/* Releases the lock, waits, holds the lock again whatever the result, cancelled too. */
CTRIO_ASYNC int ctrio_condition_wait(struct ctrio_condition *condition);
/* Wakes up to `count`; SIZE_MAX: all.  The caller holds the lock. */
CTRIO_API int ctrio_condition_notify(struct ctrio_condition *condition, size_t count);

/* At most `total_tokens` borrowers at a time; SIZE_MAX: no limit. */
CTRIO_API void ctrio_capacity_limiter_init(struct ctrio_capacity_limiter *limiter,
                                           size_t total_tokens);
/* Gives back its memory; nobody waits for it any more.  Tokens still lent are forgotten. */
CTRIO_API void ctrio_capacity_limiter_close(struct ctrio_capacity_limiter *limiter);
/* `borrower` NULL: the current task; else any address that stands for one.  One token each;
 * a second is CTRIO_MISUSE. */
CTRIO_ASYNC int ctrio_capacity_limiter_acquire(struct ctrio_capacity_limiter *limiter,
                                               const void *borrower);
/* CTRIO_WOULD_BLOCK when no token is free or others wait. */
CTRIO_CHECKED int ctrio_capacity_limiter_acquire_nowait(struct ctrio_capacity_limiter *limiter,
                                                        const void *borrower);
/* Not a borrower: CTRIO_MISUSE. */
CTRIO_API int ctrio_capacity_limiter_release(struct ctrio_capacity_limiter *limiter,
                                             const void *borrower);
/* Growing wakes waiters; shrinking takes effect as tokens come back. */
CTRIO_API void ctrio_capacity_limiter_set_total(struct ctrio_capacity_limiter *limiter,
                                                size_t total_tokens);
#ifdef __cplusplus
}
#endif
#endif
