/* What is wrong and compiles: a defined code where one can be given, else a death with a message.
 *
 * What compilers see is in tests/misuse.  Deaths happen in child processes.  A test of what only
 * debug builds see is skipped elsewhere. */
#include "wrong.h"
#include <ctrio/lowlevel.h>
#include <setjmp.h>
#include <string.h>

/* --- scopes and nurseries that are not closed ------------------------------------------------ */

__attribute__((noinline)) static void leave_scope(void) CTRIO_UNCHECKED_PAIRS
{
    struct ctrio_cancel_scope scope;
    ctrio_move_on_after(&scope, 5.0);
}

__attribute__((noinline)) static void leave_nursery(void) CTRIO_UNCHECKED_PAIRS
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
}

static int leave_scope_then_sleep(void *arg)
{
    (void)arg;
    leave_scope();
    return ctrio_sleep(0.0);
}

static int leave_nursery_then_yield(void *arg)
{
    (void)arg;
    leave_nursery();
    return ctrio_checkpoint();
}

static int leave_scope_and_return(void *arg)
{
    (void)arg;
    leave_scope();
    return 0;
}

static int leave_nursery_and_return(void *arg)
{
    (void)arg;
    leave_nursery();
    return 0;
}

static int leave_scope_and_close_outer(void *arg)
{
    struct ctrio_cancel_scope outer;
    (void)arg;
    ctrio_cancel_scope_open(&outer);
    leave_scope();
    return ctrio_cancel_scope_close(&outer, 0);
}

static jmp_buf before;

__attribute__((noinline)) static void jump_out(void) CTRIO_UNCHECKED_PAIRS
{
    struct ctrio_cancel_scope scope;
    ctrio_cancel_scope_open(&scope);
    longjmp(before, 1);
}

static int jump_then_sleep(void *arg)
{
    (void)arg;
    if (setjmp(before) == 0)
        jump_out();
    return ctrio_sleep(0.0);
}

static ctrio_task_fn *const dead_frames[] = {leave_scope_then_sleep,      leave_nursery_then_yield,
                                             leave_scope_and_return,      leave_nursery_and_return,
                                             leave_scope_and_close_outer, jump_then_sleep};
static ctrio_task_fn *dead_frame;

static void main_task_with_dead_frame(void)
{
    wrong_run_here(dead_frame);
}

static void task_with_dead_frame(void)
{
    wrong_run_in_task(dead_frame);
}

static void a_block_left_without_its_close_ends_the_program(void)
{
    for (size_t i = 0; i < sizeof dead_frames / sizeof *dead_frames; i++) {
        dead_frame = dead_frames[i];
        note("way %zu", i);
        ok(dies_of_frame(task_with_dead_frame,
                         "has left a block without closing the scope or nursery opened at"));
        ok(dies_of_frame(main_task_with_dead_frame,
                         "has left a block without closing the scope or nursery opened at"));
    }
}

static struct ctrio_cancel_scope lasting; /* in no frame: nothing is broken but the pairing */

static int leave_lasting_scope(void *arg) CTRIO_UNCHECKED_PAIRS
{
    (void)arg;
    ctrio_cancel_scope_open(&lasting);
    return 0;
}

static void a_scope_that_outlives_its_task_is_misuse(void)
{
    ctrio_task_fn *fn = leave_lasting_scope;
    is(wrong_run(fn, NULL), (int)CTRIO_MISUSE);
    ok(says(wrong_message, "the task ended with the scope open that was opened at"));
    ok(says(wrong_message, "test_misuse.c:"));
    is(wrong_run(wrong_child_task, &fn), (int)CTRIO_MISUSE);
}

static int close_in_the_wrong_order(void *arg) CTRIO_UNCHECKED_PAIRS
{
    struct ctrio_cancel_scope outer, inner;
    (void)arg;
    ctrio_cancel_scope_open(&outer);
    ctrio_cancel_scope_open(&inner);
    int rc = ctrio_cancel_scope_close(&outer, 0);
    ok(says(ctrio_error_message(rc), "while one that was opened in it is still open"));
    int after = ctrio_cancel_scope_close(&inner, 0);
    ok(after == CTRIO_MISUSE || after == 0);
    return rc;
}

