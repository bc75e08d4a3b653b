/* channel.c - a ring of items, and two queues of ops that wait beside it.
 *
 * Invariants: receivers wait => the buffer is empty and nobody waits to send; senders wait => the
 * buffer is full.  An item is in exactly one place: the caller's, an op's (`holds`), the ring.
 * Queues hold ops, not tasks, as an op knows its item and its end; serving one changes pointers
 * only, so a receive cannot fail for want of memory.  drop() comes last: it runs foreign code. */
#include "kernel/channel.h"
#include "base/alloc.h"
#include <string.h>

void ctrio__channel_init(struct ctrio__channel *channel, size_t item_size, size_t max_buffer_size,
                         void (*drop)(struct ctrio__channel *channel, void *item))
{
    CTRIO_ASSERT(item_size > 0);
    *channel = (struct ctrio__channel){
        .item_size = item_size, .max_buffer_size = max_buffer_size, .drop = drop};
    ctrio__list_init(&channel->senders);
    ctrio__list_init(&channel->receivers);
}

/* Pointers are what most channels carry. */
static void copy(const struct ctrio__channel *channel, void *to, const void *from)
{
    if (channel->item_size == sizeof(void *))
        memcpy(to, from, sizeof(void *));
    else
        memcpy(to, from, channel->item_size);
}

static void pop(struct ctrio__channel *channel, void *to)
{
    CTRIO_ASSERT(channel->count > 0);
    copy(channel, to, ctrio__channel_peek(channel, 0));
    channel->first = channel->first + 1 < channel->capacity ? channel->first + 1 : 0;
    channel->count--;
}

/* There is room in the ring. */
static void push(struct ctrio__channel *channel, const void *item)
{
    CTRIO_ASSERT(channel->count < channel->capacity);
    channel->count++;
    copy(channel, ctrio__channel_peek(channel, channel->count - 1), item);
}

/* Takes the oldest out and drops it where it lies: drop() is foreign code and may send, but the
 * last receiver has gone, so nothing is put in its place. */
static void drop_first(struct ctrio__channel *channel)
{
    void *item = ctrio__channel_peek(channel, 0);
    channel->first = channel->first + 1 < channel->capacity ? channel->first + 1 : 0;
    channel->count--;
    channel->drop(channel, item);
}

void ctrio__channel_clear(struct ctrio__channel *channel)
{
    CTRIO_ASSERT(ctrio__list_empty(&channel->senders));
    CTRIO_ASSERT(ctrio__list_empty(&channel->receivers));
    while (channel->count > 0)
        drop_first(channel);
    ctrio__free(channel->buffer);
    channel->buffer = NULL;
    channel->capacity = 0;
    channel->first = 0;
}

/* Room for one more.  A ring that grows was full: the part up to its old end moves to the new. */
static int grow(struct ctrio__channel *channel)
{
    size_t old = channel->capacity, size = channel->item_size;
    int code =
        ctrio__reserve((void **)&channel->buffer, &channel->capacity, channel->count + 1, size);
    if (code < 0 || channel->first == 0)
        return code;
    CTRIO_ASSERT(channel->capacity > old);
    size_t added = channel->capacity - old;
    char *first = channel->buffer + channel->first * size;
    memmove(first + added * size, first, (old - channel->first) * size);
    channel->first += added;
    return 0;
}

void ctrio__channel_end_init(struct ctrio__channel_end *end, struct ctrio__channel *channel,
                             enum ctrio__channel_side side)
{
    end->channel = channel;
    end->side = side;
    end->closed = false;
    ctrio__list_init(&end->waiting);
    if (side == CTRIO__SEND_END)
        channel->open_send++;
    else
        channel->open_receive++;
}

/* The op waits no more, its task not yet woken. */
static void unqueue(struct ctrio__channel_op *op)
{
    struct ctrio__channel_end *end = op->base.op.object;
    struct ctrio__channel *channel = end->channel;
    CTRIO_ASSERT(ctrio__list_linked(&op->link));
    CTRIO_ASSERT(ctrio__list_linked(&op->end_link));
    ctrio__list_unlink(&op->link);
    ctrio__list_unlink(&op->end_link);
    if (end->side == CTRIO__SEND_END)
        channel->senders_count--;
    else
        channel->receivers_count--;
}

