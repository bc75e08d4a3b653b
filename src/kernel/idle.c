/* idle.c - wait_all_tasks_blocked.
 *
 * The list is sorted by cushion, then by arrival; the loop primes its wait with the shortest one
 * and wakes all that asked for exactly it when nothing happened meanwhile.  The list is expected
 * to be short (it is a testing tool), so insertion walks it. */
#include "kernel/idle.h"
#include "kernel/run.h"

static struct ctrio__idle_op *op_from(struct ctrio_list *link)
{
    return ctrio__container(link, struct ctrio__idle_op, link);
}

static enum ctrio__abort idle_abort(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    struct ctrio__idle_op *op = task->park_data;
    (void)why;
    CTRIO_ASSERT(op->op.object == task);
    ctrio__list_unlink(&op->link);
    return CTRIO__ABORT_SUCCEEDED;
}

static void insert(struct ctrio_run *run, struct ctrio__idle_op *op)
{
    struct ctrio_list *at = run->idle.prev;
    while (at != &run->idle && op_from(at)->cushion > op->cushion)
        at = at->prev;
    ctrio__list_insert_before(at->next, &op->link);
}

static enum ctrio__step idle_step(struct ctrio__op *base, struct ctrio_task *task,
                                  struct ctrio__outcome *io)
{
    struct ctrio__idle_op *op = ctrio__container(base, struct ctrio__idle_op, op);
    (void)io;
    if (base->stage != 0)
        return CTRIO__DONE;
    base->stage = 1;
    base->object = task;
    insert(task->run, op);
    ctrio__task_park(task, idle_abort, op);
    return CTRIO__PARKED;
}

static void idle_abandon(struct ctrio__op *base, struct ctrio_task *task)
{
    (void)task;
    ctrio__list_unlink(&ctrio__container(base, struct ctrio__idle_op, op)->link);
}
const struct ctrio__op_kind ctrio__idle_kind = {
    .verb = "wait for all tasks blocked", .step = idle_step, .abandon = idle_abandon, .bare = true};

void ctrio__idle_op_init(struct ctrio__idle_op *op, double cushion)
{
    *op = (struct ctrio__idle_op){.op = {&ctrio__idle_kind, NULL, 0},
                                  .cushion = cushion > 0 ? cushion : 0};
    ctrio__list_init(&op->link);
}

double ctrio__idle_cushion(const struct ctrio_run *run)
{
    return ctrio__list_empty(&run->idle) ? INFINITY : op_from(run->idle.next)->cushion;
}

void ctrio__idle_wake(struct ctrio_run *run, double cushion)
{
    while (!ctrio__list_empty(&run->idle)) {
        struct ctrio__idle_op *op = op_from(run->idle.next);
        if (op->cushion != cushion)
            return;
        ctrio__list_unlink(&op->link);
        CTRIO_ASSERT(((struct ctrio_task *)op->op.object)->park_data == op);
        ctrio__task_wake(op->op.object, 0, NULL);
    }
}
