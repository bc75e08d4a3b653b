/* scripted_net.h - the sockets of a scripted os, shared by its parts. */
#ifndef CTRIO_IO_SCRIPTED_NET_H
#define CTRIO_IO_SCRIPTED_NET_H
#include "io/scripted.h"

enum ctrio__sim_state {
    CTRIO__SIM_NEW,
    CTRIO__SIM_LISTENING,
    CTRIO__SIM_CONNECTING,
    CTRIO__SIM_CONNECTED,
    CTRIO__SIM_BROKEN
};

/* Invariants: peer != NULL => peer->peer == this and both CONNECTED; handle < 0 exactly while it
 * waits in a backlog. */
struct ctrio__sim_socket {
    struct ctrio_list link; /* on world->sockets, or on the listener's backlog */
    intptr_t handle;
    uint64_t serial; /* which one in this world to get a handle, from 1; 0: has none */
    int family;
    enum ctrio__sim_state state;
    uint16_t port, peer_port;  /* 0: none */
    struct ctrio_list backlog; /* struct ctrio__sim_socket, connected, not yet accepted */
    size_t backlog_count, backlog_limit;
    struct ctrio__sim_socket *peer; /* NULL: not connected, or it has closed */
    unsigned char *bytes;           /* what we have not received yet: a ring; owned */
    size_t first, count;
    bool end; /* nothing follows those bytes */
    bool read_shut, write_shut;
    int error; /* -errno, for the next call or SO_ERROR; 0: none */
};

static inline struct ctrio__scripted *ctrio__scripted_of(struct ctrio__os *os)
{
    return (struct ctrio__scripted *)(void *)os;
}

enum ctrio__sim_call {
    CTRIO__SIM_OPEN = 1,
    CTRIO__SIM_PAIR,
    CTRIO__SIM_CLOSE,
    CTRIO__SIM_SHUTDOWN,
    CTRIO__SIM_BIND,
    CTRIO__SIM_LISTEN,
    CTRIO__SIM_CONNECT,
    CTRIO__SIM_ACCEPT,
    CTRIO__SIM_RECV,
    CTRIO__SIM_SEND,
};
/* Every call ends here: what, on whom, how it went, and when; gives the result back. */
ptrdiff_t ctrio__sim_traced(struct ctrio__scripted *world, enum ctrio__sim_call call,
                            intptr_t handle, ptrdiff_t result);

/* scripted_stream.c: the bytes. */
ptrdiff_t ctrio__sim_recv(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size,
                          int flags);
ptrdiff_t ctrio__sim_send(struct ctrio__os *os, intptr_t handle, const void *data, size_t size,
                          int flags);
ptrdiff_t ctrio__sim_recvmsg(struct ctrio__os *os, intptr_t handle, struct msghdr *message,
                             int flags);
ptrdiff_t ctrio__sim_sendmsg(struct ctrio__os *os, intptr_t handle, const struct msghdr *message,
                             int flags);
ptrdiff_t ctrio__sim_read(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size);
ptrdiff_t ctrio__sim_write(struct ctrio__os *os, intptr_t handle, const void *data, size_t size);
int ctrio__sim_getsockopt(struct ctrio__os *os, intptr_t handle, int level, int name, void *value,
                          uint32_t *size);
int ctrio__sim_setsockopt(struct ctrio__os *os, intptr_t handle, int level, int name,
                          const void *value, uint32_t size);

extern const struct ctrio__net_ops ctrio__scripted_net;
/* enum ctrio__io_interest bits that the handle is ready for; an unknown handle is for both. */
int ctrio__sim_ready(struct ctrio__scripted *world, intptr_t handle);
/* Lets connections that are under way arrive. */
void ctrio__sim_arrive(struct ctrio__scripted *world);
void ctrio__sim_free(struct ctrio__sim_socket *socket);
struct ctrio__sim_socket *ctrio__sim_find(struct ctrio__scripted *world, intptr_t handle);
extern const struct ctrio__io_ops ctrio__scripted_io;
#endif