static struct ctrio__channel_op *oldest(const struct ctrio_list *queue)
{
    if (ctrio__list_empty(queue))
        return NULL;
    return ctrio__container(queue->next, struct ctrio__channel_op, link);
}

static void wake(struct ctrio__channel_op *op, int code)
{
    struct ctrio_task *task = op->task;
    CTRIO_ASSERT(task->park_data == op);
    unqueue(op);
    ctrio__task_wake(task, code, NULL);
}

static void wake_all(const struct ctrio_list *queue, int code)
{
    struct ctrio__channel_op *op;
    while ((op = oldest(queue)) != NULL)
        wake(op, code);
}

static void close_last(struct ctrio__channel *channel, enum ctrio__channel_side side)
{
    if (side == CTRIO__SEND_END) {
        CTRIO_ASSERT(ctrio__list_empty(&channel->senders));
        wake_all(&channel->receivers, CTRIO_END_OF_CHANNEL);
        return;
    }
    CTRIO_ASSERT(ctrio__list_empty(&channel->receivers));
    wake_all(&channel->senders, CTRIO_BROKEN_RESOURCE);
    while (channel->count > 0)
        drop_first(channel);
}

void ctrio__channel_end_close(struct ctrio__channel_end *end)
{
    struct ctrio__channel *channel = end->channel;
    if (end->closed)
        return;
    end->closed = true;
    while (!ctrio__list_empty(&end->waiting))
        wake(ctrio__container(end->waiting.next, struct ctrio__channel_op, end_link),
             CTRIO_CLOSED_RESOURCE);
    size_t *open = end->side == CTRIO__SEND_END ? &channel->open_send : &channel->open_receive;
    CTRIO_ASSERT(*open > 0);
    if (--*open == 0)
        close_last(channel, end->side);
}

int ctrio__channel_send_nowait(struct ctrio__channel_end *end, const void *item)
{
    struct ctrio__channel *channel = end->channel;
    CTRIO_ASSERT(end->side == CTRIO__SEND_END);
    if (end->closed)
        return CTRIO_CLOSED_RESOURCE;
    if (channel->open_receive == 0)
        return CTRIO_BROKEN_RESOURCE;
    struct ctrio__channel_op *receiver = oldest(&channel->receivers);
    if (receiver != NULL) {
        CTRIO_ASSERT(channel->count == 0);
        copy(channel, receiver->item, item);
        receiver->holds = true;
        wake(receiver, 0);
        return 0;
    }
    if (channel->count >= channel->max_buffer_size)
        return CTRIO_WOULD_BLOCK;
    if (channel->count == channel->capacity) {
        int code = grow(channel);
        if (code < 0)
            return code;
    }
    push(channel, item);
    if (channel->count > channel->peak)
        channel->peak = channel->count;
    return 0;
}

int ctrio__channel_receive_nowait(struct ctrio__channel_end *end, void *item)
{
    struct ctrio__channel *channel = end->channel;
    CTRIO_ASSERT(end->side == CTRIO__RECEIVE_END);
    if (end->closed)
        return CTRIO_CLOSED_RESOURCE;
    struct ctrio__channel_op *sender = oldest(&channel->senders);
    if (sender == NULL && channel->count == 0)
        return channel->open_send == 0 ? CTRIO_END_OF_CHANNEL : CTRIO_WOULD_BLOCK;
    if (channel->count > 0)
        pop(channel, item);
    else
        copy(channel, item, sender->item);
    if (sender != NULL) {
        if (channel->max_buffer_size > 0) /* into the place that has just become free */
            push(channel, sender->item);
        sender->holds = false;
        wake(sender, 0);
    }
    return 0;
}

static struct ctrio__channel_op *from_op(struct ctrio__op *op)
{
    return ctrio__container(op, struct ctrio__channel_op, base.op);
}

/* Member by member, as in ctrio__task_init: an op is made for every item. */
static void op_init(struct ctrio__channel_op *op, const struct ctrio__op_kind *kind,
                    struct ctrio__channel_end *end, void *item, bool holds)
{
    op->base.op.kind = kind;
    op->base.op.object = end;
    op->base.op.stage = CTRIO__STAGE_START;
    op->base.code = 0;
    op->base.result = NULL;
    op->task = NULL;
    ctrio__list_init(&op->link);
    ctrio__list_init(&op->end_link);
    op->item = item;
    op->slot = NULL;
    op->holds = holds;
    op->owned = false;
}

