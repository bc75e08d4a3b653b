/* run.c - the loop in four pieces.
 *
 * Trio's batches: what is runnable when a turn begins runs in that turn, what becomes runnable
 * meanwhile waits for the next one, so that no task delays a look at the world for ever.  A coin
 * decides whether the batch runs forwards or backwards, to keep programs from depending on it.
 *
 * Invariant: between turns run->current is NULL and every living task is parked or on `ready`. */
#include "kernel/run.h"
#include "base/alloc.h"
#include "kernel/idle.h"

static const uint64_t poll_budget = 50000;             /* ticks: nanoseconds */
static const double longest_wait = 24.0 * 60.0 * 60.0; /* seconds; what every backend can take */
static const size_t waited_for_exactly = 100;          /* timers */
static const double slack_a_timer = 10e-9;             /* seconds, of the others */
static const double most_slack = 0.001;                /* seconds; Trio's own waits end as late */

int ctrio__run_open(struct ctrio_run *run, const struct ctrio__run_options *options)
{
    CTRIO_ASSERT(options->io_ops != NULL);
    CTRIO_ASSERT(options->clock != NULL);
    *run = (struct ctrio_run){.data = options->data,
                              .os = options->os,
                              .io_ops = options->io_ops,
                              .now = options->now,
                              .clock = options->clock,
                              .chooser = options->chooser,
                              .rng = {options->seed},
                              .idle_cushion = NAN,
                              .last_now = INFINITY,
                              .poll_budget = poll_budget,
                              .poll_now = true};
    ctrio__list_init(&run->tasks);
    ctrio__list_init(&run->idle);
    ctrio__list_init(&run->roots);
    ctrio__list_init(&run->todo);
    ctrio__list_init(&run->delivering);
    ctrio__entry_queue_init(&run->entries);
    ctrio__scope_init(&run->limbo, NULL);
    run->limbo.run = run;
    run->limbo.state = CTRIO_SCOPE_OPEN;
    run->limbo.cancel_called = true;
    run->limbo.effectively_cancelled = true;
    run->limbo.abandoned = true;
    return run->io_ops->open(run->os, run, &run->io);
}

static void free_left_over_tasks(struct ctrio_run *run)
{
    struct ctrio_list *link;
    ctrio__list_each (at, &run->tasks) { /* their nurseries may lie in other tasks of the list */
        struct ctrio_task *task = ctrio__task_from(at, run_link);
        ctrio__list_unlink(&task->scope_link);
        task->scope = NULL;
        task->abort_fn = NULL; /* whatever it asks has gone with the run */
        if (task->nursery != NULL) {
            ctrio__list_unlink(&task->nursery_link);
            task->nursery->child_count--;
        }
    }
    while ((link = ctrio__list_pop(&run->tasks)) != NULL) {
        struct ctrio_task *task = ctrio__task_from(link, run_link);
        while (!ctrio__list_empty(&task->nurseries))
            ctrio__nursery_unlink(
                ctrio__container(task->nurseries.next, struct ctrio__nursery, sibling),
                task->frontend);
        task->frontend->task_free(task);
    }
    run->tasks_living = 0;
}

/* The tree is made flat first, children behind their parents: to look for a leaf from the root
 * each time would take the square of its depth, and foreign code may close any while we go. */
static void forget_scopes(struct ctrio_list *roots)
{
    for (struct ctrio_list *at = roots->next; at != roots; at = at->next) {
        struct ctrio_cancel_scope *scope = ctrio__scope_from(at, sibling);
        ctrio__list_each (link, &scope->children)
            ctrio__scope_from(link, sibling)->parent = NULL;
        ctrio__list_splice(roots, &scope->children);
    }
    while (!ctrio__list_empty(roots)) {
        struct ctrio_cancel_scope *scope = ctrio__scope_from(roots->prev, sibling);
        while (!ctrio__list_empty(&scope->tasks))
            ctrio__task_enter_scope(ctrio__task_from(scope->tasks.next, scope_link), NULL);
        ctrio__scope_forget(scope);
        scope->frontend->scope_release(scope);
    }
}

void ctrio__run_close(struct ctrio_run *run)
{
    CTRIO_ASSERT_SLOW(run->failed != 0 || run->current != NULL || ctrio__run_valid(run));
    run->current = NULL;
    run->closed = true;
    forget_scopes(&run->limbo.children);
    forget_scopes(&run->roots);
    CTRIO_ASSERT(ctrio__list_empty(&run->todo));
    free_left_over_tasks(run);
    run->batch_count = 0;
    run->ready_count = 0;
    ctrio__reason_drop(run->limbo.reason);
    run->limbo.reason = NULL;
    ctrio__entry_queue_close(&run->entries);
    run->io_ops->close(run->io);
    run->io = NULL;
    ctrio__free(run->ready);
    ctrio__free(run->batch);
    run->ready = NULL;
    run->batch = NULL;
}

void ctrio__run_fail(struct ctrio_run *run, int code)
{
    CTRIO_ASSERT(code < 0);
    if (run->failed == 0)
        run->failed = code;
}

