/* clock_native.c - the machine's clocks, its source of random bytes, its environment. */
#include "base/assert.h"
#include "os/native.h"
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;
    int result = clock_gettime(clock, &time);
    CTRIO_ASSERT(result == 0);
    (void)result;
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

uint64_t ctrio__native_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t ctrio__native_now(struct ctrio__os *os, int which)
{
    (void)os;
    switch (which) {
    case CTRIO__TICKS:
        return ctrio__ticks_now();
    case CTRIO__REALTIME:
        return read_clock(CLOCK_REALTIME);
    default:
        CTRIO_ASSERT(which == CTRIO__MONOTONIC);
        return ctrio__native_monotonic();
    }
}

int ctrio__native_random(struct ctrio__os *os, void *buffer, size_t size)
{
    (void)os;
    unsigned char *next = buffer;
    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            CTRIO_ASSERT((size_t)got <= size);
            next += got;
            size -= (size_t)got;
        }
    }
    return 0;
}

static const char *setting(const char *name)
{
    return getenv(name);
}

void ctrio__native_init(struct ctrio__native_os *native)
{
    *native = (struct ctrio__native_os){
        .os.threads = &ctrio__native_threads,
        .os.now = ctrio__native_now,
        .os.random = ctrio__native_random,
        .os.setting = setting,
        .os.resolve = ctrio__native_resolve,
        .os.watch_signal = ctrio__native_watch_signal,
    };
    ctrio__thread_cache_init(&native->cache, &native->os);
    ctrio__ticks_start();
}
