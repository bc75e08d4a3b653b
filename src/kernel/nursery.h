/* nursery.h - the only way to start a task, and the place its failure goes. */
#ifndef CTRIO_KERNEL_NURSERY_H
#define CTRIO_KERNEL_NURSERY_H
#include "kernel/cancel.h"

/* Takes it off its task's list, as the last thing that is done with it there. */
void ctrio__nursery_unlink(struct ctrio__nursery *nursery, const struct ctrio__frontend *frontend);

/* `scope` is open and the task's innermost one. */
void ctrio__nursery_open(struct ctrio__nursery *nursery, struct ctrio_task *task,
                         struct ctrio_cancel_scope *scope);
/* A child has exited; *outcome is stolen if it is a failure.  True: the task waits on `failures`
 * and must not be freed yet. */
bool ctrio__nursery_child_finished(struct ctrio__nursery *nursery, struct ctrio_task *task,
                                   struct ctrio__outcome *outcome);
/* Records a failure of the body (steals *failure) and cancels the scope. */
void ctrio__nursery_add_failure(struct ctrio__nursery *nursery, struct ctrio__failure *node,
                                struct ctrio__outcome *failure, enum ctrio__blame blame,
                                struct ctrio_task *task);
/* Closes the nursery if nothing keeps it open any more, and wakes the parent that waits. */
void ctrio__nursery_check_closed(struct ctrio__nursery *nursery);
/* The front end's object dies while the nursery is open (its task is long gone): what failures it
 * still holds are dropped.  Its scope is still there. */
void ctrio__nursery_forget(struct ctrio__nursery *nursery);

/* Its task has left it behind: what its children failed and will fail with is dropped. */
void ctrio__nursery_lose_results(struct ctrio__nursery *nursery);

/* Waits for every child, then folds: 0, or the group of all failures; then closes the scope with
 * it.  The first step's *io is what the body came to. */
struct ctrio__nursery_close_op {
    struct ctrio__op op; /* object: the nursery */
};
extern const struct ctrio__op_kind ctrio__nursery_close_kind;
void ctrio__nursery_close_op_init(struct ctrio__nursery_close_op *op,
                                  struct ctrio__nursery *nursery);

/* nursery.start(): runs a child under `old`, an inner nursery of the calling task, until it calls
 * started(), which moves it to `target`.  The front end gives scope and nursery for `old`. */
struct ctrio__start_op {
    struct ctrio__op op; /* object: the target nursery */
    struct ctrio__nursery *old;
    struct ctrio_cancel_scope *old_scope;
    struct ctrio__nursery_close_op close;
    /* Spawns the child in op->old; a failure becomes the body's: *io. [may run foreign code] */
    void (*spawn)(struct ctrio__start_op *op, struct ctrio_task *task, struct ctrio__outcome *io);
    const char *unstarted; /* static: what is said if the child exits without started() */
    /* The group of the old nursery becomes the result: takes its only member out. [code] */
    void (*unwrap)(struct ctrio__start_op *op, struct ctrio__outcome *io);
    struct ctrio_list moving_scopes, moving_tasks; /* only while started() moves them */
    bool started, entered;
};
extern const struct ctrio__op_kind ctrio__start_kind;
/* Fails at the first step with CTRIO_MISUSE if the target is closed; ends with CTRIO_MISUSE if
 * the child exits without started(). */
void ctrio__start_op_init(struct ctrio__start_op *op, struct ctrio__nursery *target);
/* task_status.started(): moves everything in op->old to the target, unless old is cancelled (then
 * 0, else 1).  CTRIO_MISUSE: called twice.  CTRIO_CLOSED_RESOURCE: the target's task has exited
 * without closing it; nothing was moved. */
int ctrio__start_op_started(struct ctrio__start_op *op);
/* Where a task will be once it has called started(); NULL: it has, or was not started so. */
static inline struct ctrio__nursery *ctrio__eventual_nursery(const struct ctrio_task *task)
{
    return task->starting ? task->nursery->start_target : NULL;
}
#endif
