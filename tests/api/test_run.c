/* test_run.c - a run from its opening to its end: results, options, SIGINT, order. */
#include "front.h"
#include <ctrio/lowlevel.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int give(void *arg)
{
    return *(int *)arg;
}

static void the_main_functions_result_comes_back(void)
{
    int numbers[] = {0, 1, 4711, -EPIPE, CTRIO_TOO_SLOW};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        is(front_run(give, &numbers[i]), numbers[i]);
}

static int explain(void *arg)
{
    (void)arg;
    return ctrio_fail(-EPROTO, "the %s is wrong", "greeting");
}

static void the_main_functions_story_comes_back(void)
{
    is(front_run(explain, NULL), -EPROTO);
    front_stories_may_lack();
    is((const char *)front_message, "the greeting is wrong");
}

static int cancelled_by_nobody(void *arg)
{
    (void)arg;
    return CTRIO_CANCELLED;
}

static void a_cancellation_that_nobody_asked_for_is_misuse(void)
{
    is(front_run(cancelled_by_nobody, NULL), CTRIO_MISUSE);
    front_stories_may_lack();
    ok(strstr(front_message, "nobody has cancelled it") != NULL);
}

static void options_that_make_no_sense_are_refused(void)
{
    int fine = 0;
    struct ctrio_run_options options = {.stack_size = SIZE_MAX};
    is(front_run_with(give, &fine, &options), -EINVAL);
    options = (struct ctrio_run_options){.slow_step_seconds = -1};
    is(front_run_with(give, &fine, &options), -EINVAL);
    options = (struct ctrio_run_options){.slow_step_seconds = NAN};
    is(front_run_with(give, &fine, &options), -EINVAL);
    options = (struct ctrio_run_options){.reserved = {0, 0, 0, 1}};
    is(front_run_with(give, &fine, &options), -EINVAL);
    front_stories_may_lack();
    ok(strstr(front_message, "reserved") != NULL);
}

static int run_inside(void *arg)
{
    int fine = 0;
    (void)arg;
    return ctrio_run(give, &fine, NULL);
}

static void a_run_inside_of_a_run_is_misuse(void)
{
    is(front_run(run_inside, NULL), CTRIO_MISUSE);
    front_stories_may_lack();
    ok(strstr(front_message, "inside of a run") != NULL);
}

static void headers_of_another_version_are_refused(void)
{
    int fine = 0;
    is(ctrio_run_at(give, &fine, NULL, "give", CTRIO_VERSION + 1), CTRIO_MISUSE);
    is(ctrio_version(), CTRIO_VERSION);
    front_forget();
}

static void outside_of_a_run_whatever_waits_is_misuse(void)
{
    struct ctrio_nursery nursery;
    struct ctrio_cancel_scope scope;
    is(ctrio_checkpoint(), CTRIO_MISUSE);
    is(ctrio_sleep(1), CTRIO_MISUSE);
    is(ctrio_sleep_until(1), CTRIO_MISUSE);
    is(ctrio_wait_all_tasks_blocked(0), CTRIO_MISUSE);
    ctrio_nursery_open(&nursery);
    is(ctrio_start_soon(&nursery, front_sleeper, NULL), CTRIO_MISUSE);
    is(ctrio_nursery_close(&nursery, 0), CTRIO_MISUSE);
    ctrio_move_on_after(&scope, 1);
    ctrio_cancel(&scope);
    is(ctrio_cancel_scope_close(&scope, 0), CTRIO_MISUSE);
    ok(ctrio_current_task() == NULL);
    ok(isnan(ctrio_current_time()));
    is(ctrio_current_effective_deadline(), INFINITY);
    front_stories_may_lack();
    is(ctrio_error_message(CTRIO_MISUSE), "called outside of a run");
    front_forget();
}

/* --- the end --------------------------------------------------------------------------------- */

static int system_task(void *arg)
{
    int *steps = arg;
    int result = ctrio_sleep(INFINITY);
    *steps = result == CTRIO_CANCELLED ? 1 : 2;
    return result;
}

static int with_system_task(void *arg)
{
    int result = ctrio_spawn_system_task(system_task, arg);
    return result < 0 ? result : ctrio_checkpoint();
}

static void system_tasks_are_cancelled_and_waited_for_after_the_main_task(void)
{
    int steps = 0;
    is(front_run(with_system_task, &steps), 0);
    is(steps, 1);
}

