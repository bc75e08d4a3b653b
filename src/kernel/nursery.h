/* nursery.h - the only way to start a task, and the place its failure goes. */
#ifndef CTRIO_KERNEL_NURSERY_H
#define CTRIO_KERNEL_NURSERY_H
#include "kernel/cancel.h"

/* Invariants: closed => no children, no pending starts, body not running - or abandoned by
 * misnesting.  Children that failed are on `failures`, in order of failure, with the body's own
 * failure among them. */
struct ctrio_nursery {
    struct ctrio_run *run;
    struct ctrio_task *parent;        /* the task that opened it; NULL: it has exited without us */
    struct ctrio_cancel_scope *scope; /* directly around us: cancelled when something fails */
    struct ctrio_list sibling;        /* on parent->nurseries */
    struct ctrio_list children;       /* living child tasks, by nursery_link */
    struct ctrio_list failures;       /* struct ctrio__failure, oldest first */
    struct ctrio__failure body;       /* what the block itself raised */
    struct ctrio__failure interrupt;  /* an interrupt while the parent waited here */
    size_t child_count;
    uint32_t pending_starts; /* start() calls that may still move a child in here */
    bool body_running, parent_waiting, closed;
    bool results_lost; /* folded already: failures of children have nowhere to go */
};

/* Takes it off its task's list, as the last thing that is done with it there. */
void ctrio__nursery_unlink(struct ctrio_nursery *nursery, const struct ctrio__frontend *frontend);

/* `scope` is open and the task's innermost one. */
void ctrio__nursery_open(struct ctrio_nursery *nursery, struct ctrio_task *task,
                         struct ctrio_cancel_scope *scope);
/* A child has exited; *outcome is stolen if it is a failure.  True: the task waits on `failures`
 * and must not be freed yet. */
bool ctrio__nursery_child_finished(struct ctrio_nursery *nursery, struct ctrio_task *task,
                                   struct ctrio__outcome *outcome);
/* Records a failure of the body (steals *failure) and cancels the scope. */
void ctrio__nursery_add_failure(struct ctrio_nursery *nursery, struct ctrio__failure *node,
                                struct ctrio__outcome *failure, enum ctrio__blame blame,
                                struct ctrio_task *task);
/* Closes the nursery if nothing keeps it open any more, and wakes the parent that waits. */
void ctrio__nursery_check_closed(struct ctrio_nursery *nursery);
/* The front end's object dies while the nursery is open (its task is long gone): what failures it
 * still holds are dropped.  Its scope is still there. */
void ctrio__nursery_forget(struct ctrio_nursery *nursery);

/* Waits for every child, then folds: 0, or the group of all failures; then closes the scope with
 * it.  The first step's *io is what the body came to. */
struct ctrio__nursery_close_op {
    struct ctrio__op op; /* object: the nursery */
};
extern const struct ctrio__op_kind ctrio__nursery_close_kind;
void ctrio__nursery_close_op_init(struct ctrio__nursery_close_op *op,
                                  struct ctrio_nursery *nursery);

/* nursery.start(): runs a child under `old`, an inner nursery of the calling task, until it calls
 * started(), which moves it to `target`.  The front end gives scope and nursery for `old`. */
struct ctrio__start_op {
    struct ctrio__op op; /* object: the target nursery */
    struct ctrio_nursery *old;
    struct ctrio_cancel_scope *old_scope;
    struct ctrio__nursery_close_op close;
    /* Spawns the child in op->old; a failure becomes the body's: *io. [may run foreign code] */
    void (*spawn)(struct ctrio__start_op *op, struct ctrio_task *task, struct ctrio__outcome *io);
    /* The group of the old nursery becomes the result: takes its only member out. [code] */
    void (*unwrap)(struct ctrio__start_op *op, struct ctrio__outcome *io);
    struct ctrio_list moving_scopes, moving_tasks; /* only while started() moves them */
    bool started, entered;
};
extern const struct ctrio__op_kind ctrio__start_kind;
/* Fails at the first step with CTRIO_MISUSE if the target is closed; ends with CTRIO_MISUSE if
 * the child exits without started(). */
void ctrio__start_op_init(struct ctrio__start_op *op, struct ctrio_nursery *target);
/* task_status.started(): moves everything in op->old to the target, unless old is cancelled (then
 * 0, else 1).  CTRIO_MISUSE: called twice.  CTRIO_CLOSED_RESOURCE: the target's task has exited
 * without closing it; nothing was moved. */
int ctrio__start_op_started(struct ctrio__start_op *op);
#endif
