/* test_start.c - ctrio_start() and ctrio_started(). */
#include "front.h"
#include <ctrio/sync.h>
#include <string.h>

struct child {
    int before, after; /* what it gives before, or after ctrio_started() */
    double seconds;
    int result;
    bool ended;
};

static int child_main(void *arg)
{
    struct child *child = arg;
    int result = ctrio_sleep(child->seconds);
    if (result < 0 || child->before < 0) {
        child->ended = true;
        return result < 0 ? result : ctrio_fail(child->before, "not today");
    }
    child->result = 42;
    ctrio_started();
    ctrio_started(); /* the second one is nobody's */
    result = ctrio_sleep(child->seconds);
    child->ended = true;
    return result < 0 ? result : child->after;
}

MAIN_TEST(start_returns_when_the_child_says_so_and_the_child_goes_on_in_the_nursery)
{
    struct ctrio_nursery nursery;
    struct child child = {.seconds = 2};
    double before = ctrio_current_time();
    ctrio_nursery_open(&nursery);
    int result = ctrio_start(&nursery, child_main, &child);
    if (is(result, 0)) {
        is(ctrio_current_time() - before, 2.0);
        is(child.result, 42);
        ok(!child.ended);
    }
    result = ctrio_nursery_close(&nursery, result);
    if (front_saw(result) == 0) {
        ok(child.ended);
        is(ctrio_current_time() - before, 4.0);
    }
    return ctrio_collapse(result);
}

MAIN_TEST(a_failure_before_started_is_the_callers_and_not_the_nurserys)
{
    struct ctrio_nursery nursery;
    static const int codes[] = {-EIO, CTRIO_MISUSE, CTRIO_TOO_SLOW};
    ctrio_nursery_open(&nursery);
    for (size_t i = 0; i < 3; i++) {
        struct child child = {.before = codes[i], .seconds = 1};
        is(ctrio_start(&nursery, child_main, &child), codes[i]);
        front_stories_may_lack();
        is(ctrio_error_message(codes[i]), "not today");
    }
    return ctrio_nursery_close(&nursery, 0);
}

MAIN_TEST(a_failure_after_started_is_the_nurserys)
{
    struct ctrio_nursery nursery;
    struct child child = {.after = -EIO, .seconds = 1};
    ctrio_nursery_open(&nursery);
    int started = ctrio_start(&nursery, child_main, &child);
    is(started, 0);
    int result = front_saw(ctrio_nursery_close(&nursery, 0));
    if (started == 0)
        is(ctrio_collapse(result), -EIO);
    return 0;
}

static int ends_at_once(void *arg)
{
    (void)arg;
    return 3;
}

MAIN_TEST(a_child_that_ends_without_started_is_misuse)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    is(ctrio_start(&nursery, ends_at_once, NULL), CTRIO_MISUSE);
    front_stories_may_lack();
    ok(strstr(ctrio_error_message(CTRIO_MISUSE), "without calling ctrio_started()") != NULL);
    return ctrio_nursery_close(&nursery, 0);
}

MAIN_TEST(a_cancelled_start_cancels_the_child_and_waits_for_it)
{
    struct ctrio_nursery nursery;
    struct ctrio_cancel_scope scope;
    struct child child = {.seconds = 9};
    ctrio_nursery_open(&nursery);
    ctrio_move_on_after(&scope, 1);
    int result = ctrio_start(&nursery, child_main, &child);
    is(result, CTRIO_CANCELLED);
    is(ctrio_cancel_scope_close(&scope, result), 0);
    ok(child.ended || tap_excused());
    is(child.result, 0);
    return ctrio_nursery_close(&nursery, 0);
}

MAIN_TEST(once_started_the_child_is_out_of_the_callers_scope)
{
    struct ctrio_nursery nursery;
    struct ctrio_cancel_scope scope;
    struct child child = {.seconds = 1};
    ctrio_nursery_open(&nursery);
    ctrio_cancel_scope_open(&scope);
    int result = ctrio_start(&nursery, child_main, &child);
    ctrio_cancel(&scope);
    result = ctrio_cancel_scope_close(&scope, result);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        ok(child.ended);
    return ctrio_collapse(result);
}

static int cancelled_nursery_child(void *arg)
{
    struct ctrio_nursery *nursery = arg;
    ctrio_cancel(&nursery->scope);
    ctrio_started();
    int result = ctrio_checkpoint();
    is(result, CTRIO_CANCELLED);
    return result;
}

MAIN_TEST(a_child_that_is_moved_into_a_cancelled_nursery_is_cancelled_there)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start(&nursery, cancelled_nursery_child, &nursery);
    if (result != -ENOMEM)
        is(result, CTRIO_CANCELLED); /* the caller is in it as well */
    result = front_saw(ctrio_nursery_close(&nursery, result));
    return ctrio_collapse(result) == tap_saw(-ENOMEM) ? -ENOMEM : result;
}

static int nested_start(void *arg)
{
    struct ctrio_nursery nursery;
    struct child child = {.seconds = 1};
    (void)arg;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start(&nursery, child_main, &child);
    ctrio_started();
    return front_saw(ctrio_nursery_close(&nursery, result));
}

MAIN_TEST(a_child_that_starts_others_with_start_moves_with_its_nursery)
{
    struct ctrio_nursery nursery;
    double before = ctrio_current_time();
    ctrio_nursery_open(&nursery);
    int result = ctrio_start(&nursery, nested_start, NULL);
    if (result == 0)
        is(ctrio_current_time() - before, 1.0);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        is(ctrio_current_time() - before, 2.0);
    while (result == CTRIO_GROUP && tap_excused()) /* as deep as the nurseries are nested */
        result = ctrio_collapse(result);
    return result;
}

MAIN_TEST(started_is_nothing_to_a_task_that_nobody_waits_for)
{
    struct ctrio_nursery nursery;
    struct child child = {.seconds = 1};
    ctrio_started();
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, child_main, &child);
    return ctrio_collapse(ctrio_nursery_close(&nursery, 0));
}

TAP_MAIN(TEST(start_returns_when_the_child_says_so_and_the_child_goes_on_in_the_nursery),
         TEST(a_failure_before_started_is_the_callers_and_not_the_nurserys),
         TEST(a_failure_after_started_is_the_nurserys),
         TEST(a_child_that_ends_without_started_is_misuse),
         TEST(a_cancelled_start_cancels_the_child_and_waits_for_it),
         TEST(once_started_the_child_is_out_of_the_callers_scope),
         TEST(a_child_that_is_moved_into_a_cancelled_nursery_is_cancelled_there),
         TEST(a_child_that_starts_others_with_start_moves_with_its_nursery),
         TEST(started_is_nothing_to_a_task_that_nobody_waits_for))
