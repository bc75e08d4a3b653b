/* run.h - a run, its clock, its tasks. */
#ifndef CTRIO_RUN_H
#define CTRIO_RUN_H
#include <ctrio/types.h>
#include <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif
enum ctrio_log_level { CTRIO_LOG_DEBUG, CTRIO_LOG_INFO, CTRIO_LOG_WARNING, CTRIO_LOG_ERROR };
/* One line from the library (contained handler failures, EMFILE, slow steps); must not suspend. */
typedef void ctrio_log_fn(void *arg, enum ctrio_log_level level, const char *line);
struct ctrio_run_options {
    struct ctrio_clock *clock; /* NULL: the system's monotonic clock */
    size_t stack_size;         /* bytes a task; 0: 64 KiB; the main task has the thread's stack */
    uint64_t seed;             /* of the batch order; 0: from the system */
    double slow_step_seconds;  /* logs a task that keeps the thread longer; 0: 0.1 in debug, else
                                  INFINITY */
    ctrio_log_fn *log;         /* NULL: warnings and errors to stderr */
    void *log_arg;
    int dump_signal;         /* dumps the task tree to stderr on this signal; 0: none */
    bool leave_sigint;       /* do not turn SIGINT into CTRIO_INTERRUPTED */
    bool strict_checkpoints; /* Trio's cadence: every operation yields.  Else one that completes
                                at once yields only after 100 of its kind in a row, or 20 us
                                since the first of them; it always looks for a cancellation */
    uint64_t reserved[8];
};
/* Runs `fn` as the main task and returns its result once every task of the run has exited.  SIGINT
 * cancels the main task once; the result is then CTRIO_INTERRUPTED.  CTRIO_MISUSE inside a run, or
 * when header and library disagree.  The child of a fork() inside of a run may only exec: other
 * calls end it, for it shares the parent's epoll set. */
CTRIO_CHECKED int ctrio_run_at(ctrio_task_fn *fn, void *arg,
                               const struct ctrio_run_options *options, const char *name,
                               int header_version);
#define ctrio_run(fn, arg, options)                                                                \
    ctrio_run_at((fn), (arg), (options), #fn " at " CTRIO_HERE, CTRIO_VERSION)
/* Seconds on the run's clock (arbitrary start, never back). */
CTRIO_API double ctrio_current_time(void);
/* Lets others run, and looks for a cancellation. */
CTRIO_ASYNC int ctrio_checkpoint(void);
/* INFINITY: until cancelled. */
CTRIO_ASYNC int ctrio_sleep(double seconds);
/* Until ctrio_current_time() >= deadline; a past one is still a checkpoint. */
CTRIO_ASYNC int ctrio_sleep_until(double deadline);
/* The running task; borrowed, valid while it runs; NULL outside a run. */
CTRIO_API struct ctrio_task *ctrio_current_task(void);
/* "function at file:line" unless renamed; borrowed. */
CTRIO_API const char *ctrio_task_name(const struct ctrio_task *task);
/* Renames the running task; the text is copied, 63 bytes of it: a peer's address, a job. */
CTRIO_API void ctrio_set_task_name(const char *format, ...) CTRIO_PRINTF(1, 2);
/* Prints nurseries, scopes and tasks as a tree: what each waits for, where it was opened. */
CTRIO_API void ctrio_dump_tasks(FILE *out);
/* Calls fn(arg) in this task on a stack of `size` bytes: for deep recursion or greedy libraries.
 * The call's result, or -ENOMEM. */
CTRIO_CHECKED int ctrio_call_on_stack(size_t size, ctrio_task_fn *fn, void *arg);

/* The allocator of every run and error; realloc's contract with a context: size 0 frees and gives
 * NULL. */
struct ctrio_allocator {
    void *(*realloc)(void *context, void *old, size_t size);
    void *context;
};
/* [any thread] Once, before anything else; -EBUSY later.  Copied. */
CTRIO_CHECKED int ctrio_set_allocator(const struct ctrio_allocator *allocator);
/* [any thread] The library's CTRIO_VERSION. */
CTRIO_API int ctrio_version(void);
#ifdef __cplusplus
}
#endif
#endif
