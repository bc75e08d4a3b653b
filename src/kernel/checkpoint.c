/* checkpoint.c - checkpoints, sleeping, the raw wait.
 *
 * A checkpoint yields first and looks afterwards, so that it sees a deadline that passed while it
 * waited for its turn.  What it raises is delivered by the loop, like any cancellation of a
 * parked task: a second pass through the queue, as Trio has it. */
#include "kernel/checkpoint_step.h"

enum { START = CTRIO__CHECKPOINT_START, YIELDED = CTRIO__CHECKPOINT_YIELDED };

bool ctrio__take_back_cancelled(const struct ctrio_task *task, struct ctrio__outcome *io)
{
    if (io->code != CTRIO_CANCELLED || (task->scope != NULL && task->scope->effectively_cancelled))
        return false;
    ctrio__reason_drop(io->value);
    *io = (struct ctrio__outcome){0, NULL};
    return true;
}

static enum ctrio__step checkpoint_step(struct ctrio__op *op, struct ctrio_task *task,
                                        struct ctrio__outcome *io)
{
    return ctrio__checkpoint_step(op, task, io);
}
const struct ctrio__op_kind ctrio__checkpoint_kind = {
    .verb = "checkpoint", .step = checkpoint_step, .bare = true};

static enum ctrio__step shielded_step(struct ctrio__op *op, struct ctrio_task *task,
                                      struct ctrio__outcome *io)
{
    if (op->stage == YIELDED || ctrio__may_continue(task->run, task)) {
        *io = (struct ctrio__outcome){0, NULL};
        return CTRIO__DONE;
    }
    op->stage = YIELDED;
    ctrio__task_yield(task);
    return CTRIO__PARKED;
}
const struct ctrio__op_kind ctrio__cancel_shielded_checkpoint_kind = {
    .verb = "cancel shielded checkpoint", .step = shielded_step, .bare = true};

static enum ctrio__step if_cancelled_step(struct ctrio__op *op, struct ctrio_task *task,
                                          struct ctrio__outcome *io)
{
    if (op->stage == START && !ctrio__task_cancel_pending(task)) {
        task->cancel_points++;
        return CTRIO__DONE;
    }
    if (op->stage == START) {
        op->stage = YIELDED;
        ctrio__task_yield(task);
        return CTRIO__PARKED;
    }
    return checkpoint_step(op, task, io);
}
const struct ctrio__op_kind ctrio__checkpoint_if_cancelled_kind = {
    .verb = "checkpoint if cancelled", .step = if_cancelled_step, .bare = true};

static enum ctrio__step forever_step(struct ctrio__op *op, struct ctrio_task *task,
                                     struct ctrio__outcome *io)
{
    if (op->stage != START) {
        if (io->code >= 0) {
            ctrio__wake_drop(task->frontend, io);
            *io = (struct ctrio__outcome){CTRIO_MISUSE,
                                          (void *)"should never have been rescheduled!"};
        }
        return CTRIO__DONE;
    }
    op->stage = YIELDED;
    ctrio__task_park(task, ctrio__abort_simply, NULL);
    return CTRIO__PARKED;
}
const struct ctrio__op_kind ctrio__sleep_forever_kind = {
    .verb = "sleep forever", .step = forever_step, .bare = true};

/* --- sleeping: a timer of its own instead of a scope around a wait -----------------
 *
 * In Trio the deadline is a scope inside ours, and its timer runs until the sleeper leaves it. */

static void sleep_fire(struct ctrio_timer *timer)
{
    struct ctrio__sleep_op *op = ctrio__container(timer, struct ctrio__sleep_op, timer);
    struct ctrio_task *task = op->op.object;
    if (task->park_data == op)
        ctrio__task_wake(task, 0, NULL);
    else
        op->over = true; /* it has been cancelled, and waits for its turn */
}