static int close_twice(void *arg) CTRIO_UNCHECKED_PAIRS
{
    struct ctrio_cancel_scope scope;
    struct ctrio_nursery nursery;
    (void)arg;
    ctrio_cancel_scope_open(&scope);
    ctrio_nursery_open(&nursery);
    is(ctrio_nursery_close(&nursery, 0), 0);
    is(ctrio_nursery_close(&nursery, 0), (int)CTRIO_MISUSE);
    is(ctrio_cancel_scope_close(&scope, 0), 0);
    return ctrio_cancel_scope_close(&scope, 0);
}

static void closes_in_the_wrong_order_or_twice_are_misuse(void)
{
    is(wrong_run(close_in_the_wrong_order, NULL), (int)CTRIO_MISUSE);
    is(wrong_run(close_twice, NULL), (int)CTRIO_MISUSE);
    ok(says(wrong_message, "this scope is not open: never opened, closed already, or copied"));
}

static int close_nurserys_scope(void *arg) CTRIO_UNCHECKED_PAIRS
{
    struct ctrio_nursery nursery;
    (void)arg;
    ctrio_nursery_open(&nursery);
    is(ctrio_cancel_scope_close(&nursery.scope, 0), (int)CTRIO_MISUSE);
    return ctrio_nursery_close(&nursery, 0);
}

static void a_nurserys_own_scope_is_not_closed_by_hand(void)
{
    is(wrong_run(close_nurserys_scope, NULL), 0);
}

/* --- copies ---------------------------------------------------------------------------------- */

static int copy_open_ones(void *arg) CTRIO_UNCHECKED_PAIRS
{
    struct ctrio_cancel_scope scope, other_scope;
    struct ctrio_nursery nursery, other_nursery;
    (void)arg;
    ctrio_cancel_scope_open(&scope);
    ctrio_nursery_open(&nursery);
    other_scope = scope;
    other_nursery = nursery;
    is(ctrio_cancel_scope_close(&other_scope, 0), (int)CTRIO_MISUSE);
    is(ctrio_nursery_close(&other_nursery, 0), (int)CTRIO_MISUSE);
    is(ctrio_start_soon(&other_nursery, copy_open_ones, NULL), (int)CTRIO_CLOSED_RESOURCE);
    ctrio_cancel(&other_scope);
    is(ctrio_checkpoint(), 0);
    is(ctrio_nursery_close(&nursery, 0), 0);
    return ctrio_cancel_scope_close(&scope, 0);
}

static void a_copied_scope_or_nursery_is_misuse(void)
{
    is(wrong_run(copy_open_ones, NULL), 0);
}

static int copy_primitives(void *arg)
{
    struct ctrio_lock lock, other_lock;
    struct ctrio_event event, other_event, zeroed = {.is_set = false};
    struct ctrio_semaphore semaphore, other_semaphore;
    struct ctrio_condition condition, other_condition;
    struct ctrio_capacity_limiter limiter, other_limiter;
    (void)arg;
    ctrio_lock_init(&lock);
    ctrio_event_init(&event);
    ctrio_semaphore_init(&semaphore, 1, 0);
    ctrio_condition_init(&condition, &lock);
    ctrio_capacity_limiter_init(&limiter, 1);
    other_lock = lock;
    other_event = event;
    other_semaphore = semaphore;
    other_condition = condition;
    other_limiter = limiter;
    is(ctrio_lock_acquire(&other_lock), (int)CTRIO_MISUSE);
    is(ctrio_lock_acquire_nowait(&other_lock), (int)CTRIO_MISUSE);
    is(ctrio_lock_release(&other_lock), (int)CTRIO_MISUSE);
    is(ctrio_event_wait(&other_event), (int)CTRIO_MISUSE);
    is(ctrio_event_wait(&zeroed), (int)CTRIO_MISUSE);
    ctrio_event_set(&zeroed);
    ok(!ctrio_event_is_set(&zeroed));
    is(ctrio_semaphore_acquire(&other_semaphore), (int)CTRIO_MISUSE);
    is(ctrio_semaphore_acquire_nowait(&other_semaphore), (int)CTRIO_MISUSE);
    is(ctrio_semaphore_release(&other_semaphore), (int)CTRIO_MISUSE);
    is(ctrio_condition_wait(&other_condition), (int)CTRIO_MISUSE);
    is(ctrio_condition_notify(&other_condition, 1), (int)CTRIO_MISUSE);
    is(ctrio_capacity_limiter_acquire(&other_limiter, NULL), (int)CTRIO_MISUSE);
    is(ctrio_capacity_limiter_acquire_nowait(&other_limiter, NULL), (int)CTRIO_MISUSE);
    is(ctrio_capacity_limiter_release(&other_limiter, NULL), (int)CTRIO_MISUSE);
    return ctrio_event_wait(&other_event);
}

