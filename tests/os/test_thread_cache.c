/* test_thread_cache.c - which worker runs a job, when workers start and when they leave.
 *
 * Threads here are real; the table around them counts, and can refuse to start one or pretend
 * that a worker's patience is at an end. */
#include "base/alloc.h"
#include "memory.h"
#include "os/native.h"
#include "tap.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 8 };

static struct ctrio__native_os native;
static struct ctrio__thread_ops counting;
static atomic_int started, left_after_timeout, live_blocks, fail_allocation;
static _Atomic bool impatient; /* idle workers time out at once */
static int start_error;
static struct ctrio__cell all_gone;

/* The counting allocator of the tests is for one thread; this one is for several. */
static void *resize(void *self, void *old, size_t size)
{
    (void)self;
    if (size == 0) {
        live_blocks--;
        free(old);
        return NULL;
    }
    if (fail_allocation > 0 && --fail_allocation == 0)
        return NULL;
    if (old == NULL)
        live_blocks++;
    return realloc(old, size);
}

static int start(struct ctrio__os *os, void (*fn)(void *arg), void *arg, const char *name)
{
    if (start_error != 0)
        return start_error;
    started++;
    return ctrio__native_start(os, fn, arg, name);
}

static _Atomic(struct ctrio__job *) slips_in; /* handed to a worker just as its patience ends */

static bool wait(struct ctrio__os *os, struct ctrio__cell *cell, double seconds)
{
    struct ctrio__job *late = seconds == INFINITY ? NULL : atomic_exchange(&slips_in, NULL);
    if (late != NULL) {
        is(ctrio__native_run_job(os, late), 0);
        return false;
    }
    if (seconds == INFINITY || !impatient)
        return ctrio__native_wait(os, cell, seconds == INFINITY ? seconds : 600);
    left_after_timeout++;
    return ctrio__native_wait(os, cell, 0);
}

static void begin(void)
{
    static const struct ctrio__allocator shared = {resize, NULL};
    ctrio__set_allocator(&shared);
    ctrio__native_init(&native);
    counting = ctrio__native_threads;
    counting.start = start;
    counting.wait = wait;
    native.os.threads = &counting;
    started = left_after_timeout = live_blocks = fail_allocation = 0;
    impatient = false;
    start_error = 0;
    memset(&all_gone, 0, sizeof all_gone);
}

static void gone(void *arg)
{
    ctrio__native_post(NULL, arg);
}

static void end(void)
{
    ctrio__thread_cache_close(&native.cache, gone, &all_gone);
    ok(ctrio__native_wait(NULL, &all_gone, 60));
    is((int)live_blocks, 0);
    memory_install();
}

struct job {
    struct ctrio__job job;
    struct ctrio__cell go, done;
    bool waits; /* fn waits for go */
    uint64_t ran_on, delivered_on;
};

static void run(struct ctrio__job *base)
{
    struct job *job = (struct job *)base;
    if (job->waits)
        ctrio__native_wait(NULL, &job->go, INFINITY);
    job->ran_on = ctrio__native_current(NULL);
}

static void deliver(struct ctrio__job *base)
{
    struct job *job = (struct job *)base;
    job->delivered_on = ctrio__native_current(NULL);
    ctrio__native_post(NULL, &job->done);
}

static void job_init(struct job *job, bool waits)
{
    *job = (struct job){.job = {run, deliver}, .waits = waits};
}

static void await(struct job *job)
{
    ok(ctrio__native_wait(NULL, &job->done, 60));
}

static void a_job_runs_and_is_delivered_on_one_worker(void)
{
    struct job job;
    begin();
    job_init(&job, false);
    is(ctrio__native_run_job(&native.os, &job.job), 0);
    await(&job);
    is(job.ran_on, job.delivered_on);
    ok(job.ran_on != ctrio__native_current(NULL));
    end();
}

/* A worker counts as idle before it delivers: no second one is started for the next job. */
static void one_worker_serves_jobs_that_follow_each_other(void)
{
    struct job job;
    uint64_t first = 0;
    begin();
    for (int i = 0; i < 200; i++) {
        job_init(&job, false);
        is(ctrio__native_run_job(&native.os, &job.job), 0);
        await(&job);
        if (i == 0)
            first = job.ran_on;
        is(job.ran_on, first);
    }
    is((int)started, 1);
    end();
}

static void jobs_at_the_same_time_get_a_worker_each_and_the_last_idle_is_the_next_used(void)
{
    static struct job jobs[WORKERS];
    struct job next;
    begin();
    for (int i = 0; i < WORKERS; i++) {
        job_init(&jobs[i], true);
        is(ctrio__native_run_job(&native.os, &jobs[i].job), 0);
    }
    is((int)started, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        ctrio__native_post(NULL, &jobs[i].go);
        await(&jobs[i]);
    }
    job_init(&next, false);
    is(ctrio__native_run_job(&native.os, &next.job), 0);
    await(&next);
    is(next.ran_on, jobs[WORKERS - 1].ran_on);
    is((int)started, WORKERS);
    end();
}

