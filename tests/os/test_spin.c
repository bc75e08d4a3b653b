/* test_spin.c - who spins, for how many occasions not, and who never does. */
#include "os/native.h"
#include "tap.h"
#include <pthread.h>
#include <sched.h>

static const struct ctrio__thread_ops *const threads = &ctrio__native_threads;

struct watched {
    int looks, there_at; /* 0: never */
};

static bool is_there(const void *arg)
{
    struct watched *watched = (struct watched *)(uintptr_t)arg;
    watched->looks++;
    return watched->there_at != 0 && watched->looks >= watched->there_at;
}

/* How often it looked; it did not spin if that was once. */
static int looks_in_vain(struct ctrio__spin *spin, enum ctrio__spin_for what)
{
    struct watched watched = {0, 0};
    ok(!threads->spin(NULL, spin, what, is_there, &watched));
    return watched.looks;
}

static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 2;
}

static void what_is_there_is_seen_without_spinning(void)
{
    struct ctrio__spin spin = {.skip = 9};
    struct watched watched = {0, 1};
    ok(threads->spin(NULL, &spin, CTRIO__SPIN_FOR_EVENT, is_there, &watched));
    is(watched.looks, 1);
    is(spin.skip, 9);
}

static void what_comes_meanwhile_is_seen_and_forgives_misses(void)
{
    if (processors() < 2) {
        skip("one processor");
        return;
    }
    struct ctrio__spin spin;
    struct watched watched;
    bool seen = false;
    spin.misses = 3;
    for (int i = 0; i < 1000 && spin.misses != 0; i++) { /* what is seen late forgives nothing */
        spin = (struct ctrio__spin){.misses = 3};
        watched = (struct watched){0, 2};
        seen = threads->spin(NULL, &spin, CTRIO__SPIN_FOR_LOCK, is_there, &watched);
    }
    ok(seen);
    is(watched.looks, 2);
    is(spin.misses, 0);
}

static void each_miss_leaves_out_twice_as_many_occasions(void)
{
    if (processors() < 2) {
        skip("one processor");
        return;
    }
    struct ctrio__spin spin = {0};
    int left_out = 1;
    for (int miss = 1; miss <= 8; miss++) {
        ok(looks_in_vain(&spin, CTRIO__SPIN_FOR_LOCK) >= 3);
        for (int i = 0; i < left_out; i++)
            is(looks_in_vain(&spin, CTRIO__SPIN_FOR_LOCK), 1);
        if (left_out < 63)
            left_out = left_out * 2 + 1;
    }
}

static bool is_there_late(const void *arg)
{
    struct watched *watched = (struct watched *)(uintptr_t)arg;
    if (watched->looks++ == 0)
        return false;
    uint64_t begin = ctrio__native_now(NULL, CTRIO__MONOTONIC);
    while (ctrio__native_now(NULL, CTRIO__MONOTONIC) - begin < 40000) {
    }
    return true;
}

static void what_comes_late_is_waited_for_some_times_in_a_row(void)
{
    if (processors() < 2) {
        skip("one processor");
        return;
    }
    struct ctrio__spin spin = {.misses = 2};
    for (int i = 0; i < 16; i++) {
        struct watched watched = {0, 0};
        ok(threads->spin(NULL, &spin, CTRIO__SPIN_FOR_JOB, is_there_late, &watched));
        is(spin.skip, 0);
    }
    struct watched watched = {0, 0};
    ok(threads->spin(NULL, &spin, CTRIO__SPIN_FOR_JOB, is_there_late, &watched));
    is(spin.misses, 3); /* enough of that */
    is(spin.skip, 7);
}

/* So that whom it works for finds it awake when it looks again. */
static void who_waits_for_an_event_leaves_out_fewer_than_may_come_late(void)
{
    struct ctrio__spin spin = {0};
    for (int i = 0; i < 1000; i++) {
        looks_in_vain(&spin, CTRIO__SPIN_FOR_EVENT);
        ok(spin.skip < 16);
    }
}

struct crowd {
    struct ctrio__cell asked, go;
    bool spun;
};