void ctrio__run_deliver_interrupt(struct ctrio_run *run)
{
    if (!run->interrupt_pending || run->main_task == NULL || run->main_exited)
        return; /* on the way out: whoever ends the run looks at it again */
    ctrio__task_deliver_interrupt(run->main_task);
}

/* Seconds in which a deadline is too near for a shortcut: twenty budgets. */
static double near_deadline(const struct ctrio_run *run)
{
    return (double)run->poll_budget * 20e-9;
}

void ctrio__timer_arm(struct ctrio_run *run, struct ctrio_timer *timer)
{
    CTRIO_ASSERT(timer->when != INFINITY);
    CTRIO_ASSERT(!ctrio__timer_armed(run, timer));
    timer->serial = ++run->timer_serial;
    if (timer->when <= run->last_now + near_deadline(run)) /* always, while the time is not known */
        run->deadline_far = false;
    ctrio__timers_insert(&run->timers, timer);
}

void ctrio__timer_disarm(struct ctrio_run *run, struct ctrio_timer *timer)
{
    if (ctrio__timer_armed(run, timer))
        ctrio__timers_remove(&run->timers, timer);
}

double ctrio__run_next_deadline(const struct ctrio_run *run)
{
    const struct ctrio_timer *first = ctrio__timers_first(&run->timers);
    return first != NULL ? first->when : INFINITY;
}

/* Where deadlines are dense a wait that ends a little later finds several of them due.  A hundred
 * thousand sleepers would have the loop wake up for each of them alone.  A wait without end stays
 * one, and what a mock clock or a scripted machine says is exact. */
static double slack_of(const struct ctrio_run *run)
{
    size_t count = ctrio__timers_count(&run->timers);
    if (count <= waited_for_exactly || !run->clock->is_system || run->chooser != NULL ||
        run->strict)
        return 0.0;
    double slack = (double)(count - waited_for_exactly) * slack_a_timer;
    return slack < most_slack ? slack : most_slack;
}

double ctrio__run_timeout(struct ctrio_run *run)
{
    double timeout = 0.0;
    run->idle_cushion = NAN;
    run->autojump_primed = false;
    bool runnable = run->ready_count + run->batch_count != 0;
    if (!runnable)
        timeout = run->clock->deadline_to_sleep_time(run->clock, ctrio__run_next_deadline(run));
    timeout = timeout > 0.0 ? timeout + slack_of(run) : 0.0;
    if (timeout > longest_wait)
        timeout = longest_wait;
    if (!ctrio__list_empty(&run->idle)) {
        double cushion = ctrio__idle_cushion(run);
        if (cushion < timeout) {
            timeout = cushion;
            run->idle_cushion = cushion;
        }
    } else if (run->clock->autojump_threshold < timeout) {
        timeout = run->clock->autojump_threshold;
        run->autojump_primed = true;
    }
    run->last_timeout = timeout;
    if ((run->hooks.wanted & CTRIO__HOOK_BEFORE_IO_WAIT) != 0)
        run->hooks.io_event(run, CTRIO__HOOK_BEFORE_IO_WAIT, timeout);
    if (run->entries.task != NULL && ctrio__entry_queue_pending(&run->entries))
        return 0.0; /* Trio is woken by a socket at once, and says the same to its instruments */
    return timeout;
}

static bool fire_timers(struct ctrio_run *run)
{
    run->last_now = INFINITY;
    run->deadline_far = true;
    struct ctrio_timer *timer = ctrio__timers_first(&run->timers);
    if (timer == NULL)
        return false;
    double now = ctrio__run_time(run);
    run->last_now = now;
    bool any = false;
    for (; timer != NULL && timer->when <= now; timer = ctrio__timers_first(&run->timers)) {
        ctrio__timers_remove(&run->timers, timer);
        timer->fire(timer);
        any = true;
    }
    run->deadline_far = ctrio__run_next_deadline(run) > now + near_deadline(run);
    return any;
}

static void order_batch(struct ctrio_run *run)
{
    size_t count = run->batch_count;
    if (count < 2)
        return;
    bool reverse;
    if (run->chooser != NULL && run->chooser->task_by_task) {
        reverse = true; /* oldest first; the chooser is asked for each step */
    } else if (run->chooser != NULL) {
        reverse = run->chooser->choose(run->chooser, CTRIO__CHOOSE_BATCH, 2,
                                       run->batch[count - 1]->serial) != 0;
    } else if ((run->hooks.wanted & CTRIO__HOOK_ORDER_BATCH) != 0) {
        run->hooks.order_batch(run, run->batch, count);
        return;
    } else {
        reverse = (ctrio__rng_next(&run->rng) >> 63) != 0;
    }
    for (size_t i = 0; reverse && i < count / 2; i++) {
        struct ctrio_task *swapped = run->batch[i];
        run->batch[i] = run->batch[count - 1 - i];
        run->batch[count - 1 - i] = swapped;
    }
}

