/* stream.c - SocketStreamBase: the three methods of a stream that move data.
 *
 * Over a socket of ours they are operations of src/io.  Over anything else (a socket factory's, a
 * replaced method) they await what ctrio._foreign_stream does with it, in Python.  Invariant:
 * `sending` is set exactly while one send_all, wait_send_all_might_not_block or send_eof is under
 * way; the one that set it clears it, however it ends. */
#include "pyext/outcome.h"
#include "pyext/sockets.h"

enum { DEFAULT_RECEIVE_SIZE = 65536 };

struct stream {
    PyObject_HEAD
    PyObject *socket; /* strong; NULL: not set */
    bool sending;
};

static struct stream *stream_of(const struct ctrio__coroutine *coro)
{
    return (struct stream *)coro->self;
}

/* --- errors ------------------------------------------------------------------------ */

static bool means_closed(PyObject *os_error)
{
    PyObject *number = ((PyOSErrorObject *)os_error)->myerrno;
    long code = number != NULL && PyLong_Check(number) ? PyLong_AsLong(number) : 0;
    PyErr_Clear();
    return code == EBADF || code == ENOTSOCK;
}

/* The failure of a call on the socket, as a stream's. */
static PyObject *raise_stream_error(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    struct ctrio__state *state = ctrio__state_of_coro(coro);
    CTRIO_ASSERT(io->code < 0);
    if (io->code <= CTRIO_MISUSE && io->code != CTRIO_FOREIGN)
        return ctrio__raise_io(state, io); /* not an error of the system */
    PyObject *cause = ctrio__exception_of(state, io);
    if (cause == NULL)
        return NULL;
    if (!PyObject_TypeCheck(cause, (PyTypeObject *)PyExc_OSError)) {
        ctrio__raise_object(cause);
    } else if (means_closed(cause)) {
        ctrio__raise_instead(PyObject_CallFunction(state->bound.ClosedResourceError, "s",
                                                   "this socket was already closed"),
                             cause, true);
    } else {
        PyObject *text = PyUnicode_FromFormat("socket connection broken: %S", cause);
        PyObject *error =
            text != NULL ? PyObject_CallOneArg(state->bound.BrokenResourceError, text) : NULL;
        Py_XDECREF(text);
        ctrio__raise_instead(error, cause, false);
    }
    return NULL;
}

/* --- what the methods share -------------------------------------------------------- */

/* The socket; NULL with an error.  New reference. */
static PyObject *socket_of(const struct ctrio__coroutine *coro)
{
    CTRIO_ASSERT(coro->arg == NULL); /* where it goes */
    PyObject *socket = stream_of(coro)->socket;
    if (socket == NULL)
        PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute 'socket'",
                     Py_TYPE(coro->self)->tp_name);
    return Py_XNewRef(socket);
}

/* Leaves it to ctrio._foreign_stream.name(stream[, arg]). */
static int leave_to_python(struct ctrio__coroutine *coro, const char *name, PyObject *arg)
{
    PyObject *module = PyImport_ImportModule("ctrio._foreign_stream");
    PyObject *function = module != NULL ? ctrio__getattr(module, name) : NULL;
    PyObject *awaitable =
        function != NULL ? PyObject_CallFunctionObjArgs(function, coro->self, arg, NULL) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(function);
    return ctrio__delegate(coro, awaitable);
}

/* The descriptor is looked at anew; -1 with an error, also if it is closed. */
static int refuse_closed(struct ctrio__coroutine *coro, struct ctrio__py_socket *socket,
                         struct ctrio__py_task *task, const char *text)
{
    if (ctrio__socket_follow(socket, ctrio__state_of_task(task), &task->task) < 0)
        return -1;
    CTRIO_ASSERT(socket->socket.handle >= -1);
    if (socket->socket.handle >= 0)
        return 0;
    PyObject *class = ctrio__state_of_coro(coro)->bound.ClosedResourceError;
    if (text != NULL)
        PyErr_SetString(class, text);
    else
        PyErr_SetNone(class);
    return -1;
}

static int refuse_conflict(const struct ctrio__coroutine *coro)
{
    if (!stream_of(coro)->sending)
        return 0;
    PyErr_SetString(ctrio__state_of_coro(coro)->bound.BusyResourceError,
                    "another task is currently sending data on this SocketStream");
    return -1;
}

/* --- receive_some ------------------------------------------------------------------ */

static int parse_receive(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    static const char *const names[] = {"max_bytes"};
    PyObject *out;
    *ctrio__transfer_of(coro) = (struct ctrio__py_transfer){.ready = false};
    if (kwnames == NULL && nargs == 1)
        out = args[0];
    else if (ctrio__parse(coro->function->async->qualname, args, nargs, kwnames, names, 0, 1,
                          &out) < 0)
        return -1;
    coro->arg2 = Py_XNewRef(out);
    return 0;
}

/* What cannot be a number of bytes at all fails here, the rest in the receive. */
static int read_max_bytes(struct ctrio__coroutine *coro)
{
    struct ctrio__py_transfer *transfer = ctrio__transfer_of(coro);
    PyObject *max_bytes = coro->arg2;
    transfer->ready = true;
    transfer->op.size = DEFAULT_RECEIVE_SIZE;
    if (max_bytes == NULL || max_bytes == Py_None)
        return 0;
    CTRIO_ASSERT(transfer->op.head.base.result == NULL);
    if (PyLong_CheckExact(max_bytes)) {
        int overflow;
        long size = PyLong_AsLongAndOverflow(max_bytes, &overflow);
        transfer->op.size = (size_t)size;
        if (overflow == 0 && size >= 1)
            return 0;
    }
    PyObject *one = PyLong_FromLong(1);
    int too_few = one != NULL ? PyObject_RichCompareBool(max_bytes, one, Py_LT) : -1;
    Py_XDECREF(one);
    if (too_few > 0)
        PyErr_SetString(PyExc_ValueError, "max_bytes must be >= 1");
    transfer->ready = false;
    transfer->op.size = 0;
    if (too_few != 0)
        return -1;
    PyObject *args = PyTuple_Pack(1, max_bytes);
    Py_XSETREF(coro->arg2, args);
    return args != NULL ? 0 : -1;
}

static int begin_receive(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    PyObject *socket = socket_of(coro);
    if (socket == NULL)
        return -1;
    coro->arg = socket;
    if (!ctrio__socket_is_plain(ctrio__state_of_task(task), socket))
        return leave_to_python(coro, "receive_some", coro->arg2);
    if (read_max_bytes(coro) < 0)
        return -1;
    ctrio__receive_begin(coro, (struct ctrio__py_socket *)socket);
    return 0;
}

static PyObject *finish_receive(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    if (ctrio__delegated(coro))
        return ctrio__delegate_finish(coro, io);
    if (io->code < 0)
        return raise_stream_error(coro, io);
    return ctrio__receive_finish(coro, io);
}

/* --- send_all ---------------------------------------------------------------------- */

static int attempt_send(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__state *state = ctrio__state_of_coro(ctrio__coroutine_of(op));
    if (ctrio__socket_follow(ctrio__py_socket_of(op), state, task) < 0)
        return ctrio__py_socket_failed(op, io);
    return ctrio__send_all_kind.attempt(op, task, io);
}
static enum ctrio__step send_all_step(struct ctrio__op *op, struct ctrio_task *task,
                                      struct ctrio__outcome *io)
{
    return ctrio__send_all_kind.step(op, task, io);
}
static void send_all_abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    ctrio__send_all_kind.abandon(op, task);
}
static const struct ctrio__op_kind send_all_kind = {.verb = "send_all",
                                                    .step = send_all_step,
                                                    .attempt = attempt_send,
                                                    .park = ctrio__py_socket_park,
                                                    .woken = ctrio__py_socket_woken,
                                                    .abandon = send_all_abandon};

static int parse_send_all(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames)
{
    static const char *const names[] = {"data"};
    PyObject *out;
    coro->op.primitive.result = NULL;
    if (kwnames == NULL && nargs == 1)
        out = args[0];
    else if (ctrio__parse(coro->function->async->qualname, args, nargs, kwnames, names, 1, 1,
                          &out) < 0)
        return -1;
    coro->arg2 = Py_NewRef(out);
    return 0;
}

/* coro->arg2 keeps the memory: bytes as they are, anything else under a memoryview. */
static int hold_data(struct ctrio__coroutine *coro, const void **data, size_t *size)
{
    if (PyBytes_CheckExact(coro->arg2)) {
        *data = PyBytes_AS_STRING(coro->arg2);
        *size = (size_t)PyBytes_GET_SIZE(coro->arg2);
        return 0;
    }
    PyObject *view = PyMemoryView_FromObject(coro->arg2);
    if (view == NULL)
        return -1;
    Py_SETREF(coro->arg2, view);
    const Py_buffer *buffer = PyMemoryView_GET_BUFFER(view);
    if (!PyBuffer_IsContiguous(buffer, 'C')) {
        PyErr_SetString(PyExc_BufferError, "memoryview: underlying buffer is not C-contiguous");
        return -1;
    }
    CTRIO_ASSERT(buffer->len >= 0);
    *data = buffer->buf;
    *size = (size_t)buffer->len;
    return 0;
}

static int begin_send_all(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    struct ctrio__send_all_op *op = (struct ctrio__send_all_op *)(void *)&coro->op;
    const void *data;
    size_t size;
    PyObject *object = socket_of(coro);
    if (object == NULL)
        return -1;
    coro->arg = object;
    if (!ctrio__socket_is_plain(ctrio__state_of_task(task), object))
        return leave_to_python(coro, "send_all", coro->arg2);
    struct ctrio__py_socket *socket = (struct ctrio__py_socket *)object;
    if (socket->shut_down_write) {
        PyErr_SetString(ctrio__state_of_task(task)->bound.ClosedResourceError,
                        "can't send data after sending EOF");
        return -1;
    }
    if (refuse_conflict(coro) < 0 || hold_data(coro, &data, &size) < 0)
        return -1;
    if (size == 0 && refuse_closed(coro, socket, task, "socket was already closed") < 0)
        return -1;
    CTRIO_ASSERT(!stream_of(coro)->sending);
    ctrio__send_all_init(op, &socket->socket, data, size, &stream_of(coro)->sending);
    op->part.head.base.op.kind = &send_all_kind;
    return 0;
}

static PyObject *finish_nothing(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    if (ctrio__delegated(coro))
        return ctrio__delegate_finish(coro, io);
    if (io->code < 0)
        return raise_stream_error(coro, io);
    Py_RETURN_NONE;
}

/* --- wait_send_all_might_not_block ------------------------------------------------- */

/* coro->number says whether it is us who have set `sending`. */
static int parse_wait(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    coro->number = 0;
    return ctrio__parse(coro->function->async->qualname, args, nargs, kwnames, NULL, 0, 0, NULL);
}

static int begin_wait(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    PyObject *object = socket_of(coro);
    if (object == NULL)
        return -1;
    coro->arg = object;
    if (!ctrio__socket_is_plain(ctrio__state_of_task(task), object) ||
        ctrio__state_of_task(task)->io_manager_patched)
        return leave_to_python(coro, "wait_send_all_might_not_block", NULL);
    struct ctrio__py_socket *socket = (struct ctrio__py_socket *)object;
    if (refuse_conflict(coro) < 0 || refuse_closed(coro, socket, task, NULL) < 0)
        return -1;
    stream_of(coro)->sending = true;
    coro->number = 1;
    static_assert(sizeof(struct ctrio__wait_handle_op) <= sizeof coro->op, "no room");
    ctrio__wait_handle_init((struct ctrio__wait_handle_op *)(void *)&coro->op,
                            socket->socket.handle, CTRIO__WRITABLE);
    return 0;
}

static void drop_wait(struct ctrio__coroutine *coro)
{
    CTRIO_ASSERT(coro->number == 0 || stream_of(coro)->sending);
    if (coro->number != 0)
        stream_of(coro)->sending = false;
    coro->number = 0;
}

/* --- the type ---------------------------------------------------------------------- */

static PyObject *stream_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                            PyObject *Py_UNUSED(kwargs))
{
    return type->tp_alloc(type, 0);
}
static int stream_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct stream *)self)->socket);
    return 0;
}
static int stream_clear(PyObject *self)
{
    Py_CLEAR(((struct stream *)self)->socket);
    return 0;
}
static void stream_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    stream_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef stream_members[] = {
    {"socket", T_OBJECT_EX, offsetof(struct stream, socket), 0, NULL},
    {"_sending", T_BOOL, offsetof(struct stream, sending), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot stream_slots[] = {
    {Py_tp_new, stream_new},     {Py_tp_members, stream_members}, {Py_tp_traverse, stream_traverse},
    {Py_tp_clear, stream_clear}, {Py_tp_dealloc, stream_dealloc}, {0, NULL},
};
static PyType_Spec stream_spec = {.name = "trio.SocketStreamBase",
                                  .basicsize = sizeof(struct stream),
                                  .flags =
                                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                  .slots = stream_slots};

static const struct ctrio__async stream_methods[] = {
    {.qualname = "SocketStreamBase.receive_some",
     .module = "trio",
     .self = TYPE_STREAM_BASE,
     .parse = parse_receive,
     .begin = begin_receive,
     .finish = finish_receive,
     .drop = ctrio__py_socket_drop},
    {.qualname = "SocketStreamBase.send_all",
     .module = "trio",
     .self = TYPE_STREAM_BASE,
     .parse = parse_send_all,
     .begin = begin_send_all,
     .finish = finish_nothing,
     .drop = ctrio__py_socket_drop},
    {.qualname = "SocketStreamBase.wait_send_all_might_not_block",
     .module = "trio",
     .self = TYPE_STREAM_BASE,
     .parse = parse_wait,
     .begin = begin_wait,
     .finish = finish_nothing,
     .drop = drop_wait},
    {.qualname = NULL},
};

int ctrio__exec_stream(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_STREAM_BASE, &stream_spec, NULL, "SocketStreamBase") < 0)
        return -1;
    return ctrio__add_methods(state, TYPE_STREAM_BASE, stream_methods);
}
