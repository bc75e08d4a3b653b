/* event.c - a flag and a lot.
 *
 * Invariant: is_set => nobody is parked.  There is no clear(): a flag that falls back loses
 * wake-ups between set() and the waiter's turn; a fresh event is as cheap.  wait() does not look
 * for a cancellation before it parks: the loop does so as soon as it is parked (Trio's order). */
#include "kernel/event.h"
#include "kernel/checkpoint.h"

/* The stages of a set event are the checkpoint's own, which stay below. */
enum { STAGE_PARKED = 100 };

void ctrio__event_init(struct ctrio_event *event, const struct ctrio__frontend *frontend)
{
    ctrio__lot_init(&event->lot, frontend);
    event->is_set = false;
}

void ctrio__event_set(struct ctrio_event *event)
{
    CTRIO_ASSERT(!event->is_set || event->lot.count == 0);
    event->is_set = true;
    ctrio__lot_unpark(&event->lot, SIZE_MAX);
}

static enum ctrio__step wait_step(struct ctrio__op *op, struct ctrio_task *task,
                                  struct ctrio__outcome *io)
{
    struct ctrio_event *event = op->object;
    if (op->stage == STAGE_PARKED)
        return CTRIO__DONE;
    if (op->stage != 0 || event->is_set)
        return ctrio__checkpoint_kind.step(op, task, io);
    op->stage = STAGE_PARKED;
    ctrio__lot_park(&event->lot, task);
    return CTRIO__PARKED;
}

static void wait_abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio_event *event = op->object;
    ctrio__lot_leave_this(&event->lot, task);
}

const struct ctrio__op_kind ctrio__event_wait_kind = {
    .verb = "wait",
    .step = wait_step,
    .abandon = wait_abandon,
};
