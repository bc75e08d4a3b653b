/* test_cancel.c - scopes: deadlines, shields, folding, and what happens to those who misuse them.
 */
#include "front.h"
#include <ctrio/sync.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

MAIN_TEST(a_scope_that_times_out_ends_quietly)
{
    struct ctrio_cancel_scope scope;
    double before = ctrio_current_time();
    ctrio_move_on_after(&scope, 3);
    int result = ctrio_sleep(10);
    is(result, CTRIO_CANCELLED);
    is(ctrio_cancel_scope_close(&scope, result), 0);
    ok(ctrio_cancelled_caught(&scope));
    is(ctrio_current_time() - before, 3.0);
    return 0;
}

MAIN_TEST(a_limit_that_passes_is_too_slow)
{
    struct ctrio_cancel_scope scope;
    ctrio_fail_after(&scope, 3);
    is(ctrio_cancel_scope_close(&scope, ctrio_sleep(10)), CTRIO_TOO_SLOW);
    ctrio_fail_after(&scope, 3);
    is(ctrio_cancel_scope_close(&scope, ctrio_sleep(1)), 0);
    ok(!ctrio_cancelled_caught(&scope));
    return 0;
}

MAIN_TEST(what_is_no_cancellation_passes_through)
{
    int results[] = {0, 1, 99, -EPIPE, CTRIO_TOO_SLOW, CTRIO_GROUP};
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        struct ctrio_cancel_scope scope;
        ctrio_fail_after(&scope, i % 2 == 0 ? 1 : 0);
        is(ctrio_cancel_scope_close(&scope, results[i]), results[i]);
        ok(!ctrio_cancelled_caught(&scope));
    }
    return 0;
}

MAIN_TEST(a_limit_of_no_time_cancels_the_first_checkpoint)
{
    double limits[] = {0, -1, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct ctrio_cancel_scope scope;
        ctrio_move_on_after(&scope, limits[i]);
        is(ctrio_checkpoint(), CTRIO_CANCELLED);
        is(ctrio_checkpoint(), CTRIO_CANCELLED);
        is(ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED), 0);
        is(ctrio_checkpoint(), 0);
    }
    return 0;
}

MAIN_TEST(only_the_scope_that_was_cancelled_absorbs_its_cancellation)
{
    struct ctrio_cancel_scope outer, inner;
    ctrio_cancel_scope_open(&outer);
    ctrio_fail_after(&inner, 100);
    ctrio_cancel(&outer);
    int result = ctrio_checkpoint();
    is(result, CTRIO_CANCELLED);
    result = ctrio_cancel_scope_close(&inner, result);
    is(result, CTRIO_CANCELLED);
    ok(!ctrio_cancelled_caught(&inner));
    is(ctrio_cancel_scope_close(&outer, result), 0);
    ok(ctrio_cancelled_caught(&outer));
    return 0;
}

MAIN_TEST(a_shield_keeps_the_outer_cancellation_out_for_its_time)
{
    struct ctrio_cancel_scope outer, shield;
    double before = ctrio_current_time();
    ctrio_cancel_scope_open(&outer);
    ctrio_cancel(&outer);
    ctrio_shield_for(&shield, 5);
    is(ctrio_sleep(2), 0);
    is(ctrio_sleep(20), CTRIO_CANCELLED);
    is(ctrio_cancel_scope_close(&shield, CTRIO_CANCELLED), 0);
    is(ctrio_current_time() - before, 5.0);
    is(ctrio_checkpoint(), CTRIO_CANCELLED);
    return ctrio_cancel_scope_close(&outer, CTRIO_CANCELLED);
}

MAIN_TEST(a_shield_that_is_taken_down_lets_the_cancellation_in)
{
    struct ctrio_cancel_scope outer, inner;
    ctrio_cancel_scope_open(&outer);
    ctrio_cancel_scope_open(&inner);
    ctrio_cancel_scope_set_shield(&inner, true);
    ctrio_cancel(&outer);
    is(ctrio_checkpoint(), 0);
    ctrio_cancel_scope_set_shield(&inner, false);
    is(ctrio_checkpoint(), CTRIO_CANCELLED);
    int result = ctrio_cancel_scope_close(&inner, CTRIO_CANCELLED);
    is(result, CTRIO_CANCELLED);
    return ctrio_cancel_scope_close(&outer, result);
}

