/* test_sync.c - events, locks, semaphores, conditions, limiters, as tasks of C use them. */
#include "front.h"
#include <ctrio/lowlevel.h>
#include <ctrio/sync.h>
#include <string.h>

static struct ctrio_nursery nursery;
static struct ctrio_event event;
static struct ctrio_lock lock;
static struct ctrio_semaphore semaphore;
static struct ctrio_condition condition;
static struct ctrio_capacity_limiter limiter;

static bool says(const char *part)
{
    front_stories_may_lack();
    return strstr(ctrio_error_message(CTRIO_MISUSE), part) != NULL;
}

/* Starts them one after the other, each when the one before it waits. */
static int start_each(ctrio_task_fn *fn, const char *const *names, size_t count)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = ctrio_start_soon(&nursery, fn, (void *)(uintptr_t)names[i]);
        if (result == 0)
            result = ctrio_wait_all_tasks_blocked(0);
    }
    return result;
}

static const char *const abc[] = {"a", "b", "c"};

static int wait_event(void *arg)
{
    int result = ctrio_event_wait(&event);
    front_say("%s=%d", (const char *)arg, result);
    return result;
}

MAIN_TEST(an_event_wakes_everybody_and_stays_set)
{
    ctrio_event_init(&event);
    ok(!ctrio_event_is_set(&event));
    ctrio_nursery_open(&nursery);
    int result = start_each(wait_event, abc, 3);
    is((const char *)front_trace, "");
    ctrio_event_set(&event);
    ctrio_event_set(&event);
    if (result == 0)
        result = ctrio_wait_all_tasks_blocked(0);
    if (result == 0)
        is(strlen(front_trace), strlen("a=0 b=0 c=0"));
    ok(ctrio_event_is_set(&event));
    is(ctrio_event_wait(&event), result == 0 ? 0 : CTRIO_CANCELLED);
    return ctrio_collapse(front_saw(ctrio_nursery_close(&nursery, result)));
}

MAIN_TEST(a_cancelled_wait_has_acquired_nothing)
{
    struct ctrio_cancel_scope scope;
    struct ctrio_lock own;
    ctrio_event_init(&event);
    ctrio_lock_init(&lock);
    ctrio_lock_init(&own);
    ctrio_semaphore_init(&semaphore, 1, 0);
    ctrio_capacity_limiter_init(&limiter, 1);
    ctrio_condition_init(&condition, &own);
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel(&scope);
    is(ctrio_event_wait(&event), CTRIO_CANCELLED);
    is(ctrio_lock_acquire(&lock), CTRIO_CANCELLED);
    is(ctrio_semaphore_acquire(&semaphore), CTRIO_CANCELLED);
    is(ctrio_capacity_limiter_acquire(&limiter, NULL), CTRIO_CANCELLED);
    is(ctrio_lock_acquire_nowait(&own), 0);
    is(ctrio_condition_wait(&condition), CTRIO_CANCELLED);
    is(ctrio_lock_release(&own), 0); /* it is held again whatever the result */
    is(ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED), 0);
    is(ctrio_lock_acquire(&lock), 0);
    is(ctrio_lock_release(&lock), 0);
    is(ctrio_semaphore_acquire_nowait(&semaphore), 0);
    is(ctrio_capacity_limiter_acquire_nowait(&limiter, NULL), 0);
    is(ctrio_capacity_limiter_release(&limiter, NULL), 0);
    ctrio_capacity_limiter_close(&limiter);
    return 0;
}

/* --- lock ------------------------------------------------------------------------------------ */

static int hold_lock(void *arg)
{
    int result = ctrio_lock_acquire(&lock);
    front_say("%s=%d", (const char *)arg, result);
    if (result < 0)
        return result;
    result = ctrio_checkpoint();
    is(ctrio_lock_release(&lock), 0);
    return result;
}

MAIN_TEST(a_lock_goes_to_the_first_who_waits)
{
    ctrio_lock_init(&lock);
    ctrio_nursery_open(&nursery);
    is(ctrio_lock_acquire(&lock), 0);
    int result = start_each(hold_lock, abc, 3);
    is(ctrio_lock_release(&lock), 0);
    is(ctrio_lock_acquire_nowait(&lock), result == 0 ? CTRIO_WOULD_BLOCK : 0);
    if (result == 0) {
        is(ctrio_lock_acquire(&lock), 0); /* behind all of them */
        is((const char *)front_trace, "a=0 b=0 c=0");
    }
    is(ctrio_lock_release(&lock), 0);
    return ctrio_collapse(front_saw(ctrio_nursery_close(&nursery, result)));
}

