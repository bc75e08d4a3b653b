/* channel.h - memory channels: bounded, hand to hand, unbounded; cloned ends; statistics.
 *
 * Items are pointers that the channel owns from a successful send to the receive; `drop` frees
 * what nobody will receive.  A cancelled or failed send has sent nothing, a cancelled receive has
 * taken nothing. */
#ifndef CTRIO_KERNEL_CHANNEL_H
#define CTRIO_KERNEL_CHANNEL_H
#include "kernel/primitive.h"

struct ctrio__channel {
    void **buffer; /* a ring; owned */
    size_t capacity, first, count, peak;
    size_t max_buffer_size; /* SIZE_MAX: unbounded */
    size_t open_send, open_receive;
    struct ctrio_list senders, receivers; /* struct ctrio__channel_op, parked, oldest first */
    size_t senders_count, receivers_count;
    void (*drop)(void *item); /* [code] */
};
enum ctrio__channel_side { CTRIO__SEND_END, CTRIO__RECEIVE_END };
struct ctrio__channel_end {
    struct ctrio__channel *channel; /* borrowed: the front end counts */
    struct ctrio_list waiting;      /* struct ctrio__channel_op of this very end */
    enum ctrio__channel_side side;
    bool closed;
};
void ctrio__channel_init(struct ctrio__channel *channel, size_t max_buffer_size,
                         void (*drop)(void *item));
/* Both sides have no end open any more, or the front end's object dies: drops what is left. */
void ctrio__channel_clear(struct ctrio__channel *channel);
void ctrio__channel_end_init(struct ctrio__channel_end *end, struct ctrio__channel *channel,
                             enum ctrio__channel_side side);
/* Tasks waiting on this end wake with CTRIO_CLOSED_RESOURCE; the last sender ends the channel
 * (waiting receivers: CTRIO_END_OF_CHANNEL), the last receiver breaks it (waiting senders:
 * CTRIO_BROKEN_RESOURCE) and drops what is buffered.  Idempotent. */
void ctrio__channel_end_close(struct ctrio__channel_end *end);
/* Steals `item` on 0 only.  CTRIO_CLOSED_RESOURCE, CTRIO_BROKEN_RESOURCE, CTRIO_WOULD_BLOCK,
 * -ENOMEM (the buffer could not grow; nothing was sent). */
int ctrio__channel_send_nowait(struct ctrio__channel_end *end, void *item);
/* Gives the item away on 0.  CTRIO_CLOSED_RESOURCE, CTRIO_END_OF_CHANNEL, CTRIO_WOULD_BLOCK. */
int ctrio__channel_receive_nowait(struct ctrio__channel_end *end, void **item);

/* object: the end. */
struct ctrio__channel_op {
    struct ctrio__primitive base;
    struct ctrio_task *task;
    struct ctrio_list link, end_link; /* on channel->senders/receivers and on end->waiting */
    void *item; /* send: ours until it is taken.  receive: the result (io->value of 0) */
};
extern const struct ctrio__op_kind ctrio__channel_send_kind, ctrio__channel_receive_kind;
/* Steals `item`; an op that fails or is abandoned drops it. */
void ctrio__channel_send_op_init(struct ctrio__channel_op *op, struct ctrio__channel_end *end,
                                 void *item);
void ctrio__channel_receive_op_init(struct ctrio__channel_op *op, struct ctrio__channel_end *end);
#endif
