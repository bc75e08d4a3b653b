/* thread_cache.h - worker threads that are kept for a while, the last used first.
 *
 * Grows by one whenever no worker is idle: limiting how many jobs run at once is its user's. */
#ifndef CTRIO_OS_THREAD_CACHE_H
#define CTRIO_OS_THREAD_CACHE_H
#include "base/list.h"
#include "os/thread.h"

struct ctrio__thread_cache {
    struct ctrio__os *os;   /* whose `threads` start workers and put them to sleep */
    struct ctrio_list idle; /* struct ctrio__worker without a job, the latest first; guarded */
    /* The guard: how many threads hold or want it; those who must wait sleep on the cell. */
    _Atomic uint32_t contenders;
    struct ctrio__cell turn;
    size_t workers;      /* alive, idle or not; guarded */
    uint64_t serial;     /* of the last worker; guarded */
    double idle_seconds; /* how long a worker stays without a job */
    bool closing;        /* guarded */
    void (*gone)(void *arg);
    void *gone_arg;
};

void ctrio__thread_cache_init(struct ctrio__thread_cache *cache, struct ctrio__os *os);
/* [any thread]  Runs the job on the worker that became idle last, or on a new one.  A worker
 * counts as idle before it delivers, so that a job which a delivery leads to can be its own. */
int ctrio__thread_cache_run(struct ctrio__thread_cache *cache, struct ctrio__job *job);
/* No more jobs.  Idle workers leave now, others after their job; then gone(arg) is called, by the
 * last of them or from here.  The cache and its os must live until then. */
void ctrio__thread_cache_close(struct ctrio__thread_cache *cache, void (*gone)(void *arg),
                               void *arg);
/* In the child of a fork: the workers are in the parent, their memory is lost. */
void ctrio__thread_cache_after_fork(struct ctrio__thread_cache *cache);
#endif
