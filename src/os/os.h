/* os.h - `struct ctrio__os`: every way from a run to the machine.
 *
 * The run sees readiness, clock and choices of it; socket operations see `net`, front ends see the
 * rest, of which Python's leaves some to CPython (docs/design/simulation.md).  The native one calls
 * the system; a simulator embeds this struct at the head of its own world.  Results are >= 0 or
 * -errno: nothing depends on errno, which belongs to a thread and not to a task.  Children (spawn,
 * reap, kill) join the table when there are processes. */
#ifndef CTRIO_OS_OS_H
#define CTRIO_OS_OS_H
#include "kernel/io.h"
#include "os/names.h"
#include "os/thread.h"

struct ctrio__net_ops; /* io/net.h */
struct ctrio__socket;  /* io/socket.h */

struct ctrio__os {
    const struct ctrio__io_ops *io;
    const struct ctrio__net_ops *net;
    const struct ctrio__thread_ops *threads;
    uint64_t (*now)(struct ctrio__os *os, int which); /* enum ctrio__clock_id; ns [any thread] */
    int (*random)(struct ctrio__os *os, void *buffer, size_t size);
    /* Of the program's environment; NULL: not set.  A member that is NULL: there is none. */
    const char *(*setting)(const char *name);
    /* Looks op->host and op->service up, in a thread where that blocks.  0: op->done will be
     * called once, on any thread, perhaps before this returns. */
    int (*resolve)(struct ctrio__os *os, struct ctrio__names_op *op);
    /* Calls fn for each signal `number`; fn may be interrupted code's guest: async-signal-safe
     * only, on any thread.  fn NULL: no longer, and the old disposition is back; a call that is
     * under way on another thread may still end.  -EBUSY: watched already. */
    int (*watch_signal)(struct ctrio__os *os, int number, void (*fn)(void *arg, int number),
                        void *arg);
    /* The backend's way to park on a socket that the library owns (see io/socket.h); used only in
     * runs whose backend is `io`.  NULL: io->wait on its handle will do. */
    int (*wait_socket)(struct ctrio__io *io, struct ctrio__socket *socket,
                       enum ctrio__io_interest interest, struct ctrio_task *task);
};
#endif
