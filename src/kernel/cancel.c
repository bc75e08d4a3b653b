/* cancel.c - how a cancellation spreads, and how a scope closes.
 *
 * Invariant: for every open scope, effectively_cancelled == cancel_called, or the parent's unless
 * shielded; whoever changes one of these calls spread().  Spreading walks an intrusive list that
 * lives in the run, never the C stack: a million nested scopes need no recursion, and abort
 * functions, which may run foreign code, can close scopes under our feet.
 *
 * Trio keeps CancelScope and CancelStatus apart so that a status can outlive its scope after
 * misnesting.  Here the run's limbo adopts what a closed scope leaves inside. */
#include "kernel/run.h"

static void fire(struct ctrio_timer *timer)
{
    struct ctrio_cancel_scope *scope = ctrio__scope_from(timer, timer);
    ctrio__scope_cancel(scope, &ctrio__reason_deadline);
}

void ctrio__scope_init(struct ctrio_cancel_scope *scope, const struct ctrio__frontend *frontend)
{
    *scope = (struct ctrio_cancel_scope){.frontend = frontend,
                                         .deadline = INFINITY,
                                         .relative_deadline = INFINITY,
                                         .freed_at = -INFINITY,
                                         .state = CTRIO_SCOPE_UNENTERED};
    ctrio__list_init(&scope->children);
    ctrio__list_init(&scope->sibling);
    ctrio__list_init(&scope->tasks);
    ctrio__list_init(&scope->propagate);
    scope->timer.when = INFINITY;
    scope->timer.fire = fire;
}

static bool parent_visible(const struct ctrio_cancel_scope *scope)
{
    return scope->parent != NULL && !scope->shield && scope->parent->effectively_cancelled;
}

/* Arms, moves or disarms the timer after a change of deadline, state or cancel_called. */
static void update_timer(struct ctrio_cancel_scope *scope, struct ctrio_run *run)
{
    bool wants =
        scope->state == CTRIO_SCOPE_OPEN && !scope->cancel_called && scope->deadline != INFINITY;
    bool armed = ctrio__timer_armed(run, &scope->timer);
    if (!wants && !armed)
        return;
    double before = run->guest ? ctrio__run_next_deadline(run) : 0.0;
    ctrio__timer_disarm(run, &scope->timer);
    if (wants) {
        scope->timer.when = scope->deadline;
        ctrio__timer_arm(run, &scope->timer);
    }
    if (run->guest && ctrio__run_next_deadline(run) != before &&
        (run->hooks.wanted & CTRIO__HOOK_GUEST_TICK) != 0)
        run->hooks.guest_tick(run);
}

/* A round that no task is marked with. */
static uint32_t new_round(struct ctrio_run *run)
{
    if (++run->delivery_round == 0) { /* once in four thousand million: all are marked anew */
        ctrio__list_each (link, &run->tasks)
            ctrio__task_from(link, run_link)->delivery_round = 0;
        run->delivery_round = 1;
    }
    return run->delivery_round;
}

/* Wakes the tasks directly inside.  Each is moved to the end and marked with the round, so that
 * foreign code may move tasks about meanwhile; those that come later were told on entering. */
static void deliver_to_tasks(struct ctrio_run *run, struct ctrio_cancel_scope *scope)
{
    uint32_t round = new_round(run);
    while (!ctrio__list_empty(&scope->tasks)) {
        struct ctrio_task *task = ctrio__task_from(scope->tasks.next, scope_link);
        CTRIO_ASSERT(task->scope == scope);
        if (task->delivery_round == round)
            break;
        task->delivery_round = round;
        ctrio__list_unlink(&task->scope_link);
        ctrio__list_append(&scope->tasks, &task->scope_link);
        ctrio__task_deliver(task);
        if (run->delivering.next != &scope->propagate)
            return; /* closed by foreign code: the memory may be gone */
    }
    ctrio__list_unlink(&scope->propagate);
}

