/* Every free-order schedule of three tasks of which some wait until others wake them. */
#include "walk.h"

/* --- event ----------------------------------------------------------------------------------- */

static struct ctrio_event event;
static bool was_set;
static int early, woken;

static void set_it(struct script_task *self)
{
    (void)self;
    was_set = true;
    ctrio__event_set(&event);
}

static void woke(struct script_task *self)
{
    (void)self;
    early += !was_set;
    woken++;
}

static void fresh_event(void)
{
    ctrio__event_init(&event, &script_frontend);
    was_set = false;
    early = woken = 0;
}

static bool all_woke(void)
{
    return early == 0 && woken == 2 && event.lot.count == 0;
}

static bool one_or_two_woke(void)
{
    return early == 0 && woken >= 1 && woken <= 2 && event.lot.count == 0;
}

static void an_event_wakes_all_who_wait_and_nobody_before_it_is_set(void)
{
    static const struct script_step waiter[] = {CHECKPOINT, WAIT(&event), CALL(woke),
                                                CHECKPOINT, WAIT(&event), END};
    static const struct script_step setter[] = {CHECKPOINT, CHECKPOINT, CALL(set_it),
                                                CHECKPOINT, CHECKPOINT, END};
    static const struct script_step in_scope[] = {
        OPEN_SCOPE(&walk_scope),  CHECKPOINT, WAIT(&event), CALL(woke), CHECKPOINT, WAIT(&event),
        CLOSE_SCOPE(&walk_scope), END};
    static const struct script_step sets_and_cancels[] = {
        CHECKPOINT, CALL(set_it), CHECKPOINT, CANCEL(&walk_scope), CHECKPOINT, CHECKPOINT, END};
    static const struct script_step script[] = WALK_THREE(waiter, waiter, setter);
    static const struct script_step cancelled[] = WALK_THREE(waiter, in_scope, sets_and_cancels);
    walk("event", script, fresh_event, all_woke);
    walk("event, one cancelled", cancelled, fresh_event, one_or_two_woke);
}

/* --- condition ------------------------------------------------------------------------------- */

static struct ctrio_lock lock;
static int inside, most, passes;

static void enter(struct script_task *self)
{
    (void)self;
    if (++inside > most)
        most = inside;
    passes++;
}

static void leave(struct script_task *self)
{
    (void)self;
    inside--;
}

static struct ctrio_condition condition;
static bool ready;

/* `while (!ready) wait` of a program that knows it is notified once. */
static void begin_wait_unless_ready(struct script_task *self, const struct script_step *step)
{
    const struct ctrio__op_kind *kind =
        ready ? &ctrio__cancel_shielded_checkpoint_kind : &ctrio__condition_wait_kind;
    ctrio__op_init(&self->op.op, kind, step->object);
}

static void make_ready(struct script_task *self)
{
    (void)self;
    ready = true;
}

static void fresh_condition(void)
{
    inside = most = passes = 0;
    ctrio__lock_init(&lock, &script_frontend);
    ctrio__condition_init(&condition, &lock, &script_frontend);
    ready = false;
}

static bool both_saw_it(void)
{
    return passes == 2 && most == 1 && lock.owner == NULL && condition.lot.count == 0;
}

static bool at_least_one_saw_it(void)
{
    return passes >= 1 && most == 1 && lock.owner == NULL && condition.lot.count == 0;
}

#define WAIT_UNLESS_READY SCRIPT_BEGIN("wait", begin_wait_unless_ready, .object = &condition)

static void release_in_any_case(struct script_task *self)
{
    struct ctrio__outcome out = {0, NULL};
    if (ctrio__lock_held_by(&lock, &self->task))
        ctrio__lock_release(&lock, &self->task, &out);
}

static void a_condition_loses_no_notification_and_gives_the_lock_back(void)
{
    static const struct script_step waiter[] = {
        ACQUIRE(&lock), WAIT_UNLESS_READY, CALL(enter), SHIELDED_CHECKPOINT,
        CALL(leave),    RELEASE(&lock),    CHECKPOINT,  END};
    static const struct script_step notifier[] = {
        CHECKPOINT, ACQUIRE(&lock), CALL(make_ready), NOTIFY(&condition, 1000),
        CHECKPOINT, RELEASE(&lock), CHECKPOINT,       END};
    static const struct script_step in_scope[] = {OPEN_SCOPE(&walk_scope),
                                                  CHECKPOINT,
                                                  TRY,
                                                  ACQUIRE(&lock),
                                                  TRY,
                                                  WAIT_UNLESS_READY,
                                                  CALL(release_in_any_case),
                                                  TRY,
                                                  CHECKPOINT,
                                                  CLOSE_SCOPE(&walk_scope),
                                                  END};
    static const struct script_step notifies_and_cancels[] = {CHECKPOINT,
                                                              ACQUIRE(&lock),
                                                              CALL(make_ready),
                                                              NOTIFY(&condition, 1000),
                                                              CANCEL(&walk_scope),
                                                              CHECKPOINT,
                                                              RELEASE(&lock),
                                                              CHECKPOINT,
                                                              END};
    static const struct script_step script[] = WALK_THREE(waiter, waiter, notifier);
    static const struct script_step cancelled[] =
        WALK_THREE(waiter, in_scope, notifies_and_cancels);
    walk("condition", script, fresh_condition, both_saw_it);
    walk("condition, one cancelled", cancelled, fresh_condition, at_least_one_saw_it);
}

