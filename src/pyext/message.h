/* message.h - what recvmsg.c and sendmsg.c share: an op, the memory it borrows from Python, and
 * what comes and goes with a message. */
#ifndef CTRIO_PYEXT_MESSAGE_H
#define CTRIO_PYEXT_MESSAGE_H
#include "pyext/outcome.h"
#include "pyext/sockets.h"

/* The arguments are kept as they came until the first attempt: a receive's as those of any other,
 * a send's in coro->arg, where they stay.  Held, those of a receive into buffers and of a send have
 * left the memory in coro->arg2: a tuple of `pieces` memoryviews or bytes, and behind them, for a
 * send, a bytearray of ancillary data. */
struct ctrio__py_message {
    struct ctrio__message_op op;
    size_t size;    /* receive: how much data may come; into buffers: into the only one, or 0 */
    size_t control; /* receive: how much ancillary data may come */
    Py_ssize_t pieces;
    bool ready, held; /* flags and sizes are there; arg2 has the memory */
};
static_assert(sizeof(struct ctrio__py_message) <= sizeof(union ctrio__any_op),
              "no room in a coroutine");
static inline struct ctrio__py_message *ctrio__message_of(struct ctrio__coroutine *coro)
{
    return (struct ctrio__py_message *)(void *)&coro->op;
}

/* --- held memory: message.c -------------------------------------------------------- */

/* Holds that of one object.  -1 with an error. */
int ctrio__message_hold_one(struct ctrio__coroutine *coro, PyObject *object, bool writable);
/* The objects that hold several buffers, in a list, out of any iterable.  `check` says what kind
 * they have to be of.  NULL with an error. */
PyObject *ctrio__message_list(PyObject *objects, const char *method,
                              int (*check)(PyObject *object, Py_buffer *buffer), bool writable);
/* Holds these (stolen; NULL with an error); the last `more` are no pieces.  -1 with an error. */
int ctrio__message_hold(struct ctrio__coroutine *coro, PyObject *objects, Py_ssize_t more);

enum { CTRIO__FEW = 8 }; /* pieces that take no memory to be listed */
/* What is held, for the system; in `few` if there is room.  NULL with an error. */
struct iovec *ctrio__message_pieces(struct ctrio__coroutine *coro, struct iovec few[CTRIO__FEW]);
static inline void ctrio__message_pieces_free(struct iovec *list, const struct iovec *few)
{
    if (list != few)
        PyMem_Free(list);
}

/* --- ancillary data: ancillary.c --------------------------------------------------- */

/* What has come with a message: [(level, type, data), ...].  NULL with an error. */
PyObject *ctrio__ancillary_to_python(const struct msghdr *message);
/* The block for a message to be sent, a bytearray, out of any iterable of such tuples.  NULL with
 * an error. */
PyObject *ctrio__ancillary_from_python(PyObject *items);
/* Closes the descriptors that have come with a message; that such a list tells of. */
void ctrio__ancillary_close(struct ctrio__os *os, const struct msghdr *message);
void ctrio__ancillary_close_listed(struct ctrio__os *os, PyObject *list);
#endif
