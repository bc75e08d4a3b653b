/* task.c - spawning, parking, waking, exiting.
 *
 * Invariant: a task is woken exactly once a park, by whoever takes it out of where it waits; an
 * abort function is asked at most once a park.  The run queue has room for every living task, so
 * waking cannot fail. */
#include "base/alloc.h"
#include "base/inline.h"
#include "kernel/parking_lot.h"
#include "kernel/run.h"

static bool wanted(const struct ctrio_run *run, enum ctrio__hook hook)
{
    return (run->hooks.wanted & (uint32_t)hook) != 0;
}

/* Member by member: compilers clear 256 bytes by an instruction that takes longer than the rest of
 * a spawn. */
void ctrio__task_init(struct ctrio_task *task, const struct ctrio__frontend *frontend)
{
    task->frontend = frontend;
    task->run = NULL;
    task->nursery = NULL;
    task->scope = NULL;
    ctrio__list_init(&task->scope_link);
    ctrio__list_init(&task->nursery_link);
    ctrio__list_init(&task->lot_link);
    ctrio__list_init(&task->run_link);
    task->lot = NULL;
    ctrio__list_init(&task->nurseries);
    ctrio__list_init(&task->breakers);
    task->wake.code = 0;
    task->wake.value = NULL;
    task->abort_fn = NULL;
    task->park_data = NULL;
    task->serial = 0;
    task->delivery_round = 0;
    task->cancel_points = 0;
    task->schedule_points = 0;
    task->state = CTRIO__TASK_NEW;
    task->trap = CTRIO__TRAP_NONE;
    task->system = false;
    task->starting = false;
    task->may_continue = false;
}

CTRIO__INLINED void enqueue(struct ctrio_task *task, struct ctrio__outcome wake)
{
    struct ctrio_run *run = task->run;
    if (run->closed) { /* what is left of it wakes nobody */
        ctrio__wake_drop(task->frontend, &wake);
        return;
    }
    CTRIO_ASSERT(run->ready_count < run->ready_capacity);
    CTRIO_ASSERT(run->ready_count + run->batch_count < run->tasks_living + 1);
    task->state = CTRIO__TASK_RUNNABLE;
    task->wake.code = wake.code; /* by members: see ctrio__task_take_wake */
    task->wake.value = wake.value;
    if (run->guest && run->ready_count == 0 && wanted(run, CTRIO__HOOK_GUEST_TICK))
        run->hooks.guest_tick(run);
    run->ready[run->ready_count++] = task;
    if (wanted(run, CTRIO__HOOK_TASK_SCHEDULED))
        run->hooks.task_event(run, CTRIO__HOOK_TASK_SCHEDULED, task);
}

static int make_room(struct ctrio_run *run)
{
    size_t need = run->tasks_living + 1;
    int result =
        ctrio__reserve((void **)&run->ready, &run->ready_capacity, need, sizeof *run->ready);
    if (result == 0)
        result =
            ctrio__reserve((void **)&run->batch, &run->batch_capacity, need, sizeof *run->batch);
    return result;
}

int ctrio__task_spawn(struct ctrio_run *run, struct ctrio_task *task,
                      struct ctrio__nursery *nursery)
{
    CTRIO_ASSERT(task->state == CTRIO__TASK_NEW);
    CTRIO_ASSERT(nursery == NULL || nursery->run == run);
    if (run->closed || (nursery != NULL && nursery->closed))
        return CTRIO_CLOSED_RESOURCE;
    int result = make_room(run);
    if (result < 0)
        return result;
    task->run = run;
    task->nursery = nursery;
    task->serial = ++run->task_serial;
    run->tasks_living++;
    ctrio__list_append(&run->tasks, &task->run_link);
    if (nursery != NULL) {
        struct ctrio_cancel_scope *scope = nursery->scope;
        ctrio__list_append(&nursery->children, &task->nursery_link);
        nursery->child_count++;
        ctrio__task_enter_scope(task, scope->state == CTRIO_SCOPE_OPEN ? scope : &run->limbo);
    }
    if (wanted(run, CTRIO__HOOK_TASK_SPAWNED))
        run->hooks.task_event(run, CTRIO__HOOK_TASK_SPAWNED, task);
    enqueue(task, (struct ctrio__outcome){0, NULL});
    return 0;
}

