/* scripted_net.c - TCP on one host, without the host.
 *
 * What is sent is in the receiver's buffer at once; a connection takes until the next look at
 * readiness, so that connect is seen to wait.  Invariant: every answer is one that Linux could
 * give on loopback.  Left out: half of TCP's options, urgent data, datagrams: a simulator's. */
#include "io/scripted_net.h"
#include "base/alloc.h"
#include <netinet/in.h>
#include <string.h>

struct ctrio__sim_socket *ctrio__sim_find(struct ctrio__scripted *world, intptr_t handle)
{
    ctrio__list_each (link, &world->sockets) {
        struct ctrio__sim_socket *socket = ctrio__container(link, struct ctrio__sim_socket, link);
        if (socket->handle == handle)
            return socket;
    }
    return NULL;
}

static uint64_t serial_of(struct ctrio__scripted *world, intptr_t handle)
{
    const struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    return socket != NULL ? socket->serial : 0;
}

/* Handles are a front end's affair, and so is where its clock begins, which rounds differently:
 * `calls` has neither. */
ptrdiff_t ctrio__sim_traced(struct ctrio__scripted *world, enum ctrio__sim_call call,
                            intptr_t handle, ptrdiff_t result)
{
    bool new_handle = (call == CTRIO__SIM_OPEN || call == CTRIO__SIM_ACCEPT) && result >= 0;
    uint64_t came_to = new_handle ? serial_of(world, result) : (uint64_t)result;
    uint64_t microseconds = (world->now + 500) / 1000;
    ctrio__trace_add(&world->calls, (uint64_t)call << 48 ^ serial_of(world, handle));
    ctrio__trace_add(&world->calls, came_to ^ microseconds << 20);
    ctrio__trace_add(world->options.trace, (uint64_t)call << 48 ^ (uint64_t)handle);
    ctrio__trace_add(world->options.trace, (uint64_t)result ^ world->now << 20);
    return result;
}

static struct ctrio__sim_socket *make(struct ctrio__scripted *world, int family)
{
    struct ctrio__sim_socket *socket = ctrio__alloc(sizeof *socket);
    if (socket == NULL)
        return NULL;
    socket->bytes = ctrio__alloc(world->options.buffer_size);
    if (socket->bytes == NULL) {
        ctrio__free(socket);
        return NULL;
    }
    socket->handle = -1;
    socket->family = family;
    ctrio__list_init(&socket->link);
    ctrio__list_init(&socket->backlog);
    return socket;
}

/* The other end learns that nothing more comes from here; abruptly if we leave data unread. */
static void leave_peer(struct ctrio__sim_socket *socket)
{
    struct ctrio__sim_socket *peer = socket->peer;
    if (peer == NULL)
        return;
    CTRIO_ASSERT(peer->peer == socket);
    socket->peer = NULL;
    peer->peer = NULL;
    peer->end = true;
    if (socket->count != 0) {
        peer->count = 0;
        peer->error = -ECONNRESET;
        peer->state = CTRIO__SIM_BROKEN;
    }
}

void ctrio__sim_free(struct ctrio__sim_socket *socket)
{
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&socket->backlog)) != NULL) {
        struct ctrio__sim_socket *waiting = ctrio__container(link, struct ctrio__sim_socket, link);
        waiting->count = 1; /* never accepted: a reset */
        leave_peer(waiting);
        ctrio__free(waiting->bytes);
        ctrio__free(waiting);
    }
    leave_peer(socket);
    ctrio__list_unlink(&socket->link);
    ctrio__free(socket->bytes);
    ctrio__free(socket);
}

static intptr_t new_handle(struct ctrio__scripted *world)
{
    if (world->options.new_handle != NULL)
        return world->options.new_handle(world->options.data);
    return ++world->last_handle;
}

static void admit(struct ctrio__scripted *world, struct ctrio__sim_socket *socket, intptr_t handle)
{
    CTRIO_ASSERT(socket != NULL);
    CTRIO_ASSERT(ctrio__sim_find(world, handle) == NULL);
    socket->handle = handle;
    socket->serial = ++world->socket_serial;
    ctrio__list_append(&world->sockets, &socket->link);
}

/* Gives the socket a number and makes it one of the world's; frees it on failure. */
static intptr_t enrol(struct ctrio__scripted *world, struct ctrio__sim_socket *socket)
{
    if (socket == NULL)
        return -ENOMEM;
    intptr_t handle = new_handle(world);
    if (handle < 0) {
        ctrio__sim_free(socket);
        return handle;
    }
    admit(world, socket, handle);
    return handle;
}

