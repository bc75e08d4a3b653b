/* big_stack.c - one call on a stack of its own size, within the same task.
 *
 * Invariant: while the call lasts, the task's fiber is that of the big stack, so that it parks and
 * is resumed there; the small one waits in `outer`. */
#include "api/run.h"

struct big_call {
    struct ctrio__c_task *self;
    struct ctrio__fiber outer;
    ctrio_task_fn *fn;
    void *arg;
    int result;
};

static void entry(void *arg)
{
    struct big_call *call = arg;
    struct ctrio__fiber *fiber = &call->self->u.life.fiber;
    ctrio__fiber_entered(fiber);
    call->result = call->fn(call->arg);
    ctrio__fiber_leave(fiber, &call->outer);
}

static void call_on(struct big_call *call, struct ctrio__stack *stack)
{
    struct ctrio__c_life *life = &call->self->u.life;
    struct ctrio__stack *small = life->stack;
    call->outer = life->fiber;
    life->stack = stack;
    ctrio__fiber_init(&life->fiber, stack->low, (size_t)(stack->top - stack->low), entry, call);
    ctrio__fiber_switch(&call->outer, &life->fiber);
    ctrio__fiber_close(&life->fiber);
    life->fiber = call->outer;
    life->stack = small;
}

int ctrio_call_on_stack(size_t size, ctrio_task_fn *fn, void *arg)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__stack_pool pool;
    if (self == NULL)
        return ctrio__refuse_outside();
    struct big_call call = {.self = self, .fn = fn, .arg = arg};
    ctrio__stack_pool_init(&pool, &ctrio__memory_native, size);
    pool.at_once = 1;
    int result = ctrio__stack_promise(&pool);
    if (result == 0) {
        call_on(&call, ctrio__stack_take(&pool));
        result = call.result;
    }
    ctrio__stack_pool_close(&pool);
    return result;
}
