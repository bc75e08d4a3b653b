/* await.h - waiting, and the next task, within the frame of the call that waits.
 *
 * A task that is resumed after a long time returns along frames of which the processor has
 * forgotten where they return to, at 20 cycles a frame.  So the calls in which tasks wait by the
 * thousand have all of it in their own: 34 against 49 ns a task that a cancellation unwinds.  The
 * others call ctrio__await(), which is the same a frame further down. */
#ifndef CTRIO_API_AWAIT_H
#define CTRIO_API_AWAIT_H
#include "api/handover.h"
#include "api/watch.h"
#include "fiber_inline.h"
#include "kernel/loop.h"
#include <errno.h>

/* Never inlined into a user's function: its own scopes would lie around our frame. */
#define CTRIO__WAITS __attribute__((noinline))

/* Fetches what the tasks behind the next four need; see there. */
void ctrio__fetch_ahead(const struct ctrio_run *base);
enum { CTRIO__FETCH_GROUP = 4, CTRIO__FETCH_FROM = 4096 }; /* fewer tasks fit into a cache */

/* What can run next without the loop; NULL: nothing can. */
static inline struct ctrio_task *ctrio__next_here(struct ctrio__c_run *run)
{
    struct ctrio_run *base = &run->run;
    if (base->chooser != NULL) /* it wants to see the world between any two steps */
        return NULL;
    if (base->batch_capacity >= CTRIO__FETCH_FROM && base->batch_count % CTRIO__FETCH_GROUP == 0)
        ctrio__fetch_ahead(base);
    struct ctrio_task *task = ctrio__run_pick(base);
    if (task != NULL || base->failed != 0 || !base->deadline_far || !ctrio__may_skip_poll(base))
        return task;
    ctrio__run_begin(base, NULL);
    return ctrio__run_pick(base);
}

static inline bool ctrio__c_begun(const struct ctrio__c_task *task)
{
    return task->u.life.fiber.sp != NULL;
}

static inline __attribute__((always_inline)) void ctrio__hand_over_here(struct ctrio__c_run *run,
                                                                        struct ctrio__fiber *from)
{
    struct ctrio__fiber *to = &run->loop;
    struct ctrio_task *next = ctrio__next_here(run);
    if (next != NULL && ctrio__stackful(next))
        to = ctrio__c_fiber_of(run, ctrio__c_task_of(next));
    else
        run->picked = next;
    if (to != from) /* else: nobody but ourselves can run */
        ctrio__fiber_switch_inline(from, to);
}

/* Others run, and here again when we are resumed. */
static inline __attribute__((always_inline)) void ctrio__suspend_here(struct ctrio__c_task *self)
{
    struct ctrio__c_run *run = ctrio__c_run_of(&self->task);
    const struct ctrio__stack *stack = self->u.life.stack;
    int saved = errno; /* the thread's, which others use meanwhile */
    if (stack != NULL && !ctrio__stack_intact(stack))
        ctrio__die("the stack of task %s has overflowed", self->name);
    ctrio__set_inside(run, true);
    ctrio__run_put_back(&run->run, CTRIO__PARKED, NULL);
    ctrio__hand_over_here(run, &self->u.life.fiber);
    ctrio__set_inside(run, false);
    CTRIO_ASSERT(run->run.current == &self->task);
    errno = saved;
}

enum { CTRIO__IGNORED_TOO_OFTEN = 1000, CTRIO__IGNORED_FOR_EVER = 100000 };

/* It has been told that it is cancelled that often in a row, and goes on. */
void ctrio__c_told_again(struct ctrio__c_task *self);

/* Only in functions that are CTRIO__WAITS. */
static inline __attribute__((always_inline)) void
ctrio__await_io_here(struct ctrio__c_task *self, struct ctrio__op *op, struct ctrio__outcome *io)
{
    CTRIO_ASSERT(self != NULL); /* else the caller has refused */
    ctrio__refuse_handlers();
    ctrio__refuse_dead_frame(self, __builtin_frame_address(0));
    ctrio__set_inside(ctrio__c_current, true);
    while (op->kind->step(op, &self->task, io) == CTRIO__PARKED) {
        self->u.life.op = op;
        ctrio__suspend_here(self);
        ctrio__task_take_wake(&self->task, io);
        ctrio__set_inside(ctrio__c_current, true);
    }
    ctrio__set_inside(ctrio__c_current, false);
    self->u.life.op = NULL;
    if (io->code == CTRIO_CANCELLED) {
        ctrio__reason_drop(io->value);
        io->value = NULL;
        if (++self->ignored >= CTRIO__IGNORED_TOO_OFTEN)
            ctrio__c_told_again(self);
    } else {
        self->ignored = 0;
        if (io->code == CTRIO_MISUSE && io->value != NULL) { /* a static text, see op.h */
            ctrio__fail(CTRIO_MISUSE, io->value);
            io->value = NULL;
        }
    }
}

/* As ctrio__await(). */
static inline __attribute__((always_inline)) int ctrio__await_here(struct ctrio__c_task *self,
                                                                   struct ctrio__op *op)
{
    struct ctrio__outcome io = {0, NULL};
    ctrio__await_io_here(self, op, &io);
    return io.code;
}
#endif
