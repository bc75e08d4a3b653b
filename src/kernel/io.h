/* io.h - readiness and wake-up, as the kernel sees them; src/io has the backends. */
#ifndef CTRIO_KERNEL_IO_H
#define CTRIO_KERNEL_IO_H
#include "kernel/task.h"

struct ctrio__os; /* every way to the machine; opaque here */
struct ctrio__io;
enum ctrio__clock_id { CTRIO__MONOTONIC, CTRIO__REALTIME, CTRIO__TICKS };

struct ctrio__io_events {
    void *raw; /* the backend's own records */
    int count;
};
enum ctrio__io_interest { CTRIO__READABLE = 1, CTRIO__WRITABLE = 2 };
struct ctrio__io_statistics {
    size_t tasks_waiting_read, tasks_waiting_write;
};
struct ctrio__io_ops {
    const char *name; /* "epoll", "scripted" */
    int (*open)(struct ctrio__os *os, struct ctrio_run *run, struct ctrio__io **out);
    void (*close)(struct ctrio__io *io);
    /* Parks the running task until the handle is ready (wakes with 0), or is given up by
     * notify_closing (CTRIO_CLOSED_RESOURCE).  CTRIO_BUSY_RESOURCE if another task waits for the
     * same direction, or -errno: not parked.  A handle is a number of the os, never assumed to be
     * a descriptor. */
    int (*wait)(struct ctrio__io *io, intptr_t handle, enum ctrio__io_interest interest,
                struct ctrio_task *task);
    void (*notify_closing)(struct ctrio__io *io, intptr_t handle);
    /* Sleeps in the OS, at most `timeout` seconds (0: only looks); touches no run state, so guest
     * mode may call it on another thread.  Gives the count of events or -errno; interrupted by a
     * signal: 0 events. */
    int (*get_events)(struct ctrio__io *io, double timeout, struct ctrio__io_events *events);
    void (*process_events)(struct ctrio__io *io, const struct ctrio__io_events *events);
    void (*force_wakeup)(struct ctrio__io *io); /* [any thread], async-signal-safe */
    /* A descriptor to which signal handlers may write a byte instead: for those of languages that
     * know nothing else.  NULL: there is none. */
    intptr_t (*bell)(struct ctrio__io *io);
    void (*statistics)(struct ctrio__io *io, struct ctrio__io_statistics *out);
};
#endif
