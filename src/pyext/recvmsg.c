/* recvmsg.c - recvfrom, recvmsg and their `_into`, as operations of src/io.
 *
 * A message has an address and ancillary data besides its bytes; all are brought into Python's
 * form within the attempt, so that nothing of the system's lies about over a schedule point.
 * Invariant: descriptors that have arrived are in the op's result or closed.  Sockets of families
 * that sockaddr.c does not know are left to the standard library's own methods: what their
 * addresses look like, only its source says. */
#include "pyext/message.h"

/* --- arguments of a receive -------------------------------------------------------- */

static int refuse_value(const char *text)
{
    PyErr_SetString(PyExc_ValueError, text);
    return -1;
}

static int parse_receive(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    *ctrio__message_of(coro) = (struct ctrio__py_message){.ready = false};
    return ctrio__keep_arguments(coro, args, nargs, kwnames);
}

static int set_receive(struct ctrio__coroutine *coro, Py_ssize_t size, Py_ssize_t control,
                       int flags)
{
    struct ctrio__py_message *message = ctrio__message_of(coro);
    CTRIO_ASSERT(size >= 0);
    if (control < 0 || control > INT_MAX)
        return refuse_value("invalid ancillary data buffer length");
    message->size = (size_t)size;
    message->control = (size_t)control;
    message->op.flags = flags;
    message->ready = true;
    return 0;
}

static int read_recvfrom(struct ctrio__coroutine *coro)
{
    Py_ssize_t size;
    int flags = 0;
    if (ctrio__refuse_keywords(coro) < 0 ||
        !PyArg_ParseTuple(coro->arg2, "n|i:recvfrom", &size, &flags))
        return -1;
    if (size < 0)
        return refuse_value("negative buffersize in recvfrom");
    return set_receive(coro, size, 0, flags);
}

static int read_recvfrom_into(struct ctrio__coroutine *coro)
{
    static char *names[] = {"buffer", "nbytes", "flags", NULL};
    Py_buffer buffer;
    Py_ssize_t size = 0;
    int flags = 0;
    if (!PyArg_ParseTupleAndKeywords(coro->arg2, coro->arg, "w*|ni:recvfrom_into", names, &buffer,
                                     &size, &flags))
        return -1;
    int failed = ctrio__message_hold_one(coro, ctrio__buffer_argument(coro), true);
    PyBuffer_Release(&buffer);
    if (failed < 0)
        return -1;
    Py_ssize_t length = (Py_ssize_t)ctrio__memory_of(PyTuple_GET_ITEM(coro->arg2, 0)).iov_len;
    if (size < 0 || size > length)
        return refuse_value(size < 0 ? "negative buffersize in recvfrom_into"
                                     : "nbytes is greater than the length of the buffer");
    return set_receive(coro, size == 0 ? length : size, 0, flags);
}

static int read_recvmsg(struct ctrio__coroutine *coro)
{
    Py_ssize_t size, control = 0;
    int flags = 0;
    if (ctrio__refuse_keywords(coro) < 0 ||
        !PyArg_ParseTuple(coro->arg2, "n|ni:recvmsg", &size, &control, &flags))
        return -1;
    if (size < 0)
        return refuse_value("negative buffer size in recvmsg()");
    return set_receive(coro, size, control, flags);
}

static int check_writable(PyObject *object, Py_buffer *buffer)
{
    return PyArg_Parse(object,
                       "w*;recvmsg_into() argument 1 must be an iterable of single-segment "
                       "read-write buffers",
                       buffer)
               ? 0
               : -1;
}

static int read_recvmsg_into(struct ctrio__coroutine *coro)
{
    PyObject *buffers;
    Py_ssize_t control = 0;
    int flags = 0;
    if (ctrio__refuse_keywords(coro) < 0 ||
        !PyArg_ParseTuple(coro->arg2, "O|ni:recvmsg_into", &buffers, &control, &flags))
        return -1;
    PyObject *list = ctrio__message_list(buffers, "recvmsg_into", check_writable, true);
    if (ctrio__message_hold(coro, list, 0) < 0)
        return -1;
    return set_receive(coro, 0, control, flags);
}

/* --- receiving --------------------------------------------------------------------- */

/* What one call brings. */
struct arrival {
    struct msghdr header;
    struct sockaddr_storage address;
    struct iovec few[CTRIO__FEW];
    struct ctrio__landing landing; /* of what goes into new bytes */
};

