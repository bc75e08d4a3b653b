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

static struct ctrio__socket_op *head_of(struct ctrio__op *op)
{
    return ctrio__container(op, struct ctrio__socket_op, base.op);
}

int ctrio__py_socket_failed(struct ctrio__op *op, struct ctrio__outcome *io)
{
    head_of(op)->result = CTRIO_FOREIGN;
    io->value = PyErr_GetRaisedException();
    CTRIO_ASSERT(io->value != NULL);
    return 0;
}

/* The descriptor is asked for last: it is the one to wait on. */
int ctrio__py_socket_by_python(struct ctrio__op *op, struct ctrio_task *task,
                               struct ctrio__outcome *io, const char *name, PyObject *args,
                               PyObject *kwargs)
{
    struct ctrio__py_socket *self = ctrio__py_socket_of(op);
    struct ctrio__state *state = ctrio__state_of_coro(ctrio__coroutine_of(op));
    PyObject *method = self->sock != NULL ? ctrio__getattr(self->sock, name) : NULL;
    PyObject *result = method != NULL ? PyObject_Call(method, args, kwargs) : NULL;
    Py_XDECREF(method);
    if (result != NULL) {
        head_of(op)->result = 0;
        io->value = result;
        return 0;
    }
    bool blocks = PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_BlockingIOError);
    if (blocks)
        PyErr_Clear();
    if (PyErr_Occurred() || ctrio__socket_follow(self, state, task) < 0)
        return ctrio__py_socket_failed(op, io);
    CTRIO_ASSERT(blocks); /* without a socket, following it has failed */
    return CTRIO_WOULD_BLOCK;
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

/* --- where bytes are received to --------------------------------------------------- */

int ctrio__landing_open(struct ctrio__landing *landing, struct ctrio__py_socket *socket,
                        struct ctrio_task *task, size_t size)
{
    struct ctrio__py_runner *runner = ctrio__py_runner_from(task->run);
    *landing = (struct ctrio__landing){.size = size < INT_MAX ? size : INT_MAX};
    if (landing->size > CTRIO__SCRATCH || socket->bulk) {
        landing->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)landing->size);
        if (landing->bytes == NULL)
            return -1;
        landing->memory = PyBytes_AS_STRING(landing->bytes);
        return 0;
    }
    if (runner->scratch == NULL && (runner->scratch = PyMem_Malloc(CTRIO__SCRATCH)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    landing->memory = runner->scratch;
    return 0;
}

PyObject *ctrio__landing_take(struct ctrio__landing *landing, struct ctrio__py_socket *socket,
                              size_t count)
{
    PyObject *bytes = landing->bytes;
    CTRIO_ASSERT(landing->memory != NULL);
    if (count > landing->size)
        count = landing->size; /* MSG_TRUNC: what the datagram had */
    socket->bulk = count > BULK;
    landing->bytes = NULL;
    if (bytes == NULL)
        bytes = PyBytes_FromStringAndSize(landing->memory, (Py_ssize_t)count);
    else if (count < landing->size)
        _PyBytes_Resize(&bytes, (Py_ssize_t)count); /* NULL if it fails */
    return bytes;
}

void ctrio__landing_drop(struct ctrio__landing *landing)
{
    Py_CLEAR(landing->bytes);
}

/* --- arguments --------------------------------------------------------------------- */

int ctrio__keep_arguments(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
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

PyObject *ctrio__buffer_argument(const struct ctrio__coroutine *coro)
{
    if (PyTuple_GET_SIZE(coro->arg2) > 0)
        return PyTuple_GET_ITEM(coro->arg2, 0);
    CTRIO_ASSERT(coro->arg != NULL && PyDict_CheckExact(coro->arg));
    return PyDict_GetItemString(coro->arg, "buffer");
}

int ctrio__refuse_keywords(const struct ctrio__coroutine *coro)
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
        return ctrio__keep_arguments(coro, args, nargs, kwnames);
    set_size(transfer, size, (int)flags);
    return 0;
}

static int read_recv(struct ctrio__coroutine *coro)
{
    Py_ssize_t size;
    int flags = 0;
    CTRIO_ASSERT(PyTuple_CheckExact(coro->arg2));
    if (ctrio__refuse_keywords(coro) < 0 ||
        !PyArg_ParseTuple(coro->arg2, "n|i:recv", &size, &flags))
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
    return ctrio__keep_arguments(coro, args, nargs, kwnames);
}

/* coro->arg2 becomes what holds the memory of the argument; releases the buffer that it was checked
 * with.  How long it is; -1 with an error. */
static Py_ssize_t hold_memory(struct ctrio__coroutine *coro, Py_buffer *buffer, bool writable)
{
    PyObject *piece = ctrio__hold(ctrio__buffer_argument(coro), writable);
    PyBuffer_Release(buffer);
    if (piece == NULL)
        return -1;
    struct iovec memory = ctrio__memory_of(piece);
    ctrio__transfer_of(coro)->op.buffer = memory.iov_base;
    Py_XSETREF(coro->arg2, piece);
    return (Py_ssize_t)memory.iov_len;
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
    Py_ssize_t length = hold_memory(coro, &buffer, true);
    if (length < 0)
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
        return ctrio__keep_arguments(coro, args, nargs, kwnames);
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
    if (ctrio__refuse_keywords(coro) < 0 ||
        !PyArg_ParseTuple(coro->arg2, "y*|i:send", &buffer, &flags))
        return -1;
    Py_ssize_t length = hold_memory(coro, &buffer, false);
    if (length < 0)
        return -1;
    set_size(ctrio__transfer_of(coro), length, flags);
    return 0;
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
static int nothing(struct ctrio__transfer_op *receive)
{
    CTRIO_ASSERT(receive->size == 0);
    receive->head.result = 0;
    return 0;
}

static int attempt_recv(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__transfer_op *receive = &ctrio__transfer_of(ctrio__coroutine_of(op))->op;
    struct ctrio__py_socket *self = ctrio__py_socket_of(op);
    struct ctrio__landing landing;
    if (prepare(op, task, read_recv) < 0)
        return ctrio__py_socket_failed(op, io);
    if (receive->size == 0) {
        io->value = PyBytes_FromStringAndSize(NULL, 0);
        return nothing(receive);
    }
    if (ctrio__landing_open(&landing, self, task, receive->size) < 0)
        return ctrio__py_socket_failed(op, io);
    receive->buffer = landing.memory;
    int code = ctrio__receive_some_kind.attempt(op, task, io);
    receive->buffer = NULL;
    if (code < 0 || receive->head.result < 0) {
        ctrio__landing_drop(&landing);
        return code;
    }
    io->value = ctrio__landing_take(&landing, self, (size_t)receive->head.result);
    return io->value != NULL ? 0 : ctrio__py_socket_failed(op, io);
}

static int attempt_recv_into(struct ctrio__op *op, struct ctrio_task *task,
                             struct ctrio__outcome *io)
{
    struct ctrio__transfer_op *receive = &ctrio__transfer_of(ctrio__coroutine_of(op))->op;
    if (prepare(op, task, read_recv_into) < 0)
        return ctrio__py_socket_failed(op, io);
    if (receive->size == 0)
        return nothing(receive);
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
