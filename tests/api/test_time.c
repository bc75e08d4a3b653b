/* test_time.c - sleeping, checkpoints, the mock clock, and waiting for quiet. */
#include "front.h"
#include <ctrio/lowlevel.h>

static struct ctrio_nursery nursery;

MAIN_TEST(a_sleep_takes_its_time_on_the_runs_clock)
{
    double before = ctrio_current_time();
    is(ctrio_sleep(2.5), 0);
    is(ctrio_current_time() - before, 2.5);
    is(ctrio_sleep_until(before + 4), 0);
    is(ctrio_current_time() - before, 4.0);
    is(ctrio_sleep_until(before), 0);
    is(ctrio_sleep(0), 0);
    is(ctrio_current_time() - before, 4.0);
    return 0;
}

MAIN_TEST(a_length_of_time_that_is_none_is_refused)
{
    is(ctrio_sleep(-1), -EINVAL);
    is(ctrio_sleep(NAN), -EINVAL);
    is(ctrio_sleep_until(NAN), -EINVAL);
    is(ctrio_wait_all_tasks_blocked(-1), -EINVAL);
    is(ctrio_wait_all_tasks_blocked(NAN), -EINVAL);
    return 0;
}

MAIN_TEST(a_checkpoint_looks_for_a_cancellation_and_its_halves_do_half_of_it)
{
    struct ctrio_cancel_scope scope;
    is(ctrio_checkpoint(), 0);
    is(ctrio_checkpoint_if_cancelled(), 0);
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel(&scope);
    is(ctrio_cancel_shielded_checkpoint(), 0);
    is(ctrio_checkpoint_if_cancelled(), CTRIO_CANCELLED);
    is(ctrio_sleep(0), CTRIO_CANCELLED);
    is(ctrio_sleep(1), CTRIO_CANCELLED);
    is(ctrio_sleep(INFINITY), CTRIO_CANCELLED);
    is(ctrio_checkpoint(), CTRIO_CANCELLED);
    return ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED);
}

static int sleeps_then_says(void *arg)
{
    int result = ctrio_sleep(*(int *)arg);
    front_say("%d", *(int *)arg);
    return result;
}

MAIN_TEST(sleepers_wake_in_the_order_of_their_deadlines)
{
    static int seconds[] = {5, 1, 4, 2, 3};
    ctrio_nursery_open(&nursery);
    for (int i = 0; i < 5; i++)
        ctrio_start_soon(&nursery, sleeps_then_says, &seconds[i]);
    int result = front_saw(ctrio_nursery_close(&nursery, 0));
    is((const char *)front_trace, "1 2 3 4 5");
    return ctrio_collapse(result);
}

static int jumps(void *arg)
{
    struct ctrio_clock *clock = arg;
    double before = ctrio_current_time();
    int seconds = 10;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, sleeps_then_says, &seconds);
    if (result == 0)
        result = ctrio_wait_all_tasks_blocked(0);
    ctrio_mock_clock_jump(clock, 9);
    if (result == 0)
        result = ctrio_wait_all_tasks_blocked(0);
    is((const char *)front_trace, "");
    is(ctrio_current_time() - before, 9.0);
    ctrio_mock_clock_jump(clock, 1);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        is((const char *)front_trace, "10");
    return ctrio_collapse(result);
}

static void a_clock_without_autojump_moves_when_it_is_told(void)
{
    struct ctrio_clock *clock;
    int result = tap_saw(ctrio_open_mock_clock(&clock, INFINITY));
    if (result < 0)
        return;
    struct ctrio_run_options options = {.clock = clock};
    is(front_run_with(jumps, clock, &options), 0);
    ctrio_mock_clock_free(clock);
    ctrio_mock_clock_free(NULL);
    is(ctrio_open_mock_clock(&clock, -1), -EINVAL);
    ok(clock == NULL);
    is(ctrio_open_mock_clock(&clock, NAN), -EINVAL);
}

static int yields_some(void *arg)
{
    int result = 0;
    for (int i = 0; i < 20 && result == 0; i++) {
        ++*(int *)arg;
        result = ctrio_checkpoint();
    }
    return result == 0 ? ctrio_sleep(INFINITY) : result;
}

MAIN_TEST(quiet_comes_when_all_others_wait)
{
    int turns = 0;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, yields_some, &turns);
    if (result == 0)
        result = ctrio_wait_all_tasks_blocked(0);
    if (result == 0)
        is(turns, 20);
    ctrio_cancel(&nursery.scope);
    return ctrio_collapse(front_saw(ctrio_nursery_close(&nursery, result)));
}

