/* nursery.c - children, their failures, and the two operations that wait for them.
 *
 * Invariant: a nursery is closed exactly when its body has ended, no child lives and no start()
 * is pending (or its task has gone away without closing it).  Failures keep their order; a failed
 * child waits on the list inside its own struct, so failing allocates nothing. */
#include "kernel/checkpoint.h"
#include "kernel/run.h"

static void node_init(struct ctrio__failure *node)
{
    *node = (struct ctrio__failure){.outcome = {0, NULL}};
    ctrio__list_init(&node->link);
}

void ctrio__nursery_open(struct ctrio__nursery *nursery, struct ctrio_task *task,
                         struct ctrio_cancel_scope *scope)
{
    CTRIO_ASSERT(scope->state == CTRIO_SCOPE_OPEN);
    CTRIO_ASSERT(task->scope == scope);
    *nursery = (struct ctrio__nursery){
        .run = task->run, .parent = task, .scope = scope, .body_running = true};
    ctrio__list_init(&nursery->sibling);
    ctrio__list_init(&nursery->children);
    ctrio__list_init(&nursery->failures);
    node_init(&nursery->body);
    node_init(&nursery->interrupt);
    ctrio__list_append(&task->nurseries, &nursery->sibling);
}

void ctrio__nursery_unlink(struct ctrio__nursery *nursery, const struct ctrio__frontend *frontend)
{
    if (!ctrio__list_linked(&nursery->sibling))
        return;
    ctrio__list_unlink(&nursery->sibling);
    if (frontend->nursery_release != NULL)
        frontend->nursery_release(nursery);
}

void ctrio__nursery_check_closed(struct ctrio__nursery *nursery)
{
    if (nursery->body_running || nursery->child_count != 0 || nursery->pending_starts != 0)
        return;
    nursery->closed = true;
    if (!nursery->parent_waiting)
        return;
    CTRIO_ASSERT(nursery->parent != NULL);
    nursery->parent_waiting = false;
    ctrio__task_wake(nursery->parent, 0, NULL);
}

void ctrio__nursery_add_failure(struct ctrio__nursery *nursery, struct ctrio__failure *node,
                                struct ctrio__outcome *failure, enum ctrio__blame blame,
                                struct ctrio_task *task)
{
    struct ctrio_cancel_scope *scope = nursery->scope;
    CTRIO_ASSERT(failure->code < 0);
    CTRIO_ASSERT(!ctrio__list_linked(&node->link));
    node->outcome = *failure;
    *failure = (struct ctrio__outcome){0, NULL};
    ctrio__list_append(&nursery->failures, &node->link);
    if (scope->cancel_called)
        return;
    struct ctrio__reason *reason = NULL;
    if (scope->reason == NULL)
        reason = task->frontend->reason_make(blame, task, &node->outcome);
    if (reason == NULL && blame == CTRIO__MAIN_INTERRUPTED) /* no memory for the words */
        reason = &ctrio__reason_interrupt;
    ctrio__scope_cancel(scope, reason);
}

static void remove_child(struct ctrio__nursery *nursery, struct ctrio_task *task)
{
    CTRIO_ASSERT(nursery->child_count > 0);
    CTRIO_ASSERT(task->nursery == nursery);
    ctrio__list_unlink(&task->nursery_link);
    nursery->child_count--;
}

bool ctrio__nursery_child_finished(struct ctrio__nursery *nursery, struct ctrio_task *task,
                                   struct ctrio__outcome *outcome)
{
    const struct ctrio__frontend *frontend = task->frontend;
    bool kept = false;
    remove_child(nursery, task);
    if (nursery->results_lost) {
        if (outcome->code < 0)
            frontend->outcome_drop(outcome);
        *outcome = (struct ctrio__outcome){0, NULL};
    } else if (outcome->code == CTRIO_CANCELLED && frontend->cancelled_is_bare &&
               nursery->scope->cancel_called) {
        nursery->cancelled_children = true; /* all there is to know */
        *outcome = (struct ctrio__outcome){0, NULL};
    } else if (outcome->code < 0) {
        const struct ctrio__frontend *own = nursery->scope->frontend;
        if (own != frontend)
            own->adopt(frontend, outcome);
        ctrio__nursery_add_failure(nursery, &task->failure, outcome, CTRIO__CHILD_FAILED, task);
        kept = true;
    }
    ctrio__nursery_check_closed(nursery);
    return kept;
}

