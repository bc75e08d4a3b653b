/* scripted_stream.c - the bytes of scripted connections: bounded rings, one a direction.
 *
 * Invariant: a receiver sees every byte that a send has counted, in order, before the end of the
 * stream; nothing after a reset. */
#include "io/scripted_net.h"
#include <string.h>

/* How many of the most that could move do. */
static size_t amount(struct ctrio__scripted *world, size_t most)
{
    CTRIO_ASSERT(most > 0);
    if (!world->options.short_counts)
        return most;
    return 1 + (size_t)(ctrio__rng_next(&world->rng) % most);
}

static int take_error(struct ctrio__sim_socket *socket)
{
    int error = socket->error;
    socket->error = 0;
    return error;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Copies out of the ring, from `offset` behind its start. */
static void peek(const struct ctrio__scripted *world, const struct ctrio__sim_socket *socket,
                 size_t offset, unsigned char *out, size_t size)
{
    size_t room = world->options.buffer_size;
    CTRIO_ASSERT(offset + size <= socket->count);
    size_t start = (socket->first + offset) % room;
    size_t straight = smaller(size, room - start);
    memcpy(out, socket->bytes + start, straight);
    memcpy(out + straight, socket->bytes, size - straight);
}

static void push(const struct ctrio__scripted *world, struct ctrio__sim_socket *socket,
                 const unsigned char *data, size_t size)
{
    size_t room = world->options.buffer_size;
    CTRIO_ASSERT(socket->count + size <= room);
    size_t start = (socket->first + socket->count) % room;
    size_t straight = smaller(size, room - start);
    memcpy(socket->bytes + start, data, straight);
    memcpy(socket->bytes, data + straight, size - straight);
    socket->count += size;
}

/* What recv answers when there are no bytes. */
static int without_bytes(struct ctrio__sim_socket *socket)
{
    if (socket->error != 0)
        return take_error(socket);
    if (socket->end || socket->read_shut)
        return 0;
    return socket->state == CTRIO__SIM_CONNECTED ? -EAGAIN : -ENOTCONN;
}

static ptrdiff_t receive(struct ctrio__scripted *world, struct ctrio__sim_socket *socket,
                         void *buffer, size_t size, int flags)
{
    if (socket == NULL)
        return -EBADF;
    if (socket->count == 0)
        return without_bytes(socket);
    if (size == 0)
        return 0;
    size_t moved = amount(world, smaller(size, socket->count));
    peek(world, socket, 0, buffer, moved);
    if ((flags & MSG_PEEK) == 0) {
        socket->first = (socket->first + moved) % world->options.buffer_size;
        socket->count -= moved;
    }
    return (ptrdiff_t)moved;
}

ptrdiff_t ctrio__sim_recv(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size,
                          int flags)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    ptrdiff_t result = receive(world, ctrio__sim_find(world, handle), buffer, size, flags);
    return ctrio__sim_traced(world, CTRIO__SIM_RECV, handle, result);
}

static ptrdiff_t transmit(struct ctrio__scripted *world, struct ctrio__sim_socket *socket,
                          const void *data, size_t size)
{
    if (socket == NULL)
        return -EBADF;
    if (socket->error != 0)
        return take_error(socket);
    if (socket->write_shut || socket->state == CTRIO__SIM_BROKEN)
        return -EPIPE;
    if (socket->state != CTRIO__SIM_CONNECTED)
        return socket->state == CTRIO__SIM_CONNECTING ? -EAGAIN : -ENOTCONN;
    struct ctrio__sim_socket *peer = socket->peer;
    if (peer == NULL) { /* closed over there: the first send is answered by a reset */
        socket->state = CTRIO__SIM_BROKEN;
        return -EPIPE;
    }
    if (size == 0)
        return 0;
    if (peer->count == world->options.buffer_size)
        return -EAGAIN;
    size_t moved = amount(world, smaller(size, world->options.buffer_size - peer->count));
    if (!peer->read_shut)
        push(world, peer, data, moved);
    return (ptrdiff_t)moved;
}

ptrdiff_t ctrio__sim_send(struct ctrio__os *os, intptr_t handle, const void *data, size_t size,
                          int flags)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    (void)flags;
    ptrdiff_t result = transmit(world, ctrio__sim_find(world, handle), data, size);
    return ctrio__sim_traced(world, CTRIO__SIM_SEND, handle, result);
}