/* --- parking lot ----------------------------------------------------------------------------- */

static struct ctrio_parking_lot lot;
static size_t unparked;

static void unpark_one(struct script_task *self)
{
    (void)self;
    unparked += ctrio__lot_unpark(&lot, 1);
}

static bool unpark_rest(void)
{
    size_t count = ctrio__lot_unpark(&lot, 1);
    unparked += count;
    return count != 0;
}

static void count_wake(struct script_task *self)
{
    (void)self;
    woken++;
}

static void fresh_lot(void)
{
    ctrio__lot_init(&lot, &script_frontend);
    unparked = 0;
    woken = 0;
    world.stuck = unpark_rest;
}

static bool every_park_was_unparked(void)
{
    return woken == 4 && unparked == 4 && lot.count == 0;
}

static bool every_unpark_woke_one(void)
{
    return (size_t)woken == unparked && woken >= 2 && lot.count == 0;
}

static void a_parking_lot_wakes_one_task_for_each_unpark(void)
{
    static const struct script_step parker[] = {
        PARK(&lot), CALL(count_wake), CHECKPOINT, PARK(&lot), CALL(count_wake), CHECKPOINT, END};
    static const struct script_step unparker[] = {LOOP(4), CALL(unpark_one), CHECKPOINT, AGAIN,
                                                  END};
    static const struct script_step in_scope[] = {OPEN_SCOPE(&walk_scope),
                                                  CHECKPOINT,
                                                  PARK(&lot),
                                                  CALL(count_wake),
                                                  CHECKPOINT,
                                                  PARK(&lot),
                                                  CALL(count_wake),
                                                  CLOSE_SCOPE(&walk_scope),
                                                  END};
    static const struct script_step unparks_and_cancels[] = {
        CHECKPOINT, CALL(unpark_one), CHECKPOINT, CALL(unpark_one), CANCEL(&walk_scope), CHECKPOINT,
        CHECKPOINT, CALL(unpark_one), END};
    static const struct script_step script[] = WALK_THREE(parker, parker, unparker);
    static const struct script_step cancelled[] = WALK_THREE(parker, in_scope, unparks_and_cancels);
    walk("parking lot", script, fresh_lot, every_park_was_unparked);
    walk("parking lot, one cancelled", cancelled, fresh_lot, every_unpark_woke_one);
}

/* --- wait for all tasks blocked --------------------------------------------------------------- */

static int idle_too_early, idled;

/* The busy ones, by name, must all be parked when the wait for that ends. */
static const char *busy_ones;

static void nobody_is_busy(struct script_task *self)
{
    (void)self;
    ctrio__list_each (link, &world.run.tasks) {
        const struct script_task *task = (struct script_task *)ctrio__task_from(link, run_link);
        if (strstr(busy_ones, task->name) != NULL)
            idle_too_early += task->task.state != CTRIO__TASK_PARKED;
    }
    idled++;
}

static void fresh_idle(void)
{
    fresh_event();
    idle_too_early = idled = 0;
}

static bool idled_twice_in_time(void)
{
    return idle_too_early == 0 && idled == 2 && woken == 2;
}

static bool idled_in_time_or_not_at_all(void)
{
    return idle_too_early == 0 && idled >= 1 && idled <= 3 && woken == 1;
}

