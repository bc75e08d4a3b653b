/* transfer.c - recv, recv_into and send, as operations of src/io with Python's memory.
 *
 * What is received goes to the run's scratch buffer and from there into a bytes object of the
 * right size within the same attempt: nothing is shared over a schedule point, and a thousand
 * idle connections hold no buffers.  After a large receive the next one goes straight into a
 * bytes object, which is then cut: a copy of 64 KiB costs more than that.  Invariant: memory that
 * the system reads or writes belongs to coro->arg2 (bytes or a memoryview) or to the attempt. */
#include "pyext/outcome.h"
#include "pyext/sockets.h"

enum { BULK = 16384 }; /* bytes; above, copying costs more than allocating */

/* --- what all socket ops of coroutines share --------------------------------------- */

enum ctrio__step ctrio__py_socket_step(struct ctrio__op *op, struct ctrio_task *task,
                                       struct ctrio__outcome *io)
{
    return ctrio__receive_some_kind.step(op, task, io);
}
int ctrio__py_socket_park(struct ctrio__op *op, struct ctrio_task *task)
{
    return ctrio__receive_some_kind.park(op, task);
}
enum ctrio__step ctrio__py_socket_woken(struct ctrio__op *op, struct ctrio_task *task,
                                        struct ctrio__outcome *io)
{
    return ctrio__receive_some_kind.woken(op, task, io);
}
void ctrio__py_socket_abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    ctrio__receive_some_kind.abandon(op, task);
}

int ctrio__py_socket_failed(struct ctrio__op *op, struct ctrio__outcome *io)
{
    struct ctrio__socket_op *head = ctrio__container(op, struct ctrio__socket_op, base.op);
    head->result = CTRIO_FOREIGN;
    io->value = PyErr_GetRaisedException();
    CTRIO_ASSERT(io->value != NULL);
    return 0;
}

void ctrio__py_socket_drop(struct ctrio__coroutine *coro)
{
    PyObject *left = coro->op.primitive.result;
    coro->op.primitive.result = NULL;
    Py_XDECREF(left);
}

static PyObject *taken(struct ctrio__outcome *io)
{
    PyObject *value = io->value;
    CTRIO_ASSERT(value != NULL);
    io->value = NULL;
    return value;
}

PyObject *ctrio__receive_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    return io->code >= 0 ? taken(io) : ctrio__raise_io(ctrio__state_of_coro(coro), io);
}

static PyObject *finish_count(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    CTRIO_ASSERT(io->code < 0 || io->value == NULL);
    return io->code >= 0 ? PyLong_FromLong(io->code)
                         : ctrio__raise_io(ctrio__state_of_coro(coro), io);
}

/* --- arguments --------------------------------------------------------------------- */

/* Keeps them as they came, for the first attempt. */
static int keep_arguments(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames)
{
    Py_ssize_t keywords = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    CTRIO_ASSERT(coro->arg == NULL && coro->arg2 == NULL);
    coro->arg2 = PyTuple_New(nargs);
    if (coro->arg2 == NULL)
        return -1;
    for (Py_ssize_t i = 0; i < nargs; i++)
        PyTuple_SET_ITEM(coro->arg2, i, Py_NewRef(args[i]));
    if (keywords == 0)
        return 0;
    coro->arg = PyDict_New();
    if (coro->arg == NULL)
        return -1;
    for (Py_ssize_t i = 0; i < keywords; i++)
        if (PyDict_SetItem(coro->arg, PyTuple_GET_ITEM(kwnames, i), args[nargs + i]) < 0)
            return -1;
    return 0;
}

static int refuse_keywords(const struct ctrio__coroutine *coro)
{
    if (coro->arg == NULL || !PyDict_Check(coro->arg))
        return 0;
    PyErr_Format(PyExc_TypeError, "socket.%U() takes no keyword arguments", coro->function->name);
    return -1;
}

