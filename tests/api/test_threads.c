/* test_threads.c - everything that crosses threads, from the public calls down: run-soon calls from
 * many threads, tokens when a run ends, look-ups that nobody waits for any more.
 *
 * Under `make tsan` ten million calls; elsewhere fewer. */
#include "memory.h"
#include "tap.h"
#include <ctrio.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, WINDOW = 256, RUNS = 40, LOOK_UPS = 30 };

static size_t calls_each(void)
{
    const char *asked = getenv("CTRIO_CALLS");
    size_t all = tap_most(800000);
    if (asked != NULL)
        all = (size_t)strtoull(asked, NULL, 10);
    return all / THREADS;
}

/* What threads still hold when a run is over they give back soon, but not at once. */
static void wait_for_stragglers(void)
{
    for (int i = 0; i < 10000000 && memory_live_bytes() != 0; i++)
        sched_yield();
}

/* --- none lost, in order ---------------------------------------------------------------------- */

struct producer {
    pthread_t thread;
    struct ctrio_token *token; /* borrowed */
    size_t count;
    size_t sequence[WINDOW]; /* of the call that uses this place: back-pressure, and the order */
    _Atomic size_t called;
    size_t out_of_order, refused;
};
static struct {
    struct producer producers[THREADS];
    struct ctrio_event finished;
    size_t threads_done;
} crowd;

static void arrive(void *arg)
{
    size_t *place = arg;
    struct producer *self = crowd.producers;
    while (place < self->sequence || place >= self->sequence + WINDOW)
        self++;
    size_t expected = atomic_load_explicit(&self->called, memory_order_relaxed);
    self->out_of_order += *place != expected;
    atomic_store_explicit(&self->called, expected + 1, memory_order_release);
    if (expected + 1 == self->count && ++crowd.threads_done == THREADS)
        ctrio_event_set(&crowd.finished);
}

static void *produce(void *arg)
{
    struct producer *self = arg;
    for (size_t i = 0; i < self->count; i++) {
        while (i - atomic_load_explicit(&self->called, memory_order_acquire) >= WINDOW)
            sched_yield();
        self->sequence[i % WINDOW] = i;
        self->refused += ctrio_token_run_soon(self->token, arrive, &self->sequence[i % WINDOW]) < 0;
    }
    return NULL;
}

static int listen_to_all(void *arg)
{
    struct ctrio_token *token;
    (void)arg;
    ctrio_event_init(&crowd.finished);
    int result = ctrio_current_token(&token);
    if (result < 0)
        return result;
    for (int i = 0; i < THREADS; i++) {
        struct producer *producer = &crowd.producers[i];
        producer->token = token;
        producer->count = calls_each();
        is(pthread_create(&producer->thread, NULL, produce, producer), 0);
    }
    result = ctrio_event_wait(&crowd.finished);
    for (int i = 0; i < THREADS; i++)
        is(pthread_join(crowd.producers[i].thread, NULL), 0);
    ctrio_token_free(token);
    return result;
}

