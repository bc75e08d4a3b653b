/* net_native.c - the socket calls of POSIX, with Linux's flags for what must be atomic.
 *
 * Invariant: errno is read right after the call that failed, and becomes the result.  EINTR is
 * retried where nothing has happened yet; not in close (the descriptor is gone) and not in
 * connect (the attempt goes on by itself, which is -EINPROGRESS). */
#include "base/assert.h"
#include "io/net.h"
#include "os/native.h"
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* Evaluates the call again until no signal gets in its way. */
#define AGAIN_IF_INTERRUPTED(result, call)                                                         \
    do {                                                                                           \
        (result) = (call);                                                                         \
    } while ((result) < 0 && errno == EINTR)

/* A number that no descriptor has stays one: conversion must not make it another's. */
static int descriptor(intptr_t handle)
{
    return handle >= 0 && handle <= INT_MAX ? (int)handle : -1;
}

static int plain(int result)
{
    CTRIO_ASSERT(result >= -1);
    return result < 0 ? -errno : result;
}

static intptr_t net_open(struct ctrio__os *os, int family, int type, int protocol)
{
    (void)os;
    return plain(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

static int net_pair(struct ctrio__os *os, int family, int type, intptr_t out[2])
{
    (void)os;
    int fds[2];
    if (socketpair(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        return -errno;
    out[0] = fds[0];
    out[1] = fds[1];
    return 0;
}

static intptr_t net_adopt(struct ctrio__os *os, int fd)
{
    (void)os;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    if ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -errno;
    return fd;
}

static int net_close(struct ctrio__os *os, intptr_t handle)
{
    (void)os;
    int result = close(descriptor(handle));
    return result < 0 && errno != EINTR ? -errno : 0;
}

static void net_release(struct ctrio__os *os, intptr_t handle)
{
    (void)os;
    (void)handle;
}

static int net_shutdown(struct ctrio__os *os, intptr_t handle, int how)
{
    (void)os;
    return plain(shutdown(descriptor(handle), how));
}

static int net_bind(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                    uint32_t size)
{
    (void)os;
    return plain(bind(descriptor(handle), address, size));
}

static int net_listen(struct ctrio__os *os, intptr_t handle, int backlog)
{
    (void)os;
    return plain(listen(descriptor(handle), backlog));
}

static int net_connect(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                       uint32_t size)
{
    (void)os;
    int result = plain(connect(descriptor(handle), address, size));
    return result == -EINTR ? -EINPROGRESS : result;
}

static intptr_t net_accept(struct ctrio__os *os, intptr_t handle, struct sockaddr *address,
                           uint32_t *size)
{
    (void)os;
    int fd = descriptor(handle), result;
    AGAIN_IF_INTERRUPTED(result, accept4(fd, address, size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    return plain(result);
}

static ptrdiff_t net_recv(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size,
                          int flags)
{
    (void)os;
    int fd = descriptor(handle);
    ssize_t result;
    AGAIN_IF_INTERRUPTED(result, recv(fd, buffer, size, flags));
    return result < 0 ? -errno : result;
}

static ptrdiff_t net_send(struct ctrio__os *os, intptr_t handle, const void *data, size_t size,
                          int flags)
{
    (void)os;
    int fd = descriptor(handle);
    ssize_t result;
    AGAIN_IF_INTERRUPTED(result, send(fd, data, size, flags | MSG_NOSIGNAL));
    return result < 0 ? -errno : result;
}

static ptrdiff_t net_recvmsg(struct ctrio__os *os, intptr_t handle, struct msghdr *message,
                             int flags)
{
    (void)os;
    int fd = descriptor(handle);
    ssize_t result;
    AGAIN_IF_INTERRUPTED(result, recvmsg(fd, message, flags));
    return result < 0 ? -errno : result;
}

static ptrdiff_t net_sendmsg(struct ctrio__os *os, intptr_t handle, const struct msghdr *message,
                             int flags)
{
    (void)os;
    int fd = descriptor(handle);
    ssize_t result;
    AGAIN_IF_INTERRUPTED(result, sendmsg(fd, message, flags | MSG_NOSIGNAL));
    return result < 0 ? -errno : result;
}

static int net_getsockopt(struct ctrio__os *os, intptr_t handle, int level, int name, void *value,
                          uint32_t *size)
{
    (void)os;
    return plain(getsockopt(descriptor(handle), level, name, value, size));
}

static int net_setsockopt(struct ctrio__os *os, intptr_t handle, int level, int name,
                          const void *value, uint32_t size)
{
    (void)os;
    return plain(setsockopt(descriptor(handle), level, name, value, size));
}

static int net_name(struct ctrio__os *os, intptr_t handle, bool peer, struct sockaddr *address,
                    uint32_t *size)
{
    (void)os;
    int fd = descriptor(handle);
    return plain(peer ? getpeername(fd, address, size) : getsockname(fd, address, size));
}

static ptrdiff_t net_read(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size)
{
    (void)os;
    int fd = descriptor(handle);
    ssize_t result;
    AGAIN_IF_INTERRUPTED(result, read(fd, buffer, size));
    return result < 0 ? -errno : result;
}

static ptrdiff_t net_write(struct ctrio__os *os, intptr_t handle, const void *data, size_t size)
{
    (void)os;
    int fd = descriptor(handle);
    ptrdiff_t result;
    do {
        result = ctrio__native_write(fd, data, size);
    } while (result == -EINTR);
    return result;
}

const struct ctrio__net_ops ctrio__net_native = {
    .open = net_open,
    .pair = net_pair,
    .adopt = net_adopt,
    .close = net_close,
    .release = net_release,
    .shutdown = net_shutdown,
    .bind = net_bind,
    .listen = net_listen,
    .connect = net_connect,
    .accept = net_accept,
    .recv = net_recv,
    .send = net_send,
    .recvmsg = net_recvmsg,
    .sendmsg = net_sendmsg,
    .getsockopt = net_getsockopt,
    .setsockopt = net_setsockopt,
    .name = net_name,
    .read = net_read,
    .write = net_write,
};