static void an_idle_worker_leaves_when_its_patience_ends(void)
{
    struct job job;
    begin();
    impatient = true;
    for (int i = 0; i < 100; i++) {
        job_init(&job, false);
        is(ctrio__native_run_job(&native.os, &job.job), 0);
        await(&job);
    }
    end(); /* all have left: none is lost between time-out and hand-off */
    ok(left_after_timeout > 0);
    ok(started >= 1);
}

static void a_job_handed_over_at_the_last_moment_is_not_lost(void)
{
    struct job job, late;
    begin();
    job_init(&job, false);
    job_init(&late, false);
    slips_in = &late.job;
    is(ctrio__native_run_job(&native.os, &job.job), 0);
    await(&job);
    await(&late);
    is(late.ran_on, job.ran_on);
    is((int)started, 1);
    end();
}

static void busy_workers_finish_their_jobs_after_closing(void)
{
    struct job job;
    begin();
    job_init(&job, true);
    is(ctrio__native_run_job(&native.os, &job.job), 0);
    ctrio__thread_cache_close(&native.cache, gone, &all_gone);
    ok(!ctrio__native_wait(NULL, &all_gone, 0));
    ctrio__native_post(NULL, &job.go);
    await(&job);
    ok(ctrio__native_wait(NULL, &all_gone, 60));
    is((int)live_blocks, 0);
    memory_install();
}

static void a_worker_that_cannot_start_leaves_the_job_alone(void)
{
    struct job job;
    begin();
    job_init(&job, false);
    start_error = -EAGAIN;
    is(ctrio__native_run_job(&native.os, &job.job), -EAGAIN);
    start_error = 0;
    for (int n = 1; n <= 2; n++) { /* the worker; its start */
        fail_allocation = n;
        is(ctrio__native_run_job(&native.os, &job.job), -ENOMEM);
    }
    fail_allocation = 0;
    is(job.delivered_on, 0U);
    is(native.cache.workers, 0U);
    end();
}

struct chain {
    struct job job;
    struct chain *next;
};

static void deliver_chain(struct ctrio__job *base)
{
    struct chain *chain = (struct chain *)base;
    if (chain->next != NULL)
        is(ctrio__native_run_job(&native.os, &chain->next->job.job), 0);
    deliver(base);
}

static void a_job_that_a_delivery_starts_runs_on_the_same_worker(void)
{
    static struct chain chain[20];
    begin();
    for (int i = 0; i < 20; i++) {
        job_init(&chain[i].job, false);
        chain[i].job.job.deliver = deliver_chain;
        chain[i].next = i < 19 ? &chain[i + 1] : NULL;
    }
    is(ctrio__native_run_job(&native.os, &chain[0].job.job), 0);
    await(&chain[19].job);
    is((int)started, 1);
    is(chain[19].job.ran_on, chain[0].job.ran_on);
    end();
}

struct sender {
    struct ctrio__cell done;
    int failures;
};

static void send_jobs(void *arg)
{
    struct sender *sender = arg;
    for (int i = 0; i < 100; i++) {
        struct job job;
        job_init(&job, false);
        sender->failures += ctrio__native_run_job(&native.os, &job.job) != 0;
        sender->failures += !ctrio__native_wait(NULL, &job.done, 60);
    }
    ctrio__native_post(NULL, &sender->done);
}

static void several_threads_may_use_it_at_once(void)
{
    static struct sender senders[4];
    begin();
    for (int i = 0; i < 4; i++) {
        senders[i] = (struct sender){.failures = 0};
        is(ctrio__native_start(NULL, send_jobs, &senders[i], "sender"), 0);
    }
    for (int i = 0; i < 4; i++) {
        ok(ctrio__native_wait(NULL, &senders[i].done, 60));
        is(senders[i].failures, 0);
    }
    ok(started <= 8);
    end();
}

static void the_child_of_a_fork_starts_without_workers(void)
{
    struct job job;
    begin();
    job_init(&job, false);
    is(ctrio__native_run_job(&native.os, &job.job), 0);
    await(&job);
    struct ctrio__thread_cache before = native.cache;
    struct ctrio_list idle = before.idle;
    ctrio__thread_cache_after_fork(&native.cache);
    is(native.cache.workers, 0U);
    ok(ctrio__list_empty(&native.cache.idle));
    native.cache.workers = 1; /* we are no child: take it back */
    if (idle.next != &native.cache.idle)
        native.cache.idle = idle;
    end();
}

TAP_MAIN(BIG_TEST(a_job_runs_and_is_delivered_on_one_worker),
         BIG_TEST(one_worker_serves_jobs_that_follow_each_other),
         BIG_TEST(jobs_at_the_same_time_get_a_worker_each_and_the_last_idle_is_the_next_used),
         BIG_TEST(an_idle_worker_leaves_when_its_patience_ends),
         BIG_TEST(a_job_handed_over_at_the_last_moment_is_not_lost),
         BIG_TEST(busy_workers_finish_their_jobs_after_closing),
         BIG_TEST(a_worker_that_cannot_start_leaves_the_job_alone),
         BIG_TEST(a_job_that_a_delivery_starts_runs_on_the_same_worker),
         BIG_TEST(several_threads_may_use_it_at_once),
         BIG_TEST(the_child_of_a_fork_starts_without_workers))
