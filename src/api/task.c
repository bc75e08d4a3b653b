/* task.c - tasks on stacks: their memory, their beginning and their end.
 *
 * Invariant: a task holds a stack from its first step to its last and a promise of one from its
 * start, so that a task which was started can run.  Its memory outlives it while one of its nodes
 * is part of a story. */
#include "api/task.h"
#include "api/watch.h"
#include "base/alloc.h"
#include "kernel/nursery.h"

struct ctrio__c_task *ctrio__c_task_new(struct ctrio__c_run *run, ctrio_task_fn *fn, void *arg,
                                        const char *name)
{
    if (ctrio__stack_promise(&run->stacks) < 0)
        return NULL;
    struct ctrio__c_task *task = run->spare;
    if (task != NULL) {
        run->spare = task->u.life.arg;
        run->spare_count--;
        if (run->spare_count < run->spare_least)
            run->spare_least = run->spare_count;
    } else {
        task = ctrio__alloc(sizeof *task);
    }
    if (task == NULL) {
        ctrio__stack_release_promise(&run->stacks);
        return NULL;
    }
    ctrio__task_init(&task->task, &ctrio__c_frontend);
    task->name = name;
    task->own_name = NULL;
    task->ignored = 0;
    task->holds = 1;
    task->task.may_continue = true; /* nobody drives a stack by hand */
    task->u.life = (struct ctrio__c_life){.fn = fn, .arg = arg};
    return task;
}

/* Nobody knows it any more.  `run`: the one to keep it for; NULL: none. */
static void recycle(struct ctrio__c_task *task, struct ctrio__c_run *run)
{
    ctrio__free(task->own_name);
    if (run == NULL) {
        ctrio__free(task);
        return;
    }
    task->u.life.arg = run->spare;
    run->spare = task;
    run->spare_count++;
}

void ctrio__c_spare_trim(struct ctrio__c_run *run)
{
    for (size_t unused = run->spare_least / 2; unused > 0; unused--) {
        struct ctrio__c_task *task = run->spare;
        run->spare = task->u.life.arg;
        run->spare_count--;
        ctrio__free(task);
    }
    run->spare_least = run->spare_count;
}

void ctrio__c_task_let_go(struct ctrio__c_task *task)
{
    CTRIO_ASSERT(task->holds > 0);
    if (--task->holds == 0)
        recycle(task, ctrio__c_current);
}

void ctrio__c_task_drop(struct ctrio__c_task *task)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (task->u.life.stack != NULL)
        ctrio__stack_give(&run->stacks, task->u.life.stack);
    else
        ctrio__stack_release_promise(&run->stacks);
    recycle(task, run);
}

/* --- the end --------------------------------------------------------------------------------- */

/* "I was cancelled" from a task that was not: the nursery would wait for a scope to absorb it. */
static bool was_cancelled(const struct ctrio__c_task *self)
{
    return ctrio__task_cancel_pending(&self->task) || ctrio__c_run_of(&self->task)->interrupted;
}

/* What the nursery gets: the newest story of that code, or the bare code. */
static struct ctrio__outcome final_outcome(struct ctrio__c_task *self, int result)
{
    if (result >= 0)
        return (struct ctrio__outcome){0, NULL};
    if (result == CTRIO_CANCELLED && was_cancelled(self))
        return (struct ctrio__outcome){CTRIO_CANCELLED, NULL};
    if (result == CTRIO_CANCELLED)
        result = ctrio__fail(CTRIO_MISUSE, "the task returned CTRIO_CANCELLED, but nobody has "
                                           "cancelled it: a stored code, or another task's?");
    return (struct ctrio__outcome){result, ctrio__stories_take(&self->u.life.stories, result)};
}

void ctrio__c_task_conclude(struct ctrio__c_task *self, int result, struct ctrio__outcome *final)
{
    *final = final_outcome(self, result);
    ctrio__stories_drop(&self->u.life.stories);
}
