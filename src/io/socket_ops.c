/* socket_ops.c - one step function over four system calls.
 *
 * Invariant: every park on a socket comes right after a call on it answered -EAGAIN, in the same
 * step (io/socket.h lives on that; where no edge follows, the wait looks anew).  An answer is kept
 * in the op over its schedule point, an error too: Trio's sockets yield before they raise, unlike
 * its other primitives.  Waiting first was refused: a call that cannot work must say so, and a
 * server's next request is often there already. */
#include "io/socket_ops.h"
#include "kernel/checkpoint.h"
#include "kernel/loop.h"
#include <limits.h>
#include <string.h>

static struct ctrio__socket_op *head_of(struct ctrio__op *op)
{
    return ctrio__container(op, struct ctrio__socket_op, base.op);
}

#define OP_OF(pointer, type) ctrio__container(pointer, type, head.base.op)

static void init_head(struct ctrio__socket_op *head, const struct ctrio__op_kind *kind,
                      struct ctrio__socket *socket, enum ctrio__io_interest interest)
{
    CTRIO_ASSERT(socket != NULL);
    *head = (struct ctrio__socket_op){.base.op = {kind, socket, CTRIO__STAGE_START},
                                      .interest = interest};
}

/* What an attempt answers: -EAGAIN is to wait, all else is for after the schedule point. */
static int answer(struct ctrio__op *op, ptrdiff_t result)
{
    CTRIO_ASSERT(result <= INT_MAX);
    if (result == -EAGAIN || result == -EWOULDBLOCK)
        return CTRIO_WOULD_BLOCK;
    head_of(op)->result = (int)result;
    return 0;
}

static enum ctrio__step step(struct ctrio__op *op, struct ctrio_task *task,
                             struct ctrio__outcome *io)
{
    enum ctrio__step answered = ctrio__primitive_step(op, task, io);
    if (answered == CTRIO__DONE && io->code == 0)
        io->code = head_of(op)->result;
    return answered;
}

static int park(struct ctrio__op *op, struct ctrio_task *task)
{
    return ctrio__socket_wait(op->object, head_of(op)->interest, task);
}

static enum ctrio__step woken(struct ctrio__op *op, struct ctrio_task *task,
                              struct ctrio__outcome *io)
{
    return io->code < 0 ? CTRIO__DONE : ctrio__primitive_retry(op, task, io);
}

/* Leaves the place where it waits, if it still does. */
static void abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    ctrio__abort_fn *leave = task->abort_fn;
    if (op->stage != CTRIO__STAGE_WAITING || !ctrio__task_waits(task) || leave == NULL)
        return;
    static const struct ctrio__outcome nobody_looks = {CTRIO_CANCELLED, NULL};
    enum ctrio__abort left = leave(task, &nobody_looks);
    CTRIO_ASSERT(left == CTRIO__ABORT_SUCCEEDED);
    (void)left;
}

/* --- receive and send -------------------------------------------------------------- */

static void init_transfer(struct ctrio__transfer_op *op, const struct ctrio__op_kind *kind,
                          struct ctrio__socket *socket, void *buffer, size_t size, int flags)
{
    bool sends = kind != &ctrio__receive_some_kind;
    init_head(&op->head, kind, socket, sends ? CTRIO__WRITABLE : CTRIO__READABLE);
    op->buffer = buffer;
    op->size = size < INT_MAX ? size : INT_MAX;
    op->flags = flags;
}

static int attempt_receive(struct ctrio__op *base, struct ctrio_task *task,
                           struct ctrio__outcome *io)
{
    struct ctrio__transfer_op *op = OP_OF(base, struct ctrio__transfer_op);
    struct ctrio__socket *socket = base->object;
    (void)io;
    return answer(base, ctrio__net_of(task)->recv(task->run->os, socket->handle, op->buffer,
                                                  op->size, op->flags));
}

static int attempt_send(struct ctrio__op *base, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__transfer_op *op = OP_OF(base, struct ctrio__transfer_op);
    struct ctrio__socket *socket = base->object;
    (void)io;
    return answer(base, ctrio__net_of(task)->send(task->run->os, socket->handle, op->buffer,
                                                  op->size, op->flags));
}

