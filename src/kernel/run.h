/* run.h - a run: its queue, its clock, its trees; and the loop in four pieces.
 *
 *   while (ctrio__run_alive(run)) {
 *       double timeout = ctrio__run_timeout(run);
 *       run->io_ops->get_events(run->io, timeout, &events);
 *       ctrio__run_begin(run, &events);
 *       while (ctrio__run_step(run) && !ctrio__run_looks_each_step(run)) {}
 *   }
 *
 * run(), guest mode and the simulator drive the same pieces.  All state belongs to the run; one
 * run a thread at a time, and nobody here keeps a global. */
#ifndef CTRIO_KERNEL_RUN_H
#define CTRIO_KERNEL_RUN_H
#include "base/rng.h"
#include "base/timers.h"
#include "kernel/chooser.h"
#include "kernel/clock.h"
#include "kernel/entry_queue.h"
#include "kernel/hooks.h"
#include "kernel/io.h"
#include "kernel/nursery.h"

struct ctrio__run_options {
    struct ctrio__os *os;                             /* opaque; outlives the run */
    const struct ctrio__io_ops *io_ops;               /* required */
    uint64_t (*now)(struct ctrio__os *os, int which); /* required; ns */
    struct ctrio_clock *clock;                        /* required; outlives the run */
    struct ctrio__chooser *chooser;                   /* NULL in production */
    uint64_t seed;                                    /* of the batch coins */
    void *data;                                       /* the front end's */
};

/* What the front end lends for the tasks every run has. */
struct ctrio__system {
    struct ctrio_task *init;
    struct ctrio__nursery *entry_nursery, *system_nursery, *main_nursery;
    struct ctrio_cancel_scope *entry_scope, *system_scope, *main_scope;
    /* Spawns the main task into main_nursery; a failure is the main outcome: *io. [code] */
    void (*spawn_main)(struct ctrio_run *run, struct ctrio__outcome *io);
    /* Spawns the entry queue's task into entry_nursery. [code] */
    int (*spawn_entry_queue)(struct ctrio_run *run);
};

/* How fast things come that are counted; see loop.c.  next <= count + 16. */
struct ctrio__pace {
    uint32_t count, next; /* how many there were; at how many the ticks are read next */
    uint64_t last;        /* ticks when last read for this */
};

struct ctrio_run {
    void *data; /* the front end's */
    struct ctrio__os *os;
    const struct ctrio__io_ops *io_ops;
    struct ctrio__io *io;
    uint64_t (*now)(struct ctrio__os *os, int which);
    struct ctrio_clock *clock;
    struct ctrio__chooser *chooser;
    struct ctrio__hooks hooks;
    struct ctrio__rng rng;

    /* The run queue: `ready` fills while `batch` empties from its end.  Invariant: both have room
     * for every living task, so that reschedule cannot fail. */
    struct ctrio_task **ready, **batch;
    size_t ready_count, ready_capacity, batch_count, batch_capacity;
    struct ctrio_list tasks; /* every living task, by run_link */
    size_t tasks_living;
    uint64_t task_serial, timer_serial;
    struct ctrio_task *current;  /* whose step runs; NULL between steps */
    struct ctrio_task *finished; /* has exited in this step; freed at its end */

    struct ctrio__timers timers;
    struct ctrio_list idle;             /* struct ctrio__idle_op, shortest cushion first */
    struct ctrio_cancel_scope limbo;    /* cancelled for ever: adopts the misnested */
    struct ctrio_list roots;            /* open scopes without a parent, by sibling */
    struct ctrio_list todo, delivering; /* scopes a cancellation is spreading to, by propagate */
    uint32_t delivery_round;            /* wraps: see cancel.c */
    struct ctrio__entry_queue entries;
    struct ctrio__system system;
    struct ctrio_task *init_task, *main_task; /* main: NULL before it is spawned */
    struct ctrio__outcome main_outcome;       /* meaningful once main_exited */
    double last_timeout;                      /* what the last wait was for; seconds */
    double idle_cushion; /* between timeout and begin: what the wait is primed for; NAN: not */
    bool closed;         /* ctrio__run_close has begun: nobody is spawned or woken any more */
    bool main_exited;
    bool interrupt_pending; /* an interrupt waits for the main task */
    bool autojump_primed;   /* the wait ends in clock->autojump if nothing happens */
    bool guest, guest_tick_scheduled;
    int failed; /* < 0: broken beyond repair (a clock or hook failed); the driver must stop */
    struct ctrio__outcome fatal; /* what the init task died of, if it did */