/* Off the run queue again: it was woken while it still ran (by hand-driven code). */
static void unqueue(struct ctrio_run *run, struct ctrio_task *task)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->ready_count; i++)
        if (run->ready[i] != task)
            run->ready[kept++] = run->ready[i];
    CTRIO_ASSERT(kept == run->ready_count - 1);
    run->ready_count = kept;
    task->state = CTRIO__TASK_RUNNING;
    ctrio__wake_drop(task->frontend, &task->wake);
}

void ctrio__task_withdraw(struct ctrio_task *task)
{
    static const struct ctrio__outcome withdrawn = {0, NULL};
    if (task->trap != CTRIO__TRAP_PARK)
        return;
    ctrio__abort_fn *abort_fn = task->abort_fn;
    task->trap = CTRIO__TRAP_NONE;
    task->abort_fn = NULL;
    if (task->state == CTRIO__TASK_RUNNABLE)
        unqueue(task->run, task);
    else if (abort_fn != NULL)
        abort_fn(task, &withdrawn);
    CTRIO_ASSERT(!ctrio__list_linked(&task->lot_link));
}

void ctrio__task_park(struct ctrio_task *task, ctrio__abort_fn *abort_fn, void *park_data)
{
    CTRIO_ASSERT(task->run->current == task);
    if (task->trap != CTRIO__TRAP_NONE)
        ctrio__task_withdraw(task);
    task->trap = CTRIO__TRAP_PARK;
    task->abort_fn = abort_fn;
    task->park_data = park_data;
}

void ctrio__task_yield(struct ctrio_task *task)
{
    CTRIO_ASSERT(task->run->current == task);
    if (task->trap != CTRIO__TRAP_NONE)
        ctrio__task_withdraw(task);
    task->trap = CTRIO__TRAP_YIELD;
}

void ctrio__task_settle(struct ctrio_task *task)
{
    struct ctrio_run *run = task->run;
    CTRIO_ASSERT(task->trap != CTRIO__TRAP_NONE || task->state != CTRIO__TASK_RUNNING);
    uint8_t trap = task->trap;
    task->trap = CTRIO__TRAP_NONE;
    task->schedule_points++;
    if (trap == CTRIO__TRAP_YIELD) {
        enqueue(task, (struct ctrio__outcome){0, NULL});
        return;
    }
    task->cancel_points++;
    if (task->state != CTRIO__TASK_RUNNING)
        return; /* woken before it had gone to sleep */
    task->state = CTRIO__TASK_PARKED;
    if (run->interrupt_pending && task == run->main_task)
        ctrio__task_deliver_interrupt(task);
    ctrio__task_deliver(task);
}

void ctrio__task_reschedule(struct ctrio_task *task, struct ctrio__outcome wake)
{
    if (!ctrio__task_waits(task)) { /* somebody has driven one of our coroutines by hand */
        ctrio__wake_drop(task->frontend, &wake);
        ctrio__run_fail(task->run, CTRIO_MISUSE);
        return;
    }
    CTRIO_ASSERT(!ctrio__list_linked(&task->lot_link));
    task->abort_fn = NULL;
    task->park_data = NULL;
    enqueue(task, wake);
}

void ctrio__wake_drop(const struct ctrio__frontend *frontend, struct ctrio__outcome *wake)
{
    struct ctrio__outcome dropped = {wake->code, wake->value}; /* by members, as above */
    wake->code = 0;
    wake->value = NULL;
    if (dropped.code == CTRIO_CANCELLED)
        ctrio__reason_drop(dropped.value);
    else if (dropped.value != NULL && dropped.code != CTRIO_MISUSE)
        frontend->outcome_drop(&dropped);
}

enum ctrio__abort ctrio__abort_simply(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    (void)task;
    (void)why;
    return CTRIO__ABORT_SUCCEEDED;
}

bool ctrio__task_cancel_pending(const struct ctrio_task *task)
{
    if (task->scope != NULL && task->scope->effectively_cancelled)
        return true;
    return task->run->interrupt_pending && task == task->run->main_task;
}

/* Asks the abort function, once a park.  True: the task has been woken with `why`. */
static bool attempt_abort(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    ctrio__abort_fn *abort_fn = task->abort_fn;
    CTRIO_ASSERT(task->state == CTRIO__TASK_PARKED);
    task->abort_fn = NULL;
    if (abort_fn(task, why) != CTRIO__ABORT_SUCCEEDED)
        return false;
    ctrio__task_reschedule(task, *why);
    return true;
}

