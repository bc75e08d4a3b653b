/* handover.c - from one task to the next, straight from stack to stack.
 *
 * A task that parks does the loop's next step itself: it puts itself back, picks the next task and
 * switches there.  The loop is asked only for what needs it: a look at the machine, deadlines,
 * tasks that are not on stacks.  Going back to it each time costs two switches instead of one, and
 * since the two sides return along different ways the processor guesses all returns wrong (55
 * against 20 ns a switch).  A task that ends leaves its stack, still warm, to the next that begins.
 *
 * Invariant: between put_back and the switch nobody is current and nothing of `self` is touched
 * that its last reference may have freed. */
#include "api/await.h"
#include "base/inline.h"

/* Thousands of tasks do not fit into a cache, and each of their stacks lies in a page of its own.
 * Which come next is known: every fourth step fetches the ends of four structs (their beginnings
 * the processor foresees, as they lie in a row), and the tops of the stacks of the four before
 * those.  In groups, because a fetch that has to look for its page holds up whatever comes behind
 * it, but not the other searches of the group (docs/design/c-front-end.md has the figures). */
CTRIO__OUTLINED void ctrio__fetch_ahead(const struct ctrio_run *base)
{
    enum { GROUP = CTRIO__FETCH_GROUP };
    static const size_t line = 64, foreseen = 192, of_task = 384, of_stack = 448; /* bytes */
    static const size_t two_groups = (size_t)2 * GROUP, three_groups = (size_t)3 * GROUP;
    const char *tops[GROUP];
    size_t count = base->batch_count;
    if (count < three_groups)
        return;
    struct ctrio_task *const *next = &base->batch[count - two_groups];
    for (int i = 0; i < GROUP; i++) {
        bool stackful = ctrio__stackful(next[i]);
        tops[i] = stackful ? ctrio__c_task_of(next[i])->u.life.fiber.sp : NULL;
        if (tops[i] != NULL)
            __builtin_prefetch(tops[i], 1);
    }
    for (int i = 0; i < GROUP; i++)
        for (size_t at = foreseen; at < of_task; at += line)
            __builtin_prefetch((const char *)next[i - GROUP] + at, 1);
    for (int i = 0; i < GROUP; i++) {
        if (tops[i] == NULL)
            continue;
        for (size_t at = line; at < of_stack; at += line)
            __builtin_prefetch(tops[i] + at, 1);
        __builtin_prefetch(ctrio__c_task_of(next[i])->u.life.stack, 1);
    }
    __asm__ volatile(""); /* gcc 12 leaves out calls of functions that do nothing but this */
}

/* --- a stack's life -------------------------------------------------------------------------- */

/* The stack on which we are is given back, and left for good. */
_Noreturn static inline __attribute__((always_inline)) void
leave_stack(struct ctrio__c_run *run, struct ctrio__stack *stack, const struct ctrio__fiber *own,
            struct ctrio__fiber *to)
{
    ctrio__fiber_close(&run->left); /* the one before: nobody is on it any more */
    run->left = *own;
    ctrio__stack_give(&run->stacks, stack); /* nobody takes it before we have gone */
    ctrio__fiber_leave_inline(&run->left, to);
    ctrio__die("a task that has ended was resumed");
}

/* `next` has not begun and has no stack: it gets this one, as it is. */
static void take_over(struct ctrio__c_run *run, struct ctrio__c_task *next,
                      struct ctrio__stack *stack, const struct ctrio__fiber *own)
{
    ctrio__stack_release_promise(&run->stacks); /* of the one who has ended */
    next->u.life.stack = stack;
    next->u.life.fiber = *own;
    next->u.life.fiber.sp = stack; /* it has begun; the first switch says where it is */
}

static void entry(void *arg)
{
    struct ctrio__c_task *self = arg;
    struct ctrio__c_run *run = ctrio__c_run_of(&self->task);
    ctrio__fiber_entered(&self->u.life.fiber);
    for (;;) {
        struct ctrio__outcome final;
        ctrio__set_inside(run, false);
        ctrio__c_task_body(self, &final);
        ctrio__set_inside(run, true);
        struct ctrio__stack *stack = self->u.life.stack;
        const struct ctrio__fiber own = self->u.life.fiber;
        ctrio__run_put_back(&run->run, CTRIO__DONE, &final);
        struct ctrio_task *next = ctrio__next_here(run);
        if (next != NULL && ctrio__stackful(next)) {
            self = ctrio__c_task_of(next);
            if (ctrio__c_begun(self) || self->u.life.stack != NULL)
                leave_stack(run, stack, &own, ctrio__c_fiber_of(run, self));
            take_over(run, self, stack, &own);
        } else {
            run->picked = next;
            leave_stack(run, stack, &own, &run->loop);
        }
    }
}

/* Where it goes on, or begins. */
struct ctrio__fiber *ctrio__c_fiber_of(struct ctrio__c_run *run, struct ctrio__c_task *task)
{
    struct ctrio__c_life *life = &task->u.life;
    if (ctrio__c_begun(task))
        return &life->fiber;
    if (life->stack == NULL)
        life->stack = ctrio__stack_take(&run->stacks);
    char *top = life->stack->top;
    if ((char *)life->arg >= life->stack->low && (char *)life->arg < top) /* copied in */
        top = (char *)((uintptr_t)life->arg & ~(uintptr_t)15);
    ctrio__fiber_init(&life->fiber, life->stack->low, (size_t)(top - life->stack->low), entry,
                      task);
    return &life->fiber;
}

/* --- awaiting --------------------------------------------------------------------------------- */

void ctrio__c_hand_over(struct ctrio__c_run *run, struct ctrio__fiber *from)
{
    ctrio__hand_over_here(run, from);
}

CTRIO__WAITS void ctrio__c_yield(struct ctrio__c_task *self)
{
    struct ctrio__outcome io;
    ctrio__refuse_handlers();
    ctrio__refuse_dead_frame(self, __builtin_frame_address(0));
    ctrio__task_yield(&self->task);
    ctrio__suspend_here(self);
    ctrio__task_take_wake(&self->task, &io);
    CTRIO_ASSERT(io.code == 0 && io.value == NULL);
}

/* Somebody loops over a call without looking at what it says.  Others run meanwhile, as a cancelled
 * call still yields, but the scope will never end. */
void ctrio__c_told_again(struct ctrio__c_task *self)
{
    const char *name = ctrio__task_name(&self->task);
    CTRIO_ASSERT(self->ignored >= CTRIO__IGNORED_TOO_OFTEN);
    if (self->ignored == CTRIO__IGNORED_TOO_OFTEN)
        ctrio__log(ctrio__c_run_of(&self->task), CTRIO_LOG_WARNING,
                   "task %s has been told %d times in a row that it is cancelled, and goes on",
                   name, CTRIO__IGNORED_TOO_OFTEN);
#ifndef NDEBUG
    if (self->ignored == CTRIO__IGNORED_FOR_EVER)
        ctrio__die("task %s has ignored %d cancellations in a row", name, CTRIO__IGNORED_FOR_EVER);
#endif
}

CTRIO__WAITS void ctrio__await_io(struct ctrio__c_task *self, struct ctrio__op *op,
                                  struct ctrio__outcome *io)
{
    ctrio__await_io_here(self, op, io);
}
