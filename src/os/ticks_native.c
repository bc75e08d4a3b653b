/* ticks_native.c - for processors without a counter we know: the clock itself. */
#include "os/native.h"

void ctrio__ticks_start(void)
{
}

uint64_t ctrio__ticks_now(void)
{
    return ctrio__native_monotonic();
}