static void join(struct ctrio__sim_socket *a, struct ctrio__sim_socket *b)
{
    CTRIO_ASSERT(a->peer == NULL && b->peer == NULL);
    a->peer = b;
    b->peer = a;
    a->state = CTRIO__SIM_CONNECTED;
    b->state = CTRIO__SIM_CONNECTED;
    a->peer_port = b->port;
    b->peer_port = a->port;
}

static struct ctrio__sim_socket *listener_at(struct ctrio__scripted *world, uint16_t port)
{
    ctrio__list_each (link, &world->sockets) {
        struct ctrio__sim_socket *socket = ctrio__container(link, struct ctrio__sim_socket, link);
        if (socket->state == CTRIO__SIM_LISTENING && socket->port == port)
            return socket;
    }
    return NULL;
}

/* One connection attempt: arrives, is refused, or waits for room in the backlog. */
static void arrive(struct ctrio__scripted *world, struct ctrio__sim_socket *socket)
{
    struct ctrio__sim_socket *listener = listener_at(world, socket->peer_port);
    CTRIO_ASSERT(socket->state == CTRIO__SIM_CONNECTING);
    if (listener == NULL) {
        socket->state = CTRIO__SIM_NEW;
        socket->error = -ECONNREFUSED;
        return;
    }
    if (listener->backlog_count >= listener->backlog_limit)
        return;
    struct ctrio__sim_socket *accepted = make(world, listener->family);
    if (accepted == NULL) {
        socket->state = CTRIO__SIM_NEW;
        socket->error = -ENOMEM;
        return;
    }
    accepted->port = listener->port;
    join(socket, accepted);
    ctrio__list_append(&listener->backlog, &accepted->link);
    listener->backlog_count++;
}

void ctrio__sim_arrive(struct ctrio__scripted *world)
{
    ctrio__list_each (link, &world->sockets) {
        struct ctrio__sim_socket *socket = ctrio__container(link, struct ctrio__sim_socket, link);
        if (socket->state == CTRIO__SIM_CONNECTING)
            arrive(world, socket);
    }
}

static bool readable(const struct ctrio__sim_socket *socket)
{
    if (socket->state == CTRIO__SIM_LISTENING)
        return socket->backlog_count != 0;
    return socket->count != 0 || socket->end || socket->read_shut;
}

static bool writable(const struct ctrio__scripted *world, const struct ctrio__sim_socket *socket)
{
    if (socket->state == CTRIO__SIM_CONNECTED && !socket->write_shut)
        return socket->peer == NULL || socket->peer->count < world->options.buffer_size;
    return socket->state != CTRIO__SIM_CONNECTING && socket->state != CTRIO__SIM_LISTENING;
}

int ctrio__sim_ready(struct ctrio__scripted *world, intptr_t handle)
{
    const struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    if (socket == NULL || socket->error != 0)
        return CTRIO__READABLE | CTRIO__WRITABLE;
    return (readable(socket) ? CTRIO__READABLE : 0) |
           (writable(world, socket) ? CTRIO__WRITABLE : 0);
}

bool ctrio__scripted_reset(struct ctrio__scripted *world, intptr_t handle)
{
    struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    if (socket == NULL || socket->peer == NULL)
        return false;
    socket->count = 1; /* as if we left data unread */
    leave_peer(socket);
    socket->count = 0;
    socket->end = true;
    socket->state = CTRIO__SIM_BROKEN;
    socket->error = -ECONNRESET;
    return true;
}

/* --- the table: opening and closing ------------------------------------------------ */

static intptr_t sim_open(struct ctrio__os *os, int family, int type, int protocol)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    (void)protocol;
    if (family != AF_INET && family != AF_INET6)
        return ctrio__sim_traced(world, CTRIO__SIM_OPEN, family, -EAFNOSUPPORT);
    if (type != SOCK_STREAM)
        return ctrio__sim_traced(world, CTRIO__SIM_OPEN, type, -ESOCKTNOSUPPORT);
    return ctrio__sim_traced(world, CTRIO__SIM_OPEN, 0, enrol(world, make(world, family)));
}