/* The argument is an int that fits. */
static bool plain_int(PyObject *object, long lowest, long highest, long *out)
{
    int overflow = 0;
    if (!PyLong_CheckExact(object))
        return false;
    *out = PyLong_AsLongAndOverflow(object, &overflow);
    return overflow == 0 && *out >= lowest && *out <= highest;
}

static void set_size(struct ctrio__py_transfer *transfer, Py_ssize_t size, int flags)
{
    CTRIO_ASSERT(size >= 0);
    transfer->op.size = size < INT_MAX ? (size_t)size : INT_MAX;
    transfer->op.flags = flags;
    transfer->ready = true;
}

static int parse_recv(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    struct ctrio__py_transfer *transfer = ctrio__transfer_of(coro);
    long size, flags = 0;
    *transfer = (struct ctrio__py_transfer){.ready = false};
    if (kwnames != NULL || nargs < 1 || nargs > 2 || !plain_int(args[0], 0, INT_MAX, &size) ||
        (nargs == 2 && !plain_int(args[1], INT_MIN, INT_MAX, &flags)))
        return keep_arguments(coro, args, nargs, kwnames);
    set_size(transfer, size, (int)flags);
    return 0;
}

static int read_recv(struct ctrio__coroutine *coro)
{
    Py_ssize_t size;
    int flags = 0;
    CTRIO_ASSERT(PyTuple_CheckExact(coro->arg2));
    if (refuse_keywords(coro) < 0 || !PyArg_ParseTuple(coro->arg2, "n|i:recv", &size, &flags))
        return -1;
    if (size < 0) {
        PyErr_SetString(PyExc_ValueError, "negative buffersize in recv");
        return -1;
    }
    set_size(ctrio__transfer_of(coro), size, flags);
    return 0;
}

static int parse_recv_into(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames)
{
    *ctrio__transfer_of(coro) = (struct ctrio__py_transfer){.ready = false};
    return keep_arguments(coro, args, nargs, kwnames);
}

/* coro->arg2 becomes a view of the object, which keeps it from changing its size. */
static int hold_view(struct ctrio__coroutine *coro, PyObject *object)
{
    PyObject *view = PyMemoryView_FromObject(object);
    if (view == NULL)
        return -1;
    const Py_buffer *buffer = PyMemoryView_GET_BUFFER(view);
    CTRIO_ASSERT(PyBuffer_IsContiguous(buffer, 'C'));
    ctrio__transfer_of(coro)->op.buffer = buffer->buf;
    Py_XSETREF(coro->arg2, view);
    return 0;
}

static int read_recv_into(struct ctrio__coroutine *coro)
{
    static char *names[] = {"buffer", "nbytes", "flags", NULL};
    Py_buffer buffer;
    Py_ssize_t size = 0;
    int flags = 0;
    CTRIO_ASSERT(PyTuple_CheckExact(coro->arg2));
    if (!PyArg_ParseTupleAndKeywords(coro->arg2, coro->arg, "w*|ni:recv_into", names, &buffer,
                                     &size, &flags))
        return -1;
    Py_ssize_t length = buffer.len;
    int failed = hold_view(coro, buffer.obj);
    PyBuffer_Release(&buffer);
    if (failed < 0)
        return -1;
    if (size < 0 || size > length) {
        PyErr_SetString(PyExc_ValueError, size < 0 ? "negative buffersize in recv_into"
                                                   : "buffer too small for requested bytes");
        return -1;
    }
    set_size(ctrio__transfer_of(coro), size == 0 ? length : size, flags);
    return 0;
}