static int failing_system_task(void *arg)
{
    (void)arg;
    return ctrio_fail(-EIO, "the disk is gone");
}

static int with_failing_system_task(void *arg)
{
    int result = ctrio_spawn_system_task(failing_system_task, NULL);
    if (result < 0)
        return result;
    result = ctrio_sleep(INFINITY);
    *(bool *)arg = result == CTRIO_CANCELLED;
    return result;
}

static void a_system_task_that_fails_ends_the_run_with_its_failure(void)
{
    bool cancelled = false;
    is(front_run(with_failing_system_task, &cancelled), -EIO);
    ok(cancelled);
    front_stories_may_lack();
    is((const char *)front_message, "the disk is gone");
}

/* --- SIGINT ---------------------------------------------------------------------------------- */

static int times_cancelled;

static int interrupted_main(void *arg)
{
    (void)arg;
    raise(SIGINT);
    for (int i = 0; i < 3; i++)
        times_cancelled += ctrio_sleep(INFINITY) == CTRIO_CANCELLED;
    return ctrio_checkpoint();
}

static bool sigint_is_default(void)
{
    struct sigaction action;
    sigaction(SIGINT, NULL, &action);
    return action.sa_handler == SIG_DFL;
}

static void sigint_cancels_the_main_task_and_is_the_runs_result(void)
{
    times_cancelled = 0;
    is(front_run(interrupted_main, NULL), CTRIO_INTERRUPTED);
    is(times_cancelled, 3);
    ok(sigint_is_default());
}

static int heedless_main(void *arg)
{
    (void)arg;
    raise(SIGINT);
    int result = ctrio_sleep(INFINITY);
    return result == CTRIO_CANCELLED ? 5 : result;
}

static void a_main_task_that_ends_well_in_spite_of_sigint_was_interrupted_all_the_same(void)
{
    is(front_run(heedless_main, NULL), CTRIO_INTERRUPTED);
}

static int failing_main(void *arg)
{
    (void)arg;
    raise(SIGINT);
    int result = ctrio_sleep(INFINITY);
    return result == CTRIO_CANCELLED ? -EIO : result;
}

static void a_failure_during_an_interrupt_is_not_lost(void)
{
    is(front_run(failing_main, NULL), -EIO);
}

static int twice_interrupted(void *arg)
{
    (void)arg;
    raise(SIGINT);
    int result = ctrio_sleep(INFINITY);
    if (result == CTRIO_CANCELLED)
        raise(SIGINT);
    return 0;
}

static int in_child(void *arg)
{
    (void)arg;
    return ctrio_run(twice_interrupted, NULL, NULL) == CTRIO_INTERRUPTED ? 7 : 8;
}

static void a_second_sigint_ends_the_program(void)
{
    char text[64];
    int status = front_child(in_child, NULL, text, sizeof text);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    front_stories_may_lack();
}

static volatile sig_atomic_t users_signals;

static void users_handler(int number)
{
    (void)number;
    users_signals++;
}

static int raises(void *arg)
{
    (void)arg;
    raise(SIGINT);
    return ctrio_checkpoint();
}

static void sigint_can_be_left_to_the_user(void)
{
    struct ctrio_run_options options = {.leave_sigint = true};
    struct sigaction action = {.sa_handler = users_handler}, before;
    sigaction(SIGINT, &action, &before);
    users_signals = 0;
    is(front_run_with(raises, NULL, &options), 0);
    is((int)users_signals, 1);
    is(front_run(raises, NULL), CTRIO_INTERRUPTED);
    is((int)users_signals, 1);
    raise(SIGINT);
    is((int)users_signals, 2);
    sigaction(SIGINT, &before, NULL);
    front_stories_may_lack();
}

/* --- order ----------------------------------------------------------------------------------- */

static int says_twice(void *arg)
{
    int result;
    front_say("%d", *(int *)arg);
    result = ctrio_checkpoint();
    front_say("%d", *(int *)arg);
    return result;
}

static int six_tasks(void *arg)
{
    struct ctrio_nursery nursery;
    (void)arg;
    ctrio_nursery_open(&nursery);
    for (int i = 0; i < 6; i++)
        ctrio_start_soon_copy(&nursery, says_twice, &i);
    return front_saw(ctrio_nursery_close(&nursery, 0));
}