MAIN_TEST(a_deadline_can_be_moved_and_taken_away)
{
    struct ctrio_cancel_scope scope;
    double now = ctrio_current_time();
    ctrio_move_on_after(&scope, 1);
    ctrio_cancel_scope_set_deadline(&scope, now + 7);
    is(ctrio_current_effective_deadline(), now + 7);
    is(ctrio_sleep(5), 0);
    is(ctrio_sleep(5), CTRIO_CANCELLED);
    is(ctrio_current_time() - now, 7.0);
    is(ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED), 0);
    ctrio_move_on_after(&scope, 1);
    ctrio_cancel_scope_set_deadline(&scope, INFINITY);
    is(ctrio_sleep(5), 0);
    return ctrio_cancel_scope_close(&scope, 0);
}

MAIN_TEST(the_effective_deadline_is_the_nearest_up_to_the_shield)
{
    struct ctrio_cancel_scope outer, shield, inner;
    double now = ctrio_current_time();
    is(ctrio_current_effective_deadline(), INFINITY);
    ctrio_move_on_after(&outer, 3);
    is(ctrio_current_effective_deadline(), now + 3);
    ctrio_shield_for(&shield, 9);
    is(ctrio_current_effective_deadline(), now + 9);
    ctrio_move_on_after(&inner, 12);
    is(ctrio_current_effective_deadline(), now + 9);
    ctrio_cancel(&shield);
    is(ctrio_current_effective_deadline(), -INFINITY);
    is(ctrio_cancel_scope_close(&inner, 0), 0);
    is(ctrio_cancel_scope_close(&shield, 0), 0);
    return ctrio_cancel_scope_close(&outer, 0);
}

static int sets_it_later(void *arg)
{
    int result = ctrio_sleep(2);
    ctrio_event_set(arg);
    return result;
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(an_event_cancels_the_scopes_that_were_tied_to_it)
{
    struct ctrio_cancel_scope scopes[2];
    struct ctrio_event event, other;
    struct ctrio_nursery nursery;
    ctrio_event_init(&event);
    ctrio_event_init(&other);
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, sets_it_later, &event);
    ctrio_cancel_scope_open(&scopes[0]);
    ctrio_cancel_on_event(&scopes[0], &event);
    ctrio_fail_after(&scopes[1], 100);
    ctrio_cancel_on_event(&scopes[1], &other);
    ctrio_cancel_on_event(&scopes[1], &event); /* the second one replaces the first */
    ctrio_event_set(&other);
    int result = ctrio_sleep(10);
    result = front_saw(ctrio_cancel_scope_close(&scopes[1], result));
    if (ctrio_event_is_set(&event)) { /* else there was no memory for the task */
        is(result, CTRIO_CANCELLED);
        is(ctrio_cancel_scope_close(&scopes[0], result), 0);
        ok(ctrio_cancelled_caught(&scopes[0]));
        result = 0;
    } else {
        result = ctrio_cancel_scope_close(&scopes[0], result);
    }
    return front_saw(ctrio_nursery_close(&nursery, result));
}

MAIN_TEST(an_event_that_is_set_cancels_at_once_and_a_closed_scope_is_forgotten)
{
    struct ctrio_cancel_scope scope;
    struct ctrio_event event;
    ctrio_event_init(&event);
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel_on_event(&scope, &event);
    is(ctrio_cancel_scope_close(&scope, 0), 0);
    memset(&scope, 0x55, sizeof scope);
    ctrio_event_set(&event);
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel_on_event(&scope, &event);
    is(ctrio_checkpoint(), CTRIO_CANCELLED);
    return ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED);
}

static int fails(void *arg)
{
    (void)arg;
    return -EIO;
}

MAIN_TEST(a_real_failure_beside_a_cancellation_stays)
{
    struct ctrio_cancel_scope scope;
    struct ctrio_nursery nursery;
    ctrio_cancel_scope_open(&scope);
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, fails, NULL);
    ctrio_start_soon(&nursery, front_sleeper, NULL);
    ctrio_cancel(&scope);
    int result = front_saw(ctrio_nursery_close(&nursery, ctrio_checkpoint()));
    is(ctrio_cancel_scope_close(&scope, result), CTRIO_GROUP);
    ok(ctrio_cancelled_caught(&scope));
    is(ctrio_except(CTRIO_GROUP, -EIO), 0);
    return 0;
}

