/* call.c - a call on a larger stack, in the same task.
 *
 * Invariant: the task's fiber is the one that runs: whoever resumes it, looks for its guard or for
 * dead frames finds the stack that it is on now.  The one that it came from waits in the call. */
#include "api/run.h"

struct call { /* on the stack of the caller */
    struct ctrio__c_task *self;
    ctrio_task_fn *fn;
    void *arg;
    struct ctrio__fiber outer;
    int result;
};

static void entry(void *arg)
{
    struct call *call = arg;
    struct ctrio__fiber *inner = &call->self->u.life.fiber;
    ctrio__fiber_entered(inner);
    call->result = call->fn(call->arg);
    ctrio__fiber_leave(inner, &call->outer);
}

static void call_there(struct call *call, struct ctrio__stack *stack)
{
    struct ctrio__c_life *life = &call->self->u.life;
    struct ctrio__stack *own = life->stack;
    call->outer = life->fiber;
    life->stack = stack;
    ctrio__fiber_init(&life->fiber, stack->low, (size_t)(stack->top - stack->low), entry, call);
    ctrio__fiber_switch(&call->outer, &life->fiber);
    if (!ctrio__stack_intact(stack))
        ctrio__die("the stack of task %s has overflowed", ctrio__task_name(&call->self->task));
    ctrio__fiber_close(&life->fiber);
    life->fiber = call->outer;
    life->stack = own;
}

int ctrio_call_on_stack(size_t size, ctrio_task_fn *fn, void *arg)
{
    enum { AROUND = 16384 }; /* guard, descriptor and colour */
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__stack_pool pool;
    struct call call = {.self = self, .fn = fn, .arg = arg};
    if (self == NULL)
        return ctrio__refuse_outside();
    if (size > SIZE_MAX / 2)
        return -ENOMEM;
    ctrio__stack_pool_init(&pool, &ctrio__memory_native, size + AROUND);
    pool.at_once = 1;
    int result = ctrio__stack_promise(&pool);
    if (result < 0) {
        ctrio__stack_pool_close(&pool);
        return result;
    }
    struct ctrio__stack *stack = ctrio__stack_take(&pool);
    call_there(&call, stack);
    ctrio__stack_give(&pool, stack);
    ctrio__stack_pool_close(&pool);
    return call.result;
}