/* An abort function of a task directly inside is being called. */
static bool is_delivering(const struct ctrio_run *run, const struct ctrio_cancel_scope *scope)
{
    const struct ctrio_list *at = run->delivering.next;
    while (at != &run->delivering && at != &scope->propagate)
        at = at->next;
    return at == &scope->propagate;
}

static bool refresh(struct ctrio_run *run, struct ctrio_cancel_scope *scope, double now);

/* Those that are delivering cannot wait their turn: the call that does so goes on by their state.
 * As each has an abort function of its own on the C stack, the recursion is no deeper than that. */
static void push_children(struct ctrio_run *run, struct ctrio_cancel_scope *scope, double now)
{
    ctrio__list_each (link, &scope->children) {
        struct ctrio_cancel_scope *child = ctrio__scope_from(link, sibling);
        if (!ctrio__list_linked(&child->propagate))
            ctrio__list_insert_before(run->todo.next, &child->propagate);
        else if (is_delivering(run, child))
            refresh(run, child, now);
    }
}

/* A deadline that has passed counts when somebody looks, and the loop has not: Trio's order. */
static void notice_deadline(struct ctrio_cancel_scope *scope, double now)
{
    if (scope->cancel_called || now < scope->deadline)
        return;
    if (scope->reason == NULL)
        scope->reason = &ctrio__reason_deadline;
    scope->cancel_called = true;
    update_timer(scope, scope->run);
}

/* Brings the scope's state up to date and its children onto the list.  True: it has changed. */
static bool refresh(struct ctrio_run *run, struct ctrio_cancel_scope *scope, double now)
{
    notice_deadline(scope, now);
    bool visible = parent_visible(scope);
    bool state = scope->cancel_called || visible;
    CTRIO_ASSERT(scope->state == CTRIO_SCOPE_OPEN);
    if (state == scope->effectively_cancelled)
        return false;
    if (scope->reason == NULL && visible)
        scope->reason = ctrio__reason_share(scope->parent->reason);
    scope->effectively_cancelled = state;
    if (!state)
        scope->freed_at = now;
    push_children(run, scope, now);
    return true;
}

static void spread(struct ctrio_run *run, double now)
{
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&run->todo)) != NULL) {
        struct ctrio_cancel_scope *scope = ctrio__scope_from(link, propagate);
        if (!refresh(run, scope, now) || !scope->effectively_cancelled)
            continue;
        ctrio__list_insert_before(run->delivering.next, &scope->propagate);
        deliver_to_tasks(run, scope);
    }
}

/* The time, for notice_deadline(); a scope that has a deadline to pass has a timer. */
static double time_if_needed(struct ctrio_run *run)
{
    return ctrio__timers_count(&run->timers) != 0 ? ctrio__run_time(run) : -INFINITY;
}

static void recalculate(struct ctrio_cancel_scope *scope)
{
    struct ctrio_run *run = scope->run;
    double now = time_if_needed(run); /* before any list changes: a clock may be foreign code */
    if (scope->state != CTRIO_SCOPE_OPEN)
        return;
    if (is_delivering(run, scope)) /* the outer call goes on */
        refresh(run, scope, now);
    else if (!ctrio__list_linked(&scope->propagate))
        ctrio__list_insert_before(run->todo.next, &scope->propagate);
    spread(run, now);
}

static void link_under(struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *parent)
{
    scope->parent = parent;
    ctrio__list_append(parent != NULL ? &parent->children : &scope->run->roots, &scope->sibling);
}

void ctrio__scope_open(struct ctrio_cancel_scope *scope, struct ctrio_task *task)
{
    ctrio__scope_open_at(scope, task, ctrio__scope_limited(scope) ? ctrio__run_time(task->run) : 0);
}

