/* await.c - driving an operation on a stack: step, leave for the loop, step again.
 *
 * errno survives (`types.h` promises it), and so does nothing else of the thread's. */
#include "api/run.h"

enum { IGNORED_TOO_OFTEN = 1000 };

/* Somebody loops over a call without looking at what it says. */
static void note_cancelled(struct ctrio__c_task *self)
{
    if (++self->ignored == IGNORED_TOO_OFTEN)
        ctrio__log(ctrio__c_run_of(&self->task), CTRIO_LOG_WARNING,
                   "task %s has been told %d times in a row that it is cancelled, and goes on",
                   ctrio__task_name(&self->task), IGNORED_TOO_OFTEN);
}

/* A scope that was left without being closed lies below the stack pointer: its lists already point
 * into whatever is there now, so that no code can be given back. */
static void refuse_dead_frame(const struct ctrio__c_task *self)
{
    const char *scope = (const char *)self->task.scope;
    const char *here = (const char *)&scope;
    const struct ctrio__fiber *fiber = &self->u.life.fiber;
    if (scope >= here || scope < fiber->low || fiber->low == NULL)
        return;
    if (scope < fiber->low + fiber->size)
        ctrio__die("task %s has left a block without closing the scope opened at %s",
                   ctrio__task_name(&self->task), self->task.scope->opened_at);
}

void ctrio__await_io(struct ctrio__c_task *self, struct ctrio__op *op, struct ctrio__outcome *io)
{
    int saved = errno;
    refuse_dead_frame(self);
    while (op->kind->step(op, &self->task, io) == CTRIO__PARKED) {
        self->u.life.op = op;
        ctrio__suspend(self);
        ctrio__task_take_wake(&self->task, io);
    }
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
