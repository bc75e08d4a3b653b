/* faults.c - the table of what may go wrong, and the os that does it.
 *
 * Invariant: a call that fails has not been made, but for close, after which the handle is gone. */
#include "faults.h"
#include <ctrio/types.h>

#define BROKEN CTRIO_BROKEN_RESOURCE

const char *const fault_names[FAULT_CALLS] = {
    "open", "bind",    "listen",   "connect", "accept",       "recv",
    "send", "sendmsg", "shutdown", "close",   "getsockopt",   "setsockopt",
    "name", "wait",    "io->open", "random",  "watch_signal", "resolve"};

const struct fault faults[] = {
    {FAULT_OPEN, -EMFILE, -EMFILE},
    {FAULT_OPEN, -ENFILE, -ENFILE},
    {FAULT_OPEN, -ENOBUFS, -ENOBUFS},
    {FAULT_OPEN, -ENOMEM, -ENOMEM},
    {FAULT_OPEN, -EACCES, -EACCES},
    {FAULT_OPEN, -EAFNOSUPPORT, -EAFNOSUPPORT},
    {FAULT_BIND, -EADDRINUSE, -EADDRINUSE},
    {FAULT_BIND, -EACCES, -EACCES},
    {FAULT_BIND, -EADDRNOTAVAIL, -EADDRNOTAVAIL},
    {FAULT_BIND, -EINVAL, -EINVAL},
    {FAULT_LISTEN, -EADDRINUSE, -EADDRINUSE},
    {FAULT_LISTEN, -EOPNOTSUPP, -EOPNOTSUPP},
    {FAULT_CONNECT, -ECONNREFUSED, -ECONNREFUSED},
    {FAULT_CONNECT, -ETIMEDOUT, -ETIMEDOUT},
    {FAULT_CONNECT, -ENETUNREACH, -ENETUNREACH},
    {FAULT_CONNECT, -EHOSTUNREACH, -EHOSTUNREACH},
    {FAULT_CONNECT, -EADDRNOTAVAIL, -EADDRNOTAVAIL},
    {FAULT_CONNECT, -EACCES, -EACCES},
    {FAULT_CONNECT, -EPERM, -EPERM},
    {FAULT_CONNECT, -EAGAIN, -EAGAIN},
    {FAULT_ACCEPT, -EMFILE, 0}, /* waited out: the connection stays in the backlog */
    {FAULT_ACCEPT, -ENFILE, 0},
    {FAULT_ACCEPT, -ENOBUFS, 0},
    {FAULT_ACCEPT, -ENOMEM, 0},
    {FAULT_ACCEPT, -ECONNABORTED, 0}, /* the peer's, or the network's: the next one, please */
    {FAULT_ACCEPT, -EPERM, 0},
    {FAULT_ACCEPT, -EPROTO, 0},
    {FAULT_ACCEPT, -ENETDOWN, 0},
    {FAULT_ACCEPT, -EHOSTUNREACH, 0},
    {FAULT_ACCEPT, -EAGAIN, 0},
    {FAULT_ACCEPT, -EBADF, -EBADF}, /* ours: the server ends */
    {FAULT_ACCEPT, -EINVAL, -EINVAL},
    {FAULT_RECV, -ECONNRESET, BROKEN},
    {FAULT_RECV, -ETIMEDOUT, BROKEN}, /* the server's: contained, and the client sees the end */
    {FAULT_RECV, -EHOSTUNREACH, BROKEN},
    {FAULT_RECV, -ENOMEM, BROKEN},
    {FAULT_RECV, -ENOTCONN, BROKEN},
    {FAULT_RECV, -EAGAIN, 0},
    {FAULT_SEND, -EPIPE, BROKEN},
    {FAULT_SEND, -ECONNRESET, BROKEN},
    {FAULT_SEND, -ETIMEDOUT, -ETIMEDOUT},
    {FAULT_SEND, -EHOSTUNREACH, -EHOSTUNREACH},
    {FAULT_SEND, -ENOBUFS, -ENOBUFS},
    {FAULT_SEND, -ENOMEM, -ENOMEM},
    {FAULT_SEND, -EAGAIN, 0},
    {FAULT_SENDMSG, -EPIPE, BROKEN},
    {FAULT_SENDMSG, -ECONNRESET, BROKEN},
    {FAULT_SENDMSG, -ENOBUFS, -ENOBUFS},
    {FAULT_SENDMSG, -EMSGSIZE, -EMSGSIZE},
    {FAULT_SENDMSG, -EAGAIN, 0},
    {FAULT_SHUTDOWN, -ENOTCONN, BROKEN},
    {FAULT_SHUTDOWN, -ENOBUFS, -ENOBUFS},
    {FAULT_CLOSE, -EIO, 0}, /* the handle is gone all the same: nobody can do better */
    {FAULT_CLOSE, -EINTR, 0},
    {FAULT_GETSOCKOPT, -ENOBUFS, -ENOBUFS},
    {FAULT_SETSOCKOPT, -ENOPROTOOPT, 0}, /* wishes */
    {FAULT_SETSOCKOPT, -EINVAL, 0},
    {FAULT_NAME, -ENOBUFS, -ENOBUFS},
    {FAULT_NAME, -ENOTCONN, -ENOTCONN},
    {FAULT_WAIT, -ENOMEM, -ENOMEM},
    {FAULT_WAIT, -ENOSPC, -ENOSPC},
    {FAULT_IO_OPEN, -EMFILE, -EMFILE},
    {FAULT_IO_OPEN, -ENOMEM, -ENOMEM},
    {FAULT_RANDOM, -ENOSYS, -ENOSYS},
    {FAULT_SIGNAL, -EBUSY, 0}, /* another run's: Ctrl-C is theirs */
    {FAULT_SIGNAL, -EINVAL, 0},
};
const size_t fault_count = sizeof faults / sizeof faults[0];

