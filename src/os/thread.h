/* thread.h - threads of ours: how they start, what they run, and the one way they sleep. */
#ifndef CTRIO_OS_THREAD_H
#define CTRIO_OS_THREAD_H
#include "os/spin.h"
#include <ctrio/types.h>
#include <stdatomic.h>

struct ctrio__os;

/* A flag to sleep on.  Posts are not counted: a second one before the wait changes nothing.  A
 * zeroed cell is ready; whoever was woken may free it. */
struct ctrio__cell {
    /* 1: posted, until a wait that succeeds takes it; 0: not; another value: not, and somebody may
     * be asleep, who has to be woken. */
    _Atomic uint32_t posted;
};

/* Work for a thread.  Borrowed by the threads until deliver is called, which may free it. */
struct ctrio__job {
    void (*fn)(struct ctrio__job *job);      /* may block */
    void (*deliver)(struct ctrio__job *job); /* after fn, on the same thread; must not block */
};

struct ctrio__thread_ops {
    /* Starts a thread that calls fn(arg) once; `name` is borrowed for the call.  -errno. */
    int (*start)(struct ctrio__os *os, void (*fn)(void *arg), void *arg, const char *name);
    /* Runs the job on a worker.  -errno: it will not run, and deliver is not called. */
    int (*run_job)(struct ctrio__os *os, struct ctrio__job *job);
    /* Sleeps until the cell is posted; the only way a thread of ours sleeps.  False: `seconds`
     * (INFINITY: for ever; 0: only looks) have passed. */
    bool (*wait)(struct ctrio__os *os, struct ctrio__cell *cell, double seconds);
    /* [any thread, async-signal-safe] */
    void (*post)(struct ctrio__os *os, struct ctrio__cell *cell);
    uint64_t (*current)(struct ctrio__os *os); /* identifies the calling thread while it lives */
    /* Looks for some microseconds, awake, whether there(arg) has come to be so, and tells; it may
     * decide not to (os/spin.h).  NULL: spinning is of no use in this world. */
    bool (*spin)(struct ctrio__os *os, struct ctrio__spin *spin, enum ctrio__spin_for what,
                 bool (*there)(const void *arg), const void *arg);
    /* What the system calls the calling thread, shortened if need be.  NULL: it calls it nothing.
     */
    void (*rename)(struct ctrio__os *os, const char *name);
};
#endif