/* What it waits for never comes; but that it looks a third time says that it spins. */
static bool hold_place(const void *arg)
{
    struct crowd *crowd = (struct crowd *)(uintptr_t)arg;
    if (!crowd->spun) {
        crowd->spun = true;
        return false;
    }
    threads->post(NULL, &crowd->asked);
    return threads->wait(NULL, &crowd->go, 60);
}

static void *spin_aside(void *arg)
{
    struct ctrio__spin spin = {0};
    threads->spin(NULL, &spin, CTRIO__SPIN_FOR_EVENT, hold_place, arg);
    return NULL;
}

/* As many as there are processors but one; who waits for a lock is not counted. */
static void one_processor_is_left_for_who_brings_the_event(void)
{
    enum { MOST = 64 };
    int count = processors() - 1;
    struct crowd crowd[MOST] = {0};
    pthread_t thread[MOST];
    struct ctrio__spin spin = {0};
    if (count < 1 || count > MOST) {
        skip("one processor, or very many");
        return;
    }
    for (int i = 0; i < count; i++) {
        is(pthread_create(&thread[i], NULL, spin_aside, &crowd[i]), 0);
        ok(threads->wait(NULL, &crowd[i].asked, 60));
    }
    is(looks_in_vain(&spin, CTRIO__SPIN_FOR_EVENT), 2);
    is(spin.misses, 0); /* it could not know */
    ok(looks_in_vain(&spin, CTRIO__SPIN_FOR_LOCK) >= 3);
    for (int i = 0; i < count; i++) {
        threads->post(NULL, &crowd[i].go);
        pthread_join(thread[i], NULL);
    }
    spin = (struct ctrio__spin){0};
    ok(looks_in_vain(&spin, CTRIO__SPIN_FOR_EVENT) >= 3);
}

static void confined_to_one_processor_nobody_spins(void)
{
    cpu_set_t before, one;
    if (sched_getaffinity(0, sizeof before, &before) != 0) {
        skip("too many processors for this test");
        return;
    }
    CPU_ZERO(&one);
    for (size_t i = 0; CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    is(sched_setaffinity(0, sizeof one, &one), 0);
    struct ctrio__spin spin = {0};
    looks_in_vain(&spin, CTRIO__SPIN_FOR_EVENT); /* finds it out */
    for (int i = 0; i < 100; i++) {
        is(looks_in_vain(&spin, CTRIO__SPIN_FOR_EVENT), 1);
        is(looks_in_vain(&spin, CTRIO__SPIN_FOR_LOCK), 1);
    }
    is(sched_setaffinity(0, sizeof before, &before), 0);
    if (CPU_COUNT(&before) < 2)
        return;
    for (int i = 0; i < 64; i++) /* and now and then asks whether it is still so */
        looks_in_vain(&spin, CTRIO__SPIN_FOR_LOCK);
    spin = (struct ctrio__spin){0};
    ok(looks_in_vain(&spin, CTRIO__SPIN_FOR_EVENT) >= 3);
}

static void the_child_of_a_fork_begins_with_nobody_spinning(void)
{
    if (processors() < 2) {
        skip("one processor");
        return;
    }
    struct crowd crowd = {.spun = false};
    pthread_t thread;
    struct ctrio__spin spin = {0};
    is(pthread_create(&thread, NULL, spin_aside, &crowd), 0);
    ok(threads->wait(NULL, &crowd.asked, 60));
    ctrio__native_spin_after_fork();
    ok(looks_in_vain(&spin, CTRIO__SPIN_FOR_EVENT) >= 3);
    threads->post(NULL, &crowd.go);
    pthread_join(thread, NULL);
    ctrio__native_spin_after_fork(); /* the other one has left what it was not counted in */
}

TAP_MAIN(TEST(what_is_there_is_seen_without_spinning),
         TEST(what_comes_meanwhile_is_seen_and_forgives_misses),
         TEST(each_miss_leaves_out_twice_as_many_occasions),
         TEST(what_comes_late_is_waited_for_some_times_in_a_row),
         TEST(who_waits_for_an_event_leaves_out_fewer_than_may_come_late),
         TEST(one_processor_is_left_for_who_brings_the_event),
         TEST(confined_to_one_processor_nobody_spins),
         TEST(the_child_of_a_fork_begins_with_nobody_spinning))