static struct {
    struct ctrio__os inner;
    struct ctrio__net_ops net;
    struct ctrio__io_ops io;
    const struct fault *armed;
    size_t n, calls, turns;
    ptrdiff_t handles;
    bool met;
} machine;

/* -errno if this is the call that fails; else 0. */
static int fails(enum fault_call call)
{
    if (machine.armed == NULL || machine.armed->call != call || ++machine.calls != machine.n)
        return 0;
    machine.met = true;
    return machine.armed->code;
}

static intptr_t opened(intptr_t handle)
{
    machine.handles += handle >= 0;
    return handle;
}

static intptr_t net_open(struct ctrio__os *os, int family, int type, int protocol)
{
    int code = fails(FAULT_OPEN);
    return code < 0 ? code : opened(machine.inner.net->open(os, family, type, protocol));
}

static int net_close(struct ctrio__os *os, intptr_t handle)
{
    int result = machine.inner.net->close(os, handle), code = fails(FAULT_CLOSE);
    machine.handles -= result >= 0;
    return code < 0 ? code : result;
}

static int net_shutdown(struct ctrio__os *os, intptr_t handle, int how)
{
    int code = fails(FAULT_SHUTDOWN);
    return code < 0 ? code : machine.inner.net->shutdown(os, handle, how);
}

static int net_bind(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                    uint32_t size)
{
    int code = fails(FAULT_BIND);
    return code < 0 ? code : machine.inner.net->bind(os, handle, address, size);
}

static int net_listen(struct ctrio__os *os, intptr_t handle, int backlog)
{
    int code = fails(FAULT_LISTEN);
    return code < 0 ? code : machine.inner.net->listen(os, handle, backlog);
}

static int net_connect(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                       uint32_t size)
{
    int code = fails(FAULT_CONNECT);
    return code < 0 ? code : machine.inner.net->connect(os, handle, address, size);
}

static intptr_t net_accept(struct ctrio__os *os, intptr_t handle, struct sockaddr *address,
                           uint32_t *size)
{
    int code = fails(FAULT_ACCEPT);
    return code < 0 ? code : opened(machine.inner.net->accept(os, handle, address, size));
}

static ptrdiff_t net_recv(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size,
                          int flags)
{
    int code = fails(FAULT_RECV);
    return code < 0 ? code : machine.inner.net->recv(os, handle, buffer, size, flags);
}

static ptrdiff_t net_send(struct ctrio__os *os, intptr_t handle, const void *data, size_t size,
                          int flags)
{
    int code = fails(FAULT_SEND);
    return code < 0 ? code : machine.inner.net->send(os, handle, data, size, flags);
}

