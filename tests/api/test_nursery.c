/* test_nursery.c - children, their failures, and start(). */
#include "front.h"
#include "memory.h"
#include <ctrio/lowlevel.h>
#include <ctrio/sync.h>
#include <string.h>

static int give(void *arg)
{
    return *(int *)arg;
}

static int give_later(void *arg)
{
    int result = ctrio_sleep(*(int *)arg < 0 ? -*(int *)arg : 1);
    return result < 0 ? result : *(int *)arg;
}

MAIN_TEST(a_nursery_waits_for_its_children_and_gives_back_its_blocks_result)
{
    struct ctrio_nursery nursery;
    int five = 5;
    double before = ctrio_current_time();
    ctrio_nursery_open(&nursery);
    int started = ctrio_start_soon(&nursery, give_later, &five);
    int result = front_saw(ctrio_nursery_close(&nursery, 33));
    if (started == 0) {
        is(result, 33);
        is(ctrio_current_time() - before, 1.0);
    }
    return result == 33 ? 0 : result;
}

MAIN_TEST(failures_come_as_a_group_in_the_order_of_failing)
{
    static int codes[] = {-3, -1, -2};
    struct ctrio_nursery nursery;
    struct ctrio_cancel_scope shield;
    ctrio_shield_for(&shield, INFINITY);
    ctrio_nursery_open(&nursery);
    ctrio_cancel_scope_set_shield(&nursery.scope, true);
    for (int i = 0; i < 3; i++)
        ctrio_start_soon(&nursery, give, &codes[i]);
    int result = front_saw(ctrio_nursery_close(&nursery, -4));
    is(result, CTRIO_GROUP);
    struct ctrio_error *error = ctrio_error_take(result);
    int seen = 0;
    is(ctrio_error_code(error), CTRIO_GROUP);
    front_stories_may_lack(); /* the block has no task whose memory its leaf could lie in */
    is(ctrio_error_code(ctrio_error_child(error, 0)), -4); /* it was first */
    for (size_t i = 1; i < 4; i++) {
        const struct ctrio_error *child = ctrio_error_child(error, i);
        seen |= child != NULL ? 1 << -ctrio_error_code(child) : 0;
    }
    is(seen, 1 << 1 | 1 << 2 | 1 << 3);
    ok(ctrio_error_child(error, 4) == NULL);
    ctrio_error_free(error);
    return ctrio_cancel_scope_close(&shield, 0);
}

MAIN_TEST(a_single_failure_is_a_group_too)
{
    struct ctrio_nursery nursery;
    int code = -EPIPE;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, give, &code);
    int result = front_saw(ctrio_nursery_close(&nursery, 0));
    is(result, CTRIO_GROUP);
    is(ctrio_collapse(result), -EPIPE);
    return 0;
}

MAIN_TEST(a_child_that_fails_cancels_the_block_and_the_other_children)
{
    struct ctrio_nursery nursery;
    int code = -1;
    double before = ctrio_current_time();
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, front_sleeper, NULL);
    ctrio_start_soon(&nursery, give_later, &code);
    int result = ctrio_sleep(100);
    is(result, CTRIO_CANCELLED);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    is(result, CTRIO_GROUP);
    is(ctrio_except(result, -1), 0);
    is(ctrio_current_time() - before, 1.0);
    return 0;
}

MAIN_TEST(a_block_that_fails_cancels_the_children)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, front_sleeper, NULL);
    int result = front_saw(ctrio_nursery_close(&nursery, ctrio_fail(-EIO, "no more")));
    is(result, CTRIO_GROUP);
    result = ctrio_collapse(result);
    is(result, -EIO);
    front_stories_may_lack();
    is(ctrio_error_message(result), "no more");
    return 0;
}

MAIN_TEST(a_cancelled_nursery_is_no_failure_but_one_cancelled_from_outside_is_cancelled)
{
    struct ctrio_nursery nursery;
    struct ctrio_cancel_scope scope;
    ctrio_nursery_open(&nursery);
    int started = ctrio_start_soon(&nursery, front_sleeper, NULL);
    ctrio_cancel(&nursery.scope);
    int result = front_saw(ctrio_nursery_close(&nursery, ctrio_checkpoint()));
    if (started < 0)
        return result;
    is(result, 0);
    ctrio_cancel_scope_open(&scope);
    ctrio_nursery_open(&nursery);
    started = ctrio_start_soon(&nursery, front_sleeper, NULL);
    ctrio_cancel(&scope);
    result = front_saw(ctrio_nursery_close(&nursery, 0));
    if (started == 0)
        is(result, CTRIO_CANCELLED);
    is(ctrio_cancel_scope_close(&scope, result), 0);
    return 0;
}

struct job {
    int number;
    char text[20];
};
static int sum;

