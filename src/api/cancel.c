/* cancel.c - cancel scopes, as the C front end opens and closes them.
 *
 * Invariant: `magic` says that a scope lies where it was opened and is open; zeroed memory and a
 * closed scope do not have it.  A copy has it, but is not where its neighbours' links point. */
#include "api/scope.h"
#include "api/watch.h"

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
    self->u.life.last_scope = scope;
    self->u.life.last_opened_at = scope->opened_at;
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

/* Not inlined, like all who look at their own frame: a user's scopes would lie around it. */
__attribute__((noinline)) static void look_below(const struct ctrio__c_task *self)
{
    ctrio__refuse_dead_frame(self, __builtin_frame_address(0));
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
    if (self->task.scope != scope) /* the kernel will look at the one that is still open */
        look_below(self);
    return 0;
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

static bool is_own_scope(const struct ctrio_cancel_scope *scope, const struct ctrio__c_task *self)
{
    return scope->owner == &self->task && scope->magic == CTRIO__SCOPE_MAGIC;
}

int ctrio__c_scopes_left(struct ctrio__c_task *self, int result, const char *end)
{
    if (ctrio__on_dead_stack(self, self->task.scope, end))
        ctrio__die_of_frame(self);
    while (is_own_scope(self->task.scope, self)) {
        struct ctrio_cancel_scope *scope = self->task.scope;
        struct ctrio__outcome io = {0, NULL};
        ctrio__scope_close(scope, &self->task, &io);
        ctrio__c_scope_ended(scope);
        result = ctrio_fail(CTRIO_MISUSE,
                            "the task ended with the scope open that was opened at "
                            "%s",
                            scope->opened_at);
    }
    return result;
}

/* --- while it is open ------------------------------------------------------------------------ */

static struct ctrio__reason explicit_reason = {.source = CTRIO__BY_EXPLICIT};

void ctrio_cancel_at(struct ctrio_cancel_scope *scope, const char *where)
{
    struct ctrio__c_run *run = ctrio__c_current;
    ctrio__refuse_handlers();
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