void ctrio__scope_open_at(struct ctrio_cancel_scope *scope, struct ctrio_task *task, double now)
{
    struct ctrio_run *run = task->run;
    CTRIO_ASSERT(scope->state == CTRIO_SCOPE_UNENTERED);
    CTRIO_ASSERT(scope->deadline == INFINITY || scope->relative_deadline == INFINITY);
    if (ctrio__scope_limited(scope)) {
        if (scope->relative_deadline != INFINITY)
            scope->deadline = now + scope->relative_deadline;
        scope->relative_deadline = INFINITY;
        if (now >= scope->deadline && !scope->cancel_called)
            ctrio__scope_cancel(scope, &ctrio__reason_deadline);
    }
    scope->state = CTRIO_SCOPE_OPEN;
    scope->run = run;
    link_under(scope, task->scope);
    if (scope->cancel_called || parent_visible(scope)) {
        if (scope->reason == NULL && parent_visible(scope))
            scope->reason = ctrio__reason_share(scope->parent->reason);
        scope->effectively_cancelled = true;
    }
    ctrio__task_enter_scope(task, scope);
    update_timer(scope, run);
}

void ctrio__scope_cancel(struct ctrio_cancel_scope *scope, struct ctrio__reason *reason)
{
    if (scope->cancel_called) {
        ctrio__reason_drop(reason);
        return;
    }
    if (scope->reason == NULL)
        scope->reason = reason;
    else
        ctrio__reason_drop(reason);
    scope->cancel_called = true;
    if (scope->state != CTRIO_SCOPE_OPEN)
        return;
    update_timer(scope, scope->run);
    recalculate(scope);
}

bool ctrio__scope_cancel_called(struct ctrio_cancel_scope *scope, double now)
{
    if (scope->state != CTRIO_SCOPE_CLOSED && !scope->cancel_called && now >= scope->deadline)
        ctrio__scope_cancel(scope, &ctrio__reason_deadline);
    return scope->cancel_called;
}

void ctrio__scope_set_deadline(struct ctrio_cancel_scope *scope, double deadline)
{
    CTRIO_ASSERT(deadline == deadline);
    scope->deadline = deadline;
    if (scope->state == CTRIO_SCOPE_OPEN)
        update_timer(scope, scope->run);
}

void ctrio__scope_set_shield(struct ctrio_cancel_scope *scope, bool shield)
{
    scope->shield = shield;
    if (scope->state == CTRIO_SCOPE_OPEN)
        recalculate(scope);
}

double ctrio__scope_effective_deadline(const struct ctrio_cancel_scope *scope)
{
    double least = INFINITY;
    for (; scope != NULL; scope = scope->parent) {
        if (scope->effectively_cancelled)
            return -INFINITY;
        if (scope->deadline < least)
            least = scope->deadline;
        if (scope->shield)
            break;
    }
    return least;
}

void ctrio__scope_set_parent(struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *parent)
{
    CTRIO_ASSERT(scope->state == CTRIO_SCOPE_OPEN);
    CTRIO_ASSERT(parent != scope);
    ctrio__list_unlink(&scope->sibling);
    link_under(scope, parent);
    if (parent != NULL)
        recalculate(scope);
}

/* Marks everything below `top` (not top itself), in preorder by the links. */
static void mark_abandoned(struct ctrio_cancel_scope *top)
{
    struct ctrio_cancel_scope *at = top;
    for (;;) {
        if (!ctrio__list_empty(&at->children)) {
            at = ctrio__scope_from(at->children.next, sibling);
        } else {
            while (at != top && at->sibling.next == &at->parent->children)
                at = at->parent;
            if (at == top)
                return;
            at = ctrio__scope_from(at->sibling.next, sibling);
        }
        at->abandoned = true;
    }
}

