/* thread_cache.c - a stack of idle workers, each asleep in a cell of its own.
 *
 * Invariant: a worker is on the idle list exactly while nobody has given it a job (or told it to
 * leave) since its last one; whoever takes it off owes it one post.  A worker whose sleep timed
 * out leaves only if it finds itself still on the list: else a post is on its way.  One queue
 * that all workers wait at was refused: it wakes the one that slept longest, whose stack is cold,
 * and no worker ever times out.  The guard is a counter and a cell, because threads of ours sleep
 * only in `wait`: a simulator then sees a contended guard too. */
#include "os/thread_cache.h"
#include "base/alloc.h"
#include "os/os.h"
#include <stdio.h>

struct ctrio__worker {
    struct ctrio_list link; /* on cache->idle; guarded */
    struct ctrio__thread_cache *cache;
    struct ctrio__cell cell; /* posted once there is a job, or none will come */
    struct ctrio__job *job;  /* NULL when the cell is posted: leave */
};

enum { IDLE_SECONDS = 10 };

static void guard(struct ctrio__thread_cache *cache)
{
    if (atomic_fetch_add_explicit(&cache->contenders, 1, memory_order_acquire) > 0)
        cache->os->threads->wait(cache->os, &cache->turn, INFINITY);
}

/* The last touch of the cache unless others wait for it. */
static void unguard(struct ctrio__thread_cache *cache)
{
    struct ctrio__os *os = cache->os;
    if (atomic_fetch_sub_explicit(&cache->contenders, 1, memory_order_release) > 1)
        os->threads->post(os, &cache->turn);
}

void ctrio__thread_cache_init(struct ctrio__thread_cache *cache, struct ctrio__os *os)
{
    *cache = (struct ctrio__thread_cache){.os = os, .idle_seconds = IDLE_SECONDS};
    ctrio__list_init(&cache->idle);
}

/* Guarded.  True: the caller must call cache->gone once unguarded. */
static bool leave(struct ctrio__thread_cache *cache)
{
    CTRIO_ASSERT(cache->workers > 0);
    return --cache->workers == 0 && cache->closing;
}

/* Runs the worker's job.  False: there is no more work for it, and it has left. */
static bool work_once(struct ctrio__worker *worker)
{
    struct ctrio__thread_cache *cache = worker->cache;
    struct ctrio__job *job = worker->job;
    CTRIO_ASSERT(job != NULL);
    worker->job = NULL;
    job->fn(job);
    guard(cache);
    CTRIO_ASSERT(!ctrio__list_linked(&worker->link));
    bool stays = !cache->closing;
    if (stays)
        ctrio__list_insert_before(cache->idle.next, &worker->link);
    unguard(cache);
    job->deliver(job);
    return stays;
}

/* Sleeps until there is a job.  False: there is none, and the worker is off the list. */
static bool await_job(struct ctrio__worker *worker)
{
    struct ctrio__thread_cache *cache = worker->cache;
    struct ctrio__os *os = cache->os;
    if (!os->threads->wait(os, &worker->cell, cache->idle_seconds)) {
        guard(cache);
        bool unwanted = ctrio__list_linked(&worker->link);
        ctrio__list_unlink(&worker->link);
        unguard(cache);
        if (unwanted)
            return false;
        os->threads->wait(os, &worker->cell, INFINITY);
    }
    return worker->job != NULL;
}

static void work(void *arg)
{
    struct ctrio__worker *worker = arg;
    struct ctrio__thread_cache *cache = worker->cache;
    while (work_once(worker) && await_job(worker)) {
    }
    CTRIO_ASSERT(!ctrio__list_linked(&worker->link));
    ctrio__free(worker);
    guard(cache);
    bool last = leave(cache);
    void (*gone)(void *gone_arg) = cache->gone;
    void *gone_arg = cache->gone_arg;
    unguard(cache);
    if (last)
        gone(gone_arg);
}

static int start_worker(struct ctrio__thread_cache *cache, struct ctrio__job *job, uint64_t serial)
{
    struct ctrio__os *os = cache->os;
    struct ctrio__worker *worker = ctrio__alloc(sizeof *worker);
    if (worker == NULL)
        return -ENOMEM;
    ctrio__list_init(&worker->link);
    worker->cache = cache;
    worker->job = job;
    char name[32];
    snprintf(name, sizeof name, "Trio thread %llu", (unsigned long long)serial);
    int result = os->threads->start(os, work, worker, name);
    if (result < 0)
        ctrio__free(worker);
    return result;
}

int ctrio__thread_cache_run(struct ctrio__thread_cache *cache, struct ctrio__job *job)
{
    struct ctrio__os *os = cache->os;
    guard(cache);
    CTRIO_ASSERT(!cache->closing);
    struct ctrio_list *link = ctrio__list_pop(&cache->idle);
    uint64_t serial = cache->serial;
    if (link == NULL) {
        cache->workers++;
        cache->serial++;
    }
    unguard(cache);
    if (link != NULL) {
        struct ctrio__worker *worker = ctrio__container(link, struct ctrio__worker, link);
        CTRIO_ASSERT(worker->job == NULL);
        worker->job = job;
        os->threads->post(os, &worker->cell);
        return 0;
    }
    int result = start_worker(cache, job, serial);
    if (result < 0) {
        guard(cache);
        leave(cache);
        unguard(cache);
    }
    return result;
}

void ctrio__thread_cache_close(struct ctrio__thread_cache *cache, void (*gone)(void *arg),
                               void *arg)
{
    struct ctrio__os *os = cache->os;
    struct ctrio_list leaving;
    ctrio__list_init(&leaving);
    guard(cache);
    CTRIO_ASSERT(!cache->closing);
    cache->closing = true;
    cache->gone = gone;
    cache->gone_arg = arg;
    bool none = cache->workers == 0;
    ctrio__list_splice(&leaving, &cache->idle);
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&leaving)) != NULL) {
        struct ctrio__worker *worker = ctrio__container(link, struct ctrio__worker, link);
        CTRIO_ASSERT(worker->job == NULL);
        os->threads->post(os, &worker->cell);
    }
    unguard(cache);
    if (none)
        gone(arg);
}

void ctrio__thread_cache_after_fork(struct ctrio__thread_cache *cache)
{
    CTRIO_ASSERT(cache->os != NULL);
    ctrio__list_init(&cache->idle);
    cache->workers = 0;
    atomic_store(&cache->contenders, 0);
    atomic_store(&cache->turn.posted, 0);
}
