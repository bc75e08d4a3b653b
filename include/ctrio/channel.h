/* channel.h - memory channels.
 *
 * Items are `item_size` bytes moved by copy.  A sent item
 * belongs to the channel; a cancelled or failed send has sent nothing and the item is still yours;
 * a cancelled receive has taken nothing.  Ends are owned; close each exactly once. */
#ifndef CTRIO_CHANNEL_H
#define CTRIO_CHANNEL_H
#include <ctrio/types.h>
#ifdef __cplusplus
extern "C" {
#endif
/* For items that own something: what to do with one that nobody will receive.  Must not suspend. */
struct ctrio_item_ops {
    void (*drop)(void *item);
};
/* At most `capacity` items wait; 0: hand to hand; SIZE_MAX: unbounded.  `ops` NULL: plain bytes;
 * else borrowed for the channel's life. */
CTRIO_CHECKED int ctrio_open_memory_channel(struct ctrio_send_channel **send,
                                            struct ctrio_receive_channel **receive,
                                            size_t item_size, size_t capacity,
                                            const struct ctrio_item_ops *ops);
/* CTRIO_BROKEN_RESOURCE: no receiver is left (memory channels).  A size other than the channel's is
 * CTRIO_MISUSE; the macro passes sizeof *(item), so a void * does not compile. */
CTRIO_ASYNC int ctrio_send_item(struct ctrio_send_channel *channel, const void *item, size_t size);
/* The same without waiting: CTRIO_WOULD_BLOCK. */
CTRIO_CHECKED int ctrio_send_item_nowait(struct ctrio_send_channel *channel, const void *item,
                                         size_t size);
/* CTRIO_END_OF_CHANNEL: all senders closed and nothing waits. */
CTRIO_ASYNC int ctrio_receive_item(struct ctrio_receive_channel *channel, void *item, size_t size);
/* The same without waiting: CTRIO_WOULD_BLOCK. */
CTRIO_CHECKED int ctrio_receive_item_nowait(struct ctrio_receive_channel *channel, void *item,
                                            size_t size);
#define ctrio_send(channel, ...) ctrio_send_item((channel), (__VA_ARGS__), sizeof *(__VA_ARGS__))
#define ctrio_send_nowait(channel, ...)                                                            \
    ctrio_send_item_nowait((channel), (__VA_ARGS__), sizeof *(__VA_ARGS__))
#define ctrio_receive(channel, item) ctrio_receive_item((channel), (item), sizeof *(item))
#define ctrio_receive_nowait(channel, item)                                                        \
    ctrio_receive_item_nowait((channel), (item), sizeof *(item))
/* One more end on the same channel; the channel ends when the last clone closes. */
CTRIO_CHECKED int ctrio_send_channel_clone(struct ctrio_send_channel *channel,
                                           struct ctrio_send_channel **clone);
/* One more receiving end; each item goes to one of them. */
CTRIO_CHECKED int ctrio_receive_channel_clone(struct ctrio_receive_channel *channel,
                                              struct ctrio_receive_channel **clone);
/* Steal the end, accept NULL, never suspend.  Tasks waiting on it get CTRIO_CLOSED_RESOURCE;
 * closing the last receiver drops what waits. */
CTRIO_API void ctrio_send_channel_close(struct ctrio_send_channel *channel);
/* The receiving end, likewise. */
CTRIO_API void ctrio_receive_channel_close(struct ctrio_receive_channel *channel);

struct ctrio_channel_statistics {
    size_t items_waiting, capacity, senders_open, receivers_open, tasks_sending, tasks_receiving;
    uint64_t reserved[4];
};
/* A snapshot of the channel as seen from this end. */
CTRIO_API void ctrio_get_channel_statistics(const struct ctrio_receive_channel *channel,
                                            struct ctrio_channel_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif
