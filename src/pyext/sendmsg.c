/* sendmsg.c - sendto and sendmsg, as operations of src/io.
 *
 * An address that is a number becomes the system's within the attempt.  One that has to be looked
 * up, or that may be wrong, is first taken to Python, whose `_send_resolved` comes back with a
 * number.  Invariant: an audit event is raised for each call to the system, before it, as the
 * standard library does.  Families that sockaddr.c does not know, and mistakes, are left to the
 * standard library's own methods, so that there is one source of shapes and texts. */
#include "pyext/message.h"

/* --- arguments of a send ----------------------------------------------------------- */

/* No keywords, with the texts of a Python function. */
static int refuse_keywords(const char *function, PyObject *kwnames, const char *const *names)
{
    Py_ssize_t count = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    PyObject *given = count != 0 ? PyTuple_GET_ITEM(kwnames, 0) : NULL;
    if (given == NULL)
        return 0;
    for (; *names != NULL; names++)
        if (PyUnicode_CompareWithASCIIString(given, *names) == 0) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got some positional-only arguments passed as keyword arguments: "
                         "'%U'",
                         function, given);
            return -1;
        }
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function, given);
    return -1;
}

static const char *const sendmsg_names[] = {"buffers", "ancdata", "flags", "address", NULL};

/* For the whole life of the op: the address is needed for each attempt. */
static int keep_arguments(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs)
{
    if (ctrio__keep_arguments(coro, args, nargs, NULL) < 0)
        return -1;
    CTRIO_ASSERT(coro->arg == NULL);
    coro->arg = coro->arg2;
    coro->arg2 = NULL;
    return 0;
}

static int parse_sendto(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames)
{
    *ctrio__message_of(coro) = (struct ctrio__py_message){.ready = false};
    if (refuse_keywords("_SocketType.sendto", kwnames, sendmsg_names + 4) < 0)
        return -1;
    return keep_arguments(coro, args, nargs);
}

static int parse_sendmsg(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    PyObject *out[4];
    *ctrio__message_of(coro) = (struct ctrio__py_message){.ready = false};
    if (refuse_keywords("_SocketType.sendmsg", kwnames, sendmsg_names) < 0 ||
        ctrio__parse("_SocketType.sendmsg", args, nargs, NULL, sendmsg_names, 1, 4, out) < 0)
        return -1;
    return keep_arguments(coro, args, nargs);
}

/* Where to; borrowed, NULL: where the socket is connected to. */
static PyObject *destination(struct ctrio__coroutine *coro, bool last)
{
    Py_ssize_t count = PyTuple_GET_SIZE(coro->arg);
    CTRIO_ASSERT(count > 0);
    if (last)
        return PyTuple_GET_ITEM(coro->arg, count - 1);
    return count == 4 && PyTuple_GET_ITEM(coro->arg, 3) != Py_None ? PyTuple_GET_ITEM(coro->arg, 3)
                                                                   : NULL;
}

static bool has_sendto_count(struct ctrio__coroutine *coro)
{
    Py_ssize_t count = PyTuple_GET_SIZE(coro->arg);
    return count == 2 || count == 3;
}

static int read_sendto(struct ctrio__coroutine *coro)
{
    Py_buffer buffer;
    PyObject *address;
    int flags = 0, parsed;
    CTRIO_ASSERT(has_sendto_count(coro));
    if (PyTuple_GET_SIZE(coro->arg) == 3)
        parsed = PyArg_ParseTuple(coro->arg, "y*iO:sendto", &buffer, &flags, &address);
    else
        parsed = PyArg_ParseTuple(coro->arg, "y*O:sendto", &buffer, &address);
    if (!parsed)
        return -1;
    int failed = ctrio__message_hold_one(coro, PyTuple_GET_ITEM(coro->arg, 0), false);
    PyBuffer_Release(&buffer);
    if (failed < 0)
        return -1;
    ctrio__message_of(coro)->op.flags = flags;
    ctrio__message_of(coro)->ready = true;
    return 0;
}

static int read_sendmsg(struct ctrio__coroutine *coro)
{
    PyObject *buffers, *ancillary, *address;
    int flags = 0;
    if (!PyArg_ParseTuple(coro->arg, "O|OiO:sendmsg", &buffers, &ancillary, &flags, &address))
        return -1;
    ctrio__message_of(coro)->op.flags = flags;
    ctrio__message_of(coro)->ready = true;
    return 0;
}

static int check_readable(PyObject *object, Py_buffer *buffer)
{
    return PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE);
}