static void close_arrival(struct arrival *arrival)
{
    ctrio__landing_drop(&arrival->landing);
    ctrio__message_pieces_free(arrival->header.msg_iov, arrival->few);
    PyMem_Free(arrival->header.msg_control);
}

/* -1 with an error. */
static int open_arrival(struct arrival *arrival, struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio__coroutine *coro = ctrio__coroutine_of(op);
    const struct ctrio__py_message *message = ctrio__message_of(coro);
    struct ctrio__landing *landing = &arrival->landing;
    struct msghdr *header = &arrival->header;
    *arrival = (struct arrival){.address.ss_family = AF_UNSPEC};
    header->msg_name = &arrival->address;
    header->msg_namelen = sizeof arrival->address;
    header->msg_iov = arrival->few;
    header->msg_iovlen = 1;
    if (message->held) {
        header->msg_iovlen = (size_t)message->pieces;
        header->msg_iov = ctrio__message_pieces(coro, arrival->few);
        if (header->msg_iov == NULL)
            return -1;
        if (message->size != 0)
            header->msg_iov[0].iov_len = message->size;
    } else {
        if (ctrio__landing_open(landing, ctrio__py_socket_of(op), task, message->size) < 0)
            return -1;
        arrival->few[0] = (struct iovec){landing->memory, landing->size};
    }
    if (message->control == 0)
        return 0;
    header->msg_controllen = message->control;
    header->msg_control = PyMem_Malloc(message->control);
    if (header->msg_control != NULL)
        return 0;
    close_arrival(arrival);
    PyErr_NoMemory();
    return -1;
}

/* The bytes, or how many there were in the buffers; before anything else of Python's is called,
 * which might use the scratch buffer again. */
static PyObject *data_of(struct arrival *arrival, struct ctrio__op *op)
{
    const struct ctrio__py_message *message = ctrio__message_of(ctrio__coroutine_of(op));
    int count = message->op.head.result;
    CTRIO_ASSERT(count >= 0);
    if (message->held)
        return PyLong_FromLong(count);
    return ctrio__landing_take(&arrival->landing, ctrio__py_socket_of(op), (size_t)count);
}

static PyObject *address_of(const struct arrival *arrival)
{
    return ctrio__sockaddr_to_python(&arrival->address, arrival->header.msg_namelen);
}

/* (data, address) */
static PyObject *make_pair(struct arrival *arrival, PyObject *data)
{
    return data != NULL ? Py_BuildValue("NN", data, address_of(arrival)) : NULL;
}

/* (data, ancillary data, flags, address) */
static PyObject *make_four(struct arrival *arrival, PyObject *data)
{
    PyObject *list = data != NULL ? ctrio__ancillary_to_python(&arrival->header) : NULL;
    if (list != NULL)
        return Py_BuildValue("NNiN", data, list, arrival->header.msg_flags, address_of(arrival));
    Py_XDECREF(data);
    return NULL;
}

/* A method: `make` steals the data and gives what the method returns. */
struct receiving {
    const char *name;
    int (*read)(struct ctrio__coroutine *coro);
    PyObject *(*make)(struct arrival *arrival, PyObject *data);
};
static const struct receiving recvfrom_how = {"recvfrom", read_recvfrom, make_pair};
static const struct receiving recvfrom_into_how = {"recvfrom_into", read_recvfrom_into, make_pair};
static const struct receiving recvmsg_how = {"recvmsg", read_recvmsg, make_four};
static const struct receiving recvmsg_into_how = {"recvmsg_into", read_recvmsg_into, make_four};

static int receive(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io,
                   const struct receiving *how)
{
    struct ctrio__coroutine *coro = ctrio__coroutine_of(op);
    struct ctrio__py_message *message = ctrio__message_of(coro);
    struct ctrio__py_socket *self = ctrio__py_socket_of(op);
    struct arrival arrival;
    int family = ctrio__socket_family(self);
    if (family >= 0 && !message->ready && !ctrio__sockaddr_knows(family))
        return ctrio__py_socket_by_python(op, task, io, how->name, coro->arg2, coro->arg);
    if (family < 0 || (!message->ready && how->read(coro) < 0) ||
        ctrio__socket_follow(self, ctrio__state_of_coro(coro), task) < 0 ||
        open_arrival(&arrival, op, task) < 0)
        return ctrio__py_socket_failed(op, io);
    message->op.message = &arrival.header;
    int code = ctrio__receive_message_kind.attempt(op, task, io);
    message->op.message = NULL;
    if (code == 0 && message->op.head.result >= 0) {
        io->value = how->make(&arrival, data_of(&arrival, op));
        if (io->value == NULL) {
            ctrio__ancillary_close(task->run->os, &arrival.header);
            code = ctrio__py_socket_failed(op, io);
        }
    }
    close_arrival(&arrival);
    return code;
}

