/* ticks_native.c - for processors without a counter we know: the clock itself. */
#include "os/ticks.h"

void ctrio__ticks_init(struct ctrio__ticks *ticks, uint64_t (*clock_ns)(void))
{
    *ticks = (struct ctrio__ticks){.clock_ns = clock_ns};
}

uint64_t ctrio__ticks_now(struct ctrio__ticks *ticks)
{
    return ticks->clock_ns();
}