static void a_copied_primitive_is_misuse(void)
{
    is(wrong_run(copy_primitives, NULL), (int)CTRIO_MISUSE);
    ok(says(wrong_message, "this was never initialised, or it is a copy"));
}

/* --- another task's -------------------------------------------------------------------------- */

struct anothers {
    struct ctrio_cancel_scope scope;
    struct ctrio_nursery nursery;
    struct ctrio_lock lock;
};

static int use_anothers(void *arg) CTRIO_UNCHECKED_PAIRS
{
    struct anothers *anothers = arg;
    is(ctrio_nursery_close(&anothers->nursery, 0), (int)CTRIO_MISUSE);
    is(ctrio_cancel_scope_close(&anothers->scope, 0), (int)CTRIO_MISUSE);
    ok(says(ctrio_error_message(CTRIO_MISUSE), "closed by the task that opened it"));
    is(ctrio_lock_release(&anothers->lock), (int)CTRIO_MISUSE);
    return 0;
}

static int lend_to_another(void *arg)
{
    static struct anothers mine;
    (void)arg;
    ctrio_lock_init(&mine.lock);
    is(ctrio_lock_acquire(&mine.lock), 0);
    is(ctrio_lock_acquire(&mine.lock), (int)CTRIO_MISUSE);
    ctrio_cancel_scope_open(&mine.scope);
    ctrio_nursery_open(&mine.nursery);
    ctrio_start_soon(&mine.nursery, use_anothers, &mine);
    int rc = ctrio_nursery_close(&mine.nursery, 0);
    rc = ctrio_cancel_scope_close(&mine.scope, rc);
    is(ctrio_lock_release(&mine.lock), 0);
    return rc;
}

static void what_another_task_opened_or_holds_is_misuse(void)
{
    is(wrong_run(lend_to_another, NULL), 0);
}

static int cancel_what_is_not_open(void *arg)
{
    struct ctrio_cancel_scope zeroed = {.run = NULL}, closed;
    (void)arg;
    ctrio_cancel(&zeroed);
    ctrio_cancel_scope_set_deadline(&zeroed, 0.0);
    ctrio_cancel_scope_set_shield(&zeroed, true);
    ctrio_cancel_scope_open(&closed);
    is(ctrio_cancel_scope_close(&closed, 0), 0);
    ctrio_cancel(&closed);
    ok(!ctrio_cancelled_caught(&closed));
    return ctrio_checkpoint();
}

static void cancelling_what_is_not_open_does_nothing(void)
{
    is(wrong_run(cancel_what_is_not_open, NULL), 0);
}

/* --- starting -------------------------------------------------------------------------------- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int start_in_closed(void *arg)
{
    static struct ctrio_nursery nursery;
    (void)arg;
    ctrio_nursery_open(&nursery);
    int rc = ctrio_nursery_close(&nursery, 0);
    is(rc, 0);
    is(ctrio_start_soon(&nursery, nothing, NULL), (int)CTRIO_CLOSED_RESOURCE);
    is(ctrio_start_soon_copy(&nursery, nothing, &rc), (int)CTRIO_CLOSED_RESOURCE);
    is(ctrio_start(&nursery, nothing, NULL), (int)CTRIO_CLOSED_RESOURCE);
    is(ctrio_start_step(&nursery, NULL, NULL), (int)CTRIO_CLOSED_RESOURCE);
    return rc;
}

static void a_closed_nursery_starts_nobody_and_the_log_says_so(void)
{
    is(wrong_run(start_in_closed, NULL), 0);
    ok(says(wrong_log, "nothing at "));
    ok(says(wrong_log, "was not started: its nursery is closed"));
}

__attribute__((noinline)) static int start_with_young_arg(struct ctrio_nursery *nursery)
{
    volatile int young = 1;
    int rc = ctrio_start_soon(nursery, nothing, (void *)(uintptr_t)&young);
    return rc + young - 1;
}

static int give_young_arg(void *arg)
{
    struct ctrio_nursery nursery;
    int old = 1;
    (void)arg;
    ctrio_nursery_open(&nursery);
    is(ctrio_start_soon(&nursery, nothing, &old), 0);
    is(start_with_young_arg(&nursery), (int)CTRIO_MISUSE);
    return ctrio_collapse(ctrio_nursery_close(&nursery, 0));
}

static void an_argument_that_dies_before_the_nursery_is_refused(void)
{
    if (!WRONG_DEBUG_BUILD) {
        skip("seen by debug builds");
        return;
    }
    is(wrong_run(give_young_arg, NULL), (int)CTRIO_MISUSE);
    ok(says(wrong_message, "`arg` lies in a frame that ends before the nursery does"));
}

/* --- cancellations --------------------------------------------------------------------------- */

