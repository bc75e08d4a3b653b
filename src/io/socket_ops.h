/* socket_ops.h - receive, send, accept, connect and the bare wait, as operations.
 *
 * Trio's cadence: look for a cancellation; make the call; a schedule point if it answered, be it
 * with an error; else wait until the socket is ready and try again until it answers.  A cancelled
 * op has had no effect but where it says so.
 *
 * Results are in io->code: >= 0, or -errno; CTRIO_CLOSED_RESOURCE: closed while we waited;
 * CTRIO_BUSY_RESOURCE: another task waits for the same direction of the same handle.  An op owns
 * its arguments until it is done; memory they point to is borrowed. */
#ifndef CTRIO_IO_SOCKET_OPS_H
#define CTRIO_IO_SOCKET_OPS_H
#include "io/socket.h"
#include "kernel/primitive.h"

/* The head of them all. */
struct ctrio__socket_op {
    struct ctrio__primitive base; /* base.op.object: the struct ctrio__socket */
    enum ctrio__io_interest interest;
    int result; /* what the last call answered */
};

/* recv: the count of bytes, 0 at the end; send: how many were taken.  At most INT_MAX at once. */
struct ctrio__transfer_op {
    struct ctrio__socket_op head;
    void *buffer; /* send: only read */
    size_t size;
    int flags;
};
extern const struct ctrio__op_kind ctrio__receive_some_kind, ctrio__send_some_kind;
void ctrio__receive_some_init(struct ctrio__transfer_op *op, struct ctrio__socket *socket,
                              void *buffer, size_t size, int flags);
void ctrio__send_some_init(struct ctrio__transfer_op *op, struct ctrio__socket *socket,
                           const void *data, size_t size, int flags);

/* recvmsg and sendmsg: counts as above; the message's fields are the call's. */
struct ctrio__message_op {
    struct ctrio__socket_op head;
    struct msghdr *message; /* send: only read */
    int flags;
};
extern const struct ctrio__op_kind ctrio__receive_message_kind, ctrio__send_message_kind;
void ctrio__receive_message_init(struct ctrio__message_op *op, struct ctrio__socket *socket,
                                 struct msghdr *message, int flags);
void ctrio__send_message_init(struct ctrio__message_op *op, struct ctrio__socket *socket,
                              struct msghdr *message, int flags);

/* Sends everything, or fails: 0.  A sequence of send_some, each with its own cadence; without
 * data, a plain checkpoint.  Cancelled or failed: `sent` says how many bytes had been taken. */
struct ctrio__send_all_op {
    struct ctrio__transfer_op part; /* what is left */
    struct ctrio__op checkpoint;    /* for no data */
    size_t sent;
    bool *busy; /* set while we send: a second one gets CTRIO_BUSY_RESOURCE at once; may be NULL */
    bool holds; /* it is us who set *busy */
};
extern const struct ctrio__op_kind ctrio__send_all_kind;
void ctrio__send_all_init(struct ctrio__send_all_op *op, struct ctrio__socket *socket,
                          const void *data, size_t size, bool *busy);

/* 0, and a new handle in `accepted`.  Abandoned before that was seen: it is closed. */
struct ctrio__accept_op {
    struct ctrio__socket_op head;
    intptr_t accepted; /* -1: none */
    uint32_t address_size;
    struct sockaddr_storage address; /* of the peer */
};
extern const struct ctrio__op_kind ctrio__accept_kind;
void ctrio__accept_init(struct ctrio__accept_op *op, struct ctrio__socket *socket);

/* 0 once connected.  Cancelled while waiting, the attempt goes on by itself: nothing but closing
 * the socket makes sense then. */
struct ctrio__connect_op {
    struct ctrio__socket_op head;
    uint32_t address_size;
    struct sockaddr_storage address;
};
extern const struct ctrio__op_kind ctrio__connect_kind;
/* The address is copied; `size` is at most that of a sockaddr_storage. */
void ctrio__connect_init(struct ctrio__connect_op *op, struct ctrio__socket *socket,
                         const struct sockaddr *address, uint32_t size);

/* Trio's wait_readable and wait_writable: 0 once ready.  For any handle, a socket of ours too; it
 * need not have been tried before.  Only a checkpoint if it waits, as in Trio. */
struct ctrio__wait_handle_op {
    struct ctrio__op op;
    intptr_t handle;
    enum ctrio__io_interest interest;
};
extern const struct ctrio__op_kind ctrio__wait_readable_kind, ctrio__wait_writable_kind;
void ctrio__wait_handle_init(struct ctrio__wait_handle_op *op, intptr_t handle,
                             enum ctrio__io_interest interest);
#endif
