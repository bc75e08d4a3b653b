/* ticks.h - nanoseconds for a third of a clock's price, to bound how long nobody polls.
 *
 * May run off the clock by parts in ten thousand, and may step back between processors: fit for
 * budgets of microseconds, unfit for deadlines.  The counter is the machine's, so that all runs of
 * a process share what is known of it.  One implementation a kind of processor. */
#ifndef CTRIO_OS_TICKS_H
#define CTRIO_OS_TICKS_H
#include <ctrio/types.h>

/* The rate is measured from here on: the earlier, the sooner it is known.  More calls do nothing.
 * [any thread] */
void ctrio__ticks_start(void);
uint64_t ctrio__ticks_now(void); /* [any thread], from ctrio__ticks_start on */
#endif
