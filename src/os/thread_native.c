/* thread_native.c - POSIX threads that sleep on Linux futexes.
 *
 * A cell is one word, so that it needs no destruction and posting it is safe in a signal handler;
 * a mutex and a condition variable would give neither.  A post may outlive the cell by its wake,
 * which passes the address to the system and reads nothing.  Threads start with every
 * asynchronous signal blocked: signals are for the thread that runs the program. */
#include "base/alloc.h"
#include "base/assert.h"
#include "os/native.h"
#include <linux/futex.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { EMPTY, POSTED, ASLEEP }; /* what a cell holds */

struct start {
    void (*fn)(void *arg);
    void *arg;
};

static void *enter(void *data)
{
    struct start start = *(struct start *)data;
    ctrio__free(data);
    start.fn(start.arg);
    return NULL;
}

static void set_name(pthread_t thread, const char *name)
{
    char shortened[16] = {0}; /* more is refused */
    strncpy(shortened, name, sizeof shortened - 1);
    pthread_setname_np(thread, shortened);
}

/* Created joinable, for its name must be set before it can be gone; detached right after. */
int ctrio__native_start(struct ctrio__os *os, void (*fn)(void *arg), void *arg, const char *name)
{
    (void)os;
    struct start *start = ctrio__alloc(sizeof *start);
    if (start == NULL)
        return -ENOMEM;
    *start = (struct start){fn, arg};
    sigset_t blocked, before;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    pthread_t thread;
    int failure = pthread_create(&thread, NULL, enter, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0) {
        CTRIO_ASSERT(failure > 0);
        ctrio__free(start);
        return -failure;
    }
    if (name != NULL)
        set_name(thread, name);
    pthread_detach(thread);
    return 0;
}

int ctrio__native_run_job(struct ctrio__os *os, struct ctrio__job *job)
{
    struct ctrio__native_os *native = (struct ctrio__native_os *)os;
    CTRIO_ASSERT(native->cache.os == os);
    return ctrio__thread_cache_run(&native->cache, job);
}

static bool take(struct ctrio__cell *cell, uint32_t left)
{
    uint32_t posted = POSTED;
    return atomic_compare_exchange_strong(&cell->posted, &posted, left);
}

/* The moment on the monotonic clock; NULL if it is never. */
static const struct timespec *moment(double seconds, struct timespec *at)
{
    if (!(seconds < 1e9))
        return NULL;
    double whole = floor(seconds);
    clock_gettime(CLOCK_MONOTONIC, at);
    at->tv_sec += (time_t)whole;
    at->tv_nsec += (long)ceil((seconds - whole) * 1e9);
    if (at->tv_nsec >= 1000000000) {
        at->tv_nsec -= 1000000000;
        at->tv_sec++;
    }
    CTRIO_ASSERT(at->tv_nsec < 1000000000);
    return at;
}

/* Says that somebody sleeps here, unless it is posted: whoever posts then wakes. */
static void lie_down(struct ctrio__cell *cell)
{
    uint32_t nobody = EMPTY;
    atomic_compare_exchange_strong(&cell->posted, &nobody, ASLEEP);
}

/* Who has slept leaves ASLEEP behind: it cannot know whether others still do. */
bool ctrio__native_wait(struct ctrio__os *os, struct ctrio__cell *cell, double seconds)
{
    (void)os;
    CTRIO_ASSERT(!isnan(seconds));
    if (take(cell, EMPTY))
        return true;
    if (seconds <= 0)
        return false;
    struct timespec storage;
    const struct timespec *until = moment(seconds, &storage);
    for (;;) {
        lie_down(cell);
        long result = syscall(SYS_futex, &cell->posted, FUTEX_WAIT_BITSET_PRIVATE, ASLEEP, until,
                              NULL, FUTEX_BITSET_MATCH_ANY);
        bool expired = result < 0 && errno == ETIMEDOUT;
        if (take(cell, ASLEEP))
            return true;
        if (expired)
            return false;
    }
}

void ctrio__native_post(struct ctrio__os *os, struct ctrio__cell *cell)
{
    (void)os;
    int saved = errno;
    if (atomic_exchange(&cell->posted, POSTED) == ASLEEP)
        syscall(SYS_futex, &cell->posted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

void ctrio__native_rename(struct ctrio__os *os, const char *name)
{
    (void)os;
    set_name(pthread_self(), name);
}

uint64_t ctrio__native_current(struct ctrio__os *os)
{
    (void)os;
    static _Thread_local char here; /* its address differs among living threads */
    return (uint64_t)(uintptr_t)&here;
}

const struct ctrio__thread_ops ctrio__native_threads = {
    .start = ctrio__native_start,
    .run_job = ctrio__native_run_job,
    .wait = ctrio__native_wait,
    .post = ctrio__native_post,
    .current = ctrio__native_current,
    .spin = ctrio__native_spin,
    .rename = ctrio__native_rename,
};
