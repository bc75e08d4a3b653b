/* run.h - a run of the C front end, and who runs on this thread.
 *
 * The main task keeps the thread's own stack; the loop has one of its own, and so has each other
 * task.  Who parks switches to the next task itself (await.h), or to the loop if there is none. */
#ifndef CTRIO_API_RUN_H
#define CTRIO_API_RUN_H
#include "api/task.h"
#include "coro/overflow.h"
#include "io/native.h"
#include "kernel/checkpoint.h"
#include <ctrio/run.h>

enum { CTRIO__FREED_STREAMS = 64 };

struct ctrio__signal_entry { /* a signal's way into the loop */
    struct ctrio__entry entry;
    _Atomic bool pushed;
    struct ctrio__c_run *run;
    int number; /* 0: not watched */
};
struct ctrio__c_run {
    struct ctrio_run run;
    struct ctrio__os *os;
    struct ctrio__native_os *native; /* owned; NULL: `os` is lent */
    struct ctrio__fiber loop;
    struct ctrio__fiber left;  /* of the last task that ended: closed when the next one has */
    struct ctrio_task *picked; /* for the loop to run, as whoever picked it could not */
    struct ctrio__stack_pool stacks, loop_stacks; /* tasks' and the loop's own */
    struct ctrio__c_task main;
    struct ctrio_cancel_scope main_scope; /* around the main task: SIGINT cancels it */
    struct ctrio__op_task init, entries;
    struct ctrio__init_op init_op;
    struct ctrio__op entries_op;
    struct ctrio__nursery nurseries[3]; /* entry, system, main */
    struct ctrio_cancel_scope scopes[3];
    struct ctrio__system_clock clock;
    struct ctrio_run_options options;
    struct ctrio__overflow_watch overflow;
    struct ctrio__signal_entry interrupt, dump;
    struct ctrio__c_task *spare;     /* structs without a task, by life.arg */
    size_t spare_count, spare_least; /* and the fewest since the last trim */
    struct ctrio_token *token;       /* NULL: nobody has asked for one */
    uint64_t last_trim;              /* ticks */
    double slow_step;                /* seconds; INFINITY: nobody looks */
    uint64_t step_began;             /* ticks; of the step under way, while somebody looks */
    ctrio_task_fn *user_fn;          /* the main task's own */
    void *user_arg;
    int main_result;  /* what it returned */
    bool interrupted; /* SIGINT has cancelled main_scope */
#ifndef NDEBUG
    struct ctrio_stream
        *freed[CTRIO__FREED_STREAMS]; /* closed ones, kept to be recognized; owned */
    size_t freed_count;               /* ever */
#endif
    bool inside; /* debug builds: see watch.h */
};
enum { CTRIO__LOOP_STACK = 262144 };

#if defined(__GNUC__) && defined(__ELF__) /* a read, not a call of the dynamic linker */
__attribute__((tls_model("initial-exec")))
#endif
extern _Thread_local struct ctrio__c_run *ctrio__c_current; /* NULL outside a run */

static inline struct ctrio__c_run *ctrio__c_run_of(const struct ctrio_task *task)
{
    return ctrio__container(task->run, struct ctrio__c_run, run);
}
/* The running task if it can wait; NULL outside a run, and in what must not suspend. */
static inline struct ctrio__c_task *ctrio__self(void)
{
    struct ctrio__c_run *run = ctrio__c_current;
    struct ctrio_task *task = run != NULL ? run->run.current : NULL;
    return task != NULL && ctrio__stackful(task) ? ctrio__c_task_of(task) : NULL;
}
/* open.c: runs fn(arg) on `os` (NULL: the machine's own), which is borrowed; the tests' way in. */
int ctrio__c_run_on(struct ctrio__os *os, struct ctrio__chooser *chooser, ctrio_task_fn *fn,
                    void *arg, const struct ctrio_run_options *options, const char *name);
/* run.c */
int ctrio__c_run_start(struct ctrio__c_run *run);
void ctrio__c_run_loop(void *run); /* on the loop's stack */
void ctrio__c_run_live(struct ctrio__c_run *run);
/* process.c: from now on the allocator stays. */
void ctrio__run_seen(void);

/* CTRIO_MISUSE, with a story: the call needs a task that can wait. */
int ctrio__refuse_outside(void);
/* The same where no code can be given back: what follows would be a crash. */
_Noreturn void ctrio__die_outside(void);
/* Steps the op until it is done, suspending in between; *io: what its first step gets, then its
 * result.  Reasons are dropped and texts of misuse noted; other values are the caller's. */
void ctrio__await_io(struct ctrio__c_task *self, struct ctrio__op *op, struct ctrio__outcome *io);
/* The same for ops that take nothing and give a code. */
static inline int ctrio__await(struct ctrio__c_task *self, struct ctrio__op *op)
{
    struct ctrio__outcome io = {0, NULL};
    ctrio__await_io(self, op, &io);
    return io.code;
}
void ctrio__log(struct ctrio__c_run *run, enum ctrio_log_level level, const char *format, ...)
    CTRIO_PRINTF(3, 4);
/* Says it on stderr and aborts: the program is broken in a way that no code can report. */
_Noreturn void ctrio__die(const char *format, ...) CTRIO_PRINTF(1, 2);
#endif