static void equal_seeds_give_equal_runs_and_others_do_not(void)
{
    char first[sizeof front_trace];
    bool differs = false;
    for (uint64_t seed = 1; seed < 12; seed++) {
        struct ctrio_run_options options = {.seed = seed};
        is(front_run_with(six_tasks, NULL, &options), 0);
        char trace[sizeof front_trace];
        strcpy(trace, front_trace);
        is(front_run_with(six_tasks, NULL, &options), 0);
        is((const char *)front_trace, (const char *)trace);
        if (seed == 1)
            strcpy(first, trace);
        differs |= strcmp(first, trace) != 0;
    }
    ok(differs);
}

/* --- odds and ends --------------------------------------------------------------------------- */

static int sets_errno(void *arg)
{
    errno = *(int *)arg;
    for (int i = 0; i < 3; i++) {
        int result = ctrio_checkpoint();
        if (result < 0)
            return result;
        is(errno, *(int *)arg);
    }
    return 0;
}

static int two_errnos(void *arg)
{
    int numbers[] = {EPIPE, ENOENT};
    struct ctrio_nursery nursery;
    (void)arg;
    ctrio_nursery_open(&nursery);
    for (int i = 0; i < 2; i++)
        ctrio_start_soon(&nursery, sets_errno, &numbers[i]);
    return front_saw(ctrio_nursery_close(&nursery, 0));
}

static void errno_survives_a_switch(void)
{
    is(front_run(two_errnos, NULL), 0);
}

static void the_allocator_cannot_be_changed_any_more(void)
{
    int fine = 0;
    struct ctrio_allocator none = {NULL, NULL};
    is(front_run(give, &fine), 0);
    is(ctrio_set_allocator(NULL), -EINVAL);
    is(ctrio_set_allocator(&none), -EINVAL);
    none.realloc = (void *(*)(void *, void *, size_t))(uintptr_t)1;
    is(ctrio_set_allocator(&none), -EBUSY);
}

static int statuses(void *arg)
{
    (void)arg;
    if (ctrio_exit_status(3, "test") != EXIT_SUCCESS)
        return 1;
    if (ctrio_exit_status(CTRIO_INTERRUPTED, "test") != 130)
        return 2;
    return ctrio_exit_status(-EPIPE, "test") == EXIT_FAILURE ? 0 : 3;
}

static void an_exit_status_says_who_failed_and_how(void)
{
    char text[256];
    is(front_child(statuses, NULL, text, sizeof text), 0);
    is((const char *)text, "test: interrupted\ntest: Broken pipe\n");
}

static int look_at_statistics(void *arg)
{
    struct ctrio_run_statistics statistics;
    struct ctrio_cancel_scope scope;
    (void)arg;
    ctrio_move_on_after(&scope, 5);
    ctrio_get_run_statistics(&statistics);
    ok(statistics.tasks_living >= 2);
    is(statistics.seconds_to_next_deadline, 5.0);
    return ctrio_cancel_scope_close(&scope, 0);
}

static void statistics_are_of_the_run_and_zero_outside(void)
{
    struct ctrio_run_statistics statistics;
    is(front_run(look_at_statistics, NULL), 0);
    ctrio_get_run_statistics(&statistics);
    is(statistics.tasks_living, 0);
    is(statistics.seconds_to_next_deadline, INFINITY);
}

TAP_MAIN(TEST(the_main_functions_result_comes_back), TEST(the_main_functions_story_comes_back),
         TEST(a_cancellation_that_nobody_asked_for_is_misuse),
         TEST(options_that_make_no_sense_are_refused), TEST(a_run_inside_of_a_run_is_misuse),
         TEST(headers_of_another_version_are_refused),
         TEST(outside_of_a_run_whatever_waits_is_misuse),
         TEST(system_tasks_are_cancelled_and_waited_for_after_the_main_task),
         TEST(a_system_task_that_fails_ends_the_run_with_its_failure),
         TEST(sigint_cancels_the_main_task_and_is_the_runs_result),
         TEST(a_main_task_that_ends_well_in_spite_of_sigint_was_interrupted_all_the_same),
         TEST(a_failure_during_an_interrupt_is_not_lost),
         BIG_TEST(a_second_sigint_ends_the_program), TEST(sigint_can_be_left_to_the_user),
         TEST(equal_seeds_give_equal_runs_and_others_do_not), TEST(errno_survives_a_switch),
         TEST(the_allocator_cannot_be_changed_any_more),
         BIG_TEST(an_exit_status_says_who_failed_and_how),
         TEST(statistics_are_of_the_run_and_zero_outside))