void ctrio__task_deliver(struct ctrio_task *task)
{
    if (task->state != CTRIO__TASK_PARKED || task->abort_fn == NULL)
        return;
    if (task->scope == NULL || !task->scope->effectively_cancelled)
        return;
    struct ctrio__reason *reason = ctrio__reason_share(task->scope->reason);
    if (reason == NULL)
        reason = &ctrio__reason_misnesting;
    struct ctrio__outcome why = {CTRIO_CANCELLED, reason};
    if (!attempt_abort(task, &why))
        ctrio__reason_drop(reason);
}

void ctrio__task_deliver_interrupt(struct ctrio_task *task)
{
    struct ctrio_run *run = task->run;
    CTRIO_ASSERT(run->interrupt_pending);
    if (task->state != CTRIO__TASK_PARKED || task->abort_fn == NULL)
        return;
    struct ctrio__outcome why = {CTRIO_INTERRUPTED, NULL};
    if (attempt_abort(task, &why))
        run->interrupt_pending = false;
}

void ctrio__task_enter_scope(struct ctrio_task *task, struct ctrio_cancel_scope *scope)
{
    CTRIO_ASSERT(task->scope == NULL || ctrio__list_linked(&task->scope_link));
    ctrio__list_unlink(&task->scope_link);
    task->scope = scope;
    if (scope == NULL)
        return;
    ctrio__list_append(&scope->tasks, &task->scope_link);
    if (scope->effectively_cancelled)
        ctrio__task_deliver(task);
}

/* Nurseries the exiting task has left open: cancelled, and closed for good. */
static bool abandon_nurseries(struct ctrio_task *task)
{
    bool any = false;
    while (!ctrio__list_empty(&task->nurseries)) {
        struct ctrio__nursery *nursery =
            ctrio__container(task->nurseries.next, struct ctrio__nursery, sibling);
        nursery->closed = true;
        nursery->parent = NULL;
        nursery->parent_waiting = false; /* it closes it by hand, perhaps, and has not finished */
        any = true;
        struct ctrio__reason *reason =
            task->frontend->reason_make(CTRIO__PARENT_EXITED, task, NULL);
        ctrio__scope_cancel(nursery->scope, reason);
        ctrio__nursery_unlink(nursery, task->frontend);
    }
    return any;
}

static void deliver_final(struct ctrio_task *task, struct ctrio__outcome *final)
{
    struct ctrio_run *run = task->run;
    bool kept = false;
    CTRIO_ASSERT(run->finished == NULL);
    if (task == run->init_task) {
        if (final->code < 0) {
            run->fatal = *final;
            ctrio__run_fail(run, final->code);
            *final = (struct ctrio__outcome){0, NULL};
            run->finished = task; /* and no instrument hears of it */
            return;
        } else if (run->tasks_living != 0) { /* of a nursery that its task has left behind */
            ctrio__run_fail(run, CTRIO_MISUSE);
        }
    } else {
        if (task == run->main_task) {
            run->main_outcome = *final;
            run->main_exited = true;
            *final = (struct ctrio__outcome){0, NULL};
        }
        kept = ctrio__nursery_child_finished(task->nursery, task, final);
    }
    if (wanted(run, CTRIO__HOOK_TASK_EXITED))
        run->hooks.task_event(run, CTRIO__HOOK_TASK_EXITED, task);
    if (final->code >= 0 && final->value != NULL)
        task->frontend->outcome_drop(final);
    if (!kept)
        run->finished = task;
}

CTRIO__OUTLINED void ctrio__task_exit(struct ctrio_task *task, struct ctrio__outcome *final)
{
    struct ctrio_run *run = task->run;
    CTRIO_ASSERT(task->state == CTRIO__TASK_RUNNING || task->state == CTRIO__TASK_RUNNABLE);
    ctrio__task_withdraw(task);
    CTRIO_ASSERT(task->wake.value == NULL && !ctrio__list_linked(&task->lot_link));
    task->state = CTRIO__TASK_EXITED;
    task->failure.outcome = (struct ctrio__outcome){0, NULL};
    task->failure.task = task;
    ctrio__list_init(&task->failure.link);
    bool abandoned = abandon_nurseries(task);
    ctrio__lot_break_all(task);
    if (abandoned)
        task->frontend->misnested(CTRIO__NURSERY_CLOSED_BEFORE_TASK, task, NULL, NULL, final);
    else if (task->scope != NULL && task->scope->abandoned && task->scope->parent == NULL)
        task->frontend->misnested(CTRIO__SCOPE_CLOSED_BEFORE_TASK, task, NULL, NULL, final);
    ctrio__task_enter_scope(task, NULL);
    ctrio__list_unlink(&task->run_link);
    run->tasks_living--;
    deliver_final(task, final);
}
