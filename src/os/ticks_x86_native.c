/* ticks_x86_native.c - the time stamp counter, 10 ns a look where the clock costs 24.
 *
 * Used only if the processor says that it runs at one rate in every state (CPUID 80000007h,
 * EDX bit 8); otherwise the clock itself is asked.  The rate is measured against the clock over
 * the first 20 ms in which somebody asks, so that starting costs nothing; until then the clock
 * answers.  Invariants: `count`, `ns` and the rate are written once, by the thread that took
 * rate_state to MEASURING, and read only after it is KNOWN; counter and clock are compared only
 * when read within two microseconds, for a thread may be interrupted between the two. */
#include "os/ticks.h"
#include <cpuid.h>
#include <x86intrin.h>

enum { UNKNOWN, MEASURING, KNOWN, UNUSABLE };
enum { MEASURE_NS = 20000000, TIGHT_NS = 2000, TRIES = 20 };

static bool steady(void)
{
    unsigned a, b, c, d = 0;
    return __get_cpuid(0x80000007U, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0;
}

/* Both at one moment; false: they were not, *ns is right nevertheless. */
static bool read_both(const struct ctrio__ticks *ticks, uint64_t *ns, uint64_t *count)
{
    uint64_t before = ticks->clock_ns();
    *count = __rdtsc();
    *ns = ticks->clock_ns();
    return *ns - before < TIGHT_NS;
}

void ctrio__ticks_init(struct ctrio__ticks *ticks, uint64_t (*clock_ns)(void))
{
    *ticks = (struct ctrio__ticks){.clock_ns = clock_ns};
    bool usable = false;
    for (int i = 0; i < TRIES && !usable && steady(); i++)
        usable = read_both(ticks, &ticks->first_ns, &ticks->first_count);
    atomic_init(&ticks->rate_state, usable ? UNKNOWN : UNUSABLE);
}

static uint64_t measure(struct ctrio__ticks *ticks)
{
    uint64_t ns, count;
    uint32_t unknown = UNKNOWN;
    if (!read_both(ticks, &ns, &count) || ns - ticks->first_ns < MEASURE_NS ||
        !atomic_compare_exchange_strong(&ticks->rate_state, &unknown, MEASURING))
        return ns;
    double rate = (double)(ns - ticks->first_ns) / (double)(count - ticks->first_count);
    ticks->count = count;
    ticks->ns = ns;
    ticks->ns_per_count_32 = (uint64_t)(rate * 4294967296.0);
    bool sane = count > ticks->first_count && rate > 0.01 && rate < 1;
    atomic_store_explicit(&ticks->rate_state, sane ? KNOWN : UNUSABLE, memory_order_release);
    return ns;
}

uint64_t ctrio__ticks_now(struct ctrio__ticks *ticks)
{
    uint32_t state = atomic_load_explicit(&ticks->rate_state, memory_order_acquire);
    if (state == KNOWN) {
        uint64_t passed = __rdtsc() - ticks->count, rate = ticks->ns_per_count_32;
        return ticks->ns + (passed >> 32) * rate + ((passed & UINT32_MAX) * rate >> 32);
    }
    return state == UNKNOWN ? measure(ticks) : ticks->clock_ns();
}
