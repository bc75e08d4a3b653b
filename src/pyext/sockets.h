/* sockets.h - what the files of sockets, streams and waiting for I/O share. */
#ifndef CTRIO_PYEXT_SOCKETS_H
#define CTRIO_PYEXT_SOCKETS_H
#include "io/socket_ops.h"
#include "pyext/coroutine.h"
#include <assert.h> /* static_assert */

/* --- SocketBase: socket.c ---------------------------------------------------------- */

/* The descriptor belongs to `sock`, which anybody may close, detach or replace under us: its
 * number is asked for before each call to the system, and `socket` follows it. */
struct ctrio__py_socket {
    PyObject_HEAD
    struct ctrio__socket socket;
    PyObject *sock;       /* `_sock`, a socket.socket; strong, NULL: not set */
    PyCFunction fileno;   /* sock's, if its type has it from C; NULL: ask in Python's way */
    struct ctrio__os *os; /* whose handle socket.handle is; compared, never followed */
    int family;           /* of `sock`, which never changes its own; -1: not asked for yet */
    unsigned version;     /* of the type when its recv and send were seen to be ours; 0: never */
    bool patched;         /* attributes were set on this object: methods too, perhaps */
    bool shut_down_write; /* `_did_shutdown_SHUT_WR` */
    bool bulk;            /* the last receive was a large one */
};

/* socket.handle becomes what `sock` is now, in the task's run; -1: closed.  -1 with an error. */
int ctrio__socket_follow(struct ctrio__py_socket *self, struct ctrio__state *state,
                         struct ctrio_task *task);
/* The family of `sock`, AF_UNSPEC if it has none.  -1 with an error. */
int ctrio__socket_family(struct ctrio__py_socket *self);
/* recv and send of this object do what SocketBase's do: a stream need not call them. */
bool ctrio__socket_is_plain(struct ctrio__state *state, PyObject *object);

static inline struct ctrio__py_socket *ctrio__py_socket_of(struct ctrio__op *op)
{
    struct ctrio__socket *socket = op->object;
    return ctrio__container(socket, struct ctrio__py_socket, socket);
}

/* --- socket operations in coroutines: transfer.c, connection.c and others ---------- */

/* A receive or a send.  Arguments of usual types are read at the call; others wait in coro->arg2
 * (a tuple; coro->arg: a dict of keywords, or NULL) for the first attempt, so that their errors
 * come where those of the standard library's method do: after a checkpoint. */
struct ctrio__py_transfer {
    struct ctrio__transfer_op op;
    bool ready; /* op has size and flags, for a send the buffer too */
};
static inline struct ctrio__coroutine *ctrio__coroutine_of(struct ctrio__op *op)
{
    return ctrio__container(op, struct ctrio__coroutine, op.op);
}
static inline struct ctrio__py_transfer *ctrio__transfer_of(struct ctrio__coroutine *coro)
{
    return (struct ctrio__py_transfer *)(void *)&coro->op;
}
static_assert(sizeof(struct ctrio__send_all_op) <= sizeof(union ctrio__any_op) &&
                  sizeof(struct ctrio__py_transfer) <= sizeof(union ctrio__any_op),
              "the socket operations have no room in a coroutine");

/* Fills coro->op with the receive that op->size and op->flags ask for; it ends with bytes. */
void ctrio__receive_begin(struct ctrio__coroutine *coro, struct ctrio__py_socket *socket);
/* The end of such an op: bytes, or an error of the socket's. */
PyObject *ctrio__receive_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io);

/* Ops of ours have the library's cadence and their own attempt(). */
enum ctrio__step ctrio__py_socket_step(struct ctrio__op *op, struct ctrio_task *task,
                                       struct ctrio__outcome *io);
int ctrio__py_socket_park(struct ctrio__op *op, struct ctrio_task *task);
enum ctrio__step ctrio__py_socket_woken(struct ctrio__op *op, struct ctrio_task *task,
                                        struct ctrio__outcome *io);
void ctrio__py_socket_abandon(struct ctrio__op *op, struct ctrio_task *task);
/* For attempt(): the error that is set comes out after the schedule point. */
int ctrio__py_socket_failed(struct ctrio__op *op, struct ctrio__outcome *io);
/* For attempt(): what sock.name(*args, **kwargs) returns goes into io->value; BlockingIOError is
 * CTRIO_WOULD_BLOCK.  For what is not ours to read: addresses of other families, and mistakes. */
