/* stream.c - receiving and sending on a socket of ours.
 *
 * Invariant: a stream's memory outlives every call on it: who closes it while another task is
 * inside wakes that one with CTRIO_CLOSED_RESOURCE, and it frees what is left. */
#include "api/stream.h"
#include "api/address.h"
#include "api/handover.h"
#include "base/alloc.h"
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct ctrio_stream *ctrio__stream_new(intptr_t handle)
{
    struct ctrio_stream *stream = ctrio__alloc(sizeof *stream);
    if (stream == NULL)
        return NULL;
    *stream = (struct ctrio_stream){.magic = CTRIO__STREAM_MAGIC};
    stream->run = &ctrio__c_current->run;
    ctrio__socket_init(&stream->socket, handle);
    return stream;
}

int ctrio__stream_result(int result)
{
    if (result == -EPIPE || result == -ECONNRESET || result == -ECONNABORTED)
        return CTRIO_BROKEN_RESOURCE;
    return result;
}

#ifdef NDEBUG
static int refuse_foreign(const struct ctrio_stream *stream, const struct ctrio__c_task *self)
{
    (void)stream;
    (void)self;
    return 0;
}
#else
static int refuse_foreign(const struct ctrio_stream *stream, const struct ctrio__c_task *self)
{
    if (stream->magic != CTRIO__STREAM_MAGIC)
        ctrio__die("task %s uses a stream that has been closed", ctrio__task_name(&self->task));
    if (stream->run != self->task.run)
        return ctrio__fail(CTRIO_MISUSE, "the stream is another run's");
    return 0;
}
#endif

/* CTRIO_MISUSE and others that need no system call; 0: go on. */
static int refuse(const struct ctrio_stream *stream, const struct ctrio__c_task *self)
{
    int result = self == NULL ? ctrio__refuse_outside() : refuse_foreign(stream, self);
    if (result < 0)
        return result;
    return stream->closed ? CTRIO_CLOSED_RESOURCE : 0;
}

/* What is used after the free should be seen to be free: the memory is not given to others at once
 * in debug builds, but lies in the run till others come. */
static void stream_free(struct ctrio_stream *stream)
{
    stream->magic = 0;
#ifndef NDEBUG
    struct ctrio__c_run *run = ctrio__c_current;
    size_t i = run->freed_count++ % CTRIO__FREED_STREAMS;
    struct ctrio_stream *oldest = run->freed[i];
    run->freed[i] = stream;
    stream = oldest;
#endif
    ctrio__free(stream);
}

static void leave(struct ctrio_stream *stream)
{
    if (--stream->calls == 0 && stream->closed)
        stream_free(stream);
}

static void note_progress(struct ctrio_stream *stream, const struct ctrio__c_task *self)
{
    double last = self->task.run->last_now;
    if (last < INFINITY) /* somebody has a deadline: the clock is read at each look */
        stream->progress = last;
}

/* --- receiving ------------------------------------------------------------------------------- */

/* Who has read all that there was finds nothing a moment later, mostly, and by the time that the
 * others have had their turn the answer has come: a system call and a wait are saved. */
static bool nothing_there_yet(const struct ctrio_stream *stream, const struct ctrio__c_task *self)
{
    const struct ctrio_run *run = self->task.run;
    return stream->drained && run->bounded && run->chooser == NULL &&
           run->ready_count + run->batch_count != 0;
}

static int receive(struct ctrio_stream *stream, struct ctrio__c_task *self, void *buffer,
                   size_t size)
{
    struct ctrio__transfer_op op;
    if (nothing_there_yet(stream, self))
        ctrio__c_yield(self);
    if (stream->closed) /* meanwhile */
        return CTRIO_CLOSED_RESOURCE;
    ctrio__receive_some_init(&op, &stream->socket, buffer, size, 0);
    int result = ctrio__await(self, &op.head.base.op);
    stream->drained = result > 0 && (size_t)result < size;
    if (result > 0) {
        stream->bytes_received += (uint64_t)result;
        note_progress(stream, self);
    }
    return result;
}

int ctrio_receive_some(struct ctrio_stream *stream, void *buffer, size_t size)
{
    struct ctrio__c_task *self = ctrio__self();
    int result = refuse(stream, self);
    if (result < 0)
        return result;
    if (size == 0)
        return ctrio__fail(-EINVAL, "a receive into no room would look like the end of the stream");
    if (stream->receivers != 0)
        return CTRIO_BUSY_RESOURCE;
    stream->receivers = 1;
    stream->calls++;
    result = receive(stream, self, buffer, size);
    stream->receivers = 0;
    leave(stream);
    return ctrio__stream_result(result);
}

/* --- sending --------------------------------------------------------------------------------- */

static int begin_send(struct ctrio_stream *stream, const struct ctrio__c_task *self)
{
    int result = refuse(stream, self);
    if (result < 0)
        return result;
    if (stream->sending)
        return CTRIO_BUSY_RESOURCE;
    if (stream->send_broken)
        return ctrio__fail(CTRIO_BROKEN_RESOURCE,
                           "sending is over: the end was sent, or a send was "
                           "cut off in the middle");
    stream->sending = true;
    stream->calls++;
    return 0;
}

static int end_send(struct ctrio_stream *stream, const struct ctrio__c_task *self, size_t sent,
                    int result)
{
    stream->bytes_sent += sent;
    stream->sending = false;
    if (sent > 0)
        note_progress(stream, self);
    if (sent > 0 && result < 0) /* the peer has half of it, and the other half will not come */
        stream->send_broken = true;
    leave(stream);
    return ctrio__stream_result(result);
}

