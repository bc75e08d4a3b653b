/* test_token.c - calls into a run from other threads. */
#include "front.h"
#include <ctrio/sync.h>
#include <ctrio/thread.h>
#include <pthread.h>

enum { THREADS = 8 };

static struct ctrio_token *token;
static struct ctrio_event done;
static long calls, expected;
static int in_no_task;

static void count(void *arg)
{
    (void)arg;
    if (calls == 0)
        in_no_task = ctrio_checkpoint();
    if (++calls == expected)
        ctrio_event_set(&done);
}

static void *push_many(void *arg)
{
    long times = *(long *)arg;
    for (long i = 0; i < times; i++)
        if (ctrio_token_run_soon(token, count, NULL) != 0)
            return arg;
    return NULL;
}

static int wait_for_all(void *arg)
{
    pthread_t threads[THREADS];
    void *failed;
    int result = ctrio_current_token(&token);
    if (result < 0)
        return result;
    calls = 0;
    expected = THREADS * *(long *)arg;
    ctrio_event_init(&done);
    for (int i = 0; i < THREADS; i++)
        is(pthread_create(&threads[i], NULL, push_many, arg), 0);
    result = ctrio_event_wait(&done);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        ok(failed == NULL);
    }
    is(calls, expected);
    ctrio_token_free(token);
    return result;
}

static void of_many_calls_from_eight_threads_none_is_lost(void)
{
    long times = 20000;
    is(front_run(wait_for_all, &times), 0);
    is(in_no_task, CTRIO_MISUSE); /* a call must not suspend */
}

static int keep_token(void *arg)
{
    (void)arg;
    struct ctrio_token *again;
    int result = ctrio_current_token(&token);
    if (result == 0 && is(ctrio_current_token(&again), 0)) {
        ok(again == token);
        ctrio_token_free(again);
    }
    return result;
}

static void a_token_may_outlive_its_run_and_is_refused_then(void)
{
    token = NULL;
    is(front_run(keep_token, NULL), 0);
    if (token != NULL)
        is(ctrio_token_run_soon(token, count, NULL), CTRIO_RUN_FINISHED);
    ctrio_token_free(token);
    ctrio_token_free(NULL);
    is(ctrio_current_token(&token), CTRIO_MISUSE);
    front_forget();
}

static void push_again(void *arg)
{
    int *left = arg;
    if (--*left > 0 && tap_saw(ctrio_token_run_soon(token, push_again, arg)) == 0)
        return;
    ctrio_event_set(&done);
}

static int push_from_calls(void *arg)
{
    int result = ctrio_current_token(&token);
    if (result < 0)
        return result;
    ctrio_event_init(&done);
    result = ctrio_token_run_soon(token, push_again, arg);
    if (result == 0)
        result = ctrio_event_wait(&done);
    ctrio_token_free(token);
    return result;
}

static void a_call_may_queue_the_next_one(void)
{
    int left = 50;
    is(front_run(push_from_calls, &left), 0);
    is(left, 0);
}

static int calls_at_the_end;

static void note_call(void *arg)
{
    (void)arg;
    calls_at_the_end++;
}

static int push_and_leave(void *arg)
{
    int result = ctrio_current_token(&token);
    if (result < 0)
        return result;
    for (int i = 0; i < 3 && result == 0; i++)
        result = ctrio_token_run_soon(token, note_call, NULL);
    *(int *)arg = result;
    ctrio_token_free(token);
    return result;
}

static void a_call_that_was_accepted_is_made_before_the_run_ends(void)
{
    int pushed = 1;
    calls_at_the_end = 0;
    int result = front_run(push_and_leave, &pushed);
    is(result, pushed);
    if (pushed == 0)
        is(calls_at_the_end, 3);
}

/* So many at most: threads that push faster than the run can call would keep it from ending. */
static void *push_until_refused(void *arg)
{
    long *accepted = arg;
    while (*accepted < 500 && ctrio_token_run_soon(token, note_call, NULL) == 0)
        ++*accepted;
    return NULL;
}

static pthread_t pushers[THREADS];

static int end_while_they_push(void *arg)
{
    long *accepted = arg;
    int result = ctrio_current_token(&token);
    for (int i = 0; i < THREADS && result == 0; i++)
        is(pthread_create(&pushers[i], NULL, push_until_refused, &accepted[i]), 0);
    return result;
}

static void the_end_of_a_run_loses_no_call_that_it_accepted(void)
{
    for (int round = 0; round < 20; round++) {
        long accepted[THREADS] = {0}, sum = 0;
        calls_at_the_end = 0;
        is(front_run(end_while_they_push, accepted), 0);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(pushers[i], NULL);
            sum += accepted[i];
        }
        is((long)calls_at_the_end, sum);
        ctrio_token_free(token);
    }
}

TAP_MAIN(BIG_TEST(of_many_calls_from_eight_threads_none_is_lost),
         TEST(a_token_may_outlive_its_run_and_is_refused_then), TEST(a_call_may_queue_the_next_one),
         TEST(a_call_that_was_accepted_is_made_before_the_run_ends),
         BIG_TEST(the_end_of_a_run_loses_no_call_that_it_accepted))
