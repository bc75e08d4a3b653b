/* entry_queue.h - calls into the run from any thread or signal handler.
 *
 * A lock-free stack that the consumer takes whole and reverses: first in, first out.  There are
 * two, since what asks to be called later comes after all the others of a round.  The kernel has no
 * mutex and needs none; a signal handler may interrupt a push at any point. */
#ifndef CTRIO_KERNEL_ENTRY_QUEUE_H
#define CTRIO_KERNEL_ENTRY_QUEUE_H
#include "kernel/op.h"
#include <stdatomic.h>

/* Owned by the queue from push until fn is called; fn may free it. */
struct ctrio__entry {
    struct ctrio__entry *next;
    /* On the run's thread.  `run` NULL: the run broke down before; only free it. [code] */
    void (*fn)(struct ctrio__entry *entry, struct ctrio_run *run);
    bool later; /* after those of its round that are not: Trio's idempotent calls */
};
struct ctrio__entry_queue {
    _Atomic(struct ctrio__entry *) head[2]; /* by `later`; newest first; a mark once closed */
    _Atomic size_t size;                    /* pushed and not yet called */
    struct ctrio__entry *taken;             /* oldest first; only the run's thread */
    struct ctrio_task *task;                /* parked while nothing waits; NULL otherwise */
    _Atomic bool watched;                   /* the loop is awake and looks: it needs no bell */
};
void ctrio__entry_queue_init(struct ctrio__entry_queue *queue);
/* [any thread, async-signal-safe]  CTRIO_RUN_FINISHED: too late, the entry is still yours.  An
 * entry that was accepted will be called before the run ends. */
int ctrio__entry_queue_push(struct ctrio_run *run, struct ctrio__entry *entry);
static inline bool ctrio__entry_queue_pending(const struct ctrio__entry_queue *queue)
{
    return atomic_load_explicit(&queue->size, memory_order_relaxed) != 0;
}
/* Between the two the loop's thread looks at the queue itself, and nobody rings for it.  unwatch
 * tells whether something waits: then the loop must not sleep. */
void ctrio__entry_queue_watch(struct ctrio__entry_queue *queue);
bool ctrio__entry_queue_unwatch(struct ctrio__entry_queue *queue);
/* The run is over: later pushes fail, what is left is given back. */
void ctrio__entry_queue_close(struct ctrio__entry_queue *queue);
/* From run_begin: wakes the task if something waits. */
void ctrio__entry_queue_poll(struct ctrio__entry_queue *queue);
/* The body of the system task that makes the calls; object: the run. */
extern const struct ctrio__op_kind ctrio__entry_queue_kind;
#endif
