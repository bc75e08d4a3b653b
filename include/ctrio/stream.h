/* stream.h - byte streams, and a buffered reader on top.
 *
 * A stream belongs to whoever opened it; children in a nursery inside may use it, one task in
 * receive and one in send at a time (CTRIO_BUSY_RESOURCE otherwise).  A closed stream's pointer is
 * dead; a task caught inside a call by the close gets CTRIO_CLOSED_RESOURCE. */
#ifndef CTRIO_STREAM_H
#define CTRIO_STREAM_H
#include <ctrio/types.h>
#ifdef __cplusplus
extern "C" {
#endif
/* Returns 1..size bytes as soon as there are any, 0 at end of stream.  Cancelled: nothing taken. */
CTRIO_ASYNC int ctrio_receive_some(struct ctrio_stream *stream, void *buffer, size_t size);
/* Sends every byte, else fails.  Cancelled before the first byte: as if never called.  After a
 * part: sending is over (CTRIO_BROKEN_RESOURCE from then on), statistics say how much went. */
CTRIO_ASYNC int ctrio_send_all(struct ctrio_stream *stream, const void *data, size_t size);
/* The same for several pieces, of which a system call takes sixteen. */
CTRIO_ASYNC int ctrio_send_slices(struct ctrio_stream *stream, const struct ctrio_slice *slices,
                                  size_t count);
/* printf into the stream: for protocol lines, at most 4096 bytes (-EMSGSIZE, nothing sent). */
CTRIO_ASYNC int ctrio_send_format(struct ctrio_stream *stream, const char *format, ...)
    CTRIO_PRINTF(2, 3);
/* Returns when a send might not wait: to choose the data as late as possible. */
CTRIO_ASYNC int ctrio_wait_send_all_might_not_block(struct ctrio_stream *stream);
/* No more will be sent; receiving goes on. */
CTRIO_ASYNC int ctrio_send_eof(struct ctrio_stream *stream);
/* Steals the stream and closes it, also when cancelled (then without the goodbye); accepts NULL.
 * A checkpoint, but the one whose result you may ignore. */
CTRIO_API int ctrio_stream_close(struct ctrio_stream *stream);
/* Steals, closes without a goodbye and never suspends; accepts NULL. */
CTRIO_API void ctrio_stream_abort(struct ctrio_stream *stream);

enum ctrio_stream_end { CTRIO_LOCAL, CTRIO_PEER };
/* Where this end is, or the other one. */
CTRIO_CHECKED int ctrio_stream_address(struct ctrio_stream *stream, enum ctrio_stream_end end,
                                       struct ctrio_address *address);
struct ctrio_stream_statistics {
    uint64_t bytes_received, bytes_sent; /* accepted by the layer below, so far */
    uint32_t receivers, senders;         /* tasks inside a call now */
    uint64_t reserved[4];
};
/* A snapshot; cheap enough to take around a send. */
CTRIO_API void ctrio_stream_get_statistics(const struct ctrio_stream *stream,
                                           struct ctrio_stream_statistics *statistics);
/* The socket behind it, borrowed. */
CTRIO_API intptr_t ctrio_stream_handle(const struct ctrio_stream *stream);

/* --- buffered reader -------------------------------------------------------------------------- */
/* Reads records from a stream into your buffer, whose size is the limit: a longer record is
 * -EMSGSIZE.  Results point into the buffer until the next call.  Cancelled: nothing consumed, call
 * again.  At a clean end CTRIO_END_OF_CHANNEL; inside a record CTRIO_BROKEN_RESOURCE. */
struct ctrio_reader {
    struct ctrio_stream *stream; /* public, borrowed */
    char *buffer;
    size_t capacity, start, end; /* what is buffered: buffer[start .. end) */
    void *reserved[2];
};
/* One reader a stream, for the stream's life: it may hold bytes of it.  Nothing to free. */
CTRIO_API void ctrio_reader_init(struct ctrio_reader *reader, struct ctrio_stream *stream,
                                 void *buffer, size_t capacity);
/* One line without its \n or \r\n, NUL-terminated; returns its length. */
CTRIO_ASYNC int ctrio_read_line(struct ctrio_reader *reader, char **line);
/* Up to and without the delimiter; returns the length. */
CTRIO_ASYNC int ctrio_read_until(struct ctrio_reader *reader, const char *delimiter, char **data);
/* Exactly `size` bytes; returns size. */
CTRIO_ASYNC int ctrio_read_exactly(struct ctrio_reader *reader, size_t size, char **data);
/* A frame behind a big-endian length of 1, 2 or 4 bytes; returns its length. */
CTRIO_ASYNC int ctrio_read_frame(struct ctrio_reader *reader, size_t prefix_size, char **data);
/* What is buffered, else what the stream has: for bodies of any length.  0 at end of stream. */
CTRIO_ASYNC int ctrio_read_some(struct ctrio_reader *reader, void *buffer, size_t size);
#ifdef __cplusplus
}
#endif
#endif
