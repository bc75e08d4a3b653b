/* ticks.h - nanoseconds for a third of a clock's price, to bound how long nobody polls.
 *
 * May run off the clock by parts in ten thousand, and may step back between processors: fit for
 * budgets of microseconds, unfit for deadlines.  One implementation a kind of processor. */
#ifndef CTRIO_OS_TICKS_H
#define CTRIO_OS_TICKS_H
#include <ctrio/types.h>
#include <stdatomic.h>

struct ctrio__ticks {
    uint64_t first_count, first_ns; /* both clocks at the start */
    uint64_t count, ns;             /* both when the rate was measured */
    _Atomic uint32_t rate_state;    /* see ticks_x86_native.c */
    uint64_t ns_per_count_32;       /* 32.32 fixed point */
    uint64_t (*clock_ns)(void);     /* the monotonic clock */
};
void ctrio__ticks_init(struct ctrio__ticks *ticks, uint64_t (*clock_ns)(void));
uint64_t ctrio__ticks_now(struct ctrio__ticks *ticks); /* [any thread] */
#endif