/* Gives back the nodes once their values have been taken; task_free comes last. */
static void free_failures(struct ctrio__nursery *nursery)
{
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&nursery->failures)) != NULL) {
        struct ctrio__failure *node = ctrio__container(link, struct ctrio__failure, link);
        if (node->task != NULL)
            node->task->frontend->task_free(node->task);
    }
}

static bool only_cancelled(const struct ctrio__nursery *nursery)
{
    const struct ctrio_list *at = nursery->failures.next;
    for (; at != &nursery->failures; at = at->next)
        if (ctrio__container(at, struct ctrio__failure, link)->outcome.code != CTRIO_CANCELLED)
            return false;
    return true;
}

static void drop_failures(struct ctrio__nursery *nursery, const struct ctrio__frontend *frontend)
{
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&nursery->failures)) != NULL) {
        struct ctrio__failure *node = ctrio__container(link, struct ctrio__failure, link);
        struct ctrio_task *task = node->task;
        struct ctrio__outcome outcome = node->outcome;
        node->outcome = (struct ctrio__outcome){0, NULL};
        frontend->outcome_drop(&outcome);
        if (task != NULL)
            task->frontend->task_free(task);
    }
}

/* All failures become one outcome.  No group is built where the scope will swallow them all. */
static void fold(struct ctrio__nursery *nursery, struct ctrio_task *task, struct ctrio__outcome *io)
{
    nursery->results_lost = true; /* from here on there is nowhere to go */
    *io = (struct ctrio__outcome){0, NULL};
    if (ctrio__list_empty(&nursery->failures) && !nursery->cancelled_children)
        return;
    if (task->scope == nursery->scope && ctrio__scope_absorbs(nursery->scope) &&
        only_cancelled(nursery)) {
        nursery->scope->cancelled_caught = true; /* decided before foreign code runs */
        drop_failures(nursery, task->frontend);
        return;
    }
    *io = task->frontend->group(nursery);
    CTRIO_ASSERT(io->code < 0);
    free_failures(nursery);
}

/* A cancellation does not reach the parent here, the children have it already; an interrupt is
 * kept for the group (test_cancelled.py::test_reason_delayed_ki). */
static enum ctrio__abort close_abort(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    struct ctrio__nursery *nursery = task->park_data;
    CTRIO_ASSERT(nursery->parent == task || why->code == 0);
    if (why->code == 0) {
        nursery->parent_waiting = false;
        return CTRIO__ABORT_SUCCEEDED;
    }
    if (why->code == CTRIO_INTERRUPTED) {
        struct ctrio__outcome failure = *why;
        task->run->interrupt_pending = false;
        ctrio__nursery_add_failure(nursery, &nursery->interrupt, &failure, CTRIO__MAIN_INTERRUPTED,
                                   task);
    }
    return CTRIO__ABORT_FAILED;
}

static enum ctrio__step close_begin(struct ctrio__nursery *nursery, struct ctrio_task *task,
                                    struct ctrio__outcome *io)
{
    if (nursery->parent != task && nursery->parent != NULL) {
        task->frontend->misnested(CTRIO__NURSERY_OUT_OF_ORDER, task, nursery->scope, NULL, io);
        return CTRIO__DONE;
    }
    if (io->code < 0)
        ctrio__nursery_add_failure(nursery, &nursery->body, io, CTRIO__BODY_FAILED, task);
    nursery->body_running = false;
    ctrio__nursery_check_closed(nursery);
    if (nursery->closed) {
        ctrio__task_yield(task); /* a schedule point, but no cancel point */
        return CTRIO__PARKED;
    }
    ctrio__task_park(task, close_abort, nursery);
    nursery->parent_waiting = true;
    return CTRIO__PARKED;
}

