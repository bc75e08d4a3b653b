/* watch.c - slow steps, signal handlers, forks.
 *
 * A fork copies the run and shares its epoll set with the parent: one close in the child would undo
 * a registration of the parent's.  So in the child there is no run any more, and whoever still
 * tries to enter or to leave for the loop ends it.  The child may exec. */
#include "api/watch.h"
#include "api/scope.h"
#include "os/fork.h"
#include "os/os.h"

/* --- slow steps ------------------------------------------------------------------------------ */

static void watch_step(struct ctrio_run *base, enum ctrio__hook which, struct ctrio_task *task)
{
    struct ctrio__c_run *run = ctrio__container(base, struct ctrio__c_run, run);
    uint64_t now = run->os->now(run->os, CTRIO__TICKS);
    if (which == CTRIO__HOOK_BEFORE_TASK_STEP) {
        run->step_began = now;
        return;
    }
    double seconds = (double)(now - run->step_began) * 1e-9;
    if (now > run->step_began && seconds > run->slow_step)
        ctrio__log(run, CTRIO_LOG_WARNING, "task %s has kept the thread for %.3f s",
                   ctrio__task_name(task), seconds);
}

void ctrio__watch_steps(struct ctrio__c_run *run)
{
    if (!(run->slow_step < INFINITY))
        return;
    run->run.hooks.wanted = CTRIO__HOOK_BEFORE_TASK_STEP | CTRIO__HOOK_AFTER_TASK_STEP;
    run->run.hooks.silent = run->run.hooks.wanted; /* debug builds keep the cadence */
    run->run.hooks.task_event = watch_step;
}

/* --- frames that have returned --------------------------------------------------------------- */

/* Of others than the last that was opened, the place is lost with the frame. */
void ctrio__die_of_frame(const struct ctrio__c_task *self)
{
    bool known = self->u.life.last_scope == self->task.scope;
    ctrio__die("task %s has left a block without closing the scope or nursery opened at %s",
               ctrio__task_name(&self->task),
               known ? self->u.life.last_opened_at : "a place since lost");
}

bool ctrio__on_dead_stack(const struct ctrio__c_task *self, const void *scope, const char *here)
{
    enum { BELOW_ON_THREAD = 32768 }; /* where its stack ends is not known, but later than that */
    const struct ctrio__fiber *fiber = &self->u.life.fiber;
    const char *at = scope;
    if (at >= here)
        return false;
    return fiber->low != NULL ? at >= fiber->low : here - at <= BELOW_ON_THREAD;
}

/* What is dead may be red to the sanitizer. */
__attribute__((no_sanitize_address)) static bool has_magic(const struct ctrio_cancel_scope *scope)
{
    return scope->magic == CTRIO__SCOPE_MAGIC || scope->magic == CTRIO__NURSERY_SCOPE_MAGIC;
}

__attribute__((no_sanitize_address)) void ctrio__look_at_frame(const struct ctrio__c_task *self,
                                                               const char *here)
{
    const struct ctrio_cancel_scope *scope = self->task.scope;
    bool overwritten = (const char *)scope >= here &&
                       (!has_magic(scope) || !ctrio__fiber_holds(scope, sizeof *scope));
    if (overwritten || ctrio__on_dead_stack(self, scope, here))
        ctrio__die_of_frame(self);
}

/* --- signal handlers ------------------------------------------------------------------------- */

#ifndef NDEBUG
void ctrio__refuse_handlers(void)
{
    const struct ctrio__c_run *run = ctrio__c_current;
    if (run != NULL && run->inside)
        ctrio__die("called while the library itself runs: from a signal handler?  "
                   "ctrio_token_run_soon() is for other threads, and no handler may call it");
}
#endif

/* --- objects that are not where they were, or another thread's ---------------------------------
 */

/* An object belongs to the run of those who wait for it. */
bool ctrio__lot_is_anothers(const struct ctrio_parking_lot *lot)
{
    const struct ctrio__c_run *run = ctrio__c_current;
    if (run == NULL || ctrio__list_empty(&lot->parked))
        return false;
    return ctrio__task_from(lot->parked.next, lot_link)->run != &run->run;
}

int ctrio__lot_misuse(const struct ctrio_parking_lot *lot)
{
    if (!ctrio__lot_in_place(lot))
        return ctrio__fail(CTRIO_MISUSE, "this was never initialised, or it is a copy");
    return ctrio__fail(CTRIO_MISUSE, "tasks of another run wait for this: an event, a lock and "
                                     "their like belong to one run");
}

/* --- forks ----------------------------------------------------------------------------------- */

static _Thread_local bool forked;

bool ctrio__forked(void)
{
    return forked;
}

static void refuse_loop(void *arg)
{
    struct ctrio__c_run *run = arg;
    ctrio__fiber_entered(&run->loop);
    ctrio__die_outside();
}

/* In the child.  A task that suspends or ends finds this loop instead of the run's, which begins
 * anew on its own stack: unless the fork came from there, and then the loop stops by itself. */
static void after_fork(void)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (run == NULL)
        return;
    forked = true;
    ctrio__c_current = NULL;
    ctrio__run_fail(&run->run, CTRIO_MISUSE); /* nobody is picked any more */
    const struct ctrio_task *task = run->run.current;
    if (task != NULL && ctrio__stackful(task))
        ctrio__fiber_init(&run->loop, (char *)(uintptr_t)run->loop.low, run->loop.size, refuse_loop,
                          run);
}

void ctrio__watch_forks(void)
{
    ctrio__on_fork(after_fork); /* without memory for it: nobody is warned */
}
