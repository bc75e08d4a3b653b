/* connection.c - accept and connect, as operations of src/io.
 *
 * Both turn addresses into Python's form, or out of it, within the attempt, so that no op holds a
 * sockaddr.  Addresses that sockaddr.c leaves alone (other families, names, mistakes) go through
 * the methods of the standard library's socket, whose answers are then the right ones.  Invariant:
 * a handle that was accepted is either in the op's result or closed. */
#include "pyext/outcome.h"
#include "pyext/sockets.h"

static struct ctrio__socket_op *head_of(struct ctrio__op *op)
{
    return ctrio__container(op, struct ctrio__socket_op, base.op);
}

static int begin(struct ctrio__coroutine *coro, const struct ctrio__op_kind *kind,
                 enum ctrio__io_interest interest)
{
    struct ctrio__socket_op *head = (struct ctrio__socket_op *)(void *)&coro->op;
    struct ctrio__py_socket *self = (struct ctrio__py_socket *)coro->self;
    CTRIO_ASSERT(coro->op.primitive.result == NULL);
    *head = (struct ctrio__socket_op){.base.op = {kind, &self->socket, CTRIO__STAGE_START},
                                      .interest = interest};
    return 0;
}

/* --- accept ------------------------------------------------------------------------ */

static int parse_nothing(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    coro->op.primitive.result = NULL;
    return ctrio__parse(coro->function->async->qualname, args, nargs, kwnames, NULL, 0, 0, NULL);
}

/* For families whose addresses are not ours to read; that method leaves the descriptor blocking. */
static int accept_by_python(struct ctrio__op *op, struct ctrio_task *task,
                            struct ctrio__outcome *io)
{
    struct ctrio__os *os = task->run->os;
    PyObject *address, *nothing = PyTuple_New(0);
    int fd;
    if (nothing == NULL)
        return ctrio__py_socket_failed(op, io);
    int code = ctrio__py_socket_by_python(op, task, io, "_accept", nothing, NULL);
    Py_DECREF(nothing);
    if (code < 0 || head_of(op)->result < 0)
        return code;
    PyObject *pair = io->value;
    io->value = NULL;
    if (!PyArg_Parse(pair, "(iO)", &fd, &address)) {
        Py_DECREF(pair);
        return ctrio__py_socket_failed(op, io);
    }
    intptr_t handle = os->net->adopt(os, fd);
    if (handle >= 0)
        io->value = Py_BuildValue("nO", (Py_ssize_t)handle, address);
    else
        head_of(op)->result = (int)handle;
    Py_DECREF(pair);
    if (io->value == NULL)
        os->net->close(os, fd);
    return PyErr_Occurred() ? ctrio__py_socket_failed(op, io) : 0;
}

static int attempt_accept(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__py_socket *self = ctrio__py_socket_of(op);
    struct ctrio__os *os = task->run->os;
    struct sockaddr_storage address = {0};
    uint32_t size = sizeof address;
    int family = ctrio__socket_family(self);
    if (family >= 0 && !ctrio__sockaddr_knows(family))
        return accept_by_python(op, task, io);
    if (family < 0 ||
        ctrio__socket_follow(self, ctrio__state_of_coro(ctrio__coroutine_of(op)), task) < 0)
        return ctrio__py_socket_failed(op, io);
    CTRIO_ASSERT(head_of(op)->base.result == NULL);
    intptr_t handle = os->net->accept(os, self->socket.handle, (struct sockaddr *)&address, &size);
    if (handle == -EAGAIN || handle == -EWOULDBLOCK)
        return CTRIO_WOULD_BLOCK;
    head_of(op)->result = handle < 0 ? (int)handle : 0;
    if (handle < 0)
        return 0;
    io->value = Py_BuildValue("nN", (Py_ssize_t)handle, ctrio__sockaddr_to_python(&address, size));
    if (io->value != NULL)
        return 0;
    os->net->close(os, handle);
    return ctrio__py_socket_failed(op, io);
}

/* Accepted, and nobody has heard of it yet. */
static void abandon_accept(struct ctrio__op *op, struct ctrio_task *task)
{
    PyObject *left = head_of(op)->base.result;
    ctrio__py_socket_abandon(op, task);
    struct ctrio__os *os = task->run->os;
    if (left == NULL || !PyTuple_Check(left) ||
        os == NULL) /* one that was lent has been taken back */
        return;
    os->net->close(os, (intptr_t)PyLong_AsSsize_t(PyTuple_GET_ITEM(left, 0)));
}

static const struct ctrio__op_kind accept_kind = {.verb = "accept",
                                                  .step = ctrio__py_socket_step,
                                                  .attempt = attempt_accept,
                                                  .park = ctrio__py_socket_park,
                                                  .woken = ctrio__py_socket_woken,
                                                  .abandon = abandon_accept};

static int begin_accept(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin(coro, &accept_kind, CTRIO__READABLE);
}

static PyObject *finish_accept(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    PyObject *pair = io->value;
    if (io->code < 0)
        return ctrio__raise_io(ctrio__state_of_coro(coro), io);
    CTRIO_ASSERT(PyTuple_Check(pair));
    io->value = NULL;
    return pair;
}

