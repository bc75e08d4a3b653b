/* step.c - tasks without stacks: a function that is called again whenever what it waited for is
 * there.
 *
 * Such a task costs its struct and nothing else.  Invariant: a step that answers CTRIO_STEP_WAITS
 * has asked for exactly one wait; one that has not is not waited for but run again. */
#include "api/step.h"
#include "api/nursery.h"
#include "api/watch.h"
#include "base/alloc.h"
#include "kernel/parking_lot.h"

struct step_task {
    struct ctrio_task task;
    ctrio_step_fn *fn;
    void *arg;
};

static struct step_task *step_of(const struct ctrio_task *task)
{
    return ctrio__container(task, struct step_task, task);
}

const char *ctrio__step_name(const struct ctrio_task *task)
{
    (void)task;
    return "a step task";
}

int ctrio_start_step(struct ctrio_nursery *nursery, ctrio_step_fn *fn, void *arg)
{
    int refused = ctrio__refuse_spawn(nursery, "a step task");
    if (refused < 0)
        return refused;
    struct step_task *self = ctrio__alloc(sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    ctrio__task_init(&self->task, &ctrio__step_frontend);
    self->fn = fn;
    self->arg = arg;
    int result = ctrio__task_spawn(nursery->core.run, &self->task, &nursery->core);
    if (result < 0)
        ctrio__free(self);
    return result;
}

enum ctrio__step ctrio__step_resume(struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct step_task *self = step_of(task);
    int woken = io->code;
    if (woken == CTRIO_CANCELLED)
        ctrio__reason_drop(io->value);
    *io = (struct ctrio__outcome){0, NULL};
    struct ctrio__c_run *run = ctrio__c_run_of(task);
    ctrio__set_inside(run, false);
    int result = self->fn(task, self->arg, woken);
    ctrio__set_inside(run, true);
    if (result == CTRIO_STEP_WAITS) {
        if (task->trap == CTRIO__TRAP_NONE) /* it has asked for nothing: its turn comes again */
            ctrio__task_yield(task);
        return CTRIO__PARKED;
    }
    ctrio__task_withdraw(task);
    if (result == CTRIO_CANCELLED && !ctrio__task_cancel_pending(task))
        result = ctrio__fail(CTRIO_MISUSE, "the step returned CTRIO_CANCELLED, but nobody has "
                                           "cancelled its task");
    if (result < 0)
        *io = (struct ctrio__outcome){result, NULL};
    if (result < 0 && result != CTRIO_CANCELLED) /* steps have no stories of their own */
        io->value = ctrio__stories_take(ctrio__stories(), result);
    return CTRIO__DONE;
}

void ctrio__step_free(struct ctrio_task *task)
{
    ctrio__free(step_of(task));
}

/* --- what a step may wait for ---------------------------------------------------------------- */

static int refuse_step(const struct ctrio_task *task)
{
    const struct ctrio__c_run *run = ctrio__c_current;
    if (run != NULL && run->run.current == task && task->frontend == &ctrio__step_frontend)
        return 0;
    return ctrio__fail(CTRIO_MISUSE, "only a step task may ask for this, and for itself, within "
                                     "its step");
}

int ctrio_step_yield(struct ctrio_task *task)
{
    int refused = refuse_step(task);
    if (refused < 0)
        return refused;
    ctrio__task_yield(task);
    return CTRIO_STEP_WAITS;
}

int ctrio_step_park(struct ctrio_task *task, struct ctrio_parking_lot *lot)
{
    int refused = refuse_step(task);
    if (refused == 0)
        refused = ctrio__refuse_lot(lot);
    if (refused < 0)
        return refused;
    ctrio__lot_park(lot, task);
    return CTRIO_STEP_WAITS;
}

static void fire(struct ctrio_timer *timer)
{
    struct ctrio_step_timer *own = ctrio__container(timer, struct ctrio_step_timer, timer);
    ctrio__task_wake(own->task, 0, NULL);
}

static enum ctrio__abort stop_timer(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    struct ctrio_step_timer *own = task->park_data;
    (void)why;
    ctrio__timer_disarm(task->run, &own->timer);
    return CTRIO__ABORT_SUCCEEDED;
}

int ctrio_step_sleep_until(struct ctrio_task *task, struct ctrio_step_timer *timer, double deadline)
{
    int refused = refuse_step(task);
    if (refused < 0)
        return refused;
    if (isnan(deadline))
        return ctrio__fail(-EINVAL, "a deadline that is not a number");
    if (deadline == INFINITY) {
        ctrio__task_park(task, ctrio__abort_simply, NULL);
        return CTRIO_STEP_WAITS;
    }
    *timer = (struct ctrio_step_timer){.task = task};
    timer->timer.when = deadline;
    timer->timer.fire = fire;
    ctrio__task_park(task, stop_timer, timer);
    ctrio__timer_arm(task->run, &timer->timer);
    return CTRIO_STEP_WAITS;
}
