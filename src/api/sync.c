/* sync.c - events, locks, semaphores, conditions, limiters: the kernel's, awaited. */
#include "api/await.h"
#include "api/scope.h"
#include "api/watch.h"
#include "kernel/capacity_limiter.h"
#include "kernel/condition.h"
#include "kernel/event.h"
#include "kernel/semaphore.h"
#include <ctrio/sync.h>

/* What is wrong with the caller, or with the object, whose first member is its lot. */
static inline int refuse(const struct ctrio__c_task *self, const void *object)
{
    return self == NULL ? ctrio__refuse_outside() : ctrio__refuse_lot(object);
}

CTRIO__WAITS static int await_primitive(const struct ctrio__op_kind *kind, void *object)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__primitive primitive;
    int refused = refuse(self, object);
    if (refused < 0)
        return refused;
    ctrio__op_init(&primitive.op, kind, object);
    return ctrio__await_here(self, &primitive.op);
}

/* A call that does not wait has failed: its text of misuse becomes a story. */
static int told(int code, const struct ctrio__outcome *out)
{
    if (code == CTRIO_MISUSE && out->value != NULL)
        return ctrio__fail(code, out->value);
    return code;
}

/* --- event ----------------------------------------------------------------------------------- */

void ctrio_event_init(struct ctrio_event *event)
{
    ctrio__event_init(event, &ctrio__c_frontend);
    ctrio__list_init(&event->scopes);
}

void ctrio_event_set(struct ctrio_event *event)
{
    ctrio__refuse_handlers();
    if (event->is_set || ctrio__refuse_lot(&event->lot) < 0)
        return;
    ctrio__event_set(event);
    while (!ctrio__list_empty(&event->scopes)) {
        struct ctrio_cancel_scope *scope = ctrio__scope_from(event->scopes.next, on_event);
        ctrio__list_unlink(&scope->on_event);
        ctrio_cancel_at(scope, "an event that was set");
    }
}

bool ctrio_event_is_set(const struct ctrio_event *event)
{
    return event->is_set;
}

int ctrio_event_wait(struct ctrio_event *event)
{
    return await_primitive(&ctrio__event_wait_kind, event);
}

/* --- lock ------------------------------------------------------------------------------------ */

void ctrio_lock_init(struct ctrio_lock *lock)
{
    ctrio__lock_init(lock, &ctrio__c_frontend);
}

int ctrio_lock_acquire(struct ctrio_lock *lock)
{
    return await_primitive(&ctrio__lock_acquire_kind, lock);
}

int ctrio_lock_acquire_nowait(struct ctrio_lock *lock)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__outcome out = {0, NULL};
    int refused = refuse(self, lock);
    if (refused < 0)
        return refused;
    return told(ctrio__lock_acquire_nowait(lock, &self->task, &out), &out);
}

int ctrio_lock_release(struct ctrio_lock *lock)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__outcome out = {0, NULL};
    int refused = refuse(self, lock);
    if (refused < 0)
        return refused;
    return told(ctrio__lock_release(lock, &self->task, &out), &out);
}

/* --- semaphore ------------------------------------------------------------------------------- */

void ctrio_semaphore_init(struct ctrio_semaphore *semaphore, size_t value, size_t max_value)
{
    ctrio__semaphore_init(semaphore, value, max_value != 0 ? max_value : SIZE_MAX,
                          &ctrio__c_frontend);
}

int ctrio_semaphore_acquire(struct ctrio_semaphore *semaphore)
{
    return await_primitive(&ctrio__semaphore_acquire_kind, semaphore);
}

int ctrio_semaphore_acquire_nowait(struct ctrio_semaphore *semaphore)
{
    int refused = ctrio__refuse_lot(&semaphore->lot);
    if (refused < 0)
        return refused;
    return ctrio__semaphore_acquire_nowait(semaphore);
}

