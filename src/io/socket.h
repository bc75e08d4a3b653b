/* socket.h - a socket that the library owns.
 *
 * Its readiness is registered with the system once for its life, edge-triggered, so that a wait
 * costs no system call.  That is safe because of one discipline: an op parks here only right
 * after the system said -EAGAIN in the same step, so the edge that wakes it is still to come.
 * And because the registration belongs to this object, never to its number: `epoch` names one
 * registration in the life of a backend and is never given out twice. */
#ifndef CTRIO_IO_SOCKET_H
#define CTRIO_IO_SOCKET_H
#include "io/net.h"
#include "kernel/run.h"

/* Embedded in its owner's struct; may be used in several runs, one after the other. */
struct ctrio__socket {
    intptr_t handle;      /* -1: closed; calls then give -EBADF */
    struct ctrio__io *io; /* whose registration `epoch` names; compared, never followed */
    uint64_t epoch;       /* 0: none */
};

static inline void ctrio__socket_init(struct ctrio__socket *socket, intptr_t handle)
{
    *socket = (struct ctrio__socket){.handle = handle};
}
/* Parks the running task, which has just seen -EAGAIN, until the socket is ready (wakes with 0:
 * try again, perhaps in vain) or given up by notify_closing (CTRIO_CLOSED_RESOURCE).
 * CTRIO_BUSY_RESOURCE, -errno: not parked. */
int ctrio__socket_wait(struct ctrio__socket *socket, enum ctrio__io_interest interest,
                       struct ctrio_task *task);
/* The same where -EAGAIN promises no edge: the system looks anew, and the task is woken soon if the
 * socket is ready as it stands. */
int ctrio__socket_wait_anew(struct ctrio__socket *socket, enum ctrio__io_interest interest,
                            struct ctrio_task *task);
/* The number is about to be closed, by the caller or by whoever owns it: wakes those who wait on
 * it and forgets it.  `run` may be NULL outside a run. */
void ctrio__socket_closing(struct ctrio__socket *socket, struct ctrio_run *run);
/* Closes it.  The socket is closed even on -errno; a second time: 0. */
int ctrio__socket_close(struct ctrio__socket *socket, struct ctrio_run *run, struct ctrio__os *os);

static inline const struct ctrio__net_ops *ctrio__net_of(const struct ctrio_task *task)
{
    return task->run->os->net;
}
#endif
