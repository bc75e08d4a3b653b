/* spin.h - looking again for some microseconds before sleeping.
 *
 * A thread that sleeps costs its waker a system call and itself 5 to 50 us until it runs; what a
 * thread is handed by another one often comes sooner than that. */
#ifndef CTRIO_OS_SPIN_H
#define CTRIO_OS_SPIN_H
#include <stdbool.h>
#include <stdint.h>

/* What one place has learned of spinning; zeroed to begin with, used by one thread at a time. */
struct ctrio__spin {
    uint8_t misses; /* in a row, up to a limit */
    uint8_t skip;   /* occasions still to be left out: 2^misses - 1 after each miss */
    uint8_t late;   /* how often in a row it was found, but not soon */
};
enum ctrio__spin_for {
    CTRIO__SPIN_FOR_EVENT, /* what another thread has to do first: it needs a processor */
    CTRIO__SPIN_FOR_JOB,   /* the same; nobody waits for us meanwhile, so we may look longer */
    CTRIO__SPIN_FOR_LOCK,  /* what another thread is about to let go */
};
#endif