int ctrio_send_all(struct ctrio_stream *stream, const void *data, size_t size)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__send_all_op op;
    int result = begin_send(stream, self);
    if (result < 0)
        return result;
    ctrio__send_all_init(&op, &stream->socket, data, size, NULL);
    result = ctrio__await(self, &op.part.head.base.op);
    return end_send(stream, self, op.sent, result);
}

/* Skips what has gone; a piece that went in part is shortened. */
static void advance(struct msghdr *message, size_t sent)
{
    while (message->msg_iovlen > 0 && sent >= message->msg_iov->iov_len) {
        sent -= message->msg_iov->iov_len;
        message->msg_iov++;
        message->msg_iovlen--;
    }
    if (message->msg_iovlen > 0) {
        message->msg_iov->iov_base = (char *)message->msg_iov->iov_base + sent;
        message->msg_iov->iov_len -= sent;
    }
}

static int send_message(struct ctrio_stream *stream, struct ctrio__c_task *self,
                        struct msghdr *message, size_t *sent)
{
    int result = 0;
    advance(message, 0); /* those without a byte have gone */
    while (result >= 0 && message->msg_iovlen > 0) {
        struct ctrio__message_op op;
        ctrio__send_message_init(&op, &stream->socket, message, 0);
        result = ctrio__await(self, &op.head.base.op);
        if (result > 0) {
            *sent += (size_t)result;
            advance(message, (size_t)result);
        }
    }
    return result < 0 ? result : 0;
}

static bool is_nothing(const struct ctrio_slice *slices, size_t count)
{
    size_t i = 0;
    while (i < count && slices[i].size == 0)
        i++;
    return i == count;
}

int ctrio_send_slices(struct ctrio_stream *stream, const struct ctrio_slice *slices, size_t count)
{
    enum { AT_ONCE = 16 };
    struct ctrio__c_task *self = ctrio__self();
    size_t sent = 0;
    int result = begin_send(stream, self);
    if (result < 0)
        return result;
    if (is_nothing(slices, count))
        result = ctrio_checkpoint();
    for (size_t done = 0; done < count && result == 0; done += AT_ONCE) {
        struct iovec pieces[AT_ONCE];
        size_t left = count - done;
        unsigned short now = left < AT_ONCE ? (unsigned short)left : AT_ONCE; /* musl: an int */
        for (size_t i = 0; i < now; i++)
            pieces[i] =
                (struct iovec){(void *)(uintptr_t)slices[done + i].data, slices[done + i].size};
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = now};
        result = send_message(stream, self, &message, &sent);
    }
    return end_send(stream, self, sent, result);
}

int ctrio_send_format(struct ctrio_stream *stream, const char *format, ...)
{
    char text[4096 + 1];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0 || length > 4096)
        return ctrio__fail(-EMSGSIZE, "ctrio_send_format() is for at most 4096 bytes");
    return ctrio_send_all(stream, text, (size_t)length);
}

int ctrio_wait_send_all_might_not_block(struct ctrio_stream *stream)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__wait_handle_op op;
    int result = begin_send(stream, self);
    if (result < 0)
        return result;
    ctrio__wait_handle_init(&op, stream->socket.handle, CTRIO__WRITABLE);
    result = ctrio__await(self, &op.op);
    return end_send(stream, self, 0, result);
}

int ctrio_send_eof(struct ctrio_stream *stream)
{
    struct ctrio__c_task *self = ctrio__self();
    int result = refuse(stream, self);
    if (result < 0)
        return result;
    if (stream->sending)
        return CTRIO_BUSY_RESOURCE;
    struct ctrio__os *os = self->task.run->os;
    stream->sending = true;
    stream->calls++;
    result = ctrio_checkpoint();
    if (result >= 0 && stream->closed)
        result = CTRIO_CLOSED_RESOURCE;
    if (result >= 0) {
        stream->send_broken = true;
        result = os->net->shutdown(os, stream->socket.handle, SHUT_WR);
    }
    if (result == -ENOTCONN) /* the peer has reset it meanwhile */
        result = CTRIO_BROKEN_RESOURCE;
    return end_send(stream, self, 0, result);
}

/* --- the end --------------------------------------------------------------------------------- */

void ctrio_stream_abort(struct ctrio_stream *stream)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (stream == NULL)
        return;
    if (run == NULL)
        ctrio__die_outside();
    if (stream->closed || stream->magic != CTRIO__STREAM_MAGIC)
        ctrio__die("a stream is closed twice, or was never open");
    CTRIO_ASSERT(stream->run == &run->run); /* by its run, while that lives */
    stream->closed = true;
    ctrio__socket_close(&stream->socket, &run->run, run->os);
    stream->calls++;
    leave(stream);
}

int ctrio_stream_close(struct ctrio_stream *stream)
{
    ctrio_stream_abort(stream);
    return ctrio_checkpoint();
}

/* --- about it -------------------------------------------------------------------------------- */

int ctrio_stream_address(struct ctrio_stream *stream, enum ctrio_stream_end end,
                         struct ctrio_address *address)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (run == NULL)
        return ctrio__refuse_outside();
    if (stream->closed)
        return CTRIO_CLOSED_RESOURCE;
    return ctrio__address_of_socket(address, run->os, stream->socket.handle, end == CTRIO_PEER);
}

void ctrio_stream_get_statistics(const struct ctrio_stream *stream,
                                 struct ctrio_stream_statistics *statistics)
{
    *statistics = (struct ctrio_stream_statistics){
        .bytes_received = stream->bytes_received,
        .bytes_sent = stream->bytes_sent,
        .receivers = stream->receivers,
        .senders = stream->sending,
    };
}

intptr_t ctrio_stream_handle(const struct ctrio_stream *stream)
{
    return stream->socket.handle;
}