static enum ctrio__abort sleep_abort(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    struct ctrio__sleep_op *op = task->park_data;
    CTRIO_ASSERT(op->op.object == task);
    CTRIO_ASSERT(op->timer.when != INFINITY);
    if (why->code == CTRIO_CANCELLED)
        op->overdue = ctrio__run_time(task->run) >= op->timer.when;
    if (why->code != CTRIO_CANCELLED || op->overdue)
        ctrio__timer_disarm(task->run, &op->timer);
    return CTRIO__ABORT_SUCCEEDED;
}

/* When both scopes are cancelled by the time the task runs, ours wins, with the reason of the inner
 * one if that was there first - unless a shield has gone up between them meanwhile: then the inner
 * one catches what ours has sent, if its time had come by then, or the loop has seen it come. */
static void settle_sleep(const struct ctrio__sleep_op *op, const struct ctrio_task *task,
                         struct ctrio__outcome *io)
{
    const struct ctrio_cancel_scope *scope = task->scope;
    bool cancelled = scope != NULL && scope->effectively_cancelled;
    if (io->code == 0 && cancelled)
        *io = (struct ctrio__outcome){CTRIO_CANCELLED, &ctrio__reason_deadline};
    if (io->code != CTRIO_CANCELLED)
        return;
    CTRIO_ASSERT(scope != NULL); /* nobody cancels who is in none */
    bool caught = !cancelled && (op->overdue || op->over || scope->freed_at >= op->timer.when);
    if (!caught && !op->overdue)
        return;
    ctrio__reason_drop(io->value);
    io->code = caught ? 0 : CTRIO_CANCELLED;
    io->value = caught ? NULL : &ctrio__reason_deadline;
}

static enum ctrio__step sleep_step(struct ctrio__op *base, struct ctrio_task *task,
                                   struct ctrio__outcome *io)
{
    struct ctrio__sleep_op *op = ctrio__container(base, struct ctrio__sleep_op, op);
    if (base->stage != START) {
        ctrio__timer_disarm(task->run, &op->timer);
        settle_sleep(op, task, io);
        return CTRIO__DONE;
    }
    base->stage = YIELDED;
    base->object = task;
    if (op->timer.when == INFINITY) { /* nothing of the op is touched, nor fetched, to abort it */
        ctrio__task_park(task, ctrio__abort_simply, op);
        return CTRIO__PARKED;
    }
    ctrio__task_park(task, sleep_abort, op);
    if (task->run->interrupt_pending && task == task->run->main_task)
        return CTRIO__PARKED; /* the loop delivers it before anything else */
    if (ctrio__run_time(task->run) >= op->timer.when)
        ctrio__task_wake(task, 0, NULL);
    else
        ctrio__timer_arm(task->run, &op->timer);
    return CTRIO__PARKED;
}

static void sleep_abandon(struct ctrio__op *base, struct ctrio_task *task)
{
    struct ctrio__sleep_op *op = ctrio__container(base, struct ctrio__sleep_op, op);
    if (base->stage != START)
        ctrio__timer_disarm(task->run, &op->timer);
}
const struct ctrio__op_kind ctrio__sleep_until_kind = {
    .verb = "sleep", .step = sleep_step, .abandon = sleep_abandon, .bare = true};

void ctrio__sleep_op_init(struct ctrio__sleep_op *op, double deadline)
{
    CTRIO_ASSERT(deadline == deadline);
    *op = (struct ctrio__sleep_op){.op = {&ctrio__sleep_until_kind, NULL, START}};
    op->timer.when = deadline;
    op->timer.fire = sleep_fire;
}

/* --- the raw wait ------------------------------------------------------------------ */

static enum ctrio__step wait_step(struct ctrio__op *base, struct ctrio_task *task,
                                  struct ctrio__outcome *io)
{
    struct ctrio__wait_op *op = ctrio__container(base, struct ctrio__wait_op, op);
    (void)io;
    if (base->stage != START)
        return CTRIO__DONE;
    base->stage = YIELDED;
    ctrio__task_park(task, op->abort_fn, base->object);
    return CTRIO__PARKED;
}
const struct ctrio__op_kind ctrio__wait_kind = {.verb = "wait", .step = wait_step, .bare = true};