/* --- connect ----------------------------------------------------------------------- */

static int parse_address(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    static const char *const names[] = {"address"};
    const char *function = coro->function->async->qualname;
    PyObject *out;
    coro->op.primitive.result = NULL;
    if (ctrio__parse(function, args, nargs, kwnames, names, 1, 1, &out) < 0)
        return -1;
    coro->arg = Py_NewRef(out);
    return 0;
}

static int connect_by_python(struct ctrio__op *op, struct ctrio_task *task,
                             struct ctrio__outcome *io)
{
    PyObject *args = PyTuple_Pack(1, ctrio__coroutine_of(op)->arg);
    if (args == NULL)
        return ctrio__py_socket_failed(op, io);
    int code = ctrio__py_socket_by_python(op, task, io, "connect", args, NULL);
    if (code == 0 && head_of(op)->result == 0) {
        Py_DECREF((PyObject *)io->value); /* None */
        io->value = NULL;
    }
    Py_DECREF(args);
    return code;
}

/* -EAGAIN is an answer here, as in src/io. */
static int attempt_connect(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__py_socket *self = ctrio__py_socket_of(op);
    struct ctrio__coroutine *coro = ctrio__coroutine_of(op);
    struct ctrio__os *os = task->run->os;
    struct sockaddr_storage address;
    uint32_t size;
    if (ctrio__socket_follow(self, ctrio__state_of_coro(coro), task) < 0)
        return ctrio__py_socket_failed(op, io);
    int family = ctrio__socket_family(self);
    if (family < 0)
        return ctrio__py_socket_failed(op, io);
    if (!ctrio__sockaddr_from_python(family, coro->arg, &address, &size))
        return connect_by_python(op, task, io);
    if (PySys_Audit("socket.connect", "OO", self->sock, coro->arg) < 0)
        return ctrio__py_socket_failed(op, io);
    int result = os->net->connect(os, self->socket.handle, (const struct sockaddr *)&address, size);
    CTRIO_ASSERT(result <= 0);
    if (result == -EINPROGRESS)
        return CTRIO_WOULD_BLOCK;
    head_of(op)->result = result;
    return 0;
}

static enum ctrio__step connect_woken(struct ctrio__op *op, struct ctrio_task *task,
                                      struct ctrio__outcome *io)
{
    struct ctrio__state *state = ctrio__state_of_coro(ctrio__coroutine_of(op));
    if (io->code < 0)
        return CTRIO__DONE;
    if (ctrio__socket_follow(ctrio__py_socket_of(op), state, task) >= 0)
        return ctrio__connect_kind.woken(op, task, io);
    ctrio__py_socket_failed(op, io);
    return CTRIO__DONE;
}

static const struct ctrio__op_kind connect_kind = {.verb = "connect",
                                                   .step = ctrio__py_socket_step,
                                                   .attempt = attempt_connect,
                                                   .park = ctrio__py_socket_park,
                                                   .woken = connect_woken,
                                                   .abandon = ctrio__py_socket_abandon};

static int begin_connect(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin(coro, &connect_kind, CTRIO__WRITABLE);
}

/* An attempt that took its time and failed: Trio names the address. */
static PyObject *raise_connect_error(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    int number = -io->code;
    CTRIO_ASSERT(number > 0);
    PyObject *plain = ctrio__exception_of(ctrio__state_of_coro(coro), io);
    if (plain == NULL)
        return NULL;
    PyObject *text = NULL;
    if (PyObject_TypeCheck(plain, (PyTypeObject *)PyExc_OSError))
        text = PyUnicode_FromFormat("Error connecting to %R: %S", coro->arg,
                                    ((PyOSErrorObject *)plain)->strerror);
    PyObject *named =
        text != NULL ? PyObject_CallFunction(PyExc_OSError, "iO", number, text) : NULL;
    Py_XDECREF(text);
    if (named != NULL)
        ctrio__raise_object(named);
    else if (!PyErr_Occurred())
        ctrio__raise_object(Py_NewRef(plain));
    Py_DECREF(plain);
    return NULL;
}

static PyObject *finish_connect(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    if (io->code >= 0)
        Py_RETURN_NONE;
    bool waited = coro->op.op.stage == CTRIO__STAGE_WAITING;
    bool by_peer = io->code > CTRIO_CANCELLED + 100 && io->code != -EBADF; /* an errno */
    if (waited && by_peer)
        return raise_connect_error(coro, io);
    return ctrio__raise_io(ctrio__state_of_coro(coro), io);
}

const struct ctrio__async ctrio__connection_methods[] = {
    {.qualname = "SocketBase._accept",
     .module = "trio.socket",
     .self = TYPE_SOCKET_BASE,
     .parse = parse_nothing,
     .begin = begin_accept,
     .finish = finish_accept,
     .drop = ctrio__py_socket_drop},
    {.qualname = "SocketBase._connect",
     .module = "trio.socket",
     .self = TYPE_SOCKET_BASE,
     .parse = parse_address,
     .begin = begin_connect,
     .finish = finish_connect,
     .drop = ctrio__py_socket_drop},
    {.qualname = NULL},
};