static void calls_from_eight_threads_all_arrive_in_each_ones_order(void)
{
    memset(&crowd, 0, sizeof crowd);
    is(ctrio_run(listen_to_all, NULL, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        is(atomic_load(&crowd.producers[i].called), calls_each());
        is(crowd.producers[i].out_of_order, (size_t)0);
        is(crowd.producers[i].refused, (size_t)0);
    }
}

/* --- the end of a run ------------------------------------------------------------------------- */

struct pusher {
    pthread_t thread;
    struct ctrio_token *token; /* owned: a reference of its own */
    size_t accepted;
    _Atomic size_t called;
    int told;
};
static struct pusher pushers[4];

static void count_it(void *arg)
{
    struct pusher *self = arg;
    atomic_fetch_add(&self->called, 1);
}

static void *push_until_told(void *arg)
{
    struct pusher *self = arg;
    while ((self->told = ctrio_token_run_soon(self->token, count_it, self)) == 0) {
        self->accepted++;
        while (self->accepted - atomic_load(&self->called) >= WINDOW && self->told == 0) {
            self->told = ctrio_token_run_soon(self->token, count_it, self); /* or it might hang */
            self->accepted += self->told == 0;
            sched_yield();
        }
        if (self->told < 0)
            break;
    }
    ctrio_token_free(self->token);
    return NULL;
}

static int leave_soon(void *arg)
{
    int *turns = arg;
    for (int i = 0; i < 4; i++) {
        int result = ctrio_current_token(&pushers[i].token);
        if (result < 0)
            return result;
        is(pthread_create(&pushers[i].thread, NULL, push_until_told, &pushers[i]), 0);
    }
    for (int i = 0; i < *turns; i++) {
        int result = ctrio_checkpoint();
        if (result < 0)
            return result;
    }
    return 0;
}

static void what_a_run_accepts_while_it_ends_it_calls(void)
{
    for (int turns = 0; turns < RUNS; turns++) {
        memset(pushers, 0, sizeof pushers);
        is(ctrio_run(leave_soon, &turns, NULL), 0);
        for (int i = 0; i < 4; i++) {
            is(pthread_join(pushers[i].thread, NULL), 0);
            is(pushers[i].told, CTRIO_RUN_FINISHED);
            is(atomic_load(&pushers[i].called), pushers[i].accepted);
        }
    }
    wait_for_stragglers();
}

/* --- two runs at once ------------------------------------------------------------------------- */

struct side { /* of two runs that call each other */
    struct ctrio_token *token;
    struct side *other;
    struct ctrio_semaphore hit;
    pthread_barrier_t *both;
    int hits, result;
};

static void hit(void *arg)
{
    struct side *side = arg;
    side->hits++;
    is(ctrio_semaphore_release(&side->hit), 0);
}

static int rally(void *arg)
{
    struct side *self = arg;
    int result = ctrio_current_token(&self->token);
    ctrio_semaphore_init(&self->hit, 0, 0);
    pthread_barrier_wait(self->both); /* blocks the run: nothing else is in it yet */
    for (int i = 0; i < 1000 && result == 0; i++) {
        result = ctrio_token_run_soon(self->other->token, hit, self->other);
        if (result == 0)
            result = ctrio_semaphore_acquire(&self->hit);
    }
    return result;
}

static void *one_side(void *arg)
{
    struct side *side = arg;
    side->result = ctrio_run(rally, side, NULL);
    return NULL;
}

static void two_runs_on_two_threads_call_each_other(void)
{
    struct side sides[2] = {{.other = &sides[1]}, {.other = &sides[0]}};
    pthread_barrier_t both;
    pthread_t thread;
    pthread_barrier_init(&both, NULL, 2);
    sides[0].both = sides[1].both = &both;
    is(pthread_create(&thread, NULL, one_side, &sides[0]), 0);
    one_side(&sides[1]);
    is(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 2; i++) {
        ok(sides[i].result == 0 || sides[i].result == CTRIO_RUN_FINISHED); /* the other was first */
        ok(sides[i].hits >= 999);
        ctrio_token_free(sides[i].token);
    }
    pthread_barrier_destroy(&both);
    wait_for_stragglers();
}

/* --- look-ups --------------------------------------------------------------------------------- */

static int look_up(void *arg)
{
    struct ctrio_address address;
    (void)arg;
    int result = ctrio_resolve("localhost", 80, &address, 1);
    return result == CTRIO_CANCELLED ? result : 0;
}

static int look_up_and_lose_interest(void *arg)
{
    const int *turns = arg;
    struct ctrio_nursery nursery;
    int result = 0;
    ctrio_nursery_open(&nursery);
    for (int i = 0; i < LOOK_UPS; i++)
        ctrio_start_soon(&nursery, look_up, NULL);
    for (int i = 0; i < *turns && result == 0; i++)
        result = ctrio_checkpoint();
    ctrio_cancel(&nursery.scope);
    return ctrio_nursery_close(&nursery, result);
}

static void look_ups_that_nobody_waits_for_are_freed_by_their_threads(void)
{
    for (int turns = 0; turns < RUNS; turns++)
        is(ctrio_run(look_up_and_lose_interest, &turns, NULL), 0);
    wait_for_stragglers();
    is(memory_live_bytes(), (size_t)0);
}

TAP_MAIN(BIG_TEST(calls_from_eight_threads_all_arrive_in_each_ones_order),
         BIG_TEST(what_a_run_accepts_while_it_ends_it_calls),
         BIG_TEST(two_runs_on_two_threads_call_each_other),
         BIG_TEST(look_ups_that_nobody_waits_for_are_freed_by_their_threads))