const struct ctrio__op_kind ctrio__receive_some_kind = {.verb = "receive_some",
                                                        .step = step,
                                                        .attempt = attempt_receive,
                                                        .park = park,
                                                        .woken = woken,
                                                        .abandon = abandon};
const struct ctrio__op_kind ctrio__send_some_kind = {.verb = "send",
                                                     .step = step,
                                                     .attempt = attempt_send,
                                                     .park = park,
                                                     .woken = woken,
                                                     .abandon = abandon};

void ctrio__receive_some_init(struct ctrio__transfer_op *op, struct ctrio__socket *socket,
                              void *buffer, size_t size, int flags)
{
    init_transfer(op, &ctrio__receive_some_kind, socket, buffer, size, flags);
}

/* The calls take the data as const again. */
static void *unqualified(const void *data)
{
    return (void *)(uintptr_t)data;
}

void ctrio__send_some_init(struct ctrio__transfer_op *op, struct ctrio__socket *socket,
                           const void *data, size_t size, int flags)
{
    init_transfer(op, &ctrio__send_some_kind, socket, unqualified(data), size, flags);
}

/* --- messages ---------------------------------------------------------------------- */

static int attempt_receive_message(struct ctrio__op *base, struct ctrio_task *task,
                                   struct ctrio__outcome *io)
{
    struct ctrio__message_op *op = OP_OF(base, struct ctrio__message_op);
    struct ctrio__socket *socket = base->object;
    (void)io;
    return answer(
        base, ctrio__net_of(task)->recvmsg(task->run->os, socket->handle, op->message, op->flags));
}

static int attempt_send_message(struct ctrio__op *base, struct ctrio_task *task,
                                struct ctrio__outcome *io)
{
    struct ctrio__message_op *op = OP_OF(base, struct ctrio__message_op);
    struct ctrio__socket *socket = base->object;
    (void)io;
    return answer(
        base, ctrio__net_of(task)->sendmsg(task->run->os, socket->handle, op->message, op->flags));
}

/* A Unix socket's message to an address waits for room over there.  Ours counts as writable all
 * along, and no edge is promised: there is nothing but to ask again and again, as Trio does. (Linux
 * happens to make an edge of each failed attempt.) */
static int park_send_message(struct ctrio__op *base, struct ctrio_task *task)
{
    const struct ctrio__message_op *op = OP_OF(base, struct ctrio__message_op);
    if (op->message->msg_namelen == 0)
        return park(base, task);
    return ctrio__socket_wait_anew(base->object, op->head.interest, task);
}

const struct ctrio__op_kind ctrio__receive_message_kind = {.verb = "recvmsg",
                                                           .step = step,
                                                           .attempt = attempt_receive_message,
                                                           .park = park,
                                                           .woken = woken,
                                                           .abandon = abandon};
const struct ctrio__op_kind ctrio__send_message_kind = {.verb = "sendmsg",
                                                        .step = step,
                                                        .attempt = attempt_send_message,
                                                        .park = park_send_message,
                                                        .woken = woken,
                                                        .abandon = abandon};

void ctrio__receive_message_init(struct ctrio__message_op *op, struct ctrio__socket *socket,
                                 struct msghdr *message, int flags)
{
    init_head(&op->head, &ctrio__receive_message_kind, socket, CTRIO__READABLE);
    op->message = message;
    op->flags = flags;
}

void ctrio__send_message_init(struct ctrio__message_op *op, struct ctrio__socket *socket,
                              struct msghdr *message, int flags)
{
    init_head(&op->head, &ctrio__send_message_kind, socket, CTRIO__WRITABLE);
    op->message = message;
    op->flags = flags;
}

/* --- send_all ---------------------------------------------------------------------- */

static enum ctrio__step send_all_done(struct ctrio__send_all_op *op, struct ctrio__outcome *io)
{
    if (op->holds)
        *op->busy = false;
    op->holds = false;
    if (io->code > 0)
        io->code = 0;
    return CTRIO__DONE;
}

