/* loop.c - when the loop may do less than a full turn.
 *
 * Time is bounded, not the number of steps: user code between two checkpoints may take long.  The
 * budget is counted in the os's cheap ticks; a deadline is exact all the same, because
 * run->deadline_far promises that none is due within a millisecond of the last reading of the
 * clock, twenty times the budget. */
#include "kernel/loop.h"

static const uint64_t poll_budget = 50000; /* ticks: nanoseconds */

static bool shortcuts_allowed(const struct ctrio_run *run)
{
    const uint32_t instruments = ~(uint32_t)CTRIO__HOOK_FINALIZE;
    return run->chooser == NULL && !run->strict && !run->guest && run->clock->is_system &&
           (run->hooks.wanted & instruments) == 0;
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

bool ctrio__may_skip_poll(struct ctrio_run *run)
{
    return run->ready_count != 0 && !run->poll_now && shortcuts_allowed(run) &&
           !ctrio__entry_queue_pending(&run->entries) && polled_recently(run);
}
