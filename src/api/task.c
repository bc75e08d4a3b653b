/* task.c - tasks on stacks: their memory, their beginning and their end.
 *
 * Invariant: a task holds a stack from its first step to its last and a promise of one from its
 * start, so that a task which was started can run.  Its memory outlives it while one of its nodes
 * is part of a story. */
#include "api/task.h"
#include "api/scope.h"
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
    task->over = false;
    task->u.life = (struct ctrio__c_life){.fn = fn, .arg = arg};
    return task;
}

/* Nobody knows it any more.  `run`: the one to keep it for; NULL: none. */
static void recycle(struct ctrio__c_task *task, struct ctrio__c_run *run)
{
    ctrio__free(task->own_name);
    if (run == NULL || run->spare_count == CTRIO__SPARE_TASKS) {
        ctrio__free(task);
        return;
    }
    task->u.life.arg = run->spare;
    run->spare = task;
    run->spare_count++;
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

void ctrio__c_task_body(struct ctrio__c_task *self)
{
    int result = self->u.life.fn(self->u.life.arg);
    ctrio__refuse_left_open(self);
    struct ctrio__outcome final = final_outcome(self, result);
    ctrio__stories_drop(&self->u.life.stories);
    *self->u.life.io = final;
    self->over = true;
}

static void entry(void *arg)
{
    struct ctrio__c_task *self = arg;
    struct ctrio__c_run *run = ctrio__c_run_of(&self->task);
    ctrio__fiber_entered(&self->u.life.fiber);
    ctrio__c_task_body(self);
    ctrio__fiber_leave(&self->u.life.fiber, &run->loop);
}

/* --- steps ----------------------------------------------------------------------------------- */

static void bind_stack(struct ctrio__c_run *run, struct ctrio__c_task *self)
{
    struct ctrio__c_life *life = &self->u.life;
    if (life->stack == NULL)
        life->stack = ctrio__stack_take(&run->stacks);
    char *top = life->stack->top;
    if (life->arg >= (void *)life->stack->low && life->arg < (void *)top) /* copied in */
        top = (char *)((uintptr_t)life->arg & ~(uintptr_t)15);
    ctrio__fiber_init(&life->fiber, life->stack->low, (size_t)(top - life->stack->low), entry,
                      self);
}

enum ctrio__step ctrio__c_resume(struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__c_task *self = ctrio__c_task_of(task);
    struct ctrio__c_run *run = ctrio__c_run_of(task);
    struct ctrio__c_life *life = &self->u.life;
    task->may_continue = true;
    life->io = io;
    if (life->fiber.sp == NULL)
        bind_stack(run, self);
    ctrio__fiber_switch(&run->loop, &life->fiber);
    if (!self->over) {
        if (life->stack != NULL && !ctrio__stack_intact(life->stack))
            ctrio__die("the stack of task %s has overflowed", ctrio__task_name(task));
        return CTRIO__PARKED;
    }
    if (life->stack != NULL) { /* the main task's is the thread's own, and not left yet */
        ctrio__fiber_close(&life->fiber);
        ctrio__stack_give(&run->stacks, life->stack);
    }
    return CTRIO__DONE;
}

void ctrio__suspend(struct ctrio__c_task *self)
{
    ctrio__fiber_switch(&self->u.life.fiber, &ctrio__c_run_of(&self->task)->loop);
}