static int hold_sendmsg(struct ctrio__coroutine *coro)
{
    bool more = PyTuple_GET_SIZE(coro->arg) > 1;
    PyObject *list =
        ctrio__message_list(PyTuple_GET_ITEM(coro->arg, 0), "sendmsg", check_readable, false);
    if (list != NULL && more) {
        PyObject *block = ctrio__ancillary_from_python(PyTuple_GET_ITEM(coro->arg, 1));
        if (block == NULL || PyList_Append(list, block) < 0)
            Py_CLEAR(list);
        Py_XDECREF(block);
    }
    return ctrio__message_hold(coro, list, more);
}

/* --- sending ----------------------------------------------------------------------- */

/* A method.  `hold` comes after the audit event, as in the standard library; NULL: `read` has done
 * it. */
struct sending {
    const char *name, *audit;
    int (*read)(struct ctrio__coroutine *coro);
    int (*hold)(struct ctrio__coroutine *coro);
    bool last; /* the address is the last argument; otherwise the fourth, if there is one */
};
static const struct sending sendto_how = {"sendto", "socket.sendto", read_sendto, NULL, true};
static const struct sending sendmsg_how = {"sendmsg", "socket.sendmsg", read_sendmsg, hold_sendmsg,
                                           false};

static int call_send(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io,
                     struct msghdr *header)
{
    struct ctrio__coroutine *coro = ctrio__coroutine_of(op);
    struct ctrio__py_message *message = ctrio__message_of(coro);
    struct iovec few[CTRIO__FEW];
    Py_ssize_t pieces = message->pieces;
    header->msg_iov = ctrio__message_pieces(coro, few);
    if (header->msg_iov == NULL)
        return ctrio__py_socket_failed(op, io);
    header->msg_iovlen = (size_t)pieces;
    if (PyTuple_GET_SIZE(coro->arg2) > pieces) {
        PyObject *block = PyTuple_GET_ITEM(coro->arg2, pieces);
        header->msg_controllen = (size_t)PyByteArray_GET_SIZE(block);
        header->msg_control = header->msg_controllen != 0 ? PyByteArray_AS_STRING(block) : NULL;
    }
    message->op.message = header;
    int code = ctrio__send_message_kind.attempt(op, task, io);
    message->op.message = NULL;
    ctrio__message_pieces_free(header->msg_iov, few);
    return code;
}

static int transmit(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io,
                    const struct sending *how)
{
    struct ctrio__coroutine *coro = ctrio__coroutine_of(op);
    struct ctrio__py_message *message = ctrio__message_of(coro);
    struct ctrio__py_socket *self = ctrio__py_socket_of(op);
    int family = ctrio__socket_family(self);
    struct sockaddr_storage address;
    struct msghdr header = {.msg_name = NULL};
    if (family < 0)
        return ctrio__py_socket_failed(op, io);
    if (!ctrio__sockaddr_knows(family) || (how->last && !has_sendto_count(coro)))
        return ctrio__py_socket_by_python(op, task, io, how->name, coro->arg, NULL);
    if (!message->ready && how->read(coro) < 0)
        return ctrio__py_socket_failed(op, io);
    PyObject *to = destination(coro, how->last);
    if (to != NULL) {
        if (!ctrio__sockaddr_from_python(family, to, &address, &header.msg_namelen))
            return ctrio__py_socket_by_python(op, task, io, how->name, coro->arg, NULL);
        header.msg_name = &address;
    }
    if (PySys_Audit(how->audit, "OO", self->sock, to != NULL ? to : Py_None) < 0 ||
        (!message->held && how->hold(coro) < 0) ||
        ctrio__socket_follow(self, ctrio__state_of_coro(coro), task) < 0)
        return ctrio__py_socket_failed(op, io);
    return call_send(op, task, io, &header);
}

/* See src/io/socket_ops.c: to an address one waits by asking again.  So does a family of which
 * nobody knows what it promises. */
static int park(struct ctrio__op *op, struct ctrio_task *task, const struct sending *how)
{
    struct ctrio__py_socket *self = ctrio__py_socket_of(op);
    struct ctrio__coroutine *coro = ctrio__coroutine_of(op);
    if (ctrio__message_of(coro)->ready && destination(coro, how->last) == NULL)
        return ctrio__py_socket_park(op, task);
    return ctrio__socket_wait_anew(&self->socket, CTRIO__WRITABLE, task);
}

static int attempt_sendto(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    return transmit(op, task, io, &sendto_how);
}
static int attempt_sendmsg(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    return transmit(op, task, io, &sendmsg_how);
}
static int park_sendto(struct ctrio__op *op, struct ctrio_task *task)
{
    return park(op, task, &sendto_how);
}
static int park_sendmsg(struct ctrio__op *op, struct ctrio_task *task)
{
    return park(op, task, &sendmsg_how);
}

/* --- the methods ------------------------------------------------------------------- */

