/* ticks_x86_native.c - the time stamp counter, 10 ns a look where the clock costs 24.
 *
 * Used only if the processor says that it runs at one rate in every state (CPUID 80000007h,
 * EDX bit 8); otherwise the clock itself is asked.  The rate is measured against the clock over
 * the first 20 ms, so that starting costs nothing; until somebody asks after them the clock
 * answers.  Measured once a process: each of many short runs would ask the clock to its end.
 * Invariants: `first_*` are written once, by the thread that took `state` to STARTING, the others
 * by the one that took it to MEASURING, and read only after it is UNKNOWN and KNOWN; counter and
 * clock are compared only when read within two microseconds, for a thread may be interrupted
 * between the two. */
#include "base/assert.h"
#include "os/native.h"
#include <cpuid.h>
#include <stdatomic.h>
#include <x86intrin.h>

enum { UNSTARTED, STARTING, UNKNOWN, MEASURING, KNOWN, UNUSABLE };
enum { MEASURE_NS = 20000000, TIGHT_NS = 2000, TRIES = 20 };

static struct {
    uint64_t first_count, first_ns; /* both clocks at the start */
    uint64_t count, ns;             /* both when the rate was measured */
    uint64_t ns_per_count_32;       /* 32.32 fixed point */
    _Atomic uint32_t state;
} ticks;

static bool steady(void)
{
    unsigned a, b, c, d = 0;
    return __get_cpuid(0x80000007U, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0;
}

/* Both at one moment; false: they were not, *ns is right nevertheless. */
static bool read_both(uint64_t *ns, uint64_t *count)
{
    uint64_t before = ctrio__native_monotonic();
    *count = __rdtsc();
    *ns = ctrio__native_monotonic();
    return *ns - before < TIGHT_NS;
}

static bool take(uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong(&ticks.state, &from, to);
}

static void settle(uint32_t state)
{
    atomic_store_explicit(&ticks.state, state, memory_order_release);
}

void ctrio__ticks_start(void)
{
    if (!take(UNSTARTED, STARTING))
        return;
    bool usable = false;
    for (int i = 0; i < TRIES && !usable && steady(); i++)
        usable = read_both(&ticks.first_ns, &ticks.first_count);
    settle(usable ? UNKNOWN : UNUSABLE);
}

static uint64_t measure(void)
{
    uint64_t count, ns = ctrio__native_monotonic();
    if (ns - ticks.first_ns < MEASURE_NS || !read_both(&ns, &count) || !take(UNKNOWN, MEASURING))
        return ns;
    double rate = (double)(ns - ticks.first_ns) / (double)(count - ticks.first_count);
    bool sane = count > ticks.first_count && rate > 0.01 && rate < 1;
    ticks.count = count;
    ticks.ns = ns;
    ticks.ns_per_count_32 = sane ? (uint64_t)(rate * 4294967296.0) : 0;
    settle(sane ? KNOWN : UNUSABLE);
    return ns;
}

uint64_t ctrio__ticks_now(void)
{
    uint32_t state = atomic_load_explicit(&ticks.state, memory_order_acquire);
    CTRIO_ASSERT(state != UNSTARTED);
    if (state == KNOWN) {
        uint64_t passed = __rdtsc() - ticks.count, rate = ticks.ns_per_count_32;
        return ticks.ns + (passed >> 32) * rate + ((passed & UINT32_MAX) * rate >> 32);
    }
    return state == UNKNOWN ? measure() : ctrio__native_monotonic();
}