static int look_at_copy(void *arg)
{
    const struct job *job = arg;
    int result = ctrio_checkpoint();
    is((const char *)job->text, "as it was");
    is((uintptr_t)arg % 16, 0);
    sum += job->number;
    return result;
}

MAIN_TEST(a_copied_argument_is_each_childs_own)
{
    struct ctrio_nursery nursery;
    sum = 0;
    for (int round = 0; round < 2; round++) { /* the second time on used stacks */
        ctrio_nursery_open(&nursery);
        for (int i = 1; i <= 4; i++) {
            ctrio_start_soon_copy(&nursery, look_at_copy, &(struct job){i, "as it was"});
            ctrio_start_soon(&nursery, front_sleeper, NULL);
        }
        int result = ctrio_wait_all_tasks_blocked(0);
        ctrio_cancel(&nursery.scope);
        result = front_saw(ctrio_nursery_close(&nursery, result));
        if (result < 0)
            return result;
    }
    is(sum, 20);
    return 0;
}

static char large[70000];

MAIN_TEST(a_copy_that_is_too_large_fails_the_nursery)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    is(ctrio_start_soon_copy(&nursery, give, &large), -E2BIG);
    int result = front_saw(ctrio_nursery_close(&nursery, 0));
    is(ctrio_collapse(result), -E2BIG);
    return 0;
}

/* --- misuse ---------------------------------------------------------------------------------- */

static void keep_log(void *arg, enum ctrio_log_level level, const char *line)
{
    is((int)level, CTRIO_LOG_WARNING);
    ok(strstr(line, "give at ") != NULL);
    ok(strstr(line, "its nursery is closed") != NULL);
    ++*(int *)arg;
}

static int starts_on_a_closed_one(void *arg)
{
    struct ctrio_nursery nursery, never = {.magic = 0};
    ctrio_nursery_open(&nursery);
    int result = ctrio_nursery_close(&nursery, 0);
    is(ctrio_start_soon(&nursery, give, arg), CTRIO_CLOSED_RESOURCE);
    is(ctrio_start_soon_copy(&never, give, (int *)arg), CTRIO_CLOSED_RESOURCE);
    is(ctrio_start(&nursery, give, arg), CTRIO_CLOSED_RESOURCE);
    return result;
}

static void a_closed_nursery_takes_no_task_and_the_log_says_so(void)
{
    int lines = 0;
    struct ctrio_run_options options = {.log = keep_log, .log_arg = &lines};
    is(front_run_with(starts_on_a_closed_one, &lines, &options), 0);
    if (!tap_excused())
        is(lines, 3);
}

static bool says(const char *part)
{
    front_stories_may_lack();
    return strstr(ctrio_error_message(CTRIO_MISUSE), part) != NULL;
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(a_nursery_is_closed_once_and_where_it_was_opened)
{
    struct ctrio_nursery nursery, copy;
    ctrio_nursery_open(&nursery);
    memcpy(&copy, &nursery, sizeof copy);
    is(ctrio_nursery_close(&copy, 0), CTRIO_MISUSE);
    ok(says("copied"));
    is(ctrio_nursery_close(&nursery, 0), 0);
    is(ctrio_nursery_close(&nursery, 0), CTRIO_MISUSE);
    ok(says("closed already"));
    return 0;
}

CTRIO_UNCHECKED_PAIRS static int closes_anothers(void *arg)
{
    is(ctrio_nursery_close(arg, 0), CTRIO_MISUSE);
    ok(says("by the task that opened it"));
    return 0;
}

MAIN_TEST(a_nursery_is_closed_by_the_task_that_opened_it)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, closes_anothers, &nursery);
    return front_saw(ctrio_nursery_close(&nursery, 0));
}

static int ended;

static int counts_its_end(void *arg)
{
    int result = ctrio_sleep(INFINITY);
    (void)arg;
    ended++;
    return result;
}

MAIN_TEST(an_outer_nursery_that_closes_first_takes_the_inner_one_with_it)
{
    struct ctrio_nursery outer, inner;
    ended = 0;
    ctrio_nursery_open(&outer);
    int started = ctrio_start_soon(&outer, counts_its_end, NULL);
    ctrio_nursery_open(&inner);
    started |= ctrio_start_soon(&inner, counts_its_end, NULL);
    int result = ctrio_wait_all_tasks_blocked(0);
    result = ctrio_nursery_close(&outer, result);
    is(result, CTRIO_MISUSE);
    ok(says("still open"));
    if (started == 0)
        is(ended, 2);
    is(ctrio_nursery_close(&inner, 0), CTRIO_MISUSE);
    ok(says("closed already"));
    return ctrio_checkpoint();
}

#ifndef NDEBUG
static int __attribute__((noinline)) starts_with_young_arg(struct ctrio_nursery *nursery)
{
    int code = 0;
    return ctrio_start_soon(nursery, give, &code);
}

