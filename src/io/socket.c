/* socket.c - opening, closing and waiting on the library's own sockets.
 *
 * Invariant: a socket whose handle is -1 has no registration.  The registration itself lives in
 * the backend (epoll.c), which alone can say whether `epoch` still holds; a backend without any
 * (os->wait_socket NULL) is asked to wait on the bare handle, which is always right. */
#include "io/socket.h"
#include "kernel/loop.h"

int ctrio__socket_wait(struct ctrio__socket *socket, enum ctrio__io_interest interest,
                       struct ctrio_task *task)
{
    struct ctrio_run *run = task->run;
    struct ctrio__os *os = run->os;
    CTRIO_ASSERT(run->current == task);
    ctrio__void_poll_budget(run);
    if (os->wait_socket != NULL && run->io_ops == os->io)
        return os->wait_socket(run->io, socket, interest, task);
    return run->io_ops->wait(run->io, socket->handle, interest, task);
}

int ctrio__socket_wait_anew(struct ctrio__socket *socket, enum ctrio__io_interest interest,
                            struct ctrio_task *task)
{
    CTRIO_ASSERT(task->run->current == task);
    ctrio__void_poll_budget(task->run);
    return task->run->io_ops->wait(task->run->io, socket->handle, interest, task);
}

void ctrio__socket_closing(struct ctrio__socket *socket, struct ctrio_run *run)
{
    if (run != NULL && socket->handle >= 0)
        run->io_ops->notify_closing(run->io, socket->handle);
    socket->io = NULL;
    socket->epoch = 0;
}

int ctrio__socket_close(struct ctrio__socket *socket, struct ctrio_run *run, struct ctrio__os *os)
{
    CTRIO_ASSERT(run == NULL || run->os == os);
    if (socket->handle < 0)
        return 0;
    ctrio__socket_closing(socket, run);
    intptr_t handle = socket->handle;
    socket->handle = -1;
    CTRIO_ASSERT(socket->epoch == 0);
    return os->net->close(os, handle);
}
