/* Misuse where the machine has a part: streams, threads, signal handlers, forks, stacks.
 *
 * The rest of the table is in test_misuse.c; how the deaths are seen, in wrong.h. */
#include "wire.h"
#include "wrong.h"
#include <ctrio/lowlevel.h>
#include <ctrio/testing.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- streams --------------------------------------------------------------------------------- */

static int connected(struct ctrio_stream **here, struct ctrio_stream **there)
{
    struct wire wire;
    int rc = wire_open(&wire);
    *here = wire.here;
    *there = wire.there;
    ctrio_listener_close(wire.listener);
    return rc;
}

static int receive_one(void *arg)
{
    char byte;
    return ctrio_receive_some(arg, &byte, 1);
}

static int send_much(void *arg)
{
    static char much[1 << 24];
    return ctrio_send_all(arg, much, sizeof much);
}

/* When every other task waits: a real moment of quiet, as sockets do not know the mock clock. */
static int let_others_wait(void)
{
    return ctrio_wait_all_tasks_blocked(0.01);
}

static int use_one_direction_twice(void *arg)
{
    struct ctrio_stream *here, *there;
    struct ctrio_nursery nursery;
    (void)arg;
    int rc = connected(&here, &there);
    if (rc < 0)
        return rc;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, receive_one, here);
    ctrio_start_soon(&nursery, send_much, here);
    rc = let_others_wait();
    is(receive_one(here), (int)CTRIO_BUSY_RESOURCE);
    is(ctrio_send_all(here, "x", 1), (int)CTRIO_BUSY_RESOURCE);
    is(ctrio_send_eof(here), (int)CTRIO_BUSY_RESOURCE);
    ctrio_cancel(&nursery.scope);
    rc = ctrio_nursery_close(&nursery, rc);
    is(rc, 0);
    is(ctrio_send_all(here, "x", 1), (int)CTRIO_BROKEN_RESOURCE); /* half of something is out */
    ctrio_stream_close(here);
    ctrio_stream_close(there);
    return rc;
}

static void one_direction_is_for_one_task_and_not_after_half_a_send(void)
{
    is(wrong_run(use_one_direction_twice, NULL), 0);
}

static int close_under_others(void *arg)
{
    struct ctrio_stream *here, *there;
    struct ctrio_nursery nursery;
    (void)arg;
    int rc = connected(&here, &there);
    if (rc < 0)
        return rc;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, receive_one, here);
    ctrio_start_soon(&nursery, send_much, here);
    rc = let_others_wait();
    ctrio_stream_abort(here);
    rc = ctrio_nursery_close(&nursery, rc);
    is(ctrio_except(rc, CTRIO_CLOSED_RESOURCE), 0);
    ctrio_stream_abort(there);
    return rc;
}

static void who_is_inside_is_told_of_the_close(void)
{
    is(wrong_run(close_under_others, NULL), (int)CTRIO_GROUP);
}

static int close_while_cancelled(void *arg)
{
    struct ctrio_stream *here, *there;
    struct ctrio_cancel_scope scope;
    (void)arg;
    int rc = connected(&here, &there);
    if (rc < 0)
        return rc;
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel(&scope);
    rc = ctrio_stream_close(here);
    is(rc, (int)CTRIO_CANCELLED);
    rc = ctrio_cancel_scope_close(&scope, rc);
    is(receive_one(there), 0); /* the end of the stream, or a reset: it is closed */
    ctrio_stream_close(there);
    return rc;
}

static void a_cancelled_close_closes(void)
{
    is(wrong_run(close_while_cancelled, NULL), 0);
}

static int use_after_close(void *arg)
{
    struct ctrio_stream *here, *there;
    (void)arg;
    int rc = connected(&here, &there);
    if (rc < 0)
        return rc;
    ctrio_stream_close(here);
    return ctrio_send_all(here, "x", 1);
}

static int close_twice(void *arg)
{
    struct ctrio_stream *here, *there;
    (void)arg;
    int rc = connected(&here, &there);
    if (rc < 0)
        return rc;
    ctrio_stream_close(here);
    return ctrio_stream_close(here);
}