MAIN_TEST(a_lock_that_is_held_or_anothers_is_misuse)
{
    ctrio_lock_init(&lock);
    is(ctrio_lock_release(&lock), CTRIO_MISUSE);
    ok(says("don't own"));
    is(ctrio_lock_acquire(&lock), 0);
    is(ctrio_lock_acquire(&lock), CTRIO_MISUSE);
    is(ctrio_lock_acquire_nowait(&lock), CTRIO_MISUSE);
    is(ctrio_lock_release(&lock), 0);
    return ctrio_checkpoint();
}

static int leaves_with_lock(void *arg)
{
    (void)arg;
    int result = ctrio_lock_acquire(&lock);
    return result < 0 ? result : ctrio_sleep(1);
}

MAIN_TEST(a_lock_whose_owner_ends_without_releasing_it_breaks)
{
    ctrio_lock_init(&lock);
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, leaves_with_lock, NULL);
    if (result == 0)
        result = ctrio_wait_all_tasks_blocked(0);
    if (result == 0) {
        is(ctrio_lock_acquire(&lock), CTRIO_BROKEN_RESOURCE);
        is(ctrio_lock_acquire(&lock), CTRIO_BROKEN_RESOURCE);
    }
    return ctrio_collapse(front_saw(ctrio_nursery_close(&nursery, result)));
}

/* --- semaphore, condition -------------------------------------------------------------------- */

static int take_one(void *arg)
{
    int result = ctrio_semaphore_acquire(&semaphore);
    front_say("%s=%d", (const char *)arg, result);
    return result;
}

MAIN_TEST(a_semaphore_counts_and_hands_on_in_order)
{
    ctrio_semaphore_init(&semaphore, 2, 2);
    is(ctrio_semaphore_acquire(&semaphore), 0);
    is(ctrio_semaphore_acquire_nowait(&semaphore), 0);
    is(ctrio_semaphore_acquire_nowait(&semaphore), CTRIO_WOULD_BLOCK);
    ctrio_nursery_open(&nursery);
    int result = start_each(take_one, abc, 2);
    is(ctrio_semaphore_release(&semaphore), 0);
    if (result == 0) {
        is(ctrio_semaphore_acquire_nowait(&semaphore), CTRIO_WOULD_BLOCK);
        result = ctrio_wait_all_tasks_blocked(0);
        is((const char *)front_trace, "a=0");
    }
    is(ctrio_semaphore_release(&semaphore), 0);
    result = ctrio_nursery_close(&nursery, result);
    if (front_saw(result) == 0) {
        is(ctrio_semaphore_release(&semaphore), 0);
        is(ctrio_semaphore_release(&semaphore), 0);
        is(ctrio_semaphore_release(&semaphore), CTRIO_MISUSE);
        ok(says("max_value"));
    }
    return ctrio_collapse(result);
}

static int wait_condition(void *arg)
{
    int result = ctrio_lock_acquire(&lock);
    if (result < 0)
        return result;
    result = ctrio_condition_wait(&condition);
    front_say("%s=%d", (const char *)arg, result);
    is(ctrio_lock_release(&lock), 0);
    return result;
}

MAIN_TEST(a_condition_wakes_as_many_as_it_is_told)
{
    ctrio_lock_init(&lock);
    ctrio_condition_init(&condition, &lock);
    is(ctrio_condition_notify(&condition, 1), CTRIO_MISUSE);
    is(ctrio_condition_wait(&condition), CTRIO_MISUSE);
    ctrio_nursery_open(&nursery);
    int result = start_each(wait_condition, abc, 3);
    is(ctrio_lock_acquire(&lock), result == 0 ? 0 : CTRIO_CANCELLED);
    if (result == 0) {
        is(ctrio_condition_notify(&condition, 1), 0);
        is(ctrio_lock_release(&lock), 0);
        is(ctrio_wait_all_tasks_blocked(0), 0);
        is((const char *)front_trace, "a=0");
        is(ctrio_lock_acquire(&lock), 0);
        is(ctrio_condition_notify(&condition, SIZE_MAX), 0);
        is(ctrio_lock_release(&lock), 0);
    }
    result = ctrio_nursery_close(&nursery, result);
    if (front_saw(result) == 0)
        is((const char *)front_trace, "a=0 b=0 c=0");
    return ctrio_collapse(result);
}