int ctrio_semaphore_release(struct ctrio_semaphore *semaphore)
{
    int refused = ctrio__refuse_lot(&semaphore->lot);
    if (refused < 0)
        return refused;
    int result = ctrio__semaphore_release(semaphore);
    if (result == CTRIO_MISUSE)
        return ctrio__fail(result, "a semaphore was released beyond its max_value");
    return result;
}

/* --- condition ------------------------------------------------------------------------------- */

void ctrio_condition_init(struct ctrio_condition *condition, struct ctrio_lock *lock)
{
    ctrio__condition_init(condition, lock, &ctrio__c_frontend);
}

int ctrio_condition_wait(struct ctrio_condition *condition)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__condition_wait_op op = {.pending = {0, NULL}};
    int refused = refuse(self, condition);
    if (refused < 0)
        return refused;
    ctrio__op_init(&op.op, &ctrio__condition_wait_kind, condition);
    return ctrio__await(self, &op.op);
}

int ctrio_condition_notify(struct ctrio_condition *condition, size_t count)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__outcome out = {0, NULL};
    int refused = refuse(self, condition);
    if (refused < 0)
        return refused;
    return told(ctrio__condition_notify(condition, &self->task, count, &out), &out);
}

/* --- capacity limiter ------------------------------------------------------------------------ */

static int same_borrower(const struct ctrio_table_node *node, const void *borrower)
{
    return ctrio__container(node, struct ctrio__loan, node)->borrower == borrower;
}

static void drop_borrower(void *borrower)
{
    (void)borrower; /* an address that stands for one */
}

static const struct ctrio__borrower_ops borrowers = {.equal = same_borrower, .drop = drop_borrower};

/* Addresses differ in their middle bits: Fibonacci hashing brings these up and down. */
static uint64_t hash_of(const void *borrower)
{
    uint64_t product = (uint64_t)(uintptr_t)borrower * 0x9e3779b97f4a7c15u;
    return product ^ product >> 32;
}

static void *borrower_or_task(const void *borrower)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (borrower != NULL)
        return (void *)(uintptr_t)borrower;
    return run != NULL ? run->run.current : NULL;
}

void ctrio_capacity_limiter_init(struct ctrio_capacity_limiter *limiter, size_t total_tokens)
{
    ctrio__limiter_init(limiter, total_tokens, &borrowers, &ctrio__c_frontend);
}

void ctrio_capacity_limiter_close(struct ctrio_capacity_limiter *limiter)
{
    ctrio__limiter_close(limiter);
}

CTRIO__WAITS int ctrio_capacity_limiter_acquire(struct ctrio_capacity_limiter *limiter,
                                                const void *borrower)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__limiter_op op;
    int refused = refuse(self, limiter);
    if (refused < 0)
        return refused;
    void *who = borrower_or_task(borrower);
    ctrio__limiter_op_init(&op, limiter, who, hash_of(who));
    return ctrio__await_here(self, &op.base.op);
}

int ctrio_capacity_limiter_acquire_nowait(struct ctrio_capacity_limiter *limiter,
                                          const void *borrower)
{
    struct ctrio__outcome out = {0, NULL};
    void *who = borrower_or_task(borrower);
    int refused = who == NULL ? ctrio__refuse_outside() : ctrio__refuse_lot(&limiter->lot);
    if (refused < 0)
        return refused;
    return told(ctrio__limiter_acquire_nowait(limiter, who, hash_of(who), &out), &out);
}

int ctrio_capacity_limiter_release(struct ctrio_capacity_limiter *limiter, const void *borrower)
{
    struct ctrio__outcome out = {0, NULL};
    void *who = borrower_or_task(borrower);
    int refused = who == NULL ? ctrio__refuse_outside() : ctrio__refuse_lot(&limiter->lot);
    if (refused < 0)
        return refused;
    return told(ctrio__limiter_release(limiter, who, hash_of(who), &out), &out);
}

void ctrio_capacity_limiter_set_total(struct ctrio_capacity_limiter *limiter, size_t total_tokens)
{
    if (ctrio__refuse_lot(&limiter->lot) == 0)
        ctrio__limiter_set_total(limiter, total_tokens);
}
