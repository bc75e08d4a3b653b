/* semaphore.c - a permit goes to the first waiter directly; only one nobody waits for is counted.
 *
 * Invariant: lot not empty => value == 0, and value <= max_value. */
#include "kernel/semaphore.h"

void ctrio__semaphore_init(struct ctrio_semaphore *semaphore, size_t value, size_t max_value,
                           const struct ctrio__frontend *frontend)
{
    CTRIO_ASSERT(value <= max_value);
    ctrio__lot_init(&semaphore->lot, frontend);
    semaphore->value = value;
    semaphore->max_value = max_value;
}

int ctrio__semaphore_acquire_nowait(struct ctrio_semaphore *semaphore)
{
    CTRIO_ASSERT(semaphore->value == 0 || semaphore->lot.count == 0);
    if (semaphore->value == 0)
        return CTRIO_WOULD_BLOCK;
    semaphore->value--;
    return 0;
}

int ctrio__semaphore_release(struct ctrio_semaphore *semaphore)
{
    CTRIO_ASSERT(semaphore->value == 0 || semaphore->lot.count == 0);
    if (ctrio__lot_unpark_one(&semaphore->lot) != NULL)
        return 0;
    if (semaphore->value == semaphore->max_value)
        return CTRIO_MISUSE;
    semaphore->value++;
    return 0;
}

static int attempt(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio_semaphore *semaphore = op->object;
    (void)task;
    (void)io;
    int code = ctrio__semaphore_acquire_nowait(semaphore);
    if (code == CTRIO_WOULD_BLOCK && semaphore->lot.broken)
        return CTRIO_BROKEN_RESOURCE;
    return code;
}

static int park(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio_semaphore *semaphore = op->object;
    CTRIO_ASSERT(semaphore->value == 0);
    ctrio__lot_park(&semaphore->lot, task);
    return 0;
}

/* A permit has no owner: whether the waiter got one is told by its wake, still to be delivered. */
static void abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio_semaphore *semaphore = op->object;
    bool got = op->stage == CTRIO__STAGE_YIELDED;
    if (op->stage == CTRIO__STAGE_WAITING)
        got = task->state == CTRIO__TASK_RUNNABLE && task->wake.code >= 0;
    ctrio__lot_leave_this(&semaphore->lot, task);
    if (got)
        ctrio__semaphore_release(semaphore);
}

const struct ctrio__op_kind ctrio__semaphore_acquire_kind = {
    .verb = "acquire",
    .step = ctrio__primitive_step,
    .attempt = attempt,
    .park = park,
    .abandon = abandon,
};
