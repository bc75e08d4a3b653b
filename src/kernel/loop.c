/* loop.c - when the loop may do less than a full turn.
 *
 * Time is bounded, not the number of steps: user code between two checkpoints may take long.  The
 * budget is counted in the os's cheap ticks; a deadline is exact all the same, because
 * run->deadline_far promises that none is due within a millisecond of the last reading of the
 * clock, twenty times the budget. */
#include "kernel/loop.h"

static const uint64_t poll_budget = 50000; /* ticks: nanoseconds */
static const uint64_t longest_unyielded = 20000;
static const uint32_t most_unyielded = 100;

static bool has_instruments(const struct ctrio_run *run)
{
    return (run->hooks.wanted & ~(run->hooks.silent | CTRIO__HOOK_FINALIZE)) != 0;
}

static bool shortcuts_allowed(const struct ctrio_run *run)
{
    return run->chooser == NULL && !run->strict && !run->guest && run->clock->is_system &&
           !has_instruments(run);
}

static bool polled_recently(struct ctrio_run *run)
{
    return run->now(run->os, CTRIO__TICKS) - run->last_poll < poll_budget;
}

bool ctrio__may_continue(struct ctrio_run *run, struct ctrio_task *task)
{
    if (run->ready_count + run->batch_count != 0 || run->poll_now || !run->deadline_far ||
        !task->may_continue)
        return false;
    if (!shortcuts_allowed(run) || ctrio__task_cancel_pending(task) ||
        ctrio__entry_queue_pending(&run->entries) || !polled_recently(run))
        return false;
    CTRIO_ASSERT(run->current == task);
    task->schedule_points++;
    return true;
}

/* Counted from the first operation of the step that completed at once.  The ticks cost as much as
 * an operation: while these come fast, only the first, second, fourth, eighth and so on looks. */
static bool within_bounds(struct ctrio_run *run)
{
    static const uint64_t fast = 1000; /* ticks between two looks */
    if (++run->unyielded > most_unyielded)
        return false;
    if (run->unyielded < run->look_again_at)
        return true;
    uint64_t now = run->now(run->os, CTRIO__TICKS);
    if (run->unyielded == 1) {
        run->unyielded_since = now;
        run->looked = now;
    }
    run->look_again_at = run->unyielded + (now - run->looked < fast ? run->unyielded : 1);
    run->looked = now;
    return now - run->unyielded_since < longest_unyielded;
}

bool ctrio__may_go_on(struct ctrio_run *run, struct ctrio_task *task)
{
    CTRIO_ASSERT(run->current == task);
    if (run->bounded && run->chooser == NULL && !has_instruments(run) &&
        !ctrio__entry_queue_pending(&run->entries) && within_bounds(run))
        return true;
    return ctrio__may_continue(run, task);
}

bool ctrio__may_skip_poll(struct ctrio_run *run)
{
    return run->ready_count != 0 && !run->poll_now && shortcuts_allowed(run) &&
           !ctrio__entry_queue_pending(&run->entries) && polled_recently(run);
}
