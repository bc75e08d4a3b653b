/* test_lowlevel.c - raw parking, parking lots, readiness, step tasks. */
#include "front.h"
#include <ctrio/lowlevel.h>
#include <ctrio/resolver.h>
#include <string.h>
#include <unistd.h>

static struct ctrio_nursery nursery;
static struct ctrio_task *waiter;
static int told, aborts;

static bool says(const char *part)
{
    front_stories_may_lack();
    return strstr(ctrio_error_message(CTRIO_MISUSE), part) != NULL;
}

static enum ctrio_abort agree(struct ctrio_task *task, void *arg)
{
    ok(task == waiter);
    ok(arg == &told);
    aborts++;
    return CTRIO_ABORT_SUCCEEDED;
}

static enum ctrio_abort refuse(struct ctrio_task *task, void *arg)
{
    aborts++;
    (void)task;
    (void)arg;
    return CTRIO_ABORT_FAILED;
}

static int waits(void *arg)
{
    waiter = ctrio_current_task();
    told = ctrio_wait_task_rescheduled(arg == NULL ? agree : refuse, &told);
    return told == CTRIO_CANCELLED ? told : 0;
}

/* One that waits; its abort function agrees if `abort_fn` is NULL. */
CTRIO_UNCHECKED_PAIRS static int with_waiter(void *abort_fn)
{
    aborts = 0;
    told = 0;
    waiter = NULL;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, waits, abort_fn);
    return result == 0 ? ctrio_wait_all_tasks_blocked(0) : result;
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(a_parked_task_gets_what_it_is_rescheduled_with)
{
    static const int codes[] = {0, 7, -EIO};
    int result = 0;
    for (int i = 0; i < 3 && result == 0; i++) {
        result = with_waiter(NULL);
        if (result == 0) {
            is(ctrio_reschedule(waiter, codes[i]), 0);
            is(ctrio_reschedule(waiter, codes[i]), CTRIO_MISUSE);
            ok(says("does not wait"));
        }
        result = front_saw(ctrio_nursery_close(&nursery, result));
        if (result == 0)
            is(told, codes[i]);
    }
    is(aborts, 0);
    return ctrio_collapse(result);
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(an_abort_function_decides_who_wakes_the_task)
{
    int result = with_waiter(NULL);
    ctrio_cancel(&nursery.scope);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result < 0)
        return ctrio_collapse(result);
    is(aborts, 1);
    is(told, CTRIO_CANCELLED);
    result = with_waiter(&told);
    ctrio_cancel(&nursery.scope);
    if (waiter != NULL) {
        is(aborts, 1);
        is(ctrio_reschedule(waiter, 12), 0);
    }
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        is(told, 12);
    return ctrio_collapse(result);
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(a_cancellation_cannot_be_given_and_only_who_waits_so_can_be_woken)
{
    is(ctrio_reschedule(ctrio_current_task(), 0), CTRIO_MISUSE);
    int result = with_waiter(NULL);
    if (result == 0)
        is(ctrio_reschedule(waiter, CTRIO_CANCELLED), 0);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        is(told, CTRIO_MISUSE);
    return ctrio_collapse(result);
}

static int looks_up(void *arg)
{
    struct ctrio_address address;
    waiter = ctrio_current_task();
    *(int *)arg = ctrio_resolve("localhost.", 80, &address, 1);
    return *(int *)arg == CTRIO_CANCELLED ? CTRIO_CANCELLED : 0;
}

static int main_of_names(void *arg)
{
    (void)arg;
    int found = 0;
    waiter = NULL;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, looks_up, &found);
    while (waiter == NULL && result == 0)
        result = ctrio_checkpoint();
    if (result == 0)
        is(ctrio_reschedule(waiter, 0), CTRIO_MISUSE);
    return ctrio_collapse(front_saw(ctrio_nursery_close(&nursery, result)));
}

static void a_task_that_waits_for_a_name_cannot_be_rescheduled(void)
{
    is(front_run(main_of_names, NULL), 0);
    front_wait_for_threads();
}

/* --- lots ------------------------------------------------------------------------------------ */

static struct ctrio_parking_lot lot, other;

static int parks(void *arg)
{
    int result = ctrio_parking_lot_park(&lot);
    front_say("%s=%d", (const char *)arg, result);
    return result;
}

MAIN_TEST(a_lot_wakes_as_many_as_asked_first_come_first_served_and_moves_them)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    ctrio_parking_lot_init(&lot);
    ctrio_parking_lot_init(&other);
    is(ctrio_parking_lot_unpark(&lot, SIZE_MAX), 0);
    ctrio_nursery_open(&nursery);
    int result = 0;
    for (int i = 0; i < 4 && result == 0; i++) {
        result = ctrio_start_soon(&nursery, parks, (void *)(uintptr_t)names[i]);
        result = result == 0 ? ctrio_wait_all_tasks_blocked(0) : result;
    }
    if (result == 0) {
        is(ctrio_parking_lot_repark(&lot, &lot, 4), 0);
        is(ctrio_parking_lot_unpark(&lot, 1), 1);
        is(ctrio_parking_lot_repark(&lot, &other, 2), 2);
        result = ctrio_wait_all_tasks_blocked(0);
        is((const char *)front_trace, "a=0");
        is(ctrio_parking_lot_unpark(&lot, SIZE_MAX), 1);
        result = ctrio_wait_all_tasks_blocked(0);
        is((const char *)front_trace, "a=0 d=0");
        is(ctrio_parking_lot_unpark(&other, SIZE_MAX), 2);
    }
    return ctrio_collapse(front_saw(ctrio_nursery_close(&nursery, result)));
}

