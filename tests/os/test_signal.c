/* test_signal.c - who is called for a signal, and that the old disposition comes back. */
#include "os/native.h"
#include "tap.h"
#include <signal.h>

static struct ctrio__native_os native;
static volatile sig_atomic_t last, foreign;

static void note_it(void *arg, int number)
{
    *(volatile sig_atomic_t *)arg = number;
    errno = 12345; /* which the interrupted code must not see */
}

static void foreign_handler(int number)
{
    foreign = number;
}

static int watch(int number, void (*fn)(void *arg, int number))
{
    return ctrio__native_watch_signal(&native.os, number, fn, (void *)(uintptr_t)&last);
}

static void a_watched_signal_calls_and_then_the_old_handler_is_back(void)
{
    struct sigaction before, action = {.sa_handler = foreign_handler};
    sigaction(SIGUSR2, &action, &before);
    last = foreign = 0;
    is(watch(SIGUSR2, note_it), 0);
    errno = 7;
    raise(SIGUSR2);
    is(errno, 7);
    is((int)last, SIGUSR2);
    is((int)foreign, 0);
    is(watch(SIGUSR2, NULL), 0);
    raise(SIGUSR2);
    is((int)foreign, SIGUSR2);
    sigaction(SIGUSR2, &before, NULL);
}

static void a_signal_has_one_watcher_at_a_time(void)
{
    is(watch(SIGUSR2, note_it), 0);
    is(watch(SIGUSR2, note_it), -EBUSY);
    is(watch(SIGUSR2, NULL), 0);
    is(watch(SIGUSR2, NULL), 0); /* nobody watches: nothing to do */
    is(watch(SIGUSR2, note_it), 0);
    is(watch(SIGUSR2, NULL), 0);
}

static void numbers_that_cannot_be_watched_are_refused(void)
{
    is(watch(0, note_it), -EINVAL);
    is(watch(-3, note_it), -EINVAL);
    is(watch(1000, note_it), -EINVAL);
    is(watch(SIGKILL, note_it), -EINVAL);
    is(watch(SIGKILL, NULL), 0);
}

TAP_MAIN(TEST(a_watched_signal_calls_and_then_the_old_handler_is_back),
         TEST(a_signal_has_one_watcher_at_a_time), TEST(numbers_that_cannot_be_watched_are_refused))