static size_t bytes_in(const struct msghdr *message)
{
    size_t total = 0;
    for (size_t i = 0; i < (size_t)message->msg_iovlen; i++)
        total += message->msg_iov[i].iov_len;
    return total;
}

/* One piece at a time; a piece that moves in part is the last.  Streams have no ancillary data
 * and no addresses here.  A message without bytes asks what one of no bytes would be told. */
ptrdiff_t ctrio__sim_recvmsg(struct ctrio__os *os, intptr_t handle, struct msghdr *message,
                             int flags)
{
    ptrdiff_t total = 0;
    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = flags & MSG_CMSG_CLOEXEC;
    if (bytes_in(message) == 0)
        return ctrio__sim_recv(os, handle, NULL, 0, flags);
    for (size_t i = 0; i < (size_t)message->msg_iovlen; i++) {
        size_t size = message->msg_iov[i].iov_len;
        if (size == 0)
            continue;
        ptrdiff_t result = ctrio__sim_recv(os, handle, message->msg_iov[i].iov_base, size, flags);
        if (result < 0)
            return total != 0 ? total : result;
        total += result;
        if ((size_t)result < size || (flags & MSG_PEEK) != 0)
            break;
    }
    return total;
}

/* Ancillary data is refused rather than lost.  An address is too much for a pair; TCP does not
 * look at it. */
ptrdiff_t ctrio__sim_sendmsg(struct ctrio__os *os, intptr_t handle, const struct msghdr *message,
                             int flags)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    const struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    ptrdiff_t total = 0;
    if (message->msg_controllen != 0)
        return ctrio__sim_traced(world, CTRIO__SIM_SEND, handle, -EINVAL);
    if (message->msg_namelen != 0 && socket != NULL && socket->family == AF_UNIX)
        return ctrio__sim_traced(world, CTRIO__SIM_SEND, handle,
                                 socket->state == CTRIO__SIM_CONNECTED ? -EISCONN : -EOPNOTSUPP);
    if (bytes_in(message) == 0)
        return ctrio__sim_send(os, handle, NULL, 0, flags);
    for (size_t i = 0; i < (size_t)message->msg_iovlen; i++) {
        size_t size = message->msg_iov[i].iov_len;
        if (size == 0)
            continue;
        ptrdiff_t result = ctrio__sim_send(os, handle, message->msg_iov[i].iov_base, size, flags);
        if (result < 0)
            return total != 0 ? total : result;
        total += result;
        if ((size_t)result < size)
            break;
    }
    return total;
}

ptrdiff_t ctrio__sim_read(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size)
{
    return ctrio__sim_recv(os, handle, buffer, size, 0);
}

ptrdiff_t ctrio__sim_write(struct ctrio__os *os, intptr_t handle, const void *data, size_t size)
{
    return ctrio__sim_send(os, handle, data, size, 0);
}

int ctrio__sim_getsockopt(struct ctrio__os *os, intptr_t handle, int level, int name, void *value,
                          uint32_t *size)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    if (socket == NULL)
        return -EBADF;
    if (level != SOL_SOCKET || *size < sizeof(int))
        return -ENOPROTOOPT;
    int answer;
    switch (name) {
    case SO_ERROR:
        answer = -take_error(socket);
        break;
    case SO_TYPE:
        answer = SOCK_STREAM;
        break;
    case SO_DOMAIN:
        answer = socket->family;
        break;
    case SO_ACCEPTCONN:
        answer = socket->state == CTRIO__SIM_LISTENING;
        break;
    default:
        return -ENOPROTOOPT;
    }
    memcpy(value, &answer, sizeof answer);
    *size = sizeof answer;
    return 0;
}

/* Options change nothing that can be seen from inside. */
int ctrio__sim_setsockopt(struct ctrio__os *os, intptr_t handle, int level, int name,
                          const void *value, uint32_t size)
{
    (void)level;
    (void)name;
    (void)value;
    (void)size;
    return ctrio__sim_find(ctrio__scripted_of(os), handle) != NULL ? 0 : -EBADF;
}