static int sim_pair(struct ctrio__os *os, int family, int type, intptr_t out[2])
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    if (family != AF_UNIX || type != SOCK_STREAM)
        return (int)ctrio__sim_traced(world, CTRIO__SIM_PAIR, family, -EOPNOTSUPP);
    intptr_t first = enrol(world, make(world, family));
    if (first < 0)
        return (int)ctrio__sim_traced(world, CTRIO__SIM_PAIR, 0, first);
    struct ctrio__sim_socket *a = ctrio__sim_find(world, first);
    CTRIO_ASSERT(a != NULL);
    intptr_t second = enrol(world, make(world, family));
    if (second < 0) {
        ctrio__sim_free(a);
        return (int)ctrio__sim_traced(world, CTRIO__SIM_PAIR, 0, second);
    }
    struct ctrio__sim_socket *b = ctrio__sim_find(world, second);
    CTRIO_ASSERT(b != NULL);
    join(a, b);
    out[0] = first;
    out[1] = second;
    return (int)ctrio__sim_traced(world, CTRIO__SIM_PAIR, first, 0);
}

/* The descriptor stands for a new socket. */
static intptr_t sim_adopt(struct ctrio__os *os, int fd)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    if (fd < 0)
        return -EBADF;
    if (ctrio__sim_find(world, fd) != NULL)
        return fd;
    struct ctrio__sim_socket *socket = make(world, AF_INET);
    if (socket == NULL)
        return -ENOMEM;
    admit(world, socket, fd);
    return ctrio__sim_traced(world, CTRIO__SIM_OPEN, fd, fd);
}

static int sim_close(struct ctrio__os *os, intptr_t handle)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    int result = socket != NULL ? 0 : -EBADF;
    ctrio__sim_traced(world, CTRIO__SIM_CLOSE, handle, result);
    if (socket != NULL)
        ctrio__sim_free(socket);
    return result;
}

static void sim_release(struct ctrio__os *os, intptr_t handle)
{
    sim_close(os, handle);
}

static int shut(struct ctrio__sim_socket *socket, int how)
{
    if (socket == NULL)
        return -EBADF;
    if (socket->state != CTRIO__SIM_CONNECTED)
        return -ENOTCONN;
    socket->read_shut = socket->read_shut || how != SHUT_WR;
    socket->write_shut = socket->write_shut || how != SHUT_RD;
    if (how != SHUT_RD && socket->peer != NULL)
        socket->peer->end = true;
    return 0;
}

static int sim_shutdown(struct ctrio__os *os, intptr_t handle, int how)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    return (int)ctrio__sim_traced(world, CTRIO__SIM_SHUTDOWN, handle,
                                  shut(ctrio__sim_find(world, handle), how));
}

/* --- addresses: only the port tells them apart ------------------------------------- */

/* Where sockaddr_in and sockaddr_in6 have it, in network order. */
static unsigned char *port_bytes(struct sockaddr_storage *address)
{
    return (unsigned char *)address + offsetof(struct sockaddr_in, sin_port);
}

static int read_port(const struct sockaddr *address, uint32_t size)
{
    struct sockaddr_storage copy = {0};
    if (size < sizeof(struct sockaddr_in) || size > sizeof copy)
        return -EINVAL;
    memcpy(&copy, address, size);
    if (copy.ss_family != AF_INET && copy.ss_family != AF_INET6)
        return -EAFNOSUPPORT;
    return port_bytes(&copy)[0] << 8 | port_bytes(&copy)[1];
}

/* As the system does: cuts off what does not fit, and says how large it would have been. */
static void write_address(int family, uint16_t port, struct sockaddr *out, uint32_t *size)
{
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    uint32_t whole = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (out == NULL || size == NULL)
        return;
    port_bytes(&address)[0] = (unsigned char)(port >> 8);
    port_bytes(&address)[1] = (unsigned char)(port & 255);
    if (family == AF_INET) {
        const unsigned char loopback[4] = {127, 0, 0, 1};
        memcpy((unsigned char *)&address + offsetof(struct sockaddr_in, sin_addr), loopback, 4);
    } else {
        ((unsigned char *)&address)[offsetof(struct sockaddr_in6, sin6_addr) + 15] = 1;
    }
    memcpy(out, &address, *size < whole ? *size : whole);
    *size = whole;
}

static bool port_taken(struct ctrio__scripted *world, uint16_t port)
{
    ctrio__list_each (link, &world->sockets) {
        const struct ctrio__sim_socket *socket =
            ctrio__container(link, struct ctrio__sim_socket, link);
        if (socket->port == port && socket->state != CTRIO__SIM_CONNECTED)
            return true;
    }
    return false;
}

static int take_port(struct ctrio__scripted *world, struct ctrio__sim_socket *socket, int port)
{
    if (port < 0)
        return port;
    if (port != 0 && port_taken(world, (uint16_t)port))
        return -EADDRINUSE;
    for (int tries = 0; port == 0; tries++) {
        if (tries > 16384)
            return -EADDRINUSE;
        world->last_port = world->last_port == 65535 ? 49152 : (uint16_t)(world->last_port + 1);
        if (!port_taken(world, world->last_port))
            port = world->last_port;
    }
    socket->port = (uint16_t)port;
    return 0;
}

