/* task.h - a task of the C front end: the kernel's, a name, a stack while it runs.
 *
 * Two kinds share the front end's table: tasks on stacks of their own, and plain ones, whose resume
 * is a step of an operation or of a user's function.  `ctrio__stackful` tells them apart. */
#ifndef CTRIO_API_TASK_H
#define CTRIO_API_TASK_H
#include "api/error.h"
#include "coro/fiber.h"
#include "coro/stack.h"
#include "kernel/run.h"

struct ctrio__c_run;

/* What it needs while it lives. */
struct ctrio__c_life {
    struct ctrio__fiber fiber;
    struct ctrio__stack *stack; /* NULL: not yet needed; the main task's, always */
    ctrio_task_fn *fn;
    void *arg;
    const struct ctrio__op *op;    /* that it waits in, for reports; NULL */
    struct ctrio__start_op *start; /* of the ctrio_start() that waits for our ctrio_started() */
    const struct ctrio_cancel_scope *last_scope; /* that it has opened, if it still lives; and … */
    const char *last_opened_at;  /* … where: what a scope says of itself may be overwritten */
    struct ctrio_error *stories; /* newest first, at most four; owned */
};
struct ctrio__c_task {
    struct ctrio_task task;
    const char *name; /* borrowed, or own_name */
    char *own_name;   /* owned; NULL: never renamed */
    uint32_t ignored; /* cancellations in a row that it has not heeded */
    uint8_t holds;    /* the kernel's, and one for each node that is in somebody's story */
    union {           /* `life` till its end, then as many of `nodes` as have been asked for */
        struct ctrio__c_life life;
        struct ctrio_error nodes[2]; /* its failure; the group that it is the first of */
    } u;
};
enum { CTRIO__LEAF_NODE, CTRIO__GROUP_NODE };

/* A task whose steps are those of an op. */
struct ctrio__op_task {
    struct ctrio_task task;
    struct ctrio__op *op;
    const char *name;
};

extern const struct ctrio__frontend ctrio__c_frontend, ctrio__op_frontend, ctrio__step_frontend;

static inline struct ctrio__c_task *ctrio__c_task_of(const struct ctrio_task *task)
{
    return ctrio__container(task, struct ctrio__c_task, task);
}
static inline bool ctrio__stackful(const struct ctrio_task *task)
{
    return task->frontend == &ctrio__c_frontend;
}

/* A new one, of the run's spare ones if there are any.  `name` is borrowed.  NULL: no memory. */
struct ctrio__c_task *ctrio__c_task_new(struct ctrio__c_run *run, ctrio_task_fn *fn, void *arg,
                                        const char *name);
/* Frees half of those that nobody has needed since the last call. */
void ctrio__c_spare_trim(struct ctrio__c_run *run);
/* One that was never spawned, or of which nobody knows any more. */
void ctrio__c_task_drop(struct ctrio__c_task *task);
/* A node that lay in the task has gone. */
void ctrio__c_task_let_go(struct ctrio__c_task *task);
/* Its function has returned `result` with scopes open: closes them, which is CTRIO_MISUSE, and
 * gives back the new result; dies if they lie on what was the function's stack, below `end`.  Those
 * of nurseries are the kernel's to tell of. */
int ctrio__c_scopes_left(struct ctrio__c_task *self, int result, const char *end);
/* What the nursery gets of what its function has returned. */
void ctrio__c_task_conclude(struct ctrio__c_task *task, int result, struct ctrio__outcome *final);
/* All of a stack is dead when its function has returned; of the thread's, our callers' is not. */
static inline const char *ctrio__c_stack_end(const struct ctrio__c_task *task)
{
    const struct ctrio__fiber *fiber = &task->u.life.fiber;
    return task->u.life.stack != NULL ? fiber->low + fiber->size
                                      : (const char *)__builtin_frame_address(0);
}
/* On a stack of its own, the body of a task; and of the main one, on the thread's. */
static inline void ctrio__c_task_body(struct ctrio__c_task *task, struct ctrio__outcome *final)
{
    int result = task->u.life.fn(task->u.life.arg);
    if (task->task.scope != task->task.nursery->scope)
        result = ctrio__c_scopes_left(task, result, ctrio__c_stack_end(task));
    final->code = 0;
    final->value = NULL;
    if (result < 0 || task->u.life.stories != NULL)
        ctrio__c_task_conclude(task, result, final);
}
/* step.c: tasks whose steps are a function of the user's. */
enum ctrio__step ctrio__step_resume(struct ctrio_task *task, struct ctrio__outcome *io);
void ctrio__step_free(struct ctrio_task *task);
/* "function at file:line", or what it was renamed to; of any kind. */
const char *ctrio__task_name(const struct ctrio_task *task);
#endif
