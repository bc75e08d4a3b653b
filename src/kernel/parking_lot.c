/* parking_lot.c - a list of tasks, oldest first, that know which list they are on.
 *
 * Invariant: a task's lot_link is linked exactly while it is queued in task->lot.  An ordered map
 * by ticket (as Trio has) buys nothing over an intrusive list while the order is first come first
 * served. */
#include "kernel/parking_lot.h"

void ctrio__lot_init(struct ctrio_parking_lot *lot, const struct ctrio__frontend *frontend)
{
    ctrio__list_init(&lot->parked);
    lot->count = 0;
    lot->frontend = frontend;
    lot->broken = false;
}

void ctrio__lot_enter(struct ctrio_parking_lot *lot, struct ctrio_task *task)
{
    CTRIO_ASSERT(!lot->broken);
    ctrio__task_withdraw(task);
    ctrio__list_append(&lot->parked, &task->lot_link);
    lot->count++;
    task->lot = lot;
    CTRIO_ASSERT_SLOW(ctrio__list_has(&lot->parked, lot->count));
}

static enum ctrio__abort leave(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    (void)why;
    CTRIO_ASSERT(ctrio__list_linked(&task->lot_link));
    ctrio__lot_leave(task);
    return CTRIO__ABORT_SUCCEEDED;
}

void ctrio__lot_park(struct ctrio_parking_lot *lot, struct ctrio_task *task)
{
    ctrio__lot_enter(lot, task);
    ctrio__task_park(task, leave, lot);
}

struct ctrio_task *ctrio__lot_first(const struct ctrio_parking_lot *lot)
{
    if (lot->count == 0)
        return NULL;
    return ctrio__task_from(lot->parked.next, lot_link);
}

/* Out of the lot, not yet woken; NULL when empty. */
static struct ctrio_task *take_first(struct ctrio_parking_lot *lot)
{
    struct ctrio_list *link = ctrio__list_pop(&lot->parked);
    CTRIO_ASSERT((link == NULL) == (lot->count == 0));
    if (link == NULL)
        return NULL;
    lot->count--;
    return ctrio__task_from(link, lot_link);
}

struct ctrio_task *ctrio__lot_unpark_one(struct ctrio_parking_lot *lot)
{
    struct ctrio_task *task = take_first(lot);
    if (task != NULL)
        ctrio__task_wake(task, 0, NULL);
    return task;
}

size_t ctrio__lot_unpark(struct ctrio_parking_lot *lot, size_t count)
{
    if (count > lot->count)
        count = lot->count;
    size_t woken = 0;
    while (woken < count && ctrio__lot_unpark_one(lot) != NULL) /* a wake may run instruments */
        woken++;
    return woken;
}

size_t ctrio__lot_repark(struct ctrio_parking_lot *lot, struct ctrio_parking_lot *to, size_t count)
{
    if (count > lot->count)
        count = lot->count;
    for (size_t i = 0; i < count; i++) {
        struct ctrio_task *task = take_first(lot);
        CTRIO_ASSERT(task != NULL && task->lot == lot); /* there are `count` */
        ctrio__list_append(&to->parked, &task->lot_link);
        to->count++;
        task->lot = to;
    }
    CTRIO_ASSERT_SLOW(ctrio__list_has(&to->parked, to->count));
    return count;
}

void ctrio__lot_break(struct ctrio_parking_lot *lot, struct ctrio_task *task)
{
    const struct ctrio__frontend *frontend = lot->frontend;
    if (!lot->broken) {
        struct ctrio_task *parked;
        lot->broken = true;
        while ((parked = take_first(lot)) != NULL)
            ctrio__task_wake(parked, CTRIO_BROKEN_RESOURCE, NULL);
    }
    if (frontend != NULL)
        frontend->lot_broken(lot, task);
}

void ctrio__lot_leave(struct ctrio_task *task)
{
    if (task->state == CTRIO__TASK_EXITED || !ctrio__list_linked(&task->lot_link))
        return;
    struct ctrio_parking_lot *lot = task->lot;
    CTRIO_ASSERT(lot->count > 0);
    ctrio__list_unlink(&task->lot_link);
    lot->count--;
    CTRIO_ASSERT_SLOW(ctrio__list_has(&lot->parked, lot->count));
}

void ctrio__lot_leave_this(struct ctrio_parking_lot *lot, struct ctrio_task *task)
{
    if (task->lot == lot)
        ctrio__lot_leave(task);
}

void ctrio__lot_breaker_add(struct ctrio_lot_breaker *breaker, struct ctrio_parking_lot *lot,
                            struct ctrio_task *task)
{
    CTRIO_ASSERT(task->state != CTRIO__TASK_EXITED);
    breaker->lot = lot;
    ctrio__list_append(&task->breakers, &breaker->link);
}

void ctrio__lot_breaker_remove(struct ctrio_lot_breaker *breaker)
{
    ctrio__list_unlink(&breaker->link);
}

void ctrio__lot_break_all(struct ctrio_task *task)
{
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&task->breakers)) != NULL)
        ctrio__lot_break(ctrio__container(link, struct ctrio_lot_breaker, link)->lot, task);
}

static enum ctrio__step park_step(struct ctrio__op *op, struct ctrio_task *task,
                                  struct ctrio__outcome *io)
{
    struct ctrio_parking_lot *lot = op->object;
    if (op->stage == CTRIO__STAGE_WAITING)
        return CTRIO__DONE;
    if (lot->broken) {
        *io = (struct ctrio__outcome){CTRIO_BROKEN_RESOURCE, NULL};
        return CTRIO__DONE;
    }
    op->stage = CTRIO__STAGE_WAITING;
    ctrio__lot_park(lot, task);
    return CTRIO__PARKED;
}

static void park_abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    ctrio__lot_leave_this(op->object, task);
}

const struct ctrio__op_kind ctrio__park_kind = {
    .verb = "park",
    .step = park_step,
    .abandon = park_abandon,
};
