/* op.h - an operation that may block, written once for every front end.
 *
 * A primitive is a small struct with a step() that never suspends: it answers DONE or PARKED.  A
 * front end on stacks loops step and switches between; a front end of coroutines yields between.
 * No op holds memory of its own but what its front end gave it. */
#ifndef CTRIO_KERNEL_OP_H
#define CTRIO_KERNEL_OP_H
#include <ctrio/types.h>

enum ctrio__step { CTRIO__DONE, CTRIO__PARKED };

struct ctrio__op;
struct ctrio__op_kind {
    const char *verb; /* "acquire", "receive": for reports, wait graphs and traces */
    /* Called first with *io zero, then once per wake with what the task woke with.  DONE: *io is
     * the result.  PARKED: the task is parked or queued; call again when it runs again. */
    enum ctrio__step (*step)(struct ctrio__op *op, struct ctrio_task *task,
                             struct ctrio__outcome *io);
    /* For ops driven by ctrio__primitive_step, see primitive.h; NULL otherwise. */
    int (*attempt)(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io);
    int (*park)(struct ctrio__op *op, struct ctrio_task *task); /* < 0: not parked, the result */
    enum ctrio__step (*woken)(struct ctrio__op *op, struct ctrio_task *task,
                              struct ctrio__outcome *io);
    /* The op will never be stepped again although it is not done (its coroutine was closed):
     * takes itself out of every queue, gives back what a wake-up had already handed to it (an
     * item, a lock).  NULL: nothing but the task's own links to undo. */
    void (*abandon)(struct ctrio__op *op, struct ctrio_task *task);
    bool bare; /* the object may be NULL: it acts on its task alone, or on a handle as such */
};
struct ctrio__op {
    const struct ctrio__op_kind *kind;
    void *object;  /* the lock, the channel …: what it acts on; borrowed until done */
    uint8_t stage; /* the op's own; 0 before the first step */
};

/* It says what it does, and on what.  A wait graph, a report of a deadlock and a reduction of
 * schedules have nothing else to go by, so front ends assert it of every op. */
static inline bool ctrio__op_is_told(const struct ctrio__op *op)
{
    return op->kind->verb != NULL && (op->kind->bare || op->object != NULL);
}
#endif