static int count_turns(void *arg)
{
    int *turns = arg, rc;
    while ((rc = ctrio_checkpoint()) == 0)
        ++*turns;
    return rc;
}

static int ignore_cancellations(void *arg)
{
    struct ctrio_nursery nursery;
    struct ctrio_cancel_scope scope;
    int turns = 0;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, count_turns, &turns);
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel(&scope);
    for (int i = 0; i < *(int *)arg; i++)
        (void)!ctrio_checkpoint();
    ok(turns > 900);
    ctrio_cancel(&nursery.scope);
    int rc = ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED);
    return ctrio_nursery_close(&nursery, rc);
}

static void ignored_cancellations_are_logged_and_others_run(void)
{
    int times = 1001;
    is(wrong_run(ignore_cancellations, &times), 0);
    ok(says(wrong_log, "has been told 1000 times in a row that it is cancelled, and goes on"));
    times = 999;
    is(wrong_run(ignore_cancellations, &times), 0);
    is(wrong_log, "");
}

static int ignore_for_ever(void *arg)
{
    struct ctrio_cancel_scope scope;
    (void)arg;
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel(&scope);
    for (int i = 0; i < 100001; i++)
        (void)!ctrio_checkpoint();
    return ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED);
}

static void run_for_ever(void)
{
    wrong_run_here(ignore_for_ever);
}

static void in_debug_builds_they_end_the_program_at_last(void)
{
    if (WRONG_DEBUG_BUILD)
        ok(dies(run_for_ever, "has ignored 100000 cancellations in a row"));
    else
        is(wrong_run(ignore_for_ever, NULL), 0);
}

static int return_stored_code(void *arg)
{
    (void)arg;
    return CTRIO_CANCELLED;
}

static void a_stored_cancelled_is_misuse(void)
{
    ctrio_task_fn *fn = return_stored_code;
    is(wrong_run(wrong_child_task, &fn), (int)CTRIO_MISUSE);
    ok(says(wrong_message, "returned CTRIO_CANCELLED, but nobody has cancelled it"));
    is(wrong_run(fn, NULL), (int)CTRIO_MISUSE);
}

/* --- channels -------------------------------------------------------------------------------- */

static int send_wrong_sizes(void *arg)
{
    struct ctrio_send_channel *send;
    struct ctrio_receive_channel *receive;
    uint64_t large = 1;
    uint32_t small = 1;
    (void)arg;
    int rc = ctrio_open_memory_channel(&send, &receive, sizeof large, 1, NULL);
    if (rc < 0)
        return rc;
    is(ctrio_send(send, &small), (int)CTRIO_MISUSE);
    is(ctrio_send_nowait(send, &small), (int)CTRIO_MISUSE);
    is(ctrio_receive(receive, &small), (int)CTRIO_MISUSE);
    ok(says(ctrio_error_message(CTRIO_MISUSE), "an item of 4 bytes on a channel of items of 8"));
    is(ctrio_receive_nowait(receive, &small), (int)CTRIO_MISUSE);
    is(ctrio_send(send, &large), 0);
    ctrio_send_channel_close(send);
    ctrio_receive_channel_close(receive);
    return 0;
}

static void an_item_of_the_wrong_size_is_misuse(void)
{
    is(wrong_run(send_wrong_sizes, NULL), 0);
}