static void waiting_for_all_to_wait_ends_when_nobody_is_busy(void)
{
    static const struct script_step idler[] = {
        CHECKPOINT, IDLE(0.0), CALL(nobody_is_busy), CALL(set_it),
        CHECKPOINT, IDLE(0.0), CALL(nobody_is_busy), END};
    static const struct script_step busy[] = {CHECKPOINT, CHECKPOINT, WAIT(&event),
                                              CALL(woke), CHECKPOINT, END};
    /* Both of these wake together; one cancels what the other does then, its next wait. */
    static const struct script_step in_scope[] = {OPEN_SCOPE(&walk_scope),
                                                  CHECKPOINT,
                                                  IDLE(0.0),
                                                  CALL(nobody_is_busy),
                                                  CHECKPOINT,
                                                  IDLE(0.0),
                                                  CALL(nobody_is_busy),
                                                  CLOSE_SCOPE(&walk_scope),
                                                  CALL(set_it),
                                                  CHECKPOINT,
                                                  END};
    static const struct script_step cancels[] = {
        CHECKPOINT, IDLE(0.0), CALL(nobody_is_busy), CANCEL(&walk_scope), CHECKPOINT,
        CHECKPOINT, END};
    static const struct script_step script[] = WALK_THREE(idler, busy, busy);
    static const struct script_step cancelled[] = WALK_THREE(in_scope, busy, cancels);
    busy_ones = "bc";
    walk("wait for all blocked", script, fresh_idle, idled_twice_in_time);
    busy_ones = "b";
    walk("wait for all blocked, cancelled", cancelled, fresh_idle, idled_in_time_or_not_at_all);
}

/* --- start() --------------------------------------------------------------------------------- */

static bool is_started, moved, moved_too_late, child_ended, was_cancelled;

static void note_started(struct script_task *self)
{
    is_started = self->result.code == 0;
}

/* started() answers 1 if it has moved the child, 0 if its caller is already cancelled. */
static void note_moved(struct script_task *self)
{
    moved = self->result.code == 1;
    moved_too_late = moved && was_cancelled;
}

static void note_child(struct script_task *self)
{
    (void)self;
    child_ended = true;
}

static void note_cancelled(struct script_task *self)
{
    (void)self;
    was_cancelled = true;
}

static void fresh_start(void)
{
    is_started = moved = moved_too_late = child_ended = was_cancelled = false;
}

static bool it_started_and_ended(void)
{
    return is_started && moved && child_ended;
}

/* The caller's cancellation takes the child along until started(), and not from then on. */
static bool the_caller_knows(void)
{
    return is_started == moved && !moved_too_late && child_ended == moved &&
           (moved || was_cancelled);
}

/* The nursery's takes it along at any time: the child has moved there. */
static bool the_caller_knows_that_it_moved(void)
{
    return is_started == moved && !moved_too_late && (moved || !child_ended);
}

static void start_gives_the_child_over_or_takes_it_along(void)
{
    /* The shield lets it call started() although its caller has been cancelled. */
    static const struct script_step child[] = {
        CHECKPOINT, SHIELDED_CHECKPOINT, STARTED,          CALL(note_moved),
        CHECKPOINT, CHECKPOINT,          CALL(note_child), END};
    static const struct script_step starter[] = {
        CHECKPOINT, START(&walk_nursery, "c", child), CALL(note_started), CHECKPOINT, CHECKPOINT,
        END};
    static const struct script_step bystander[] = {LOOP(4), CHECKPOINT, AGAIN, END};
    static const struct script_step in_scope[] = {
        OPEN_SCOPE(&walk_scope),  CHECKPOINT, START(&walk_nursery, "c", child),
        CALL(note_started),       CHECKPOINT, CHECKPOINT,
        CLOSE_SCOPE(&walk_scope), END};
    static const struct script_step canceller[] = {
        CHECKPOINT, CHECKPOINT, CALL(note_cancelled), CANCEL(&walk_scope), CHECKPOINT,
        CHECKPOINT, END};
    static const struct script_step cancels_all[] = {CHECKPOINT,
                                                     CHECKPOINT,
                                                     CALL(note_cancelled),
                                                     CANCEL(&walk_nursery.scope),
                                                     TRY,
                                                     CHECKPOINT,
                                                     TRY,
                                                     CHECKPOINT,
                                                     END};
    static const struct script_step script[] = WALK_TWO(starter, bystander);
    static const struct script_step cancelled[] = WALK_TWO(in_scope, canceller);
    static const struct script_step all_cancelled[] = WALK_TWO(in_scope, cancels_all);
    walk("start", script, fresh_start, it_started_and_ended);
    walk("start, the caller cancelled", cancelled, fresh_start, the_caller_knows);
    walk("start, the nursery cancelled", all_cancelled, fresh_start,
         the_caller_knows_that_it_moved);
}

TAP_MAIN(BIG_TEST(an_event_wakes_all_who_wait_and_nobody_before_it_is_set),
         BIG_TEST(a_condition_loses_no_notification_and_gives_the_lock_back),
         BIG_TEST(a_parking_lot_wakes_one_task_for_each_unpark),
         BIG_TEST(waiting_for_all_to_wait_ends_when_nobody_is_busy),
         BIG_TEST(start_gives_the_child_over_or_takes_it_along))