/* Closed while scopes or tasks are still inside: limbo, which is always cancelled, adopts them. */
static void abandon_contents(struct ctrio_cancel_scope *scope, struct ctrio_run *run)
{
    struct ctrio_cancel_scope *limbo = &run->limbo;
    mark_abandoned(scope);
    ctrio__reason_drop(limbo->reason);
    limbo->reason = ctrio__reason_share(scope->reason);
    struct ctrio_list *link;
    while (!ctrio__list_empty(&scope->children)) {
        struct ctrio_cancel_scope *child = ctrio__scope_from(scope->children.next, sibling);
        ctrio__list_unlink(&child->sibling);
        link_under(child, limbo);
        if (!ctrio__list_linked(&child->propagate))
            ctrio__list_insert_before(run->todo.next, &child->propagate);
    }
    while ((link = scope->tasks.next) != &scope->tasks)
        ctrio__task_enter_scope(ctrio__task_from(link, scope_link), limbo);
    spread(run, -INFINITY);
}

static void unlink_open(struct ctrio_cancel_scope *scope)
{
    struct ctrio_run *run = scope->run;
    ctrio__list_unlink(&scope->sibling);
    ctrio__list_unlink(&scope->propagate);
    scope->parent = NULL;
    scope->state = CTRIO_SCOPE_CLOSED;
    scope->run = NULL;
    update_timer(scope, run);
    if (!ctrio__list_empty(&scope->children) || !ctrio__list_empty(&scope->tasks))
        abandon_contents(scope, run);
}

static bool encloses(const struct ctrio_cancel_scope *scope, const struct ctrio_cancel_scope *other)
{
    while (other != NULL && other != scope)
        other = other->parent;
    return other == scope;
}

/* Leaves the scope, which may not be the innermost one.  False: nothing may be closed. */
static bool leave(struct ctrio_cancel_scope *scope, struct ctrio_task *task,
                  struct ctrio__outcome *io)
{
    if (task->scope == scope) {
        ctrio__task_enter_scope(task, scope->parent);
        return true;
    }
    if (scope->abandoned) /* whoever closed the outer one has raised the error already */
        return true;
    if (!encloses(scope, task->scope)) {
        task->frontend->misnested(CTRIO__SCOPE_OF_UNRELATED_TASK, task, scope, NULL, io);
        return false;
    }
    task->frontend->misnested(CTRIO__SCOPE_WITHIN_CHILD, task, scope, task->scope, io);
    if (scope->state != CTRIO_SCOPE_OPEN)
        return false;
    ctrio__task_enter_scope(task, scope->parent);
    return true;
}

bool ctrio__scope_absorbs(const struct ctrio_cancel_scope *scope)
{
    return scope->abandoned || (scope->effectively_cancelled && !parent_visible(scope));
}

void ctrio__scope_close(struct ctrio_cancel_scope *scope, struct ctrio_task *task,
                        struct ctrio__outcome *io)
{
    if (scope->state != CTRIO_SCOPE_OPEN) {
        task->frontend->misnested(CTRIO__SCOPE_EXITED_TWICE, task, scope, NULL, io);
        return;
    }
    if (!leave(scope, task, io))
        return;
    if (io->code < 0 && ctrio__scope_absorbs(scope)) {
        if (io->code == CTRIO_CANCELLED) {
            struct ctrio__outcome dropped = *io;
            scope->cancelled_caught = true;
            *io = (struct ctrio__outcome){0, NULL};
            task->frontend->outcome_drop(&dropped);
        } else if (io->code == CTRIO_GROUP && task->frontend->strip_cancelled(scope, io)) {
            scope->cancelled_caught = true;
        }
    }
    if (scope->state == CTRIO_SCOPE_OPEN) /* unless the code just run has closed it */
        unlink_open(scope);
}

void ctrio__scope_forget(struct ctrio_cancel_scope *scope)
{
    if (scope->state == CTRIO_SCOPE_OPEN)
        unlink_open(scope);
    struct ctrio__reason *reason = scope->reason;
    scope->reason = NULL;
    ctrio__reason_drop(reason);
}