static int close_twice_under_another(void *arg)
{
    struct ctrio_stream *here, *there;
    struct ctrio_nursery nursery;
    (void)arg;
    int rc = connected(&here, &there);
    if (rc < 0)
        return rc;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, receive_one, here);
    rc = let_others_wait();
    ctrio_stream_abort(here); /* the memory stays till the other has left: a sure sign */
    ctrio_stream_abort(here);
    return ctrio_nursery_close(&nursery, rc);
}

static void run_use_after_close(void)
{
    wrong_run_here(use_after_close);
}

static void run_close_twice(void)
{
    wrong_run_here(close_twice);
}

static void run_close_twice_under_another(void)
{
    wrong_run_here(close_twice_under_another);
}

static void a_dead_stream_is_recognized(void)
{
    ok(dies(run_close_twice_under_another, "a stream is closed twice, or was never open"));
    if (!WRONG_DEBUG_BUILD) {
        note("the rest is seen by debug builds");
        return;
    }
    ok(dies(run_use_after_close, "uses a stream that has been closed"));
    ok(dies(run_close_twice, "a stream is closed twice, or was never open"));
}

/* --- outside of a run, and on other threads -------------------------------------------------- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void call_outside(void)
{
    struct ctrio_event event;
    struct ctrio_nursery nursery;
    struct ctrio_cancel_scope scope;
    struct ctrio_stream *stream = (struct ctrio_stream *)1;
    struct ctrio_token *token = (struct ctrio_token *)1;
    ctrio_event_init(&event);
    is(ctrio_checkpoint(), (int)CTRIO_MISUSE);
    ok(says(ctrio_error_message(CTRIO_MISUSE), "called outside of a run"));
    is(ctrio_sleep(1.0), (int)CTRIO_MISUSE);
    is(ctrio_event_wait(&event), (int)CTRIO_MISUSE);
    is(ctrio_wait_readable(0), (int)CTRIO_MISUSE);
    is(ctrio_open_tcp_stream(&stream, "127.0.0.1", 1, NULL), (int)CTRIO_MISUSE);
    is(stream, NULL);
    is(ctrio_current_token(&token), (int)CTRIO_MISUSE);
    is(token, NULL);
    ctrio_nursery_open(&nursery);
    is(ctrio_start_soon(&nursery, nothing, NULL), (int)CTRIO_MISUSE);
    is(ctrio_nursery_close(&nursery, 0), (int)CTRIO_MISUSE);
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel(&scope);
    is(ctrio_cancel_scope_close(&scope, 0), (int)CTRIO_MISUSE);
    ok(ctrio_current_task() == NULL);
    ctrio_error_free(ctrio_error_take(CTRIO_MISUSE));
    for (int i = 0; i < 3; i++)
        ctrio_error_free(ctrio_error_take(CTRIO_MISUSE));
}

static void *on_a_thread(void *arg)
{
    void (*fn)(void) = *(void (**)(void))arg;
    fn();
    return NULL;
}

static int call_on_other_thread(void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, on_a_thread, arg) != 0)
        return -EAGAIN;
    pthread_join(thread, NULL);
    return 0;
}

static void calls_outside_of_a_run_are_misuse(void)
{
    void (*fn)(void) = call_outside;
    call_outside();
    is(wrong_run(call_on_other_thread, (void *)&fn), 0);
}

static int run_inside(void *arg)
{
    (void)arg;
    return ctrio_run(nothing, NULL, NULL);
}

static void a_run_inside_of_a_run_is_misuse(void)
{
    is(wrong_run(run_inside, NULL), (int)CTRIO_MISUSE);
    ok(says(wrong_message, "inside of a run"));
}

static struct ctrio_event shared;
static struct ctrio_stream *shared_stream;
static struct ctrio_nursery *shared_nursery;

static int use_shared(void *arg)
{
    char byte;
    (void)arg;
    is(ctrio_event_wait(&shared), (int)CTRIO_MISUSE);
    ok(says(ctrio_error_message(CTRIO_MISUSE), "another run"));
    is(ctrio_receive_some(shared_stream, &byte, 1), (int)CTRIO_MISUSE);
    is(ctrio_start_soon(shared_nursery, nothing, NULL), (int)CTRIO_MISUSE);
    is(ctrio_start(shared_nursery, nothing, NULL), (int)CTRIO_MISUSE);
    ctrio_cancel(&shared_nursery->scope);
    return 0;
}

static void run_use_shared(void)
{
    is(wrong_run(use_shared, NULL), 0);
}

static int wait_for_shared(void *arg)
{
    (void)arg;
    return ctrio_event_wait(&shared);
}

static int share_with_other_run(void *arg)
{
    void (*fn)(void) = run_use_shared;
    struct ctrio_stream *there;
    struct ctrio_nursery nursery;
    (void)arg;
    int rc = connected(&shared_stream, &there);
    if (rc < 0)
        return rc;
    ctrio_event_init(&shared);
    ctrio_nursery_open(&nursery);
    shared_nursery = &nursery;
    ctrio_start_soon(&nursery, wait_for_shared, NULL);
    rc = let_others_wait();
    if (rc == 0)
        rc = call_on_other_thread((void *)&fn);
    ctrio_event_set(&shared);
    rc = ctrio_nursery_close(&nursery, rc);
    ctrio_stream_abort(shared_stream);
    ctrio_stream_abort(there);
    return rc;
}

static void objects_of_another_run_are_refused(void)
{
    if (WRONG_DEBUG_BUILD)
        is(wrong_run(share_with_other_run, NULL), 0);
    else
        skip("seen by debug builds");
}

/* --- signal handlers ------------------------------------------------------------------------- */

