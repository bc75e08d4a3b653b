/* task.h - a task: what the run queue holds and what parks.
 *
 * Life: new -> runnable <-> running <-> parked -> exited.  A failed child then waits on its
 * nursery's list of failures inside its own struct; task_free is the kernel's last word. */
#ifndef CTRIO_KERNEL_TASK_H
#define CTRIO_KERNEL_TASK_H
#include "base/list.h"
#include "kernel/frontend.h"

enum ctrio__abort { CTRIO__ABORT_SUCCEEDED, CTRIO__ABORT_FAILED };
/* Called at most once per park, when a cancellation or an interrupt reaches the task.  SUCCEEDED:
 * the op has forgotten the task and the kernel wakes it with *why (which passes to the wake).
 * FAILED: the op still owes it exactly one reschedule.  [may run foreign code]
 * why->code 0: the park was only asked for (enum ctrio__trap), and the task goes on without it: the
 * op forgets the task in any case, and runs no foreign code. */
typedef enum ctrio__abort ctrio__abort_fn(struct ctrio_task *task,
                                          const struct ctrio__outcome *why);

enum ctrio__task_state {
    CTRIO__TASK_NEW,
    CTRIO__TASK_RUNNABLE, /* on the run queue or in the batch; wake is meaningful */
    CTRIO__TASK_RUNNING,
    CTRIO__TASK_PARKED,
    CTRIO__TASK_EXITED,
};

/* What a step has asked for.  It takes effect when the loop gets the task back: whoever drives a
 * coroutine by hand has only asked, and the task goes on running. */
enum ctrio__trap { CTRIO__TRAP_NONE, CTRIO__TRAP_YIELD, CTRIO__TRAP_PARK };

struct ctrio_task { /* the head of a front end's own task struct */
    const struct ctrio__frontend *frontend;
    struct ctrio_run *run;
    ctrio__abort_fn *abort_fn; /* NULL: not abortable, or does not wait, or already tried */
    void *park_data;           /* the op's own; cleared by reschedule */
    union {                    /* the first till it exits, then the second */
        struct {
            struct ctrio_list lot_link;
            struct ctrio__outcome wake;    /* while runnable; while running the front end's */
            struct ctrio_parking_lot *lot; /* that lot_link is on; meaningful while it is linked */
        };
        struct ctrio__failure failure;
    };
    uint8_t state;     /* enum ctrio__task_state */
    uint8_t trap;      /* enum ctrio__trap; meaningful only while running */
    bool system : 1;   /* protected from interrupts by default */
    bool starting : 1; /* between start() and started(): see ctrio__eventual_nursery */
    bool may_continue; /* this step's coroutine is the task's own: shortcuts allowed */
    uint32_t cancel_points, schedule_points;
    uint32_t delivery_round;          /* the last round of cancellation that saw it; 0: none */
    struct ctrio_cancel_scope *scope; /* innermost; we are on scope->tasks; may be NULL */
    struct ctrio_list scope_link;
    struct ctrio__nursery *nursery; /* parent; NULL only for the init task */
    struct ctrio_list nursery_link;
    struct ctrio_list run_link;  /* on run->tasks while living */
    struct ctrio_list nurseries; /* open ones of this task, outermost first, by `sibling` */
    struct ctrio_list breakers;  /* lots that break if this task exits */
    uint64_t serial;             /* spawn order */
};

/* Prepares the head; the front end has filled nothing yet. */
void ctrio__task_init(struct ctrio_task *task, const struct ctrio__frontend *frontend);
/* Starts it as a child of `nursery` (NULL: the init task of `run`).  It first runs at the next
 * turn.  -ENOMEM and CTRIO_CLOSED_RESOURCE change nothing.  From here on the kernel owns the task
 * until task_free. */
int ctrio__task_spawn(struct ctrio_run *run, struct ctrio_task *task,
                      struct ctrio__nursery *nursery);
/* The running task will be woken by exactly one reschedule, or by a cancellation that abort_fn
 * (NULL: not abortable) agrees to.  Takes effect when its step answers PARKED. */
void ctrio__task_park(struct ctrio_task *task, ctrio__abort_fn *abort_fn, void *park_data);
/* A schedule point: the running task is queued again at once and wakes with code 0. */
void ctrio__task_yield(struct ctrio_task *task);
/* The running task takes back what it has asked for: the op forgets it, or the wake that has come
 * meanwhile is dropped.  Whatever asks anew does so first. */
void ctrio__task_withdraw(struct ctrio_task *task);
/* The loop has the task back from a step that answered PARKED: does what it asked for. */
void ctrio__task_settle(struct ctrio_task *task);
/* Parked, or about to be. */
static inline bool ctrio__task_waits(const struct ctrio_task *task)
{
    return task->state == CTRIO__TASK_PARKED ||
           (task->state == CTRIO__TASK_RUNNING && task->trap == CTRIO__TRAP_PARK);
}
/* Wakes a task that waits; any other breaks the run.  Steals wake.value. */
void ctrio__task_reschedule(struct ctrio_task *task, struct ctrio__outcome wake);
static inline void ctrio__task_wake(struct ctrio_task *task, int code, void *value)
{
    ctrio__task_reschedule(task, (struct ctrio__outcome){code, value});
}
/* What it was woken with, by members: a copy of sixteen bytes would wait for the two stores. */
static inline void ctrio__task_take_wake(struct ctrio_task *task, struct ctrio__outcome *io)
{
    io->code = task->wake.code;
    io->value = task->wake.value;
    task->wake.code = 0;
    task->wake.value = NULL;
}
/* Gives back what a wake carries when no op will take it. */
void ctrio__wake_drop(const struct ctrio__frontend *frontend, struct ctrio__outcome *wake);
/* A cancellation or an interrupt is waiting for this task. */
bool ctrio__task_cancel_pending(const struct ctrio_task *task);
/* Tries to deliver what is pending; only the loop and scopes call it. */
void ctrio__task_deliver(struct ctrio_task *task);
void ctrio__task_deliver_interrupt(struct ctrio_task *task);
/* Moves the task to another scope (NULL: none), delivering if that one is cancelled. */
void ctrio__task_enter_scope(struct ctrio_task *task, struct ctrio_cancel_scope *scope);
/* The task's step answered DONE with *final (stolen), or its coroutine was detached for good. */
void ctrio__task_exit(struct ctrio_task *task, struct ctrio__outcome *final);
/* An abort_fn for ops that have nothing to undo. */
enum ctrio__abort ctrio__abort_simply(struct ctrio_task *task, const struct ctrio__outcome *why);

#define ctrio__task_from(link, member) ctrio__container(link, struct ctrio_task, member)
#endif