    /* Shortcuts of the loop, see loop.h. */
    uint64_t poll_budget;         /* ticks between two looks at the machine, while tasks can run */
    uint64_t last_poll;           /* ticks of the last one */
    double last_now;              /* the run's clock then; INFINITY: not read */
    bool deadline_far;            /* no timer is due within twenty budgets of last_now */
    bool poll_now;                /* something voids the polling budget */
    bool strict;                  /* no shortcuts */
    bool bounded;                 /* operations that complete at once need not yield each time */
    struct ctrio__pace unyielded; /* those that have not, in this step */
    uint64_t unyielded_since;     /* ticks at the first of them */
    struct ctrio__pace unpolled;  /* turns since last_poll */
};

/* -ENOMEM or the backend's -errno; nothing to close then. */
int ctrio__run_open(struct ctrio_run *run, const struct ctrio__run_options *options);
/* After the last task has exited, or to give up: forgets scopes and timers that are left. */
void ctrio__run_close(struct ctrio_run *run);
/* Starts the init task; the rest follows from it. */
int ctrio__run_start(struct ctrio_run *run, const struct ctrio__system *system);

static inline bool ctrio__run_alive(const struct ctrio_run *run)
{
    return run->tasks_living != 0 && run->failed == 0;
}
/* How long to wait for events, seconds, capped at a day; primes autojump and idle waits. */
double ctrio__run_timeout(struct ctrio_run *run);
/* Wakes what is due and forms the batch.  NULL: the wait was left out (ctrio__may_skip_poll). */
void ctrio__run_begin(struct ctrio_run *run, const struct ctrio__io_events *events);
/* Runs one task; false: the batch was used up. */
bool ctrio__run_step(struct ctrio_run *run);
/* Whether a turn is over after one step.  Where any task that can run may be next no batch is ever
 * used up while tasks keep each other busy, and an event could not fall between two steps. */
static inline bool ctrio__run_looks_each_step(const struct ctrio_run *run)
{
    return run->chooser != NULL && run->chooser->task_by_task;
}
/* The two halves of a step, for a front end whose tasks hand over to each other without going back
 * to the loop.  pick: the next task of the batch, running from now on, its wake still in it; NULL:
 * the batch is used up.  put_back: it has parked or yielded, or is DONE with *final. */
struct ctrio_task *ctrio__run_pick(struct ctrio_run *run);
void ctrio__run_put_back(struct ctrio_run *run, enum ctrio__step step,
                         struct ctrio__outcome *final);
/* Something outside the tasks is broken: the loop stops, ctrio__run_alive turns false. */
void ctrio__run_fail(struct ctrio_run *run, int code);
/* [any thread]  Marks an interrupt for the main task and wakes the loop.  The front end pushes an
 * entry that calls ctrio__run_deliver_interrupt. */
void ctrio__run_deliver_interrupt(struct ctrio_run *run);

static inline double ctrio__run_time(struct ctrio_run *run)
{
    return run->clock->current_time(run->clock);
}
/* Arms a timer at timer->when (not INFINITY); never fails. */
void ctrio__timer_arm(struct ctrio_run *run, struct ctrio_timer *timer);
/* Idempotent. */
void ctrio__timer_disarm(struct ctrio_run *run, struct ctrio_timer *timer);
static inline bool ctrio__timer_armed(const struct ctrio_run *run, const struct ctrio_timer *timer)
{
    return ctrio__timers_has(&run->timers, timer);
}
double ctrio__run_next_deadline(const struct ctrio_run *run); /* INFINITY: none */
/* Between turns: its tasks, nurseries, scopes and queues agree with each other (debug builds,
 * tests).  Of a large run only a part is looked at. */
bool ctrio__run_valid(const struct ctrio_run *run);

/* The body of the init task: nurseries, main task, shutdown in Trio's order.  object: the run. */
struct ctrio__init_op {
    struct ctrio__op op;
    struct ctrio__nursery_close_op close;
};
extern const struct ctrio__op_kind ctrio__init_kind;
#endif