static int sim_bind(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                    uint32_t size)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    int result = socket == NULL ? -EBADF : socket->port != 0 ? -EINVAL : read_port(address, size);
    if (result >= 0)
        result = take_port(world, socket, result);
    return (int)ctrio__sim_traced(world, CTRIO__SIM_BIND, handle, result);
}

static int sim_listen(struct ctrio__os *os, intptr_t handle, int backlog)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    int result = socket == NULL ? -EBADF : 0;
    if (result == 0 && socket->state != CTRIO__SIM_NEW && socket->state != CTRIO__SIM_LISTENING)
        result = -EINVAL;
    if (result == 0 && socket->port == 0)
        result = take_port(world, socket, 0);
    if (result == 0) {
        socket->state = CTRIO__SIM_LISTENING;
        socket->backlog_limit = backlog > 0 ? (size_t)backlog + 1 : 1;
    }
    return (int)ctrio__sim_traced(world, CTRIO__SIM_LISTEN, handle, result);
}

static int start_connecting(struct ctrio__scripted *world, struct ctrio__sim_socket *socket,
                            int port)
{
    if (port < 0)
        return port;
    if (socket->state == CTRIO__SIM_CONNECTING)
        return -EALREADY;
    if (socket->state != CTRIO__SIM_NEW)
        return -EISCONN;
    int result = socket->port == 0 ? take_port(world, socket, 0) : 0;
    if (result < 0)
        return result;
    socket->error = 0;
    socket->peer_port = (uint16_t)port;
    socket->state = CTRIO__SIM_CONNECTING;
    return -EINPROGRESS;
}

static int sim_connect(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                       uint32_t size)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    int result = -EBADF;
    if (socket != NULL)
        result = start_connecting(world, socket, read_port(address, size));
    return (int)ctrio__sim_traced(world, CTRIO__SIM_CONNECT, handle, result);
}

static intptr_t sim_accept(struct ctrio__os *os, intptr_t handle, struct sockaddr *address,
                           uint32_t *size)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    struct ctrio__sim_socket *listener = ctrio__sim_find(world, handle);
    if (listener == NULL || listener->state != CTRIO__SIM_LISTENING)
        return ctrio__sim_traced(world, CTRIO__SIM_ACCEPT, handle,
                                 listener == NULL ? -EBADF : -EINVAL);
    if (listener->backlog_count == 0)
        return ctrio__sim_traced(world, CTRIO__SIM_ACCEPT, handle, -EAGAIN);
    intptr_t number = new_handle(world);
    if (number < 0) /* out of numbers: it goes on waiting */
        return ctrio__sim_traced(world, CTRIO__SIM_ACCEPT, handle, number);
    struct ctrio_list *link = ctrio__list_pop(&listener->backlog);
    CTRIO_ASSERT(link != NULL);
    listener->backlog_count--;
    struct ctrio__sim_socket *socket = ctrio__container(link, struct ctrio__sim_socket, link);
    write_address(socket->family, socket->peer_port, address, size);
    admit(world, socket, number);
    return ctrio__sim_traced(world, CTRIO__SIM_ACCEPT, handle, number);
}

static int sim_name(struct ctrio__os *os, intptr_t handle, bool peer, struct sockaddr *address,
                    uint32_t *size)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    const struct ctrio__sim_socket *socket = ctrio__sim_find(world, handle);
    if (socket == NULL)
        return -EBADF;
    if (peer && socket->state != CTRIO__SIM_CONNECTED)
        return -ENOTCONN;
    write_address(socket->family, peer ? socket->peer_port : socket->port, address, size);
    return 0;
}

const struct ctrio__net_ops ctrio__scripted_net = {
    .open = sim_open,
    .pair = sim_pair,
    .adopt = sim_adopt,
    .close = sim_close,
    .release = sim_release,
    .shutdown = sim_shutdown,
    .bind = sim_bind,
    .listen = sim_listen,
    .connect = sim_connect,
    .accept = sim_accept,
    .recv = ctrio__sim_recv,
    .send = ctrio__sim_send,
    .recvmsg = ctrio__sim_recvmsg,
    .sendmsg = ctrio__sim_sendmsg,
    .getsockopt = ctrio__sim_getsockopt,
    .setsockopt = ctrio__sim_setsockopt,
    .name = sim_name,
    .read = ctrio__sim_read,
    .write = ctrio__sim_write,
};