static int parse_send(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    struct ctrio__py_transfer *transfer = ctrio__transfer_of(coro);
    long flags = 0;
    *transfer = (struct ctrio__py_transfer){.ready = false};
    if (kwnames != NULL || nargs < 1 || nargs > 2 || !PyBytes_CheckExact(args[0]) ||
        (nargs == 2 && !plain_int(args[1], INT_MIN, INT_MAX, &flags)))
        return keep_arguments(coro, args, nargs, kwnames);
    coro->arg2 = Py_NewRef(args[0]);
    transfer->op.buffer = PyBytes_AS_STRING(args[0]);
    set_size(transfer, PyBytes_GET_SIZE(args[0]), (int)flags);
    return 0;
}

static int read_send(struct ctrio__coroutine *coro)
{
    Py_buffer buffer;
    int flags = 0;
    CTRIO_ASSERT(PyTuple_CheckExact(coro->arg2));
    if (refuse_keywords(coro) < 0 || !PyArg_ParseTuple(coro->arg2, "y*|i:send", &buffer, &flags))
        return -1;
    Py_ssize_t length = buffer.len;
    int failed = hold_view(coro, buffer.obj);
    PyBuffer_Release(&buffer);
    if (failed == 0)
        set_size(ctrio__transfer_of(coro), length, flags);
    return failed;
}

/* --- attempts ---------------------------------------------------------------------- */

/* Arguments and descriptor as they are now. */
static int prepare(struct ctrio__op *op, struct ctrio_task *task,
                   int (*read)(struct ctrio__coroutine *coro))
{
    struct ctrio__coroutine *coro = ctrio__coroutine_of(op);
    if (!ctrio__transfer_of(coro)->ready && read(coro) < 0)
        return -1;
    return ctrio__socket_follow(ctrio__py_socket_of(op), ctrio__state_of_coro(coro), task);
}

/* Nothing is asked for: the standard library does not ask the system either. */
static int nothing(struct ctrio__py_transfer *transfer)
{
    CTRIO_ASSERT(transfer->op.size == 0);
    transfer->op.head.result = 0;
    return 0;
}

static int receive_by_copy(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__py_transfer *transfer = ctrio__transfer_of(ctrio__coroutine_of(op));
    struct ctrio__py_runner *runner = ctrio__py_runner_from(task->run);
    if (runner->scratch == NULL && (runner->scratch = PyMem_Malloc(CTRIO__SCRATCH)) == NULL) {
        PyErr_NoMemory();
        return ctrio__py_socket_failed(op, io);
    }
    transfer->op.buffer = runner->scratch;
    int code = ctrio__receive_some_kind.attempt(op, task, io);
    transfer->op.buffer = NULL;
    if (code < 0 || transfer->op.head.result < 0)
        return code;
    size_t count = (size_t)transfer->op.head.result;
    CTRIO_ASSERT(transfer->op.size <= CTRIO__SCRATCH);
    if (count > transfer->op.size)
        count = transfer->op.size; /* MSG_TRUNC: what the datagram had */
    ctrio__py_socket_of(op)->bulk = count > BULK;
    io->value = PyBytes_FromStringAndSize(runner->scratch, (Py_ssize_t)count);
    return io->value != NULL ? 0 : ctrio__py_socket_failed(op, io);
}

static int receive_in_place(struct ctrio__op *op, struct ctrio_task *task,
                            struct ctrio__outcome *io)
{
    struct ctrio__py_transfer *transfer = ctrio__transfer_of(ctrio__coroutine_of(op));
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)transfer->op.size);
    if (bytes == NULL)
        return ctrio__py_socket_failed(op, io);
    transfer->op.buffer = PyBytes_AS_STRING(bytes);
    int code = ctrio__receive_some_kind.attempt(op, task, io);
    transfer->op.buffer = NULL;
    if (code < 0 || transfer->op.head.result < 0) {
        Py_DECREF(bytes);
        return code;
    }
    size_t count = (size_t)transfer->op.head.result;
    ctrio__py_socket_of(op)->bulk = count > BULK;
    if (count < transfer->op.size && _PyBytes_Resize(&bytes, (Py_ssize_t)count) < 0)
        return ctrio__py_socket_failed(op, io);
    io->value = bytes;
    return 0;
}