/* --- limiter --------------------------------------------------------------------------------- */

static int borrow(void *arg)
{
    int result = ctrio_capacity_limiter_acquire(&limiter, NULL);
    front_say("%s=%d", (const char *)arg, result);
    if (result < 0)
        return result;
    result = ctrio_sleep(1);
    is(ctrio_capacity_limiter_release(&limiter, NULL), 0);
    return result;
}

MAIN_TEST(a_limiter_lends_so_many_and_more_when_it_grows)
{
    ctrio_capacity_limiter_init(&limiter, 1);
    ctrio_nursery_open(&nursery);
    int result = start_each(borrow, abc, 3);
    if (result == 0) {
        is((const char *)front_trace, "a=0");
        is(ctrio_capacity_limiter_acquire_nowait(&limiter, NULL), CTRIO_WOULD_BLOCK);
        ctrio_capacity_limiter_set_total(&limiter, 2);
        is(ctrio_wait_all_tasks_blocked(0), 0);
        is((const char *)front_trace, "a=0 b=0");
    }
    result = ctrio_nursery_close(&nursery, result);
    front_saw(result);
    ctrio_capacity_limiter_close(&limiter);
    return ctrio_collapse(result);
}

MAIN_TEST(a_borrower_has_one_token_and_gives_back_its_own)
{
    int job = 0;
    ctrio_capacity_limiter_init(&limiter, SIZE_MAX);
    is(ctrio_capacity_limiter_release(&limiter, NULL), CTRIO_MISUSE);
    int result = ctrio_capacity_limiter_acquire(&limiter, &job);
    is(result, 0);
    if (result == 0) {
        is(ctrio_capacity_limiter_acquire(&limiter, &job), CTRIO_MISUSE);
        is(ctrio_capacity_limiter_acquire_nowait(&limiter, &job), CTRIO_MISUSE);
        is(ctrio_capacity_limiter_release(&limiter, NULL), CTRIO_MISUSE);
        is(ctrio_capacity_limiter_release(&limiter, &job), 0);
    }
    is(ctrio_capacity_limiter_acquire(&limiter, NULL), 0); /* and the close forgets it */
    ctrio_capacity_limiter_close(&limiter);
    return 0;
}

/* --- cadence --------------------------------------------------------------------------------- */

static int others_turns;

static int counts_turns(void *arg)
{
    bool *go_on = arg;
    int result = 0;
    while (*go_on && result == 0) {
        others_turns++;
        result = ctrio_checkpoint();
    }
    return result;
}

MAIN_TEST(what_completes_at_once_yields_each_time_in_strict_runs_and_within_bounds_in_others)
{
    enum { TIMES = 1000 };
    bool go_on = true;
    others_turns = 0;
    ctrio_lock_init(&lock);
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, counts_turns, &go_on);
    for (int i = 0; i < TIMES && result == 0; i++) {
        result = ctrio_lock_acquire(&lock);
        if (result == 0)
            is(ctrio_lock_release(&lock), 0);
    }
    go_on = false;
    result = ctrio_nursery_close(&nursery, result);
    if (front_saw(result) == 0) {
        ok(others_turns >= (front_strict() ? TIMES : TIMES / 101) - 2);
        ok(front_strict() || others_turns < TIMES);
    }
    return ctrio_collapse(result);
}

TAP_MAIN(TEST(an_event_wakes_everybody_and_stays_set), TEST(a_cancelled_wait_has_acquired_nothing),
         TEST(a_lock_goes_to_the_first_who_waits), TEST(a_lock_that_is_held_or_anothers_is_misuse),
         TEST(a_lock_whose_owner_ends_without_releasing_it_breaks),
         TEST(a_semaphore_counts_and_hands_on_in_order),
         TEST(a_condition_wakes_as_many_as_it_is_told),
         TEST(a_limiter_lends_so_many_and_more_when_it_grows),
         TEST(a_borrower_has_one_token_and_gives_back_its_own),
         TEST(what_completes_at_once_yields_each_time_in_strict_runs_and_within_bounds_in_others))
