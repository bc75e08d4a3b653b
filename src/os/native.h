/* native.h - the machine's own table: clocks, threads, signals, names.
 *
 * io/native.h adds readiness and sockets and is what others call.  A front end that starts its
 * threads otherwise embeds this struct and replaces os.threads. */
#ifndef CTRIO_OS_NATIVE_H
#define CTRIO_OS_NATIVE_H
#include "os/os.h"
#include "os/thread_cache.h"
#include "os/ticks.h"

struct ctrio__native_os {
    struct ctrio__os os;
    struct ctrio__thread_cache cache;
};

/* Everything but io, net and wait_socket.  It must not move afterwards, and lives until
 * ctrio__thread_cache_close(&native->cache, …) has said that the workers are gone. */
void ctrio__native_init(struct ctrio__native_os *native);

uint64_t ctrio__native_monotonic(void); /* nanoseconds */
uint64_t ctrio__native_now(struct ctrio__os *os, int which);
int ctrio__native_random(struct ctrio__os *os, void *buffer, size_t size);
int ctrio__native_resolve(struct ctrio__os *os, struct ctrio__names_op *op);
int ctrio__native_watch_signal(struct ctrio__os *os, int number, void (*fn)(void *arg, int number),
                               void *arg);
/* write(2) that never raises SIGPIPE, for descriptors that have no MSG_NOSIGNAL. */
ptrdiff_t ctrio__native_write(int fd, const void *data, size_t size);
int ctrio__native_start(struct ctrio__os *os, void (*fn)(void *arg), void *arg, const char *name);
int ctrio__native_run_job(struct ctrio__os *os, struct ctrio__job *job); /* on the os's cache */
bool ctrio__native_wait(struct ctrio__os *os, struct ctrio__cell *cell, double seconds);
void ctrio__native_post(struct ctrio__os *os, struct ctrio__cell *cell);
uint64_t ctrio__native_current(struct ctrio__os *os);
bool ctrio__native_spin(struct ctrio__os *os, struct ctrio__spin *spin, enum ctrio__spin_for what,
                        bool (*there)(const void *arg), const void *arg);
/* In the child of a fork: whoever span is in the parent. */
void ctrio__native_spin_after_fork(void);
void ctrio__native_rename(struct ctrio__os *os, const char *name);
extern const struct ctrio__thread_ops ctrio__native_threads;
#endif