int ctrio__py_socket_by_python(struct ctrio__op *op, struct ctrio_task *task,
                               struct ctrio__outcome *io, const char *name, PyObject *args,
                               PyObject *kwargs);
/* async->parse must have zeroed coro->op; drops what an attempt has left there. */
void ctrio__py_socket_drop(struct ctrio__coroutine *coro);

/* Keeps arguments as they came, in coro->arg2 and coro->arg. */
int ctrio__keep_arguments(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames);
/* Of those, when parsed, the first, or the one that is called "buffer"; borrowed. */
PyObject *ctrio__buffer_argument(const struct ctrio__coroutine *coro);
/* -1 with the standard library's text if keywords were kept. */
int ctrio__refuse_keywords(const struct ctrio__coroutine *coro);

/* Something that holds an object's memory, which PyArg_Parse has found good, so that it keeps its
 * size: bytes as they are, else a memoryview.  A new reference; NULL with an error. */
PyObject *ctrio__hold(PyObject *object, bool writable);
/* Where the memory is that such a thing holds. */
struct iovec ctrio__memory_of(PyObject *piece);

enum { CTRIO__SCRATCH = 65536 }; /* bytes of runner->scratch */

/* Where bytes are received to, within one attempt, and without Python code in between. */
struct ctrio__landing {
    char *memory;
    size_t size;
    PyObject *bytes; /* strong; its memory; NULL: the run's scratch buffer */
};
/* -1 with an error. */
int ctrio__landing_open(struct ctrio__landing *landing, struct ctrio__py_socket *socket,
                        struct ctrio_task *task, size_t size);
/* The first `count` bytes, if there are so many: a new reference, NULL with an error.  Ends it. */
PyObject *ctrio__landing_take(struct ctrio__landing *landing, struct ctrio__py_socket *socket,
                              size_t count);
void ctrio__landing_drop(struct ctrio__landing *landing);

extern const struct ctrio__async ctrio__transfer_methods[], ctrio__recvmsg_methods[],
    ctrio__sendmsg_methods[], ctrio__connection_methods[];

/* --- addresses: sockaddr.c --------------------------------------------------------- */

/* Families whose addresses are read and made here. */
static inline bool ctrio__sockaddr_knows(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}
/* Reads an address in Python's form that needs no looking up.  False, without an error, for all
 * others: the standard library then says what is wrong with it, or right. */
bool ctrio__sockaddr_from_python(int family, PyObject *address, struct sockaddr_storage *out,
                                 uint32_t *size);
/* As the standard library gives it. */
PyObject *ctrio__sockaddr_to_python(const struct sockaddr_storage *address, uint32_t size);

/* --- waiting: io.c ----------------------------------------------------------------- */

/* An int, or what its fileno() says; -1 with Trio's errors. */
int ctrio__fd_of(struct ctrio__state *state, PyObject *object, int *out);
/* Raises the result of a wait or of a socket operation (code < 0).  Always NULL. */
PyObject *ctrio__raise_io(struct ctrio__state *state, struct ctrio__outcome *io);
/* As `raise error from cause` does where `cause` is being handled; `hide`: `from None`.  Steals
 * both; without an `error`, what is set already is raised. */
void ctrio__raise_instead(PyObject *error, PyObject *cause, bool hide);
/* io_ops->get_events, without the GIL where it may sleep; by TheIOManager.get_events if somebody
 * has replaced that.  The count of events; -1 with an error. */
int ctrio__runner_get_events(struct ctrio__py_runner *runner, double timeout,
                             struct ctrio__io_events *events);

/* --- delegating: delegate.c -------------------------------------------------------- */

/* Awaits something of Python's, and ends as that does. */
extern const struct ctrio__op_kind ctrio__delegate_kind;
/* For begin: what remains of coro is to await `awaitable` (stolen; NULL with an error).  0, or -1
 * with an error. */
int ctrio__delegate(struct ctrio__coroutine *coro, PyObject *awaitable);
static inline bool ctrio__delegated(const struct ctrio__coroutine *coro)
{
    return coro->op.op.kind == &ctrio__delegate_kind;
}
PyObject *ctrio__delegate_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io);

int ctrio__exec_stream(PyObject *module, struct ctrio__state *state); /* by exec_socket */
#endif