/* --- readiness ------------------------------------------------------------------------------- */

static int ends[2];

static int reads_when_ready(void *arg)
{
    int *result = arg;
    *result = ctrio_wait_readable(ends[0]);
    return *result == CTRIO_CANCELLED ? *result : 0;
}

MAIN_TEST(a_pipe_is_waited_for_by_one_task_a_direction)
{
    int first = 1, second = 1;
    if (pipe(ends) != 0)
        return -errno;
    is(ctrio_wait_writable(ends[1]), 0);
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, reads_when_ready, &first);
    result = result == 0 ? ctrio_wait_all_tasks_blocked(0) : result;
    if (result == 0) {
        second = ctrio_wait_readable(ends[0]);
        is(second, CTRIO_BUSY_RESOURCE);
        is(write(ends[1], "x", 1), 1);
    }
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        is(first, 0);
    ctrio_notify_closing(ends[0]);
    close(ends[0]);
    close(ends[1]);
    return ctrio_collapse(result);
}

MAIN_TEST(who_waits_for_a_handle_hears_that_it_is_closing)
{
    int first = 1;
    if (pipe(ends) != 0)
        return -errno;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, reads_when_ready, &first);
    result = result == 0 ? ctrio_wait_all_tasks_blocked(0) : result;
    ctrio_notify_closing(ends[0]);
    close(ends[0]);
    close(ends[1]);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        is(first, CTRIO_CLOSED_RESOURCE);
    return ctrio_collapse(result);
}

/* --- step tasks ------------------------------------------------------------------------------ */

struct walker {
    int stage, last;
    double woke_at;
    struct ctrio_step_timer timer;
};

static int walk(struct ctrio_task *task, void *arg, int woken)
{
    struct walker *walker = arg;
    walker->last = woken;
    if (woken < 0)
        return woken;
    switch (walker->stage++) {
    case 0:
        return ctrio_step_yield(task);
    case 1:
        return ctrio_step_park(task, &lot);
    case 2:
        return ctrio_step_sleep_until(task, &walker->timer, ctrio_current_time() + 3);
    default:
        walker->woke_at = ctrio_current_time();
        return 0;
    }
}

MAIN_TEST(a_step_task_yields_parks_and_sleeps_without_a_stack)
{
    struct walker walker = {.stage = 0};
    double before = ctrio_current_time();
    ctrio_parking_lot_init(&lot);
    ctrio_nursery_open(&nursery);
    int started = tap_saw(ctrio_start_step(&nursery, walk, &walker));
    int result = ctrio_wait_all_tasks_blocked(0);
    if (started == 0) {
        is(walker.stage, 2);
        is(ctrio_parking_lot_unpark(&lot, 1), 1);
    }
    result = ctrio_nursery_close(&nursery, result);
    if (started == 0) {
        is(walker.stage, 4);
        is(walker.woke_at - before, 3.0);
    }
    return result;
}

static int sleeps_for_ever(struct ctrio_task *task, void *arg, int woken)
{
    *(int *)arg = woken;
    return woken < 0 ? woken : ctrio_step_sleep_until(task, NULL, INFINITY);
}

MAIN_TEST(a_step_task_is_cancelled_wherever_it_waits)
{
    int woken[4] = {0}, result = 0;
    struct walker walkers[3] = {{.stage = 0}, {.stage = 1}, {.stage = 2}};
    ctrio_parking_lot_init(&lot);
    ctrio_nursery_open(&nursery);
    for (int i = 0; i < 3 && result == 0; i++)
        result = tap_saw(ctrio_start_step(&nursery, walk, &walkers[i]));
    if (result == 0)
        result = tap_saw(ctrio_start_step(&nursery, sleeps_for_ever, &woken[3]));
    int quiet = result == 0 ? ctrio_wait_all_tasks_blocked(0) : 0;
    ctrio_cancel(&nursery.scope);
    int closed = front_saw(ctrio_nursery_close(&nursery, quiet));
    if (result < 0)
        return result;
    is(closed, 0);
    is(walkers[1].last, CTRIO_CANCELLED);
    is(walkers[2].last, CTRIO_CANCELLED);
    is(woken[3], CTRIO_CANCELLED);
    is(ctrio_parking_lot_unpark(&lot, SIZE_MAX), 0);
    return 0;
}

static int fails_with_a_story(struct ctrio_task *task, void *arg, int woken)
{
    (void)task;
    (void)woken;
    return *(int *)arg == CTRIO_CANCELLED ? CTRIO_CANCELLED : ctrio_fail(*(int *)arg, "a step's");
}

