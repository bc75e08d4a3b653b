/* channel.h - memory channels: bounded, hand to hand, unbounded; cloned ends; statistics.
 *
 * Items are `item_size` bytes, moved by copy, that the channel owns from a successful send to the
 * receive; `drop` is given those that nobody will receive.  A cancelled or failed send has sent
 * nothing, a cancelled receive has taken nothing. */
#ifndef CTRIO_KERNEL_CHANNEL_H
#define CTRIO_KERNEL_CHANNEL_H
#include "kernel/primitive.h"

struct ctrio__channel {
    char *buffer; /* a ring of items; owned */
    size_t item_size;
    size_t capacity, first, count, peak; /* items */
    size_t max_buffer_size;              /* SIZE_MAX: unbounded */
    size_t open_send, open_receive;
    struct ctrio_list senders, receivers; /* struct ctrio__channel_op, parked, oldest first */
    size_t senders_count, receivers_count;
    void (*drop)(struct ctrio__channel *channel, void *item); /* [code] */
};
enum ctrio__channel_side { CTRIO__SEND_END, CTRIO__RECEIVE_END };
struct ctrio__channel_end {
    struct ctrio__channel *channel; /* borrowed: the front end counts */
    struct ctrio_list waiting;      /* struct ctrio__channel_op of this very end */
    enum ctrio__channel_side side;
    bool closed;
};
void ctrio__channel_init(struct ctrio__channel *channel, size_t item_size, size_t max_buffer_size,
                         void (*drop)(struct ctrio__channel *channel, void *item));
/* Both sides have no end open any more, or the front end's object dies: drops what is left. */
void ctrio__channel_clear(struct ctrio__channel *channel);
void ctrio__channel_end_init(struct ctrio__channel_end *end, struct ctrio__channel *channel,
                             enum ctrio__channel_side side);
/* Tasks waiting on this end wake with CTRIO_CLOSED_RESOURCE; the last sender ends the channel
 * (waiting receivers: CTRIO_END_OF_CHANNEL), the last receiver breaks it (waiting senders:
 * CTRIO_BROKEN_RESOURCE) and drops what is buffered.  Idempotent. */
void ctrio__channel_end_close(struct ctrio__channel_end *end);
/* On 0 the item is the channel's, else still the caller's.  CTRIO_CLOSED_RESOURCE,
 * CTRIO_BROKEN_RESOURCE, CTRIO_WOULD_BLOCK, -ENOMEM (the buffer could not grow; nothing was sent).
 */
int ctrio__channel_send_nowait(struct ctrio__channel_end *end, const void *item);
/* The oldest item into `item`.  CTRIO_CLOSED_RESOURCE, CTRIO_END_OF_CHANNEL, CTRIO_WOULD_BLOCK. */
int ctrio__channel_receive_nowait(struct ctrio__channel_end *end, void *item);
/* Where the n-th that waits in the buffer lies. */
static inline void *ctrio__channel_peek(const struct ctrio__channel *channel, size_t n)
{
    CTRIO_ASSERT(n < channel->count);
    size_t at = channel->first + n;
    at -= at < channel->capacity ? 0 : channel->capacity;
    return channel->buffer + at * channel->item_size;
}

/* object: the end. */
struct ctrio__channel_op {
    struct ctrio__primitive base;
    struct ctrio_task *task;
    struct ctrio_list link, end_link; /* on channel->senders/receivers and on end->waiting */
    void *item;                       /* what to send; where to put what is received */
    void *slot; /* the front end's: a place for an item that is a pointer, for `item` to name */
    bool holds; /* there is an item in *item: not sent yet; or received, and not done yet */
    bool owned; /* send: one that is not sent is dropped with the op */
};
extern const struct ctrio__op_kind ctrio__channel_send_kind, ctrio__channel_receive_kind;
/* `item` is borrowed until the op is done, or abandoned: what is not sent is still the caller's,
 * unless op->owned is set afterwards. */
void ctrio__channel_send_op_init(struct ctrio__channel_op *op, struct ctrio__channel_end *end,
                                 void *item);
void ctrio__channel_receive_op_init(struct ctrio__channel_op *op, struct ctrio__channel_end *end,
                                    void *item);
#endif