static enum ctrio__step close_step(struct ctrio__op *op, struct ctrio_task *task,
                                   struct ctrio__outcome *io)
{
    struct ctrio__nursery *nursery = op->object;
    if (op->stage == 0) {
        op->stage = 1;
        return close_begin(nursery, task, io);
    }
    CTRIO_ASSERT(nursery->closed);
    struct ctrio__nursery *innermost = nursery;
    if (nursery->parent != NULL) { /* else: left behind by its task, and closed by another */
        innermost = NULL;
        if (!ctrio__list_empty(&task->nurseries))
            innermost = ctrio__container(task->nurseries.prev, struct ctrio__nursery, sibling);
    }
    if (innermost != nursery) {
        task->frontend->misnested(CTRIO__NURSERY_OUT_OF_ORDER, task, nursery->scope, NULL, io);
    } else {
        fold(nursery, task, io);
        ctrio__scope_close(nursery->scope, task, io);
    }
    if (innermost != NULL)
        ctrio__nursery_unlink(innermost, task->frontend);
    return CTRIO__DONE;
}

static void close_abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio__nursery *nursery = op->object;
    (void)task;
    nursery->parent_waiting = false;
}

const struct ctrio__op_kind ctrio__nursery_close_kind = {
    .verb = "close nursery", .step = close_step, .abandon = close_abandon};

void ctrio__nursery_close_op_init(struct ctrio__nursery_close_op *op,
                                  struct ctrio__nursery *nursery)
{
    ctrio__op_init(&op->op, &ctrio__nursery_close_kind, nursery);
}

void ctrio__nursery_lose_results(struct ctrio__nursery *nursery)
{
    CTRIO_ASSERT(nursery->closed);
    nursery->results_lost = true;
    drop_failures(nursery, nursery->scope->frontend);
}

void ctrio__nursery_forget(struct ctrio__nursery *nursery)
{
    CTRIO_ASSERT(!nursery->parent_waiting);
    CTRIO_ASSERT(nursery->child_count == 0);
    ctrio__list_unlink(&nursery->sibling);
    nursery->closed = true;
    nursery->results_lost = true;
    nursery->parent = NULL;
    drop_failures(nursery, nursery->scope->frontend);
}

/* --- start() ----------------------------------------------------------------------- */

void ctrio__start_op_init(struct ctrio__start_op *op, struct ctrio__nursery *target)
{
    *op = (struct ctrio__start_op){.op = {&ctrio__start_kind, target, 0}};
    ctrio__list_init(&op->moving_scopes);
    ctrio__list_init(&op->moving_tasks);
}

static void detach_contents(struct ctrio__start_op *op)
{
    struct ctrio_cancel_scope *scope = op->old->scope;
    ctrio__list_each (link, &scope->children) {
        struct ctrio_cancel_scope *child = ctrio__scope_from(link, sibling);
        ctrio__list_unlink(&child->sibling);
        child->parent = NULL;
        ctrio__list_append(&op->moving_scopes, &child->sibling);
    }
    ctrio__list_each (task_link, &scope->tasks) {
        struct ctrio_task *task = ctrio__task_from(task_link, scope_link);
        if (task == op->old->parent)
            continue;
        ctrio__list_unlink(&task->scope_link);
        task->scope = NULL;
        ctrio__list_append(&op->moving_tasks, &task->scope_link);
    }
}

/* An abort function called on the way may do anything, cancelling the old nursery included:
 * everything has left the old scope before anything enters the new one. */