/* --- misuse: the rows marked E ---------------------------------------------------------------- */

static bool says(const char *part)
{
    front_stories_may_lack();
    return strstr(ctrio_error_message(CTRIO_MISUSE), part) != NULL;
}

MAIN_TEST(scopes_closed_in_the_wrong_order_are_misuse_and_the_task_goes_on)
{
    struct ctrio_cancel_scope outer, inner;
    ctrio_cancel_scope_open(&outer);
    ctrio_cancel_scope_open(&inner);
    is(ctrio_cancel_scope_close(&outer, 0), CTRIO_MISUSE);
    ok(says("still open"));
    is(ctrio_cancel_scope_close(&inner, 0), 0);
    return ctrio_checkpoint();
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(a_copy_of_a_scope_is_not_open)
{
    struct ctrio_cancel_scope scope, copy;
    ctrio_cancel_scope_open(&scope);
    memcpy(&copy, &scope, sizeof copy);
    is(ctrio_cancel_scope_close(&copy, 0), CTRIO_MISUSE);
    ok(says("copied"));
    ctrio_cancel(&copy);
    is(ctrio_checkpoint(), 0);
    return ctrio_cancel_scope_close(&scope, 0);
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(
    a_scope_that_was_never_opened_or_is_closed_cannot_be_closed_and_cancelling_it_does_nothing)
{
    struct ctrio_cancel_scope never = {.magic = 0}, closed;
    ctrio_cancel(&never);
    ctrio_cancel_scope_set_deadline(&never, 0);
    ctrio_cancel_scope_set_shield(&never, true);
    is(ctrio_cancel_scope_close(&never, 3), CTRIO_MISUSE);
    ctrio_cancel_scope_open(&closed);
    is(ctrio_cancel_scope_close(&closed, 0), 0);
    ctrio_cancel(&closed);
    is(ctrio_checkpoint(), 0);
    is(ctrio_cancel_scope_close(&closed, 0), CTRIO_MISUSE);
    ok(says("closed already"));
    return 0;
}

CTRIO_UNCHECKED_PAIRS static int closes_anothers(void *arg)
{
    is(ctrio_cancel_scope_close(arg, 0), CTRIO_MISUSE);
    ok(says("by the task that opened it"));
    return 0;
}

MAIN_TEST(a_scope_is_closed_by_the_task_that_opened_it)
{
    struct ctrio_cancel_scope scope;
    struct ctrio_nursery nursery;
    ctrio_cancel_scope_open(&scope);
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, closes_anothers, &scope);
    int result = front_saw(ctrio_nursery_close(&nursery, 0));
    return ctrio_cancel_scope_close(&scope, result);
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(a_nurserys_own_scope_cannot_be_closed)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    is(ctrio_cancel_scope_close(&nursery.scope, 0), CTRIO_MISUSE);
    ok(says("nursery's own scope"));
    return ctrio_nursery_close(&nursery, 0);
}

MAIN_TEST(a_deadline_that_is_no_number_is_misuse_at_the_close)
{
    struct ctrio_cancel_scope scope;
    ctrio_move_on_after(&scope, NAN);
    is(ctrio_checkpoint(), 0);
    is(ctrio_cancel_scope_close(&scope, 0), CTRIO_MISUSE);
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel_scope_set_deadline(&scope, NAN);
    is(ctrio_cancel_scope_close(&scope, 7), CTRIO_MISUSE);
    ok(says("not a number"));
    return 0;
}

static char logged[256];

static void keep_log(void *arg, enum ctrio_log_level level, const char *line)
{
    (void)arg;
    is((int)level, CTRIO_LOG_WARNING);
    snprintf(logged, sizeof logged, "%s", line);
}

static int ignores_it(void *arg)
{
    struct ctrio_cancel_scope scope;
    (void)arg;
    ctrio_move_on_after(&scope, 0);
    for (int i = 0; i < 999; i++)
        is(ctrio_checkpoint(), CTRIO_CANCELLED);
    is((const char *)logged, "");
    is(ctrio_checkpoint(), CTRIO_CANCELLED);
    return ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED);
}

