/* cancel.c - cancel scopes, as the C front end opens and closes them.
 *
 * Invariant: `magic` says that a scope lies where it was opened and is open; zeroed memory and a
 * closed scope do not have it.  A copy has it, but is not where its neighbours' links point. */
#include "api/scope.h"

void ctrio__c_scope_init(struct ctrio_cancel_scope *scope, const char *where)
{
    ctrio__scope_init(scope, &ctrio__c_frontend);
    ctrio__list_init(&scope->on_event);
    scope->opened_at = where;
}

/* Outside of a task there is nothing to open it in; the close says so. */
static void open_scope(struct ctrio_cancel_scope *scope, double seconds, const char *where)
{
    struct ctrio__c_task *self = ctrio__self();
    ctrio__c_scope_init(scope, where);
    scope->bad_deadline = isnan(seconds);
    if (self == NULL)
        return;
    if (seconds > 0 && seconds < INFINITY)
        scope->relative_deadline = seconds;
    else if (seconds <= 0)
        scope->deadline = -INFINITY;
    ctrio__c_scope_open(scope, self, CTRIO__SCOPE_MAGIC);
}

void ctrio__c_scope_open(struct ctrio_cancel_scope *scope, struct ctrio__c_task *self,
                         uint32_t magic)
{
    scope->magic = magic;
    scope->owner = &self->task;
    ctrio__scope_open(scope, &self->task);
}

void ctrio_cancel_scope_open_at(struct ctrio_cancel_scope *scope, const char *where)
{
    open_scope(scope, INFINITY, where);
}

void ctrio_move_on_after_at(struct ctrio_cancel_scope *scope, double seconds, const char *where)
{
    open_scope(scope, seconds, where);
}

void ctrio_fail_after_at(struct ctrio_cancel_scope *scope, double seconds, const char *where)
{
    open_scope(scope, seconds, where);
    scope->too_slow = true;
}

void ctrio_shield_for_at(struct ctrio_cancel_scope *scope, double seconds, const char *where)
{
    open_scope(scope, seconds, where);
    if (ctrio__c_scope_is_open(scope))
        ctrio__scope_set_shield(scope, true);
}

/* --- closing --------------------------------------------------------------------------------- */

bool ctrio__c_scope_is_open(const struct ctrio_cancel_scope *scope)
{
    if (scope->magic != CTRIO__SCOPE_MAGIC && scope->magic != CTRIO__NURSERY_SCOPE_MAGIC)
        return false;
    return scope->sibling.next->prev == &scope->sibling;
}

static int refuse_close(const struct ctrio_cancel_scope *scope, const struct ctrio__c_task *self)
{
    if (self == NULL)
        return ctrio__refuse_outside();
    if (scope->magic == CTRIO__NURSERY_SCOPE_MAGIC)
        return ctrio__fail(CTRIO_MISUSE, "a nursery's own scope is closed by the nursery's close");
    if (!ctrio__c_scope_is_open(scope))
        return ctrio__fail(CTRIO_MISUSE, "this scope is not open: never opened, closed already, "
                                         "or copied");
    if (scope->owner != &self->task)
        return ctrio__fail(CTRIO_MISUSE, "a scope is closed by the task that opened it");
    return 0;
}

/* The main task's stack is the thread's, whose end we do not know: near enough will do. */
static bool on_dead_stack(const struct ctrio__fiber *fiber, const void *at)
{
    enum { NEAR = 8 << 20 };
    const char *here = __builtin_frame_address(0), *there = at;
    if (there >= here)
        return false;
    return fiber->low != NULL ? there >= fiber->low : here - there < NEAR;
}

void ctrio__refuse_left_open(const struct ctrio__c_task *self)
{
    const struct ctrio_cancel_scope *scope = self->task.scope;
    if (scope == NULL || scope->owner != &self->task)
        return;
    if (scope->magic != CTRIO__SCOPE_MAGIC && scope->magic != CTRIO__NURSERY_SCOPE_MAGIC)
        return;
    if (on_dead_stack(&self->u.life.fiber, scope))
        ctrio__die("task %s has ended without closing the %s opened at %s",
                   ctrio__task_name(&self->task),
                   scope->magic == CTRIO__SCOPE_MAGIC ? "scope" : "nursery", scope->opened_at);
}

int ctrio__c_scope_ended(struct ctrio_cancel_scope *scope)
{
    struct ctrio__reason *reason = scope->reason;
    ctrio__list_unlink(&scope->on_event);
    scope->magic = 0;
    scope->owner = NULL;
    scope->reason = NULL;
    ctrio__reason_drop(reason);
    if (scope->bad_deadline)
        return ctrio__fail(CTRIO_MISUSE, "a deadline that is not a number");
    return 0;
}

int ctrio_cancel_scope_close(struct ctrio_cancel_scope *scope, int result)
{
    struct ctrio__c_task *self = ctrio__self();
    int refused = refuse_close(scope, self);
    if (refused < 0)
        return refused;
    struct ctrio__outcome io = {result < 0 ? result : 0, NULL};
    ctrio__scope_close(scope, &self->task, &io);
    bool caught = result == CTRIO_CANCELLED && io.code == 0;
    int bad = ctrio__c_scope_ended(scope);
    if (io.code < 0 || bad < 0)
        return io.code == CTRIO_MISUSE || bad == 0 ? io.code : bad;
    if (caught)
        return scope->too_slow ? CTRIO_TOO_SLOW : 0;
    return result;
}

/* --- while it is open ------------------------------------------------------------------------ */

static struct ctrio__reason explicit_reason = {.source = CTRIO__BY_EXPLICIT};

void ctrio_cancel_at(struct ctrio_cancel_scope *scope, const char *where)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (!ctrio__c_scope_is_open(scope) || run == NULL || scope->run != &run->run)
        return;
    if (!scope->cancel_called)
        scope->cancelled_at = where;
    ctrio__scope_cancel(scope, &explicit_reason);
}

void ctrio_cancel_on_event(struct ctrio_cancel_scope *scope, struct ctrio_event *event)
{
    if (!ctrio__c_scope_is_open(scope))
        return;
    ctrio__list_unlink(&scope->on_event);
    if (event->is_set)
        ctrio_cancel_at(scope, "an event that was set");
    else
        ctrio__list_append(&event->scopes, &scope->on_event);
}

void ctrio_cancel_scope_set_shield(struct ctrio_cancel_scope *scope, bool shield)
{
    if (ctrio__c_scope_is_open(scope))
        ctrio__scope_set_shield(scope, shield);
}

void ctrio_cancel_scope_set_deadline(struct ctrio_cancel_scope *scope, double deadline)
{
    if (!ctrio__c_scope_is_open(scope))
        return;
    if (isnan(deadline))
        scope->bad_deadline = true;
    else
        ctrio__scope_set_deadline(scope, deadline);
}

bool ctrio_cancelled_caught(const struct ctrio_cancel_scope *scope)
{
    return scope->cancelled_caught;
}

double ctrio_current_effective_deadline(void)
{
    struct ctrio__c_task *self = ctrio__self();
    return self != NULL ? ctrio__scope_effective_deadline(self->task.scope) : INFINITY;
}