MAIN_TEST(a_step_that_fails_fails_its_nursery_with_its_story)
{
    int code = -EPROTO;
    ctrio_nursery_open(&nursery);
    int result = tap_saw(ctrio_start_step(&nursery, fails_with_a_story, &code));
    int closed = front_saw(ctrio_nursery_close(&nursery, 0));
    if (result < 0)
        return result;
    is(ctrio_collapse(closed), -EPROTO);
    front_stories_may_lack();
    is(ctrio_error_message(-EPROTO), "a step's");
    code = CTRIO_CANCELLED;
    ctrio_nursery_open(&nursery);
    result = tap_saw(ctrio_start_step(&nursery, fails_with_a_story, &code));
    closed = front_saw(ctrio_nursery_close(&nursery, 0));
    if (result == 0)
        is(ctrio_collapse(closed), CTRIO_MISUSE);
    return 0;
}

static struct ctrio_parking_lot never_initialised;

static int suspends(struct ctrio_task *task, void *arg, int woken)
{
    (void)woken;
    is(ctrio_checkpoint(), CTRIO_MISUSE);
    is(ctrio_sleep(1), CTRIO_MISUSE);
    is(ctrio_step_yield(arg), CTRIO_MISUSE); /* another's */
    is(ctrio_step_sleep_until(task, NULL, NAN), -EINVAL);
    is(ctrio_step_park(task, &never_initialised), CTRIO_MISUSE);
    int asked = ctrio_step_park(task, &lot); /* taken back by the end */
    is(asked, CTRIO_STEP_WAITS);
    return 0;
}

MAIN_TEST(a_step_must_not_suspend_and_what_it_asked_for_ends_with_it)
{
    ctrio_parking_lot_init(&lot);
    is(ctrio_step_yield(ctrio_current_task()), CTRIO_MISUSE);
    ctrio_nursery_open(&nursery);
    int started = tap_saw(ctrio_start_step(&nursery, suspends, ctrio_current_task()));
    is(ctrio_nursery_close(&nursery, 0), 0);
    is(ctrio_parking_lot_unpark(&lot, SIZE_MAX), 0);
    is(ctrio_start_step(&nursery, suspends, NULL), CTRIO_CLOSED_RESOURCE);
    return started;
}

static int changes_its_mind(struct ctrio_task *task, void *arg, int woken)
{
    struct walker *walker = arg;
    if (walker->stage++ > 0)
        return woken;
    is(ctrio_step_park(task, &lot), CTRIO_STEP_WAITS);
    is(ctrio_step_sleep_until(task, &walker->timer, ctrio_current_time() + 1), CTRIO_STEP_WAITS);
    return ctrio_step_yield(task); /* the last word counts */
}

MAIN_TEST(of_several_waits_in_one_step_the_last_one_counts)
{
    struct walker walker = {.stage = 0};
    double before = ctrio_current_time();
    ctrio_parking_lot_init(&lot);
    ctrio_nursery_open(&nursery);
    int started = tap_saw(ctrio_start_step(&nursery, changes_its_mind, &walker));
    is(ctrio_nursery_close(&nursery, 0), 0);
    is(ctrio_current_time(), before);
    is(ctrio_parking_lot_unpark(&lot, SIZE_MAX), 0);
    return started;
}

static int sleeps_long(struct ctrio_task *task, void *arg, int woken)
{
    struct ctrio_step_timer *timer = arg;
    return woken < 0 ? woken : ctrio_step_sleep_until(task, timer, ctrio_current_time() + 1e6);
}

MAIN_TEST(a_hundred_thousand_step_tasks_are_cancelled_at_once)
{
    enum { MANY = 100000 };
    static struct ctrio_step_timer timers[MANY];
    ctrio_nursery_open(&nursery);
    int result = 0;
    for (int i = 0; i < MANY && result == 0; i++)
        result = ctrio_start_step(&nursery, sleeps_long, &timers[i]);
    is(result, 0);
    is(ctrio_wait_all_tasks_blocked(0), 0);
    ctrio_cancel(&nursery.scope);
    return ctrio_nursery_close(&nursery, 0);
}

TAP_MAIN(TEST(a_parked_task_gets_what_it_is_rescheduled_with),
         TEST(an_abort_function_decides_who_wakes_the_task),
         TEST(a_cancellation_cannot_be_given_and_only_who_waits_so_can_be_woken),
         TEST(a_task_that_waits_for_a_name_cannot_be_rescheduled),
         TEST(a_lot_wakes_as_many_as_asked_first_come_first_served_and_moves_them),
         TEST(a_pipe_is_waited_for_by_one_task_a_direction),
         TEST(who_waits_for_a_handle_hears_that_it_is_closing),
         TEST(a_step_task_yields_parks_and_sleeps_without_a_stack),
         TEST(a_step_task_is_cancelled_wherever_it_waits),
         TEST(a_step_that_fails_fails_its_nursery_with_its_story),
         TEST(a_step_must_not_suspend_and_what_it_asked_for_ends_with_it),
         TEST(of_several_waits_in_one_step_the_last_one_counts),
         BIG_TEST(a_hundred_thousand_step_tasks_are_cancelled_at_once))