static struct ctrio_cancel_scope *to_cancel;

static void cancel_in_handler(int number)
{
    (void)number;
    ctrio_cancel(to_cancel);
}

static void yield_in_handler(int number)
{
    (void)number;
    (void)!ctrio_checkpoint();
}

static void (*handler)(int number);

/* The loop waits when the alarm comes. */
static int wait_for_alarm(void *arg)
{
    struct itimerval soon = {.it_value.tv_usec = 10000};
    struct ctrio_cancel_scope scope;
    (void)arg;
    ctrio_cancel_scope_open(&scope);
    to_cancel = &scope;
    signal(SIGALRM, handler);
    setitimer(ITIMER_REAL, &soon, NULL);
    int rc = ctrio_sleep(5.0);
    return ctrio_cancel_scope_close(&scope, rc);
}

static void run_with_handler(void)
{
    wrong_run_here(wait_for_alarm);
}

static void a_call_in_a_signal_handler_ends_the_program(void)
{
    if (!WRONG_DEBUG_BUILD) {
        skip("seen by debug builds");
        return;
    }
    handler = cancel_in_handler;
    ok(dies(run_with_handler, "called while the library itself runs: from a signal handler?"));
    handler = yield_in_handler;
    ok(dies(run_with_handler, "called while the library itself runs: from a signal handler?"));
}

/* Functions of the user's that the library calls may call it in their turn. */
static int step_that_calls(struct ctrio_task *task, void *arg, int woken)
{
    (void)task;
    if (woken == 0)
        ctrio_event_set(arg);
    return ctrio_checkpoint() == CTRIO_MISUSE ? 0 : -EINVAL;
}

static void soon_that_calls(void *arg)
{
    ctrio_event_set(arg);
}

static int call_back(void *arg)
{
    struct ctrio_event events[2];
    struct ctrio_nursery nursery;
    struct ctrio_token *token;
    (void)arg;
    for (int i = 0; i < 2; i++)
        ctrio_event_init(&events[i]);
    int rc = ctrio_current_token(&token);
    if (rc < 0)
        return rc;
    rc = ctrio_token_run_soon(token, soon_that_calls, &events[0]);
    ctrio_nursery_open(&nursery);
    if (rc == 0)
        rc = ctrio_start_step(&nursery, step_that_calls, &events[1]);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = ctrio_event_wait(&events[i]);
    ctrio_token_free(token);
    return ctrio_nursery_close(&nursery, rc);
}

static void steps_and_run_soon_calls_are_no_handlers(void)
{
    is(wrong_run(call_back, NULL), 0);
    ctrio_error_free(ctrio_error_take(CTRIO_MISUSE)); /* a step's stories are its thread's */
}

/* --- forks ----------------------------------------------------------------------------------- */

/* Forks, lives on as the child, and does as it is told by *arg. */
enum deed { YIELD, RETURN, CLOSE, RUN };
static enum deed deed;