static bool send_all_begin(struct ctrio__send_all_op *op)
{
    if (op->busy == NULL)
        return true;
    if (*op->busy)
        return false;
    *op->busy = true;
    op->holds = true;
    return true;
}

/* The kind of part's op is ours, so that the front end sees one op; the stages are a send's. */
static enum ctrio__step send_all_step(struct ctrio__op *base, struct ctrio_task *task,
                                      struct ctrio__outcome *io)
{
    struct ctrio__transfer_op *part = OP_OF(base, struct ctrio__transfer_op);
    struct ctrio__send_all_op *op = ctrio__container(part, struct ctrio__send_all_op, part);
    if (base->stage == CTRIO__STAGE_START && !op->holds && !send_all_begin(op)) {
        io->code = CTRIO_BUSY_RESOURCE;
        return CTRIO__DONE;
    }
    if (part->size == 0) {
        const struct ctrio__socket *socket = base->object;
        if (base->stage == CTRIO__STAGE_START && socket->handle < 0) {
            io->code = CTRIO_CLOSED_RESOURCE;
            return send_all_done(op, io);
        }
        base->stage = CTRIO__STAGE_OWN;
        if (op->checkpoint.kind->step(&op->checkpoint, task, io) == CTRIO__PARKED)
            return CTRIO__PARKED;
        return send_all_done(op, io);
    }
    for (;;) {
        if (step(base, task, io) == CTRIO__PARKED)
            return CTRIO__PARKED;
        if (io->code < 0)
            return send_all_done(op, io);
        size_t taken = (size_t)io->code;
        CTRIO_ASSERT(taken <= part->size);
        op->sent += taken;
        part->buffer = (char *)part->buffer + taken;
        part->size -= taken;
        if (part->size == 0)
            return send_all_done(op, io);
        base->stage = CTRIO__STAGE_START;
        *io = (struct ctrio__outcome){0, NULL};
    }
}

static void send_all_abandon(struct ctrio__op *base, struct ctrio_task *task)
{
    struct ctrio__transfer_op *part = OP_OF(base, struct ctrio__transfer_op);
    struct ctrio__send_all_op *op = ctrio__container(part, struct ctrio__send_all_op, part);
    struct ctrio__outcome unused = {0, NULL};
    abandon(base, task);
    send_all_done(op, &unused);
}

const struct ctrio__op_kind ctrio__send_all_kind = {.verb = "send_all",
                                                    .step = send_all_step,
                                                    .attempt = attempt_send,
                                                    .park = park,
                                                    .woken = woken,
                                                    .abandon = send_all_abandon};

void ctrio__send_all_init(struct ctrio__send_all_op *op, struct ctrio__socket *socket,
                          const void *data, size_t size, bool *busy)
{
    init_transfer(&op->part, &ctrio__send_all_kind, socket, unqualified(data), size, 0);
    op->part.size = size; /* the call takes what it can */
    ctrio__op_init(&op->checkpoint, &ctrio__checkpoint_kind, NULL);
    op->sent = 0;
    op->busy = busy;
    op->holds = false;
}

/* --- accept ------------------------------------------------------------------------ */

static int attempt_accept(struct ctrio__op *base, struct ctrio_task *task,
                          struct ctrio__outcome *io)
{
    struct ctrio__accept_op *op = OP_OF(base, struct ctrio__accept_op);
    struct ctrio__socket *socket = base->object;
    (void)io;
    op->address_size = sizeof op->address;
    intptr_t result = ctrio__net_of(task)->accept(
        task->run->os, socket->handle, (struct sockaddr *)&op->address, &op->address_size);
    if (result < 0)
        return answer(base, result);
    op->accepted = result;
    return answer(base, 0);
}

static void abandon_accept(struct ctrio__op *base, struct ctrio_task *task)
{
    struct ctrio__accept_op *op = OP_OF(base, struct ctrio__accept_op);
    abandon(base, task);
    if (op->accepted >= 0)
        ctrio__net_of(task)->close(task->run->os, op->accepted);
    op->accepted = -1;
}