MAIN_TEST(an_argument_in_a_frame_younger_than_the_nursery_is_refused)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    int refused = starts_with_young_arg(&nursery);
    int result = front_saw(ctrio_nursery_close(&nursery, 0));
#ifdef __SANITIZE_ADDRESS__ /* its frames may be elsewhere */
    ok(refused == 0 || refused == CTRIO_MISUSE || refused == -ENOMEM);
    result = refused == 0 ? result : ctrio_collapse(result);
    return result == CTRIO_MISUSE ? 0 : result;
#else
    is(refused, CTRIO_MISUSE);
    is(ctrio_collapse(result), CTRIO_MISUSE);
    ok(says("ctrio_start_soon_copy()"));
    return 0;
#endif
}
#else
MAIN_TEST(an_argument_in_a_frame_younger_than_the_nursery_is_refused)
{
    skip("only builds with assertions look");
    return 0;
}
#endif

CTRIO_UNCHECKED_PAIRS static int leaves_a_nursery(void *arg)
{
    ctrio_nursery_open((struct ctrio_nursery *)arg);
    ctrio_start_soon((struct ctrio_nursery *)arg, counts_its_end, NULL);
    return 0;
}

MAIN_TEST(a_task_that_ends_with_a_nursery_open_is_misuse_and_its_children_are_cancelled)
{
    static struct ctrio_nursery left; /* it outlives the task */
    struct ctrio_nursery nursery;
    ended = 0;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, leaves_a_nursery, &left);
    int result = front_saw(ctrio_nursery_close(&nursery, 0));
    is(ctrio_collapse(result), CTRIO_MISUSE);
    ok(says("with a nursery open"));
    return ctrio_wait_all_tasks_blocked(0);
}

static int returns_cancelled(void *arg)
{
    (void)arg;
    return CTRIO_CANCELLED;
}

MAIN_TEST(a_child_that_claims_to_be_cancelled_and_is_not_is_misuse)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, returns_cancelled, NULL);
    int result = front_saw(ctrio_nursery_close(&nursery, 0));
    is(ctrio_collapse(result), CTRIO_MISUSE);
    ok(says("nobody has cancelled it"));
    return 0;
}

MAIN_TEST(without_memory_for_a_group_the_only_failure_stands_for_it_with_its_story)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    int result = ctrio_fail(CTRIO_MISUSE, "told");
    memory_fail_at(1);
    result = ctrio_nursery_close(&nursery, result);
    memory_fail_at(0);
    is(result, CTRIO_MISUSE);
    is(ctrio_error_message(result), "told");
    return 0;
}

MAIN_TEST(ten_thousand_children_that_fail_at_once_are_one_group)
{
    enum { MANY = 10000 };
    struct ctrio_nursery nursery;
    static int code = -EIO;
    ctrio_nursery_open(&nursery);
    ctrio_cancel_scope_set_shield(&nursery.scope, true);
    for (int i = 0; i < MANY; i++)
        ctrio_start_soon(&nursery, give, &code);
    int result = ctrio_nursery_close(&nursery, 0);
    is(result, CTRIO_GROUP);
    struct ctrio_error *error = ctrio_error_take(result);
    ok(ctrio_error_child(error, MANY - 1) != NULL);
    ok(ctrio_error_child(error, MANY) == NULL);
    is(ctrio_error_restore(error), CTRIO_GROUP);
    is(ctrio_except(CTRIO_GROUP, -EIO), 0);
    return 0;
}

TAP_MAIN(TEST(a_nursery_waits_for_its_children_and_gives_back_its_blocks_result),
         TEST(failures_come_as_a_group_in_the_order_of_failing),
         TEST(a_single_failure_is_a_group_too),
         TEST(a_child_that_fails_cancels_the_block_and_the_other_children),
         TEST(a_block_that_fails_cancels_the_children),
         TEST(a_cancelled_nursery_is_no_failure_but_one_cancelled_from_outside_is_cancelled),
         TEST(a_copied_argument_is_each_childs_own),
         TEST(a_copy_that_is_too_large_fails_the_nursery),
         TEST(a_closed_nursery_takes_no_task_and_the_log_says_so),
         TEST(a_nursery_is_closed_once_and_where_it_was_opened),
         TEST(a_nursery_is_closed_by_the_task_that_opened_it),
         TEST(an_outer_nursery_that_closes_first_takes_the_inner_one_with_it),
         TEST(an_argument_in_a_frame_younger_than_the_nursery_is_refused),
         TEST(a_task_that_ends_with_a_nursery_open_is_misuse_and_its_children_are_cancelled),
         TEST(a_child_that_claims_to_be_cancelled_and_is_not_is_misuse),
         BIG_TEST(without_memory_for_a_group_the_only_failure_stands_for_it_with_its_story),
         BIG_TEST(ten_thousand_children_that_fail_at_once_are_one_group))