#define KIND(name, attempt_it, park_it)                                                            \
    {.verb = name,                                                                                 \
     .step = ctrio__py_socket_step,                                                                \
     .attempt = attempt_it,                                                                        \
     .park = park_it,                                                                              \
     .woken = ctrio__py_socket_woken,                                                              \
     .abandon = ctrio__py_socket_abandon}
static const struct ctrio__op_kind sendto_kind = KIND("sendto", attempt_sendto, park_sendto);
static const struct ctrio__op_kind sendmsg_kind = KIND("sendmsg", attempt_sendmsg, park_sendmsg);

static int begin_send(struct ctrio__coroutine *coro, const struct ctrio__op_kind *kind)
{
    struct ctrio__message_op *op = &ctrio__message_of(coro)->op;
    struct ctrio__py_socket *self = (struct ctrio__py_socket *)coro->self;
    ctrio__send_message_init(op, &self->socket, NULL, 0);
    CTRIO_ASSERT(op->head.base.result == NULL);
    op->head.base.op.kind = kind;
    return 0;
}

/* As in Trio, an address that is no number yet is resolved first: no checkpoint by itself, and not
 * even a look for a cancellation.  IPv6 sockets that are closed fail there, too: they are asked
 * what they think of IPv4. */
static int has_to_resolve(struct ctrio__coroutine *coro, struct ctrio__py_task *task,
                          PyObject *address)
{
    struct ctrio__py_socket *self = (struct ctrio__py_socket *)coro->self;
    struct sockaddr_storage unused;
    uint32_t size;
    int family = ctrio__socket_family(self);
    if (address == NULL || !ctrio__sockaddr_knows(family))
        return family < 0 ? -1 : 0;
    if (!ctrio__sockaddr_from_python(family, address, &unused, &size))
        return 1;
    if (family != AF_INET6)
        return 0;
    if (ctrio__socket_follow(self, ctrio__state_of_task(task), &task->task) < 0)
        return -1;
    return self->socket.handle < 0;
}

/* await self._send_resolved(then, *args) */
static int resolve(struct ctrio__coroutine *coro, const char *then)
{
    PyObject *method = ctrio__getattr(coro->self, "_send_resolved");
    PyObject *name = Py_BuildValue("(s)", then);
    PyObject *args = name != NULL ? PySequence_Concat(name, coro->arg) : NULL;
    PyObject *awaitable = method != NULL && args != NULL ? PyObject_Call(method, args, NULL) : NULL;
    Py_XDECREF(method);
    Py_XDECREF(name);
    Py_XDECREF(args);
    return ctrio__delegate(coro, awaitable);
}

/* `then` is what to call with an address that had to be resolved. */
static int begin_with(struct ctrio__coroutine *coro, struct ctrio__py_task *task, PyObject *address,
                      const char *then, const struct ctrio__op_kind *kind)
{
    int has_to = has_to_resolve(coro, task, address);
    if (has_to != 0)
        return has_to > 0 ? resolve(coro, then) : -1;
    return begin_send(coro, kind);
}

static int begin_sendto(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    if (PyTuple_GET_SIZE(coro->arg) == 0) {
        PyErr_SetString(PyExc_IndexError, "tuple index out of range");
        return -1;
    }
    return begin_with(coro, task, destination(coro, true), "_sendto", &sendto_kind);
}
static int begin_sendto_resolved(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_send(coro, &sendto_kind);
}
static int begin_sendmsg(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    return begin_with(coro, task, destination(coro, false), "_sendmsg", &sendmsg_kind);
}
static int begin_sendmsg_resolved(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_send(coro, &sendmsg_kind);
}

static PyObject *finish_send(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    if (ctrio__delegated(coro))
        return ctrio__delegate_finish(coro, io);
    if (io->code < 0)
        return ctrio__raise_io(ctrio__state_of_coro(coro), io);
    PyObject *count = io->value; /* of the standard library's method, if that was called */
    io->value = NULL;
    return count != NULL ? count : PyLong_FromLong(io->code);
}

#define METHOD(name, parse_it, begin_it)                                                           \
    {.qualname = "SocketBase." name,                                                               \
     .module = "trio.socket",                                                                      \
     .self = TYPE_SOCKET_BASE,                                                                     \
     .parse = parse_it,                                                                            \
     .begin = begin_it,                                                                            \
     .finish = finish_send,                                                                        \
     .drop = ctrio__py_socket_drop}
const struct ctrio__async ctrio__sendmsg_methods[] = {
    METHOD("sendto", parse_sendto, begin_sendto),
    METHOD("sendmsg", parse_sendmsg, begin_sendmsg),
    METHOD("_sendto", parse_sendto, begin_sendto_resolved),
    METHOD("_sendmsg", parse_sendmsg, begin_sendmsg_resolved),
    {.qualname = NULL},
};