MAIN_TEST(waiting_for_quiet_can_be_cancelled)
{
    struct ctrio_cancel_scope scope;
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel(&scope);
    int result = ctrio_wait_all_tasks_blocked(0);
    is(result, CTRIO_CANCELLED);
    return ctrio_cancel_scope_close(&scope, result);
}

static int real_time(void *arg)
{
    double before = ctrio_current_time();
    (void)arg;
    is(ctrio_sleep(0.000001), 0);
    ok(ctrio_current_time() >= before + 0.000001);
    return 0;
}

static void the_systems_clock_goes_by_itself(void)
{
    is(ctrio_run(real_time, NULL, NULL), 0);
    front_forget();
}

/* --- a call on a larger stack ----------------------------------------------------------------- */

static int deeper(int depth)
{
    volatile char frame[1000];
    frame[0] = (char)depth;
    frame[999] = (char)depth;
    int below = depth > 0 ? deeper(depth - 1) : 0;
    return below + (frame[0] == frame[999]);
}

static int deep_call(void *arg)
{
    int result = ctrio_sleep(*(int *)arg);
    if (result < 0)
        return result;
    ctrio_set_task_name("deep");
    struct ctrio_nursery inner;
    ctrio_nursery_open(&inner);
    result = ctrio_start_soon_copy(&inner, sleeps_then_says, &(int){1});
    result = front_saw(ctrio_nursery_close(&inner, result));
    return result < 0 ? result : deeper(1000);
}

static int calls_deep(void *arg)
{
    int result = ctrio_call_on_stack(4 << 20, deep_call, arg);
    if (result < 0)
        return ctrio_collapse(front_saw(result));
    is(result, 1001);
    return ctrio_checkpoint();
}

MAIN_TEST(a_call_on_a_larger_stack_may_recurse_deeply_and_wait)
{
    int one = 1;
    int result = calls_deep(&one); /* the main task */
    if (result < 0)
        return result;
    ctrio_nursery_open(&nursery);
    for (int i = 0; i < 3; i++)
        ctrio_start_soon(&nursery, calls_deep, &one);
    return ctrio_collapse(front_saw(ctrio_nursery_close(&nursery, 0)));
}

static int calls_again(void *arg)
{
    int depth = *(int *)arg - 1;
    if (depth == 0)
        return ctrio_checkpoint() == 0 ? 55 : -1;
    return ctrio_call_on_stack(20000, calls_again, &depth);
}

MAIN_TEST(such_calls_can_be_nested_and_a_size_beyond_memory_is_refused)
{
    int depth = 5;
    int result = calls_again(&depth);
    is(result, 55);
    is(ctrio_call_on_stack(SIZE_MAX, calls_again, &depth), -ENOMEM);
    if (SIZE_MAX > UINT32_MAX) /* the system's no */
        is(ctrio_call_on_stack(SIZE_MAX / 65536, calls_again, &depth), -ENOMEM);
    return 0;
}

static int cancelled_deep(void *arg)
{
    struct ctrio_cancel_scope scope;
    (void)arg;
    ctrio_move_on_after(&scope, 1);
    int result = ctrio_sleep(INFINITY);
    is(result, CTRIO_CANCELLED);
    result = ctrio_cancel_scope_close(&scope, result);
    return result < 0 ? result : ctrio_sleep(INFINITY);
}

MAIN_TEST(a_cancellation_reaches_a_call_on_another_stack)
{
    struct ctrio_cancel_scope scope;
    ctrio_fail_after(&scope, 2);
    int result = ctrio_call_on_stack(100000, cancelled_deep, NULL);
    if (result != -ENOMEM)
        is(result, CTRIO_CANCELLED);
    result = ctrio_cancel_scope_close(&scope, result);
    return result == CTRIO_TOO_SLOW ? 0 : tap_saw(result);
}

TAP_MAIN(TEST(a_sleep_takes_its_time_on_the_runs_clock),
         TEST(a_length_of_time_that_is_none_is_refused),
         TEST(a_checkpoint_looks_for_a_cancellation_and_its_halves_do_half_of_it),
         TEST(sleepers_wake_in_the_order_of_their_deadlines),
         TEST(a_clock_without_autojump_moves_when_it_is_told),
         TEST(quiet_comes_when_all_others_wait), TEST(waiting_for_quiet_can_be_cancelled),
         TEST(the_systems_clock_goes_by_itself),
         TEST(a_call_on_a_larger_stack_may_recurse_deeply_and_wait),
         TEST(such_calls_can_be_nested_and_a_size_beyond_memory_is_refused),
         TEST(a_cancellation_reaches_a_call_on_another_stack))