static void attach_contents(struct ctrio__start_op *op, struct ctrio_cancel_scope *scope)
{
    while (!ctrio__list_empty(&op->moving_scopes)) {
        struct ctrio_cancel_scope *child = ctrio__scope_from(op->moving_scopes.next, sibling);
        ctrio__scope_set_parent(child, scope);
    }
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&op->moving_tasks)) != NULL)
        ctrio__task_enter_scope(ctrio__task_from(link, scope_link), scope);
}

int ctrio__start_op_started(struct ctrio__start_op *op)
{
    struct ctrio__nursery *target = op->op.object;
    if (op->started)
        return CTRIO_MISUSE;
    op->started = true;
    /* Cancelled: the child will leave by itself; moving it could take a Cancelled on its way to
     * where no scope would catch it. */
    if (!op->entered || op->old->results_lost || op->old->scope->effectively_cancelled)
        return 0;
    if (target->closed) /* pending_starts kept it open, but its task has left it behind */
        return CTRIO_CLOSED_RESOURCE;
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&op->old->children)) != NULL) {
        struct ctrio_task *task = ctrio__task_from(link, nursery_link);
        task->nursery = target;
        task->starting = false;
        op->old->child_count--;
        ctrio__list_append(&target->children, &task->nursery_link);
        target->child_count++;
    }
    struct ctrio_cancel_scope *scope = target->scope;
    detach_contents(op);
    attach_contents(op, scope->state == CTRIO_SCOPE_OPEN ? scope : &target->run->limbo);
    CTRIO_ASSERT(op->old->child_count == 0);
    ctrio__nursery_check_closed(op->old);
    return 1;
}

static enum ctrio__step start_finish(struct ctrio__start_op *op, struct ctrio__outcome *io)
{
    struct ctrio__nursery *target = op->op.object;
    if (io->code == CTRIO_GROUP)
        op->unwrap(op, io);
    if (io->code == 0 && !op->started)
        *io = (struct ctrio__outcome){CTRIO_MISUSE, (void *)(uintptr_t)op->unstarted};
    op->entered = false;
    CTRIO_ASSERT(target->pending_starts > 0);
    target->pending_starts--;
    ctrio__nursery_check_closed(target);
    return CTRIO__DONE;
}

static enum ctrio__step start_step(struct ctrio__op *base, struct ctrio_task *task,
                                   struct ctrio__outcome *io)
{
    struct ctrio__start_op *op = ctrio__container(base, struct ctrio__start_op, op);
    struct ctrio__nursery *target = base->object;
    if (base->stage == 0) {
        base->stage = 1;
        if (target->closed) {
            *io =
                (struct ctrio__outcome){CTRIO_MISUSE, (void *)"Nursery is closed to new arrivals"};
            return CTRIO__DONE;
        }
        target->pending_starts++;
        op->entered = true;
        ctrio__scope_open(op->old_scope, task);
        ctrio__nursery_open(op->old, task, op->old_scope);
        op->old->start_target = target;
        op->spawn(op, task, io);
        if (!ctrio__list_empty(&op->old->children))
            ctrio__task_from(op->old->children.prev, nursery_link)->starting = true;
        ctrio__nursery_close_op_init(&op->close, op->old);
    }
    if (op->close.op.kind->step(&op->close.op, task, io) == CTRIO__PARKED)
        return CTRIO__PARKED;
    return start_finish(op, io);
}

static void start_abandon(struct ctrio__op *base, struct ctrio_task *task)
{
    struct ctrio__start_op *op = ctrio__container(base, struct ctrio__start_op, op);
    struct ctrio__nursery *target = base->object;
    if (!op->entered)
        return;
    close_abandon(&op->close.op, task);
    op->entered = false;
    ctrio__list_each (link, &op->old->children) /* they will not get there any more */
        ctrio__task_from(link, nursery_link)->starting = false;
    target->pending_starts--;
    ctrio__nursery_check_closed(target);
}

const struct ctrio__op_kind ctrio__start_kind = {
    .verb = "start", .step = start_step, .abandon = start_abandon};
