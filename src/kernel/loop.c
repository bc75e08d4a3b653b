/* loop.c - when the loop may do less than a full turn.
 *
 * Time is bounded, not the number of steps: user code between two checkpoints may take long.  The
 * budget is counted in the os's cheap ticks; a deadline is exact all the same, because
 * run->deadline_far promises that none is due within twenty budgets of the last reading of the
 * clock. */
#include "kernel/loop.h"

static const uint64_t longest_unyielded = 20000;
static const uint32_t most_unyielded = 100;

static bool shortcuts_allowed(const struct ctrio_run *run)
{
    return run->chooser == NULL && !run->strict && !run->guest && run->clock->is_system &&
           !ctrio__hooks_watched(&run->hooks);
}

static bool polled_recently(struct ctrio_run *run)
{
    return run->now(run->os, CTRIO__TICKS) - run->last_poll < run->poll_budget;
}

bool ctrio__may_continue_alone(struct ctrio_run *run, struct ctrio_task *task)
{
    if (run->poll_now || !run->deadline_far || !task->may_continue)
        return false;
    if (!shortcuts_allowed(run) || ctrio__task_cancel_pending(task) ||
        ctrio__entry_queue_pending(&run->entries) || !polled_recently(run))
        return false;
    CTRIO_ASSERT(run->current == task);
    task->schedule_points++;
    return true;
}

/* Reading the ticks costs as much as an operation, and as half a turn of two tasks.  While what is
 * counted comes fast only the first, second, fourth, eighth looks, and from then on each sixteenth.
 * What turns slow is noticed after as many again as were fast, sixteen at most. */
static inline bool to_be_looked_at(struct ctrio__pace *pace)
{
    return ++pace->count >= pace->next;
}

static void looked_at(struct ctrio__pace *pace, uint64_t now, uint64_t fast)
{
    enum { MOST = 16 };
    uint32_t more = pace->count < MOST ? pace->count : MOST;
    pace->next = pace->count + (now - pace->last < fast ? more : 1);
    pace->last = now;
}

/* Counted from the first operation of the step that completed at once. */
static bool within_bounds(struct ctrio_run *run)
{
    static const uint64_t fast = 1000; /* ticks between two looks */
    struct ctrio__pace *unyielded = &run->unyielded;
    bool look = to_be_looked_at(unyielded);
    if (unyielded->count > most_unyielded)
        return false;
    if (!look)
        return true;
    uint64_t now = run->now(run->os, CTRIO__TICKS);
    if (unyielded->count == 1) {
        run->unyielded_since = now;
        unyielded->last = now;
    }
    looked_at(unyielded, now, fast);
    return now - run->unyielded_since < longest_unyielded;
}

bool ctrio__may_go_on(struct ctrio_run *run, struct ctrio_task *task)
{
    CTRIO_ASSERT(run->current == task);
    if (run->bounded && run->chooser == NULL && !ctrio__hooks_watched(&run->hooks) &&
        !ctrio__entry_queue_pending(&run->entries) && within_bounds(run))
        return true;
    return ctrio__may_continue(run, task);
}

/* Counted from the last look at the machine. */
static bool turns_are_recent(struct ctrio_run *run)
{
    static const uint64_t fast = 4000; /* ticks between two looks: 250 a turn */
    if (!to_be_looked_at(&run->unpolled))
        return true;
    uint64_t now = run->now(run->os, CTRIO__TICKS);
    looked_at(&run->unpolled, now, fast);
    return now - run->last_poll < run->poll_budget;
}

bool ctrio__may_skip_poll(struct ctrio_run *run)
{
    return run->ready_count != 0 && !run->poll_now && shortcuts_allowed(run) &&
           !ctrio__entry_queue_pending(&run->entries) && turns_are_recent(run);
}