static int fork_and_go_on(void *arg)
{
    struct ctrio_stream *here, *there;
    int status;
    (void)arg;
    int rc = connected(&here, &there);
    if (rc < 0)
        return rc;
    pid_t pid = fork();
    if (pid != 0) { /* the parent dies as its child has: that is what is looked at */
        waitpid(pid, &status, 0);
        _exit(status != 0);
    }
    switch (deed) {
    case YIELD:
        return ctrio_checkpoint();
    case CLOSE:
        return ctrio_stream_close(here);
    case RUN:
        return ctrio_run(nothing, NULL, NULL);
    default:
        return 0;
    }
}

static void fork_in_main_task(void)
{
    wrong_run_here(fork_and_go_on);
}

static void fork_in_task(void)
{
    wrong_run_in_task(fork_and_go_on);
}

static void fork_soon(void *arg)
{
    int status;
    pid_t pid = fork();
    (void)arg;
    if (pid == 0)
        return;
    waitpid(pid, &status, 0);
    _exit(status != 0);
}

static int wait_for_fork(void *arg)
{
    struct ctrio_token *token;
    (void)arg;
    int rc = ctrio_current_token(&token);
    if (rc == 0)
        rc = ctrio_token_run_soon(token, fork_soon, NULL);
    return rc == 0 ? ctrio_sleep(INFINITY) : rc;
}

static void fork_on_the_loop(void)
{
    wrong_run_here(wait_for_fork);
}

static void the_child_of_a_fork_has_no_run(void)
{
    for (deed = YIELD; deed <= RUN; deed++) {
        note("deed %d", (int)deed);
        ok(dies(fork_in_main_task, "called in the child of a fork() inside of a run"));
        ok(dies(fork_in_task, "called in the child of a fork() inside of a run"));
    }
    ok(dies(fork_on_the_loop, "called in the child of a fork() inside of a run"));
}

static int fork_and_exec(void *arg)
{
    int status = -1;
    (void)arg;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    is(WEXITSTATUS(status), 7);
    return ctrio_checkpoint();
}

static void a_fork_that_execs_is_fine_and_the_parent_goes_on(void)
{
    is(wrong_run(fork_and_exec, NULL), 0);
}

/* --- stacks ---------------------------------------------------------------------------------- */

__attribute__((noinline)) static size_t descend(size_t depth)
{
    volatile char room[4096];
    memset((char *)(uintptr_t)room, (int)depth, sizeof room);
    if (depth == 0)
        return 0;
    size_t below = descend(depth - 1);
    return below + (unsigned char)room[depth % sizeof room];
}

static int overflow(void *arg)
{
    (void)arg;
    ctrio_set_task_name("the deep one");
    return descend(1000) == 1 ? -EINVAL : 0;
}

static void run_overflow(void)
{
    wrong_run_in_task(overflow);
}

static void a_stack_overflow_names_the_task(void)
{
    ok(dies(run_overflow, "the stack of task the deep one has overflowed"));
}

static int set_errno(void *arg)
{
    errno = *(int *)arg;
    int rc = ctrio_checkpoint();
    is(errno, *(int *)arg);
    errno = 0;
    return rc;
}

static int keep_errno(void *arg)
{
    struct ctrio_nursery nursery;
    int one = EBADF, two = ENOENT;
    (void)arg;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, set_errno, &one);
    ctrio_start_soon(&nursery, set_errno, &two);
    errno = EDOM;
    int rc = ctrio_nursery_close(&nursery, 0);
    is(errno, EDOM);
    return rc;
}

static void errno_survives_a_switch(void)
{
    is(wrong_run(keep_errno, NULL), 0);
}

TAP_MAIN(BIG_TEST(one_direction_is_for_one_task_and_not_after_half_a_send),
         BIG_TEST(who_is_inside_is_told_of_the_close), BIG_TEST(a_cancelled_close_closes),
         BIG_TEST(a_dead_stream_is_recognized), BIG_TEST(calls_outside_of_a_run_are_misuse),
         BIG_TEST(a_run_inside_of_a_run_is_misuse), BIG_TEST(objects_of_another_run_are_refused),
         BIG_TEST(a_call_in_a_signal_handler_ends_the_program),
         BIG_TEST(steps_and_run_soon_calls_are_no_handlers),
         BIG_TEST(the_child_of_a_fork_has_no_run),
         BIG_TEST(a_fork_that_execs_is_fine_and_the_parent_goes_on),
         BIG_TEST(a_stack_overflow_names_the_task), BIG_TEST(errno_survives_a_switch))