static void form_batch(struct ctrio_run *run)
{
    CTRIO_ASSERT(run->batch_count == 0);
    struct ctrio_task **swapped = run->batch;
    size_t capacity = run->batch_capacity;
    run->batch = run->ready;
    run->batch_capacity = run->ready_capacity;
    run->batch_count = run->ready_count;
    run->ready = swapped;
    run->ready_capacity = capacity;
    run->ready_count = 0;
    order_batch(run);
}

/* The turn's look at the machine: what the wait brought. */
static bool process(struct ctrio_run *run, const struct ctrio__io_events *events)
{
    run->poll_now = false;
    run->io_ops->process_events(run->io, events);
    ctrio__entry_queue_poll(&run->entries);
    if ((run->hooks.wanted & CTRIO__HOOK_AFTER_IO_WAIT) != 0)
        run->hooks.io_event(run, CTRIO__HOOK_AFTER_IO_WAIT, run->last_timeout);
    bool fired = fire_timers(run);
    run->last_poll = run->now(run->os, CTRIO__TICKS);
    run->unpolled = (struct ctrio__pace){.last = run->last_poll};
    return fired || events->count != 0 || run->ready_count != 0;
}

void ctrio__run_begin(struct ctrio_run *run, const struct ctrio__io_events *events)
{
    bool happened = true;
    CTRIO_ASSERT_SLOW(run->failed != 0 ||
                      ctrio__run_valid(run)); /* the turn before has left it so */
    if (events != NULL)
        happened = process(run, events);
    else if (!run->deadline_far)
        fire_timers(run);
    if (!happened && !isnan(run->idle_cushion))
        ctrio__idle_wake(run, run->idle_cushion);
    else if (!happened && run->autojump_primed && run->clock->autojump != NULL)
        run->clock->autojump(run->clock, ctrio__run_next_deadline(run));
    run->idle_cushion = NAN;
    run->autojump_primed = false;
    if (run->batch_count == 0)
        form_batch(run);
}

/* The simulator's order: any runnable task may be next; 0 is the one that would be. */
static struct ctrio_task *choose_task(struct ctrio_run *run)
{
    size_t count = run->batch_count + run->ready_count;
    size_t first = run->batch_count != 0 ? run->batch_count - 1 : 0;
    struct ctrio_task *usual = run->batch_count != 0 ? run->batch[first] : run->ready[0];
    uint32_t answer = 0;
    if (count > 1)
        answer =
            run->chooser->choose(run->chooser, CTRIO__CHOOSE_TASK, (uint32_t)count, usual->serial);
    CTRIO_ASSERT(answer < count);
    struct ctrio_task **array = run->batch;
    size_t *length = &run->batch_count;
    size_t index = run->batch_count - 1 - answer; /* from the end of the batch … */
    if (answer >= run->batch_count) {             /* … then from the front of ready */
        array = run->ready;
        length = &run->ready_count;
        index = answer - run->batch_count;
    }
    struct ctrio_task *task = array[index];
    for (size_t i = index; i + 1 < *length; i++)
        array[i] = array[i + 1];
    --*length;
    return task;
}

static struct ctrio_task *next_task(struct ctrio_run *run)
{
    if (run->chooser != NULL && run->chooser->task_by_task)
        return run->batch_count + run->ready_count != 0 ? choose_task(run) : NULL;
    return run->batch_count != 0 ? run->batch[--run->batch_count] : NULL;
}

struct ctrio_task *ctrio__run_pick(struct ctrio_run *run)
{
    struct ctrio_task *task = run->failed == 0 ? next_task(run) : NULL;
    if (task == NULL)
        return NULL;
    CTRIO_ASSERT(task->state == CTRIO__TASK_RUNNABLE);
    CTRIO_ASSERT(run->current == NULL);
    task->state = CTRIO__TASK_RUNNING;
    task->trap = CTRIO__TRAP_NONE;
    run->current = task;
    run->unyielded.count = 0;
    run->unyielded.next = 0;
    if ((run->hooks.wanted & CTRIO__HOOK_BEFORE_TASK_STEP) != 0)
        run->hooks.task_event(run, CTRIO__HOOK_BEFORE_TASK_STEP, task);
    return task;
}

void ctrio__run_put_back(struct ctrio_run *run, enum ctrio__step step, struct ctrio__outcome *final)
{
    struct ctrio_task *task = run->current;
    if (step == CTRIO__DONE)
        ctrio__task_exit(task, final);
    else
        ctrio__task_settle(task);
    if ((run->hooks.wanted & CTRIO__HOOK_AFTER_TASK_STEP) != 0 && run->failed == 0)
        run->hooks.task_event(run, CTRIO__HOOK_AFTER_TASK_STEP, task);
    run->current = NULL;
    task = run->finished;
    if (task == NULL)
        return;
    run->finished = NULL;
    task->frontend->task_free(task);
}

bool ctrio__run_step(struct ctrio_run *run)
{
    struct ctrio_task *task = ctrio__run_pick(run);
    if (task == NULL)
        return false;
    struct ctrio__outcome io;
    ctrio__task_take_wake(task, &io);
    enum ctrio__step step = task->frontend->resume(task, &io);
    ctrio__run_put_back(run, step, &io); /* of run->current, read anew: foreign code ran */
    return true;
}