static int attempt_recvfrom(struct ctrio__op *op, struct ctrio_task *task,
                            struct ctrio__outcome *io)
{
    return receive(op, task, io, &recvfrom_how);
}
static int attempt_recvfrom_into(struct ctrio__op *op, struct ctrio_task *task,
                                 struct ctrio__outcome *io)
{
    return receive(op, task, io, &recvfrom_into_how);
}
static int attempt_recvmsg(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    return receive(op, task, io, &recvmsg_how);
}
static int attempt_recvmsg_into(struct ctrio__op *op, struct ctrio_task *task,
                                struct ctrio__outcome *io)
{
    return receive(op, task, io, &recvmsg_into_how);
}

/* Descriptors may have come that nobody has heard of yet.  (Not where `ready` was never set: there
 * the result is somebody else's, of a family that carries none.) */
static void abandon_recvmsg(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio__coroutine *coro = ctrio__coroutine_of(op);
    PyObject *left = coro->op.primitive.result;
    ctrio__py_socket_abandon(op, task);
    struct ctrio__os *os = task->run->os;
    if (left != NULL && PyTuple_CheckExact(left) && ctrio__message_of(coro)->ready &&
        os != NULL) /* NULL: one that was lent has been taken back */
        ctrio__ancillary_close_listed(os, PyTuple_GET_ITEM(left, 1));
}

/* --- the methods ------------------------------------------------------------------- */

#define KIND(name, attempt_it, abandon_it)                                                         \
    {.verb = name,                                                                                 \
     .step = ctrio__py_socket_step,                                                                \
     .attempt = attempt_it,                                                                        \
     .park = ctrio__py_socket_park,                                                                \
     .woken = ctrio__py_socket_woken,                                                              \
     .abandon = abandon_it}
static const struct ctrio__op_kind recvfrom_kind =
    KIND("recvfrom", attempt_recvfrom, ctrio__py_socket_abandon);
static const struct ctrio__op_kind recvfrom_into_kind =
    KIND("recvfrom_into", attempt_recvfrom_into, ctrio__py_socket_abandon);
static const struct ctrio__op_kind recvmsg_kind = KIND("recvmsg", attempt_recvmsg, abandon_recvmsg);
static const struct ctrio__op_kind recvmsg_into_kind =
    KIND("recvmsg_into", attempt_recvmsg_into, abandon_recvmsg);

static int begin_receive(struct ctrio__coroutine *coro, const struct ctrio__op_kind *kind)
{
    struct ctrio__message_op *op = &ctrio__message_of(coro)->op;
    struct ctrio__py_socket *self = (struct ctrio__py_socket *)coro->self;
    ctrio__receive_message_init(op, &self->socket, NULL, 0);
    CTRIO_ASSERT(op->head.base.result == NULL);
    op->head.base.op.kind = kind;
    return 0;
}
static int begin_recvfrom(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_receive(coro, &recvfrom_kind);
}
static int begin_recvfrom_into(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_receive(coro, &recvfrom_into_kind);
}
static int begin_recvmsg(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_receive(coro, &recvmsg_kind);
}
static int begin_recvmsg_into(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_receive(coro, &recvmsg_into_kind);
}

#define METHOD(name, begin_it)                                                                     \
    {.qualname = "SocketBase." name,                                                               \
     .module = "trio.socket",                                                                      \
     .self = TYPE_SOCKET_BASE,                                                                     \
     .parse = parse_receive,                                                                       \
     .begin = begin_it,                                                                            \
     .finish = ctrio__receive_finish,                                                              \
     .drop = ctrio__py_socket_drop}
const struct ctrio__async ctrio__recvmsg_methods[] = {
    METHOD("recvfrom", begin_recvfrom),
    METHOD("recvfrom_into", begin_recvfrom_into),
    METHOD("recvmsg", begin_recvmsg),
    METHOD("recvmsg_into", begin_recvmsg_into),
    {.qualname = NULL},
};