static ptrdiff_t net_sendmsg(struct ctrio__os *os, intptr_t handle, const struct msghdr *message,
                             int flags)
{
    int code = fails(FAULT_SENDMSG);
    return code < 0 ? code : machine.inner.net->sendmsg(os, handle, message, flags);
}

static int net_getsockopt(struct ctrio__os *os, intptr_t handle, int level, int name, void *value,
                          uint32_t *size)
{
    int code = fails(FAULT_GETSOCKOPT);
    return code < 0 ? code : machine.inner.net->getsockopt(os, handle, level, name, value, size);
}

static int net_setsockopt(struct ctrio__os *os, intptr_t handle, int level, int name,
                          const void *value, uint32_t size)
{
    int code = fails(FAULT_SETSOCKOPT);
    return code < 0 ? code : machine.inner.net->setsockopt(os, handle, level, name, value, size);
}

static int net_name(struct ctrio__os *os, intptr_t handle, bool peer, struct sockaddr *address,
                    uint32_t *size)
{
    int code = fails(FAULT_NAME);
    return code < 0 ? code : machine.inner.net->name(os, handle, peer, address, size);
}

static int io_open(struct ctrio__os *os, struct ctrio_run *run, struct ctrio__io **out)
{
    int code = fails(FAULT_IO_OPEN);
    return code < 0 ? code : machine.inner.io->open(os, run, out);
}

static int io_wait(struct ctrio__io *io, intptr_t handle, enum ctrio__io_interest interest,
                   struct ctrio_task *task)
{
    int code = fails(FAULT_WAIT);
    return code < 0 ? code : machine.inner.io->wait(io, handle, interest, task);
}

static int wait_socket(struct ctrio__io *io, struct ctrio__socket *socket,
                       enum ctrio__io_interest interest, struct ctrio_task *task)
{
    int code = fails(FAULT_WAIT);
    return code < 0 ? code : machine.inner.wait_socket(io, socket, interest, task);
}

static int get_events(struct ctrio__io *io, double timeout, struct ctrio__io_events *events)
{
    machine.turns++;
    return machine.inner.io->get_events(io, timeout, events);
}

static int random_bytes(struct ctrio__os *os, void *buffer, size_t size)
{
    int code = fails(FAULT_RANDOM);
    return code < 0 ? code : machine.inner.random(os, buffer, size);
}

static int watch_signal(struct ctrio__os *os, int number, void (*fn)(void *arg, int number),
                        void *arg)
{
    int code = fn != NULL ? fails(FAULT_SIGNAL) : 0;
    return code < 0 ? code : machine.inner.watch_signal(os, number, fn, arg);
}

static int resolve(struct ctrio__os *os, struct ctrio__names_op *op)
{
    int code = fails(FAULT_RESOLVE);
    return code < 0 ? code : machine.inner.resolve(os, op);
}

void fault_begin(struct ctrio__os *os)
{
    machine.inner = *os;
    machine.handles = 0;
    machine.net = *os->net;
    machine.net.open = net_open;
    machine.net.close = net_close;
    machine.net.shutdown = net_shutdown;
    machine.net.bind = net_bind;
    machine.net.listen = net_listen;
    machine.net.connect = net_connect;
    machine.net.accept = net_accept;
    machine.net.recv = net_recv;
    machine.net.send = net_send;
    machine.net.sendmsg = net_sendmsg;
    machine.net.getsockopt = net_getsockopt;
    machine.net.setsockopt = net_setsockopt;
    machine.net.name = net_name;
    machine.io = *os->io;
    machine.io.open = io_open;
    machine.io.wait = io_wait;
    machine.io.get_events = get_events;
    os->net = &machine.net;
    os->io = &machine.io;
    os->random = random_bytes;
    os->watch_signal = watch_signal;
    os->resolve = resolve;
    if (os->wait_socket != NULL)
        os->wait_socket = wait_socket;
}

void fault_arm(const struct fault *fault, size_t n)
{
    machine.armed = fault;
    machine.n = n;
    machine.calls = machine.turns = 0;
    machine.met = false;
}

bool fault_met(void)
{
    return machine.met;
}

ptrdiff_t fault_handles(void)
{
    return machine.handles;
}

size_t fault_turns(void)
{
    return machine.turns;
}
