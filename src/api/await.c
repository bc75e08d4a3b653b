/* await.c - driving an operation on a stack: step, leave for the loop, step again.
 *
 * errno survives (`types.h` promises it), and so does nothing else of the thread's. */
#include "api/scope.h"
#include "api/watch.h"

enum { IGNORED_TOO_OFTEN = 1000, IGNORED_FOR_EVER = 100000 };

/* Somebody loops over a call without looking at what it says.  Others run meanwhile, as a cancelled
 * call still yields, but the scope will never end. */
static void note_cancelled(struct ctrio__c_task *self)
{
    const char *name = ctrio__task_name(&self->task);
    if (++self->ignored == IGNORED_TOO_OFTEN)
        ctrio__log(ctrio__c_run_of(&self->task), CTRIO_LOG_WARNING,
                   "task %s has been told %d times in a row that it is cancelled, and goes on",
                   name, IGNORED_TOO_OFTEN);
#ifndef NDEBUG
    if (self->ignored == IGNORED_FOR_EVER)
        ctrio__die("task %s has ignored %d cancellations in a row", name, IGNORED_FOR_EVER);
#endif
}

static bool has_magic(const struct ctrio_cancel_scope *scope)
{
    return scope->magic == CTRIO__SCOPE_MAGIC || scope->magic == CTRIO__NURSERY_SCOPE_MAGIC;
}

/* A scope that was left without being closed lies below the stack pointer, or in what our own call
 * has laid over it: its lists already point into garbage, so that no code can be given back.  The
 * second is seen by the magic word; the fast path only asks whether the scope lies near. */
enum { BELOW = 65536, BELOW_ON_THREAD = 32768, ABOVE = 1024 };

static bool is_dead(const struct ctrio__c_task *self, const char *here)
{
    const struct ctrio_cancel_scope *scope = self->task.scope;
    const struct ctrio__fiber *fiber = &self->u.life.fiber;
    const char *at = (const char *)scope;
    if (at >= here)
        return !has_magic(scope);
    /* Of a thread's own stack the end is not known: what lies so near is still it. */
    return fiber->low != NULL ? at >= fiber->low : here - at <= BELOW_ON_THREAD;
}

/* What it says is believed if nothing has been written over its end, where calls begin to. */
static _Noreturn void die_of_dead_frame(const struct ctrio__c_task *self)
{
    const struct ctrio_cancel_scope *scope = self->task.scope;
    bool legible = has_magic(scope) && scope->owner == &self->task;
    ctrio__die("task %s has left a block without closing the scope or nursery opened at %s",
               ctrio__task_name(&self->task), legible ? scope->opened_at : "a place since lost");
}

static inline void refuse_dead_frame(const struct ctrio__c_task *self, const char *here)
{
    uintptr_t scope = (uintptr_t)self->task.scope, from = (uintptr_t)here - BELOW;
    if (scope - from < BELOW + ABOVE && is_dead(self, here))
        die_of_dead_frame(self);
}

__attribute__((noinline)) void ctrio__refuse_dead_frame(const struct ctrio__c_task *self)
{
    refuse_dead_frame(self, __builtin_frame_address(0));
}

/* Never inlined into a user's function: its own scopes would lie around `here`. */
__attribute__((noinline)) void ctrio__await_io(struct ctrio__c_task *self, struct ctrio__op *op,
                                               struct ctrio__outcome *io)
{
    int saved = errno;
    ctrio__refuse_handlers();
    refuse_dead_frame(self, __builtin_frame_address(0));
    ctrio__set_inside(ctrio__c_current, true);
    while (op->kind->step(op, &self->task, io) == CTRIO__PARKED) {
        self->u.life.op = op;
        ctrio__suspend(self);
        *io = *self->u.life.io;
        ctrio__set_inside(ctrio__c_current, true);
    }
    ctrio__set_inside(ctrio__c_current, false);
    self->u.life.op = NULL;
    if (io->code == CTRIO_CANCELLED) {
        ctrio__reason_drop(io->value);
        io->value = NULL;
        note_cancelled(self);
    } else {
        self->ignored = 0;
        if (io->code == CTRIO_MISUSE && io->value != NULL) { /* a static text, see op.h */
            ctrio__fail(CTRIO_MISUSE, io->value);
            io->value = NULL;
        }
    }
    errno = saved;
}