static int attempt_recv(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__py_transfer *transfer = ctrio__transfer_of(ctrio__coroutine_of(op));
    if (prepare(op, task, read_recv) < 0)
        return ctrio__py_socket_failed(op, io);
    if (transfer->op.size == 0) {
        io->value = PyBytes_FromStringAndSize(NULL, 0);
        return nothing(transfer);
    }
    if (transfer->op.size <= CTRIO__SCRATCH && !ctrio__py_socket_of(op)->bulk)
        return receive_by_copy(op, task, io);
    return receive_in_place(op, task, io);
}

static int attempt_recv_into(struct ctrio__op *op, struct ctrio_task *task,
                             struct ctrio__outcome *io)
{
    struct ctrio__py_transfer *transfer = ctrio__transfer_of(ctrio__coroutine_of(op));
    if (prepare(op, task, read_recv_into) < 0)
        return ctrio__py_socket_failed(op, io);
    if (transfer->op.size == 0)
        return nothing(transfer);
    return ctrio__receive_some_kind.attempt(op, task, io);
}

static int attempt_send(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    if (prepare(op, task, read_send) < 0)
        return ctrio__py_socket_failed(op, io);
    return ctrio__send_some_kind.attempt(op, task, io);
}

#define KIND(name, attempt_it)                                                                     \
    {.verb = name,                                                                                 \
     .step = ctrio__py_socket_step,                                                                \
     .attempt = attempt_it,                                                                        \
     .park = ctrio__py_socket_park,                                                                \
     .woken = ctrio__py_socket_woken,                                                              \
     .abandon = ctrio__py_socket_abandon}
static const struct ctrio__op_kind recv_kind = KIND("recv", attempt_recv);
static const struct ctrio__op_kind recv_into_kind = KIND("recv_into", attempt_recv_into);
static const struct ctrio__op_kind send_kind = KIND("send", attempt_send);

/* --- the methods ------------------------------------------------------------------- */

static int begin(struct ctrio__coroutine *coro, struct ctrio__py_socket *socket,
                 const struct ctrio__op_kind *kind)
{
    struct ctrio__transfer_op *op = &ctrio__transfer_of(coro)->op;
    struct ctrio__transfer_op asked = *op;
    if (kind == &send_kind)
        ctrio__send_some_init(op, &socket->socket, asked.buffer, asked.size, asked.flags);
    else
        ctrio__receive_some_init(op, &socket->socket, asked.buffer, asked.size, asked.flags);
    CTRIO_ASSERT(op->head.base.result == NULL && op->size <= asked.size);
    op->head.base.op.kind = kind;
    return 0;
}

void ctrio__receive_begin(struct ctrio__coroutine *coro, struct ctrio__py_socket *socket)
{
    begin(coro, socket, &recv_kind);
}
static int begin_recv(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin(coro, (struct ctrio__py_socket *)coro->self, &recv_kind);
}
static int begin_recv_into(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin(coro, (struct ctrio__py_socket *)coro->self, &recv_into_kind);
}
static int begin_send(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin(coro, (struct ctrio__py_socket *)coro->self, &send_kind);
}

#define METHOD(name, parse_it, begin_it, finish_it)                                                \
    {.qualname = "SocketBase." name,                                                               \
     .module = "trio.socket",                                                                      \
     .self = TYPE_SOCKET_BASE,                                                                     \
     .parse = parse_it,                                                                            \
     .begin = begin_it,                                                                            \
     .finish = finish_it,                                                                          \
     .drop = ctrio__py_socket_drop}
const struct ctrio__async ctrio__transfer_methods[] = {
    METHOD("recv", parse_recv, begin_recv, ctrio__receive_finish),
    METHOD("recv_into", parse_recv_into, begin_recv_into, finish_count),
    METHOD("send", parse_send, begin_send, finish_count),
    {.qualname = NULL},
};