void ctrio__channel_send_op_init(struct ctrio__channel_op *op, struct ctrio__channel_end *end,
                                 void *item)
{
    CTRIO_ASSERT(end->side == CTRIO__SEND_END);
    op_init(op, &ctrio__channel_send_kind, end, item, true);
}

void ctrio__channel_receive_op_init(struct ctrio__channel_op *op, struct ctrio__channel_end *end,
                                    void *item)
{
    CTRIO_ASSERT(end->side == CTRIO__RECEIVE_END);
    op_init(op, &ctrio__channel_receive_kind, end, item, false);
}

static enum ctrio__abort stop_waiting(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    (void)why;
    unqueue(task->park_data);
    return CTRIO__ABORT_SUCCEEDED;
}

static int park(struct ctrio__op *base, struct ctrio_task *task)
{
    struct ctrio__channel_op *op = from_op(base);
    struct ctrio__channel_end *end = base->object;
    struct ctrio__channel *channel = end->channel;
    CTRIO_ASSERT(!end->closed);
    op->task = task;
    ctrio__list_append(&end->waiting, &op->end_link);
    if (end->side == CTRIO__SEND_END) {
        CTRIO_ASSERT(channel->count == channel->max_buffer_size);
        ctrio__list_append(&channel->senders, &op->link);
        channel->senders_count++;
    } else {
        CTRIO_ASSERT(ctrio__list_empty(&channel->senders));
        ctrio__list_append(&channel->receivers, &op->link);
        channel->receivers_count++;
    }
    ctrio__task_park(task, stop_waiting, op);
    return 0;
}

/* What was not sent; or was received, and nobody takes it. */
static void let_go(struct ctrio__channel_op *op)
{
    struct ctrio__channel_end *end = op->base.op.object;
    bool drops = op->holds && (op->owned || end->side == CTRIO__RECEIVE_END);
    op->holds = false;
    if (drops)
        end->channel->drop(end->channel, op->item);
}

static void abandon(struct ctrio__op *base, struct ctrio_task *task)
{
    struct ctrio__channel_op *op = from_op(base);
    (void)task;
    if (ctrio__list_linked(&op->link))
        unqueue(op);
    let_go(op);
}

static int attempt_send(struct ctrio__op *base, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__channel_op *op = from_op(base);
    (void)task;
    (void)io;
    int code = ctrio__channel_send_nowait(base->object, op->item);
    if (code == 0)
        op->holds = false;
    return code;
}

static enum ctrio__step send_step(struct ctrio__op *base, struct ctrio_task *task,
                                  struct ctrio__outcome *io)
{
    enum ctrio__step answer = ctrio__primitive_step(base, task, io);
    if (answer == CTRIO__DONE && io->code < 0)
        let_go(from_op(base));
    return answer;
}

static int attempt_receive(struct ctrio__op *base, struct ctrio_task *task,
                           struct ctrio__outcome *io)
{
    struct ctrio__channel_op *op = from_op(base);
    (void)task;
    (void)io;
    int code = ctrio__channel_receive_nowait(base->object, op->item);
    op->holds = code == 0;
    return code;
}

/* Done: what was received is the caller's. */
static enum ctrio__step receive_step(struct ctrio__op *base, struct ctrio_task *task,
                                     struct ctrio__outcome *io)
{
    struct ctrio__channel_op *op = from_op(base);
    enum ctrio__step answer = ctrio__primitive_step(base, task, io);
    CTRIO_ASSERT(answer == CTRIO__PARKED || op->holds == (io->code == 0));
    if (answer == CTRIO__DONE)
        op->holds = false;
    return answer;
}

const struct ctrio__op_kind ctrio__channel_send_kind = {
    .verb = "send",
    .step = send_step,
    .attempt = attempt_send,
    .park = park,
    .abandon = abandon,
};
const struct ctrio__op_kind ctrio__channel_receive_kind = {
    .verb = "receive",
    .step = receive_step,
    .attempt = attempt_receive,
    .park = park,
    .abandon = abandon,
};