const struct ctrio__op_kind ctrio__accept_kind = {.verb = "accept",
                                                  .step = step,
                                                  .attempt = attempt_accept,
                                                  .park = park,
                                                  .woken = woken,
                                                  .abandon = abandon_accept};

void ctrio__accept_init(struct ctrio__accept_op *op, struct ctrio__socket *socket)
{
    init_head(&op->head, &ctrio__accept_kind, socket, CTRIO__READABLE);
    op->accepted = -1;
    op->address_size = 0;
}

/* --- connect ----------------------------------------------------------------------- */

/* -EAGAIN is not "wait" here: a Unix socket's peer has no room for us, and our socket counts as
 * writable all along. */
static int attempt_connect(struct ctrio__op *base, struct ctrio_task *task,
                           struct ctrio__outcome *io)
{
    struct ctrio__connect_op *op = OP_OF(base, struct ctrio__connect_op);
    struct ctrio__socket *socket = base->object;
    (void)io;
    int result = ctrio__net_of(task)->connect(
        task->run->os, socket->handle, (const struct sockaddr *)&op->address, op->address_size);
    CTRIO_ASSERT(result <= 0);
    if (result == -EINPROGRESS)
        return CTRIO_WOULD_BLOCK;
    op->head.result = result;
    return 0;
}

/* The attempt is over; how it went, the socket knows. */
static enum ctrio__step connect_woken(struct ctrio__op *base, struct ctrio_task *task,
                                      struct ctrio__outcome *io)
{
    struct ctrio__socket *socket = base->object;
    if (io->code < 0)
        return CTRIO__DONE;
    int error = 0;
    uint32_t size = sizeof error;
    int result = ctrio__net_of(task)->getsockopt(task->run->os, socket->handle, SOL_SOCKET,
                                                 SO_ERROR, &error, &size);
    head_of(base)->result = result < 0 ? result : -error;
    return CTRIO__DONE;
}

const struct ctrio__op_kind ctrio__connect_kind = {.verb = "connect",
                                                   .step = step,
                                                   .attempt = attempt_connect,
                                                   .park = park,
                                                   .woken = connect_woken,
                                                   .abandon = abandon};

void ctrio__connect_init(struct ctrio__connect_op *op, struct ctrio__socket *socket,
                         const struct sockaddr *address, uint32_t size)
{
    CTRIO_ASSERT(size <= sizeof op->address);
    init_head(&op->head, &ctrio__connect_kind, socket, CTRIO__WRITABLE);
    op->address_size = size;
    memcpy(&op->address, address, size);
}

/* --- the bare wait ----------------------------------------------------------------- */

static enum ctrio__step wait_step(struct ctrio__op *base, struct ctrio_task *task,
                                  struct ctrio__outcome *io)
{
    struct ctrio__wait_handle_op *op = ctrio__container(base, struct ctrio__wait_handle_op, op);
    struct ctrio_run *run = task->run;
    if (base->stage == CTRIO__STAGE_WAITING)
        return CTRIO__DONE;
    ctrio__void_poll_budget(run);
    io->code = run->io_ops->wait(run->io, op->handle, op->interest, task);
    if (io->code < 0)
        return CTRIO__DONE;
    base->stage = CTRIO__STAGE_WAITING;
    return CTRIO__PARKED;
}

/* The object is the handle itself, there is no other: and 0 is one. */
const struct ctrio__op_kind ctrio__wait_readable_kind = {
    .verb = "wait_readable", .step = wait_step, .abandon = abandon, .bare = true};
const struct ctrio__op_kind ctrio__wait_writable_kind = {
    .verb = "wait_writable", .step = wait_step, .abandon = abandon, .bare = true};

void ctrio__wait_handle_init(struct ctrio__wait_handle_op *op, intptr_t handle,
                             enum ctrio__io_interest interest)
{
    bool reads = interest == CTRIO__READABLE;
    ctrio__op_init(&op->op, reads ? &ctrio__wait_readable_kind : &ctrio__wait_writable_kind,
                   (void *)handle);
    op->handle = handle;
    op->interest = interest;
}
