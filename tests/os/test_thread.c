/* test_thread.c - threads and cells of the machine. */
#include "base/alloc.h"
#include "memory.h"
#include "os/native.h"
#include "tap.h"
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

static const struct ctrio__thread_ops *const threads = &ctrio__native_threads;

/* Several threads allocate here, which the counting allocator is not made for. */
static void begin(void)
{
    ctrio__set_allocator(NULL);
}

static void end(void)
{
    memory_install();
}

static void a_posted_cell_lets_one_wait_through(void)
{
    struct ctrio__cell cell = {0};
    ok(!threads->wait(NULL, &cell, 0));
    threads->post(NULL, &cell);
    threads->post(NULL, &cell); /* not counted */
    ok(threads->wait(NULL, &cell, 0));
    ok(!threads->wait(NULL, &cell, 0));
    threads->post(NULL, &cell);
    ok(threads->wait(NULL, &cell, INFINITY));
}

static void a_wait_that_times_out_has_waited_long_enough(void)
{
    struct ctrio__native_os native;
    struct ctrio__cell cell = {0};
    ctrio__native_init(&native);
    uint64_t before = ctrio__native_now(&native.os, CTRIO__MONOTONIC);
    ok(!threads->wait(NULL, &cell, 0.002));
    uint64_t after = ctrio__native_now(&native.os, CTRIO__MONOTONIC);
    ok(after - before >= 2000000);
}

struct echo {
    struct ctrio__cell ask, answer;
    int rounds;
    uint64_t who;
    char name[16];
    bool blocks_signals;
};

static void echo(void *arg)
{
    struct echo *self = arg;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    self->blocks_signals = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGSEGV) == 0;
    self->who = threads->current(NULL);
    for (;;) {
        threads->wait(NULL, &self->ask, INFINITY);
        pthread_getname_np(pthread_self(), self->name, sizeof self->name);
        bool last = --self->rounds == 0;
        threads->post(NULL, &self->answer);
        if (last)
            return;
    }
}

static void threads_hand_turns_to_each_other(void)
{
    struct echo shared = {.rounds = 1000};
    sigset_t before, after;
    begin();
    memset(&before, 0, sizeof before); /* the system fills in what it has */
    memset(&after, 0, sizeof after);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    is(threads->start(NULL, echo, &shared, "a name that is far too long"), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    is(memcmp(&before, &after, sizeof before), 0);
    for (int i = 0; i < 1000; i++) {
        threads->post(NULL, &shared.ask);
        ok(threads->wait(NULL, &shared.answer, 60));
    }
    is(shared.rounds, 0);
    is(strcmp(shared.name, "a name that is "), 0);
    ok(shared.blocks_signals);
    ok(shared.who != threads->current(NULL));
    is(threads->current(NULL), threads->current(NULL));
    end();
}

static void *post_it(void *cell)
{
    threads->post(NULL, cell);
    return NULL;
}

static void a_post_wakes_a_sleeper_before_its_time(void)
{
    for (int i = 0; i < 200; i++) {
        struct ctrio__cell cell = {0}; /* gone right after the wait: the post may still run */
        pthread_t thread;
        is(pthread_create(&thread, NULL, post_it, &cell), 0);
        ok(threads->wait(NULL, &cell, 60));
        pthread_join(thread, NULL);
    }
}

static void *sleep_in(void *cell)
{
    return threads->wait(NULL, cell, 60) ? cell : NULL;
}

/* Whoever takes a post away from somebody who sleeps leaves the cell such that the next one wakes.
 */
static void a_sleeper_whose_post_was_taken_is_woken_by_the_next(void)
{
    for (int i = 0; i < 200; i++) {
        struct ctrio__cell cell = {0};
        pthread_t thread;
        void *woken;
        is(pthread_create(&thread, NULL, sleep_in, &cell), 0);
        while (atomic_load(&cell.posted) == 0) /* until it says that it lies down */
            sched_yield();
        threads->post(NULL, &cell);
        if (threads->wait(NULL, &cell, 0))
            threads->post(NULL, &cell);
        is(pthread_join(thread, &woken), 0);
        ok(woken == &cell);
    }
}

static void two_sleepers_need_two_posts(void)
{
    for (int i = 0; i < 200; i++) {
        struct ctrio__cell cell = {0};
        pthread_t sleepers[2];
        for (int j = 0; j < 2; j++)
            is(pthread_create(&sleepers[j], NULL, sleep_in, &cell), 0);
        for (int j = 0; j < 2; j++) {
            threads->post(NULL, &cell);
            while (atomic_load(&cell.posted) == 1) /* one of them takes it */
                sched_yield();
        }
        for (int j = 0; j < 2; j++) {
            void *woken;
            is(pthread_join(sleepers[j], &woken), 0);
            ok(woken == &cell);
        }
    }
}

static void a_thread_takes_a_name(void)
{
    char before[16], name[16];
    pthread_getname_np(pthread_self(), before, sizeof before);
    threads->rename(NULL, "somebody with a name");
    pthread_getname_np(pthread_self(), name, sizeof name);
    is(strcmp(name, "somebody with a"), 0);
    threads->rename(NULL, before);
}

static struct ctrio__cell from_handler;

static void on_signal(int number)
{
    (void)number;
    threads->post(NULL, &from_handler);
}

static void a_signal_handler_may_post(void)
{
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigaction(SIGUSR1, &action, &before);
    errno = 99;
    raise(SIGUSR1);
    is(errno, 99);
    sigaction(SIGUSR1, &before, NULL);
    ok(threads->wait(NULL, &from_handler, 0));
}

static void starting_without_memory_fails_and_starts_nothing(void)
{
    memory_begin(1);
    is(threads->start(NULL, echo, NULL, "none"), -ENOMEM);
    memory_begin(0);
}

TAP_MAIN(TEST(a_posted_cell_lets_one_wait_through),
         TEST(a_wait_that_times_out_has_waited_long_enough),
         BIG_TEST(threads_hand_turns_to_each_other), TEST(a_post_wakes_a_sleeper_before_its_time),
         TEST(a_sleeper_whose_post_was_taken_is_woken_by_the_next),
         TEST(two_sleepers_need_two_posts), TEST(a_thread_takes_a_name),
         TEST(a_signal_handler_may_post),
         BIG_TEST(starting_without_memory_fails_and_starts_nothing))