static void a_task_that_does_not_heed_its_cancellation_is_named_in_the_log(void)
{
    struct ctrio_run_options options = {.log = keep_log};
    logged[0] = '\0';
    is(front_run_with(ignores_it, NULL, &options), 0);
    ok(strstr(logged, "1000 times") != NULL || tap_excused());
    ok(strstr(logged, "ignores_it") == NULL); /* the main task's name is front_run's argument */
}

CTRIO_UNCHECKED_PAIRS static void __attribute__((noinline)) leave_it_open(void)
{
    struct ctrio_cancel_scope scope;
    ctrio_cancel_scope_open(&scope);
}

static int child_that_leaves(void *arg)
{
    (void)arg;
    leave_it_open();
    return ctrio_checkpoint();
}

static int main_of_leaving(void *arg)
{
    struct ctrio_nursery nursery;
    (void)arg;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, child_that_leaves, NULL);
    return ctrio_nursery_close(&nursery, 0);
}

static int run_leaving(void *arg)
{
    (void)arg;
    return ctrio_run(main_of_leaving, NULL, NULL) == 0 ? 0 : 1;
}

static void a_scope_left_open_in_a_frame_that_is_gone_ends_the_program(void)
{
    char text[512];
    int status = front_child(run_leaving, NULL, text, sizeof text);
    if (strstr(text, "AddressSanitizer: stack-") != NULL) { /* it was first to see it */
        ok(status != 0);
        return;
    }
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ok(strstr(text, "has left a block without closing the scope or nursery opened at") != NULL);
    ok(strstr(text, "test_cancel.c") != NULL);
    ok(strstr(text, "child_that_leaves") != NULL);
}

CTRIO_UNCHECKED_PAIRS static int ends_with_it_open(void *arg)
{
    struct ctrio_cancel_scope scope;
    (void)arg;
    ctrio_cancel_scope_open(&scope);
    return 0;
}

static int main_of_ending(void *arg)
{
    struct ctrio_nursery nursery;
    (void)arg;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, ends_with_it_open, NULL);
    return ctrio_nursery_close(&nursery, 0);
}

static int run_ending(void *arg)
{
    return ctrio_run(arg == NULL ? main_of_ending : ends_with_it_open, NULL, NULL) == 0 ? 0 : 1;
}

static void a_task_that_ends_with_a_scope_open_on_its_stack_ends_the_program(void)
{
    for (int main_too = 0; main_too < 2; main_too++) {
        char text[512];
        int status = front_child(run_ending, main_too ? &status : NULL, text, sizeof text);
        ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        ok(strstr(text, "has left a block without closing the scope or nursery opened at") != NULL);
        ok(strstr(text, "test_cancel.c") != NULL);
    }
}

TAP_MAIN(
    TEST(a_scope_that_times_out_ends_quietly), TEST(a_limit_that_passes_is_too_slow),
    TEST(what_is_no_cancellation_passes_through),
    TEST(a_limit_of_no_time_cancels_the_first_checkpoint),
    TEST(only_the_scope_that_was_cancelled_absorbs_its_cancellation),
    TEST(a_shield_keeps_the_outer_cancellation_out_for_its_time),
    TEST(a_shield_that_is_taken_down_lets_the_cancellation_in),
    TEST(a_deadline_can_be_moved_and_taken_away),
    TEST(the_effective_deadline_is_the_nearest_up_to_the_shield),
    TEST(an_event_cancels_the_scopes_that_were_tied_to_it),
    TEST(an_event_that_is_set_cancels_at_once_and_a_closed_scope_is_forgotten),
    TEST(a_real_failure_beside_a_cancellation_stays),
    TEST(scopes_closed_in_the_wrong_order_are_misuse_and_the_task_goes_on),
    TEST(a_copy_of_a_scope_is_not_open),
    TEST(
        a_scope_that_was_never_opened_or_is_closed_cannot_be_closed_and_cancelling_it_does_nothing),
    TEST(a_scope_is_closed_by_the_task_that_opened_it), TEST(a_nurserys_own_scope_cannot_be_closed),
    TEST(a_deadline_that_is_no_number_is_misuse_at_the_close),
    TEST(a_task_that_does_not_heed_its_cancellation_is_named_in_the_log),
    BIG_TEST(a_task_that_ends_with_a_scope_open_on_its_stack_ends_the_program),
    BIG_TEST(a_scope_left_open_in_a_frame_that_is_gone_ends_the_program))
