/* test_clock.c - clocks, ticks and random bytes of the machine. */
#include "os/native.h"
#include "tap.h"
#include <string.h>
#include <time.h>

static struct ctrio__native_os native;

static uint64_t now(int which)
{
    return ctrio__native_now(&native.os, which);
}

static void clocks_agree_with_the_systems(void)
{
    struct timespec time;
    ctrio__native_init(&native);
    uint64_t before = now(CTRIO__MONOTONIC);
    clock_gettime(CLOCK_MONOTONIC, &time);
    uint64_t after = now(CTRIO__MONOTONIC);
    uint64_t middle = (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
    ok(before <= middle && middle <= after);
    before = now(CTRIO__REALTIME);
    clock_gettime(CLOCK_REALTIME, &time);
    middle = (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
    ok(middle - before < UINT64_C(60000000000));
}

/* Before they know their rate, when they learn it, and after: never far from the clock. */
static void ticks_follow_the_clock(void)
{
    ctrio__native_init(&native);
    uint64_t start = now(CTRIO__MONOTONIC), last = 0;
    while (now(CTRIO__MONOTONIC) - start < 60000000) {
        uint64_t before = now(CTRIO__MONOTONIC);
        uint64_t ticks = now(CTRIO__TICKS);
        uint64_t after = now(CTRIO__MONOTONIC);
        const uint64_t slack = 300000; /* of 60 ms: half a percent */
        if (ticks + slack < before || ticks > after + slack || ticks + slack < last) {
            ok(ticks + slack >= before && ticks <= after + slack);
            return;
        }
        last = ticks;
    }
    ok(last > start);
}

static void random_bytes_fill_the_buffer_and_differ(void)
{
    unsigned char a[5000], b[5000];
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    is(ctrio__native_random(&native.os, a, sizeof a), 0);
    is(ctrio__native_random(&native.os, b, sizeof b), 0);
    ok(memcmp(a, b, sizeof a) != 0);
    ok(memcmp(a + sizeof a - 16, b + sizeof b - 16, 16) != 0);
    is(ctrio__native_random(&native.os, a, 0), 0);
}

TAP_MAIN(TEST(clocks_agree_with_the_systems), TEST(ticks_follow_the_clock),
         TEST(random_bytes_fill_the_buffer_and_differ))