/* --- slow steps ------------------------------------------------------------------------------ */

static int keep_the_thread(void *arg)
{
    volatile unsigned turns = 0;
    (void)arg;
    while (turns < 1000000)
        turns++;
    return ctrio_checkpoint();
}

static void a_step_that_keeps_the_thread_is_logged(void)
{
    ctrio_task_fn *fn = keep_the_thread;
    struct ctrio_run_options options = {.slow_step_seconds = 1e-6};
    is(wrong_run_with(wrong_child_task, &fn, options), 0);
    ok(says(wrong_log, "has kept the thread for "));
    ok(says(wrong_log, "task *(ctrio_task_fn **)arg at "));
    options.slow_step_seconds = 1000.0;
    is(wrong_run_with(wrong_child_task, &fn, options), 0);
    is(wrong_log, "");
}

/* --- options and versions -------------------------------------------------------------------- */

static int give_garbage(void *arg)
{
    const struct ctrio_address address = {.size = 0};
    struct ctrio_stream *stream = NULL;
    struct ctrio_listener *listener = NULL;
    (void)arg;
    is(ctrio_connect(&stream, &address, &(struct ctrio_tcp_options){.reserved = {0, 1}}), -EINVAL);
    is(ctrio_connect(&stream, &address, &(struct ctrio_tcp_options){.backlog = -1}), -EINVAL);
    is(ctrio_open_tcp_listener(&listener, "127.0.0.1", 0,
                               &(struct ctrio_tcp_options){.reserved = {1}}),
       -EINVAL);
    is(listener, NULL);
    int rc = ctrio_open_tcp_listener(&listener, "127.0.0.1", 0, NULL);
    if (rc < 0)
        return rc;
    is(ctrio_serve(listener, NULL, NULL, &(struct ctrio_serve_options){.reserved = {1}}), -EINVAL);
    is(ctrio_serve(listener, NULL, NULL, &(struct ctrio_serve_options){.idle_seconds = NAN}),
       -EINVAL);
    ctrio_listener_close(listener);
    return 0;
}

static void garbage_in_options_is_refused(void)
{
    is(wrong_run(give_garbage, NULL), 0);
    is(wrong_run_with(nothing, NULL, (struct ctrio_run_options){.reserved = {0, 0, 1}}), -EINVAL);
    is(wrong_run_with(nothing, NULL, (struct ctrio_run_options){.slow_step_seconds = NAN}),
       -EINVAL);
    is(wrong_run_with(nothing, NULL, (struct ctrio_run_options){.stack_size = SIZE_MAX}), -EINVAL);
}

static void headers_of_another_version_are_refused(void)
{
    is(ctrio_run_at(nothing, NULL, NULL, "nothing", CTRIO_VERSION + 1), (int)CTRIO_MISUSE);
    ok(says(ctrio_error_message(CTRIO_MISUSE), "the headers of another version"));
    ctrio_error_free(ctrio_error_take(CTRIO_MISUSE));
    is(ctrio_version(), (int)CTRIO_VERSION);
}

TAP_MAIN(BIG_TEST(a_block_left_without_its_close_ends_the_program),
         BIG_TEST(a_scope_that_outlives_its_task_is_misuse),
         BIG_TEST(closes_in_the_wrong_order_or_twice_are_misuse),
         BIG_TEST(a_nurserys_own_scope_is_not_closed_by_hand),
         BIG_TEST(a_copied_scope_or_nursery_is_misuse), BIG_TEST(a_copied_primitive_is_misuse),
         BIG_TEST(what_another_task_opened_or_holds_is_misuse),
         BIG_TEST(cancelling_what_is_not_open_does_nothing),
         BIG_TEST(a_closed_nursery_starts_nobody_and_the_log_says_so),
         BIG_TEST(an_argument_that_dies_before_the_nursery_is_refused),
         BIG_TEST(ignored_cancellations_are_logged_and_others_run),
         BIG_TEST(in_debug_builds_they_end_the_program_at_last),
         BIG_TEST(a_stored_cancelled_is_misuse), BIG_TEST(an_item_of_the_wrong_size_is_misuse),
         BIG_TEST(a_step_that_keeps_the_thread_is_logged), BIG_TEST(garbage_in_options_is_refused),
         BIG_TEST(headers_of_another_version_are_refused))
