/* script_io.h - a backend without an operating system: what is ready, and what time it is, is
 * what the test says. */
#ifndef CTRIO_TESTS_SCRIPT_IO_H
#define CTRIO_TESTS_SCRIPT_IO_H
#include "kernel/io.h"
#include <stdatomic.h>

/* Waits for a handle; lives in the task. */
struct script_io_op {
    struct ctrio__op op;    /* object: the task once parked */
    struct ctrio_list link; /* on script_io.waiting */
    intptr_t handle;
    enum ctrio__io_interest interest;
};

struct script_io {
    struct ctrio_list waiting; /* struct script_io_op */
    struct {
        intptr_t handle;
        enum ctrio__io_interest interest;
    } ready[32];
    int ready_count;
    uint64_t now;          /* ns; a wait without events takes its whole timeout */
    double last_timeout;   /* seconds */
    size_t waits;          /* calls of get_events */
    atomic_size_t wakeups; /* calls of force_wakeup, from any thread */
    size_t wakeups_seen;
    int open_error; /* what open() answers */
    bool is_open;
};

extern const struct ctrio__io_ops script_io_ops;
extern const struct ctrio__op_kind script_io_kind;
void script_io_init(struct script_io *io);
void script_io_op_init(struct script_io_op *op, intptr_t handle, enum ctrio__io_interest interest);
/* The next get_events reports it. */
void script_io_make_ready(struct script_io *io, intptr_t handle, enum ctrio__io_interest interest);
/* The run's now(). */
uint64_t script_io_now(struct ctrio__os *os, int which);
#endif
