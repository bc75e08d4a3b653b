/* epoll.h - Linux's readiness behind kernel/io.h; docs/design/io.md has the reasons.
 *
 * epoll.c is arithmetic over a table of handles and calls the system through the few functions
 * below, whose native ones are in epoll_native.c.  Tests put others in their place. */
#ifndef CTRIO_IO_EPOLL_H
#define CTRIO_IO_EPOLL_H
#include "io/socket.h"
#include <sys/epoll.h>

/* Results are >= 0 or -errno. */
struct ctrio__epoll_calls {
    int (*create)(struct ctrio__os *os);
    int (*control)(struct ctrio__os *os, int epoll, int what, int fd, struct epoll_event *event);
    /* Milliseconds; -1: for ever. */
    int (*wait)(struct ctrio__os *os, int epoll, struct epoll_event *events, int room,
                int milliseconds);
    /* As above, to the nanosecond; -ENOSYS or -EPERM (a filter of system calls): not to be had. */
    int (*wait_exactly)(struct ctrio__os *os, int epoll, struct epoll_event *events, int room,
                        double seconds);
    /* A pipe: a byte written to ends[1], by us or by a signal handler of anybody's, wakes who
     * waits for ends[0].  Neither end blocks. */
    int (*make_bell)(struct ctrio__os *os, int ends[2]);
    void (*ring_bell)(struct ctrio__os *os, int end);  /* [any thread, async-signal-safe] */
    void (*quiet_bell)(struct ctrio__os *os, int end); /* takes the bytes out again */
    void (*close)(struct ctrio__os *os, int fd);
};
extern const struct ctrio__epoll_calls ctrio__epoll_calls_native;

extern const struct ctrio__io_ops ctrio__epoll_ops;
int ctrio__epoll_open(struct ctrio__os *os, const struct ctrio__epoll_calls *calls,
                      struct ctrio__io **out);
/* os->wait_socket. */
int ctrio__epoll_wait_socket(struct ctrio__io *io, struct ctrio__socket *socket,
                             enum ctrio__io_interest interest, struct ctrio_task *task);
#endif
