/* thread.h - threads of ours: how they start, what they run, and the one way they sleep. */
#ifndef CTRIO_OS_THREAD_H
#define CTRIO_OS_THREAD_H
#include <ctrio/types.h>
#include <stdatomic.h>

struct ctrio__os;

/* A flag to sleep on.  Posts are not counted: a second one before the wait changes nothing.  A
 * zeroed cell is ready; whoever was woken may free it. */
struct ctrio__cell {
    _Atomic uint32_t posted; /* 0 or 1; a wait that succeeds takes it back to 0 */
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
};
#endif
