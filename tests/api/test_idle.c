/* test_idle.c - who has nothing to do does nothing: turns of the loop are counted, not time.
 *
 * The native machine, whose look for events is counted and gets a bell after a while: between the
 * last task's park and the bell there is one look, however long it lasts. */
#include "api/run.h"
#include "io/native.h"
#include "tap.h"
#include <ctrio.h>
#include <ctrio/testing.h>
#include <pthread.h>

enum { TASKS = 10000 };

static struct {
    struct ctrio__io_ops io;
    const struct ctrio__io_ops *inner;
    struct ctrio_nursery nursery;
    struct ctrio_event over;
    struct ctrio_token *token;
    pthread_t ringer;
    size_t looks, asleep; /* all of them; those that were to last */
    size_t looks_before;
} idle;

static void ring(void *arg)
{
    (void)arg;
    ctrio_event_set(&idle.over);
}

/* While the loop sleeps for good, and only then: another thread ends it. */
static void *ring_from_outside(void *arg)
{
    (void)arg;
    is(ctrio_token_run_soon(idle.token, ring, NULL), 0);
    return NULL;
}

static int get_events(struct ctrio__io *io, double timeout, struct ctrio__io_events *events)
{
    idle.looks++;
    if (timeout > 60.0 && idle.token != NULL && idle.asleep++ == 0)
        is(pthread_create(&idle.ringer, NULL, ring_from_outside, NULL), 0);
    return idle.inner->get_events(io, timeout, events);
}

static int sit(void *arg)
{
    (void)arg;
    return ctrio_event_wait(&idle.over);
}

static int sit_with_many(void *arg)
{
    (void)arg;
    ctrio_event_init(&idle.over);
    ctrio_nursery_open(&idle.nursery);
    for (size_t i = 0; i < tap_most(TASKS); i++)
        ctrio_start_soon(&idle.nursery, sit, NULL);
    int result = ctrio_wait_all_tasks_blocked(0.0);
    if (result == 0)
        result = ctrio_current_token(&idle.token);
    idle.looks_before = idle.looks;
    if (result == 0)
        result = ctrio_event_wait(&idle.over);
    result = ctrio_nursery_close(&idle.nursery, result);
    ctrio_token_free(idle.token);
    return result;
}

static void ten_thousand_parked_tasks_cost_one_look_until_somebody_calls(void)
{
    const struct ctrio_run_options options = {.seed = 1};
    struct ctrio__native_os *native = ctrio__native_os_new();
    idle.inner = native->os.io;
    idle.io = *native->os.io;
    idle.io.get_events = get_events;
    native->os.io = &idle.io;
    is(ctrio__c_run_on(&native->os, NULL, sit_with_many, NULL, &options, "idle"), 0);
    is(pthread_join(idle.ringer, NULL), 0);
    is(idle.asleep, (size_t)1);
    /* The sleep; the call; those it woke; their nursery, and what is around the main task. */
    ok(idle.looks - idle.looks_before <= 8);
    ctrio__native_os_drop(native);
}

static int sleep_long(void *arg)
{
    (void)arg;
    return ctrio_sleep(3600.0);
}

static int sleep_with_many(void *arg)
{
    (void)arg;
    ctrio_nursery_open(&idle.nursery);
    for (size_t i = 0; i < tap_most(TASKS); i++)
        ctrio_start_soon(&idle.nursery, sleep_long, NULL);
    return ctrio_nursery_close(&idle.nursery, 0);
}

/* On a clock that jumps: an hour is one look, and not one for each second of it. */
static void ten_thousand_sleepers_cost_no_look_before_their_time(void)
{
    struct ctrio_clock *clock;
    struct ctrio__native_os *native = ctrio__native_os_new();
    is(ctrio_open_mock_clock(&clock, 0), 0);
    const struct ctrio_run_options options = {.clock = clock, .seed = 1};
    idle.looks = 0;
    idle.token = NULL;
    idle.inner = native->os.io;
    idle.io = *native->os.io;
    idle.io.get_events = get_events;
    native->os.io = &idle.io;
    is(ctrio__c_run_on(&native->os, NULL, sleep_with_many, NULL, &options, "sleepers"), 0);
    ok(idle.looks <= 12);
    ctrio__native_os_drop(native);
    ctrio_mock_clock_free(clock);
}

TAP_MAIN(BIG_TEST(ten_thousand_parked_tasks_cost_one_look_until_somebody_calls),
         BIG_TEST(ten_thousand_sleepers_cost_no_look_before_their_time))
