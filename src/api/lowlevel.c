/* lowlevel.c - readiness, raw parking, parking lots, system tasks, statistics. */
#include "api/nursery.h"
#include "io/socket_ops.h"
#include "kernel/parking_lot.h"
#include <ctrio/lowlevel.h>

/* --- readiness ------------------------------------------------------------------------------- */

static int wait_handle(intptr_t handle, enum ctrio__io_interest interest)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__wait_handle_op op;
    if (self == NULL)
        return ctrio__refuse_outside();
    ctrio__wait_handle_init(&op, handle, interest);
    return ctrio__await(self, &op.op);
}

int ctrio_wait_readable(intptr_t handle)
{
    return wait_handle(handle, CTRIO__READABLE);
}

int ctrio_wait_writable(intptr_t handle)
{
    return wait_handle(handle, CTRIO__WRITABLE);
}

void ctrio_notify_closing(intptr_t handle)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (run != NULL)
        run->run.io_ops->notify_closing(run->run.io, handle);
}

/* --- raw parking ----------------------------------------------------------------------------- */

struct raw_wait { /* on the stack of the one who waits */
    struct ctrio__wait_op op;
    ctrio_abort_fn *abort_fn;
};

static enum ctrio__abort ask_user(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    struct raw_wait *wait =
        ctrio__container(ctrio__c_task_of(task)->u.life.op, struct raw_wait, op.op);
    (void)why;
    if (wait->abort_fn == NULL)
        return CTRIO__ABORT_FAILED;
    return wait->abort_fn(task, wait->op.op.object) == CTRIO_ABORT_SUCCEEDED
               ? CTRIO__ABORT_SUCCEEDED
               : CTRIO__ABORT_FAILED;
}

int ctrio_wait_task_rescheduled(ctrio_abort_fn *abort_fn, void *arg)
{
    struct ctrio__c_task *self = ctrio__self();
    struct raw_wait wait = {.abort_fn = abort_fn};
    if (self == NULL)
        return ctrio__refuse_outside();
    ctrio__op_init(&wait.op.op, &ctrio__wait_kind, arg);
    wait.op.abort_fn = ask_user;
    return ctrio__await(self, &wait.op.op);
}

/* Look-ups wait in the same way, but not for the user. */
static bool waits_for_user(const struct ctrio_task *task)
{
    if (!ctrio__stackful(task) || !ctrio__task_waits(task))
        return false;
    const struct ctrio__op *op = ctrio__c_task_of(task)->u.life.op;
    if (op == NULL || op->kind != &ctrio__wait_kind)
        return false;
    return ctrio__container(op, struct ctrio__wait_op, op)->abort_fn == ask_user;
}

int ctrio_reschedule(struct ctrio_task *task, int result)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (run == NULL || task->run != &run->run)
        return ctrio__fail(CTRIO_MISUSE, "a task is woken from its own run's thread");
    if (!waits_for_user(task))
        return ctrio__fail(CTRIO_MISUSE, "this task does not wait to be rescheduled");
    ctrio__task_wake(task, result == CTRIO_CANCELLED ? CTRIO_MISUSE : result, NULL);
    return 0;
}

/* --- parking lots ---------------------------------------------------------------------------- */

void ctrio_parking_lot_init(struct ctrio_parking_lot *lot)
{
    ctrio__lot_init(lot, &ctrio__c_frontend);
}

int ctrio_parking_lot_park(struct ctrio_parking_lot *lot)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__primitive primitive;
    if (self == NULL)
        return ctrio__refuse_outside();
    ctrio__op_init(&primitive.op, &ctrio__park_kind, lot);
    return ctrio__await(self, &primitive.op);
}

size_t ctrio_parking_lot_unpark(struct ctrio_parking_lot *lot, size_t count)
{
    return ctrio__lot_unpark(lot, count);
}

size_t ctrio_parking_lot_repark(struct ctrio_parking_lot *lot, struct ctrio_parking_lot *to,
                                size_t count)
{
    return lot != to ? ctrio__lot_repark(lot, to, count) : 0;
}

/* --- the run --------------------------------------------------------------------------------- */

int ctrio_spawn_system_task(ctrio_task_fn *fn, void *arg)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (run == NULL)
        return ctrio__refuse_outside();
    struct ctrio__c_task *task = ctrio__c_task_new(run, fn, arg, "a system task");
    if (task == NULL)
        return -ENOMEM;
    task->task.system = true;
    int result = ctrio__task_spawn(&run->run, &task->task, &run->nurseries[1]);
    if (result < 0)
        ctrio__c_task_drop(task);
    return result;
}

void ctrio_get_run_statistics(struct ctrio_run_statistics *statistics)
{
    struct ctrio__c_run *run = ctrio__c_current;
    *statistics = (struct ctrio_run_statistics){.seconds_to_next_deadline = INFINITY};
    if (run == NULL)
        return;
    struct ctrio__io_statistics io;
    run->run.io_ops->statistics(run->run.io, &io);
    statistics->tasks_living = run->run.tasks_living;
    statistics->tasks_runnable = run->run.ready_count + run->run.batch_count;
    statistics->tasks_waiting_io = io.tasks_waiting_read + io.tasks_waiting_write;
    statistics->stacks_cached = run->stacks.cached_count;
    double next = ctrio__run_next_deadline(&run->run);
    if (next < INFINITY)
        statistics->seconds_to_next_deadline = next - ctrio__run_time(&run->run);
}
