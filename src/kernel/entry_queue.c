/* entry_queue.c - first in, first out, from any thread.
 *
 * Producers push on a lock-free stack (Treiber 1986); the consumer takes the whole stack at once,
 * so there is no ABA problem, and reverses it.  Invariant: an accepted entry is called before the
 * run ends: closing the queue swaps in a mark that makes every later push fail, and then drains. */
#include "kernel/entry_queue.h"
#include "kernel/run.h"

static struct ctrio__entry closed_mark;

void ctrio__entry_queue_init(struct ctrio__entry_queue *queue)
{
    atomic_init(&queue->head[false], NULL);
    atomic_init(&queue->head[true], NULL);
    atomic_init(&queue->size, 0);
    atomic_init(&queue->watched, false);
    queue->taken = NULL;
    queue->task = NULL;
}

int ctrio__entry_queue_push(struct ctrio_run *run, struct ctrio__entry *entry)
{
    struct ctrio__entry_queue *queue = &run->entries;
    _Atomic(struct ctrio__entry *) *stack = &queue->head[entry->later];
    struct ctrio__entry *head = atomic_load_explicit(stack, memory_order_relaxed);
    /* Counted first: a size of zero then means that nothing is there. */
    size_t before = atomic_fetch_add_explicit(&queue->size, 1, memory_order_seq_cst);
    do {
        if (head == &closed_mark) {
            atomic_fetch_sub_explicit(&queue->size, 1, memory_order_seq_cst);
            return CTRIO_RUN_FINISHED;
        }
        entry->next = head;
    } while (!atomic_compare_exchange_weak_explicit(stack, &head, entry, memory_order_release,
                                                    memory_order_relaxed));
    /* Whoever found it empty wakes the loop, unless that is going to see the new size when it stops
     * watching. */
    if (before == 0 && !atomic_load_explicit(&queue->watched, memory_order_seq_cst))
        run->io_ops->force_wakeup(run->io);
    return 0;
}

void ctrio__entry_queue_watch(struct ctrio__entry_queue *queue)
{
    atomic_store_explicit(&queue->watched, true, memory_order_relaxed);
}

bool ctrio__entry_queue_unwatch(struct ctrio__entry_queue *queue)
{
    atomic_store_explicit(&queue->watched, false, memory_order_seq_cst);
    return atomic_load_explicit(&queue->size, memory_order_seq_cst) != 0;
}

/* Takes what has been pushed on one of the stacks: oldest first. */
static struct ctrio__entry *take(struct ctrio__entry_queue *queue, bool later,
                                 struct ctrio__entry *replacement)
{
    struct ctrio__entry *newest =
        atomic_exchange_explicit(&queue->head[later], replacement, memory_order_acquire);
    struct ctrio__entry *oldest = NULL;
    while (newest != NULL && newest != &closed_mark) {
        struct ctrio__entry *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* run NULL: they are only given back. */
static void call(struct ctrio__entry_queue *queue, struct ctrio__entry *oldest,
                 struct ctrio_run *run)
{
    CTRIO_ASSERT(queue->taken == NULL); /* what was taken before has all been called */
    queue->taken = oldest;
    while (queue->taken != NULL) {
        struct ctrio__entry *entry = queue->taken;
        queue->taken = entry->next;
        atomic_fetch_sub_explicit(&queue->size, 1, memory_order_seq_cst);
        entry->fn(entry, run);
    }
}

/* Calls what waited when we began, no more: callbacks that queue callbacks must not starve the
 * rest of the run.  Later ones count as well if they come while the others are called. */
static void call_bounded(struct ctrio_run *run)
{
    struct ctrio__entry_queue *queue = &run->entries;
    call(queue, take(queue, false, NULL), run);
    call(queue, take(queue, true, NULL), run);
}

/* From here on pushes fail; what is left is called. */
static void call_the_rest(struct ctrio__entry_queue *queue, struct ctrio_run *run)
{
    struct ctrio__entry *entries = take(queue, false, &closed_mark);
    struct ctrio__entry *later = take(queue, true, &closed_mark);
    call(queue, entries, run);
    call(queue, later, run);
}

void ctrio__entry_queue_close(struct ctrio__entry_queue *queue)
{
    call_the_rest(queue, NULL);
    queue->task = NULL;
}

static enum ctrio__abort leave(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    struct ctrio__entry_queue *queue = task->park_data;
    (void)why;
    CTRIO_ASSERT(queue->task == task);
    queue->task = NULL;
    return CTRIO__ABORT_SUCCEEDED;
}

void ctrio__entry_queue_poll(struct ctrio__entry_queue *queue)
{
    struct ctrio_task *task = queue->task;
    if (task == NULL || !ctrio__entry_queue_pending(queue))
        return;
    queue->task = NULL;
    ctrio__task_wake(task, 0, NULL);
}

enum { BEGIN, YIELDED, RAISING, WAITING };

static enum ctrio__step next_round(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio__entry_queue *queue = &task->run->entries;
    call_bounded(task->run);
    if (ctrio__entry_queue_pending(queue)) {
        op->stage = YIELDED;
        ctrio__task_yield(task);
    } else {
        op->stage = WAITING;
        queue->task = task;
        ctrio__task_park(task, leave, queue);
    }
    return CTRIO__PARKED;
}

static enum ctrio__step queue_step(struct ctrio__op *op, struct ctrio_task *task,
                                   struct ctrio__outcome *io)
{
    struct ctrio_run *run = task->run;
    if (io->code == CTRIO_CANCELLED) { /* shutdown: nothing more comes in, the rest is called */
        ctrio__reason_drop(io->value);
        *io = (struct ctrio__outcome){0, NULL};
        call_the_rest(&run->entries, run);
        return CTRIO__DONE;
    }
    if (op->stage == YIELDED && ctrio__task_cancel_pending(task)) {
        op->stage = RAISING;
        ctrio__task_park(task, ctrio__abort_simply, NULL);
        return CTRIO__PARKED;
    }
    return next_round(op, task);
}
const struct ctrio__op_kind ctrio__entry_queue_kind = {.verb = "run entry queue",
                                                       .step = queue_step};
