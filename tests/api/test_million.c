/* test_million.c - a million of everything: no recursion, no time that grows faster than the
 * number.
 *
 * Each test does the same with 10,000, 100,000 and 1,000,000 and prints the times.  An item may
 * cost four times as much among ten times as many, for the caches' sake; quadratic work would cost
 * it ten times as much.  CTRIO_MOST=100000 stops there; CTRIO_LONG adds ten million
 * step tasks. */
#include "tap.h"
#include <ctrio.h>
#include <ctrio/lowlevel.h>
#include <ctrio/testing.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double most_growth = 4.0;
static const double in_front = 24;      /* bytes of the tests' allocator, as malloc rounds them */
static const double least_time = 0.002; /* seconds; below it the clock and the machine speak */

/* A measurement: the number of things, and what it came to. */
struct load {
    size_t count;
    bool timers;  /* by a mock clock */
    double bytes; /* of VmRSS for each; 0: not asked for */
    struct ctrio_nursery nursery;
    struct ctrio_event event;
    struct ctrio_parking_lot lot;
    void *memory;
    size_t seen;
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* other programs do not count */
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double resident_bytes(void)
{
    long pages = 0, resident = 0;
#ifdef __GLIBC__ /* what malloc has kept of an earlier load would hide this one's */
    malloc_trim(0);
#endif
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        note("# no /proc/self/statm");
    if (file != NULL)
        fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double run_once(ctrio_task_fn *fn, struct load *load)
{
    struct ctrio_run_options patient = {.slow_step_seconds = 1000.0}; /* one step starts them all */
    if (load->timers)
        is(ctrio_open_mock_clock(&patient.clock, 0), 0);
    double begin = seconds_now();
    is(ctrio_run(fn, load, &patient), 0);
    double took = seconds_now() - begin;
    if (load->timers)
        ctrio_mock_clock_free(patient.clock);
    return took;
}

/* The best of up to three, a million once if that is good enough: what else the machine does only
 * adds. */
static double measure(ctrio_task_fn *fn, struct load *load, size_t count, double good_enough)
{
    double best = INFINITY;
    for (int i = 0; i < 3 && (count < 1000000 || best >= good_enough); i++) {
        *load = (struct load){.count = count, .timers = load->timers};
        double took = run_once(fn, load);
        best = took < best ? took : best;
    }
    return best;
}

static double try_counts(const char *what, ctrio_task_fn *fn, struct load *load)
{
    size_t most = tap_most(1000000);
    double before = 0;
    for (size_t count = most < 10000 ? most : 10000; count <= most; count *= 10) {
        double good_enough = before > 0 ? most_growth * before * (double)count : INFINITY;
        double took = measure(fn, load, count, good_enough);
        double each = (took > least_time ? took : least_time) / (double)count;
        printf("# %8zu %s: %7.1f ms, %6.0f ns each", count, what, took * 1e3,
               took * 1e9 / (double)count);
        if (load->bytes > 0)
            printf(", %.0f bytes each", load->bytes);
        putchar('\n');
        fflush(stdout);
        if (before > 0 && !ok(each < most_growth * before))
            note("# %s: %zu cost %.1f times as much each", what, count, each / before);
        before = each;
    }
    return load->bytes;
}

/* --- parked tasks ----------------------------------------------------------------------------- */

static int park(void *arg)
{
    struct load *load = arg;
    load->seen++;
    return ctrio_parking_lot_park(&load->lot);
}

static int park_many(void *arg)
{
    struct load *load = arg;
    double before = resident_bytes();
    ctrio_parking_lot_init(&load->lot);
    ctrio_nursery_open(&load->nursery);
    for (size_t i = 0; i < load->count; i++)
        ctrio_start_soon(&load->nursery, park, load);
    int result = ctrio_wait_all_tasks_blocked(0.0);
    load->bytes = (resident_bytes() - before) / (double)load->count;
    is(load->seen, load->count);
    is(ctrio_parking_lot_unpark(&load->lot, SIZE_MAX), load->count);
    return ctrio_nursery_close(&load->nursery, result);
}

static void a_million_tasks_park_on_four_and_a_half_kilobytes_each(void)
{
    struct load load = {.count = 0};
    double bytes = try_counts("tasks parked", park_many, &load);
    if (tap_most(1000000) == 1000000)
        ok(bytes <= 4500 + in_front);
}

/* --- nested scopes ---------------------------------------------------------------------------- */

CTRIO_UNCHECKED_PAIRS static int nest(void *arg) /* in loops, which the analysis does not follow */
{
    struct load *load = arg;
    int result = 0;
    struct ctrio_cancel_scope *scopes = calloc(load->count, sizeof *scopes);
    if (scopes == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < load->count; i++)
        ctrio_move_on_after(&scopes[i], 3600.0);
    ctrio_cancel(&scopes[0]);
    is(ctrio_checkpoint(), CTRIO_CANCELLED);
    result = CTRIO_CANCELLED;
    for (size_t i = load->count; i-- > 0;)
        result = ctrio_cancel_scope_close(&scopes[i], result);
    is(ctrio_cancelled_caught(&scopes[0]), true);
    free(scopes);
    return result;
}

static void a_million_nested_scopes_are_cancelled_from_the_outermost(void)
{
    struct load load = {.count = 0};
    try_counts("nested scopes", nest, &load);
}

/* --- timers ----------------------------------------------------------------------------------- */

struct sleeper {
    struct ctrio_step_timer timer;
    struct load *load;
    double deadline;
    bool slept;
};

static int sleep_step(struct ctrio_task *task, void *arg, int woken)
{
    struct sleeper *self = arg;
    if (woken < 0 || self->slept)
        return woken;
    self->slept = true;
    return ctrio_step_sleep_until(task, &self->timer, self->deadline);
}

static int sleep_all(void *arg)
{
    struct load *load = arg;
    struct sleeper *sleepers = calloc(load->count, sizeof *sleepers);
    if (sleepers == NULL)
        return -ENOMEM;
    double now = ctrio_current_time();
    int result = 0;
    ctrio_nursery_open(&load->nursery);
    for (size_t i = 0; i < load->count && result == 0; i++) {
        sleepers[i].deadline = now + 1.0 + (double)(i * 7919 % load->count) * 1e-3;
        result = ctrio_start_step(&load->nursery, sleep_step, &sleepers[i]);
    }
    result = ctrio_nursery_close(&load->nursery, result);
    free(sleepers);
    return result;
}

static void a_million_timers_fire(void)
{
    struct load load = {.timers = true};
    try_counts("timers", sleep_all, &load);
}

/* --- queued items ----------------------------------------------------------------------------- */

static int queue(void *arg)
{
    struct load *load = arg;
    struct ctrio_send_channel *send;
    struct ctrio_receive_channel *receive;
    int result = ctrio_open_memory_channel(&send, &receive, sizeof(size_t), SIZE_MAX, NULL);
    for (size_t i = 0; i < load->count && result == 0; i++)
        result = ctrio_send_nowait(send, &i);
    for (size_t i = 0, item = 0; i < load->count && result == 0; i++) {
        result = ctrio_receive_nowait(receive, &item);
        load->seen += item == i;
    }
    is(load->seen, load->count);
    ctrio_send_channel_close(send);
    ctrio_receive_channel_close(receive);
    return result;
}

static void a_million_items_queue(void)
{
    struct load load = {.count = 0};
    try_counts("queued items", queue, &load);
}

/* --- failures --------------------------------------------------------------------------------- */

static int fail_when_told(void *arg)
{
    struct load *load = arg;
    int result = ctrio_event_wait(&load->event);
    return result == 0 ? -EIO : result;
}

static int fail_all_at_once(void *arg)
{
    struct load *load = arg;
    ctrio_event_init(&load->event);
    ctrio_nursery_open(&load->nursery);
    for (size_t i = 0; i < load->count; i++)
        ctrio_start_soon(&load->nursery, fail_when_told, load);
    int result = ctrio_wait_all_tasks_blocked(0.0);
    ctrio_event_set(&load->event);
    result = ctrio_nursery_close(&load->nursery, result);
    is(result, CTRIO_GROUP);
    struct ctrio_error *error = ctrio_error_take(result), *match, *rest;
    is(ctrio_error_split(error, -EIO, &match, &rest), 0);
    ok(rest == NULL);
    size_t leaves = 0;
    for (const struct ctrio_error *leaf; (leaf = ctrio_error_child(match, leaves)) != NULL;) {
        if (++leaves == 100)
            break;
    }
    is(leaves, (size_t)100);
    ctrio_error_free(match);
    return 0;
}

static void a_million_children_of_one_nursery_fail_at_once(void)
{
    struct load load = {.count = 0};
    try_counts("failing children", fail_all_at_once, &load);
}

/* --- waiters ---------------------------------------------------------------------------------- */

static int wait_for_it(void *arg)
{
    struct load *load = arg;
    int result = ctrio_event_wait(&load->event);
    load->seen++;
    return result;
}

static int wait_all(void *arg)
{
    struct load *load = arg;
    ctrio_event_init(&load->event);
    ctrio_nursery_open(&load->nursery);
    for (size_t i = 0; i < load->count; i++)
        ctrio_start_soon(&load->nursery, wait_for_it, load);
    int result = ctrio_wait_all_tasks_blocked(0.0);
    ctrio_event_set(&load->event);
    result = ctrio_nursery_close(&load->nursery, result);
    is(load->seen, load->count);
    return result;
}

static void a_million_tasks_wait_for_one_event(void)
{
    struct load load = {.count = 0};
    try_counts("waiters on one event", wait_all, &load);
}

/* --- step tasks ------------------------------------------------------------------------------- */

static int park_step(struct ctrio_task *task, void *arg, int woken)
{
    struct load *load = arg;
    if (load->seen < load->count) {
        load->seen++;
        return ctrio_step_park(task, &load->lot);
    }
    return woken;
}

static int park_steps(void *arg)
{
    struct load *load = arg;
    double before = resident_bytes();
    ctrio_parking_lot_init(&load->lot);
    ctrio_nursery_open(&load->nursery);
    int result = 0;
    for (size_t i = 0; i < load->count && result == 0; i++)
        result = ctrio_start_step(&load->nursery, park_step, load);
    if (result == 0)
        result = ctrio_wait_all_tasks_blocked(0.0);
    load->bytes = (resident_bytes() - before) / (double)load->count;
    is(ctrio_parking_lot_unpark(&load->lot, SIZE_MAX), load->count);
    return ctrio_nursery_close(&load->nursery, result);
}

static void a_million_step_tasks_park(void)
{
    struct load load = {.count = 0};
    try_counts("step tasks parked", park_steps, &load);
}

static void ten_million_step_tasks_park_on_three_hundred_bytes_each(void)
{
    struct load load = {.count = 0};
    if (getenv("CTRIO_LONG") == NULL) {
        skip("asked for by CTRIO_LONG");
        return;
    }
    double took = measure(park_steps, &load, 10000000, INFINITY);
    printf("# 10000000 step tasks parked: %.1f s, %.0f bytes each\n", took, load.bytes);
    ok(load.bytes <= 300 + in_front);
}

TAP_MAIN(BIG_TEST(ten_million_step_tasks_park_on_three_hundred_bytes_each),
         BIG_TEST(a_million_step_tasks_park),
         BIG_TEST(a_million_tasks_park_on_four_and_a_half_kilobytes_each),
         BIG_TEST(a_million_nested_scopes_are_cancelled_from_the_outermost),
         BIG_TEST(a_million_timers_fire), BIG_TEST(a_million_items_queue),
         BIG_TEST(a_million_children_of_one_nursery_fail_at_once),
         BIG_TEST(a_million_tasks_wait_for_one_event))
