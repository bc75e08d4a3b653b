/* Ops stepped by hand: what a step asks for takes effect only when the loop has the task back. */
#include "kernel/primitive.h"
#include "kernel/semaphore.h"
#include "script.h"

static struct script_nursery nursery;
static struct ctrio_parking_lot lot, other;
static struct ctrio__channel channel;
static struct ctrio__channel_end out, in;

static struct ctrio__primitive by_hand;
static struct ctrio__channel_op receive_by_hand;
static struct ctrio__sleep_op sleep_by_hand;
static struct ctrio__idle_op idle_by_hand;

static void fresh(void)
{
    script_reset();
    ctrio__lot_init(&lot, &script_frontend);
    ctrio__lot_init(&other, &script_frontend);
    ctrio__channel_init(&channel, sizeof(struct script_item *), 0, script_drop_item);
    ctrio__channel_end_init(&out, &channel, CTRIO__SEND_END);
    ctrio__channel_end_init(&in, &channel, CTRIO__RECEIVE_END);
}

static enum ctrio__step step(struct ctrio__op *op, struct script_task *self)
{
    struct ctrio__outcome io = {0, NULL};
    return op->kind->step(op, &self->task, &io);
}

static void park_by_hand(struct script_task *self)
{
    ctrio__op_init(&by_hand.op, &ctrio__park_kind, &lot);
    is((int)step(&by_hand.op, self), (int)CTRIO__PARKED);
    is(lot.count, 1);
    is((int)self->task.state, (int)CTRIO__TASK_RUNNING);
    ok(ctrio__task_waits(&self->task));
}

static void park_by_hand_and_give_up(struct script_task *self)
{
    park_by_hand(self);
    ctrio__op_abandon(&by_hand.op, &self->task);
    is(lot.count, 0);
    ok(!ctrio__task_waits(&self->task));
}

static void an_op_stepped_by_hand_and_abandoned_has_parked_nobody(void)
{
    static const struct script_step main_task[] = {CALL(park_by_hand_and_give_up), NOTE("runs"),
                                                   CHECKPOINT, REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:runs main=ok");
}

static void yield_by_hand_and_give_up(struct script_task *self)
{
    ctrio__op_init(&by_hand.op, &ctrio__checkpoint_kind, NULL);
    is((int)step(&by_hand.op, self), (int)CTRIO__PARKED);
    ctrio__op_abandon(&by_hand.op, &self->task);
    is(world.run.ready_count, 0);
}

static void a_checkpoint_stepped_by_hand_queues_nobody(void)
{
    static const struct script_step main_task[] = {
        CHECKPOINT, CHECKPOINT, CALL(yield_by_hand_and_give_up), NOTE("runs"), SLEEP(1.0),
        REPORT,     END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:runs main=ok");
}

static void a_park_that_is_forgotten_leaves_the_lot_at_the_next_one(void)
{
    static const struct script_step other_parker[] = {CALL(park_by_hand), TRY, PARK(&other), REPORT,
                                                      END};
    static const struct script_step sleeper[] = {CALL(park_by_hand), SLEEP(1.0), REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "p", other_parker),
                                                   SPAWN(&nursery, "s", sleeper),
                                                   CHECKPOINT,
                                                   UNPARK(&lot, 9),
                                                   REPORT,
                                                   UNPARK(&other, 9),
                                                   REPORT,
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok main=ok p=ok s=ok");
    is(lot.count, 0);
}

static void park_and_unpark(struct script_task *self)
{
    park_by_hand(self);
    ok(ctrio__lot_unpark_one(&lot) == &self->task);
    is((int)self->task.state, (int)CTRIO__TASK_RUNNABLE);
}

static void late(struct script_task *self)
{
    ok(ctrio__run_time(self->task.run) >= 1.0);
}

/* The wake was for what it has gone on without. */
static void a_task_woken_before_it_sleeps_sleeps_all_the_same(void)
{
    static const struct script_step main_task[] = {
        CALL(park_and_unpark), SLEEP(1.0), REPORT, CALL(late), SLEEP(1.0), REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok main=ok");
}

static void a_task_woken_while_it_runs_may_end(void)
{
    static const struct script_step quick[] = {NOTE("ran"), END};
    static const struct script_step hasty[] = {SPAWN(&nursery, "x", quick), CALL(park_and_unpark),
                                               SPAWN(&nursery, "y", quick), NOTE("ends"), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "h", hasty), CLOSE_NURSERY(&nursery), REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "h:ends x:ran y:ran main=ok");
}

static void parks_by_hand_and_ends(void)
{
    static const struct script_step leaver[] = {CALL(park_by_hand), NOTE("ends"), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "l", leaver), CLOSE_NURSERY(&nursery), REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "l:ends main=ok");
    is(lot.count, 0);
}

/* --- a wake for a task that does not wait for it -------------------------------------------------
 */

static void wake_a_running_one(struct script_task *self)
{
    struct ctrio__reason *reason = script_reason(CTRIO__BY_EXPLICIT);
    ctrio__task_reschedule(&self->task, (struct ctrio__outcome){CTRIO_CANCELLED, reason});
    is(world.run.failed, CTRIO_MISUSE);
}

static void a_wake_for_a_task_that_runs_breaks_the_run(void)
{
    static const struct script_step main_task[] = {CALL(wake_a_running_one), CHECKPOINT,
                                                   NOTE("unreached"), END};
    fresh();
    is(script_run(main_task), CTRIO_MISUSE);
    is(world.trace, "");
}

/* --- what was only asked for is withdrawn when something else is -------------------------------
 */

static struct ctrio_task *whose;

static void receive_and_forget(struct script_task *self)
{
    whose = &self->task;
    ctrio__channel_receive_op_init(&receive_by_hand, &in, &receive_by_hand.slot);
    is((int)step(&receive_by_hand.base.op, self), (int)CTRIO__PARKED);
    is(channel.receivers_count, 1);
}

static void a_receive_that_is_forgotten_takes_nothing(void)
{
    static const struct script_step forgets[] = {CALL(receive_and_forget), SLEEP(5.0), REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "f", forgets),
                                                   CHECKPOINT,
                                                   TRY,
                                                   SEND_NOWAIT(&out, 1),
                                                   REPORT,
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=would block f=ok");
    is(channel.receivers_count, 0);
}

static void sleep_and_forget(struct script_task *self)
{
    ctrio__sleep_op_init(&sleep_by_hand, ctrio__run_time(&world.run) + 1.0);
    is((int)step(&sleep_by_hand.op, self), (int)CTRIO__PARKED);
    is(ctrio__timers_count(&world.run.timers), 1);
}

static void a_sleep_that_is_forgotten_wakes_nobody(void)
{
    static const struct script_step main_task[] = {CALL(sleep_and_forget), SLEEP(5.0), REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok");
    is(world.clock.time, 5.0);
}

static void idle_and_forget(struct script_task *self)
{
    ctrio__idle_op_init(&idle_by_hand, 0.0);
    is((int)step(&idle_by_hand.op, self), (int)CTRIO__PARKED);
}

static void an_idle_wait_that_is_forgotten_wakes_nobody_either(void)
{
    static const struct script_step main_task[] = {CALL(idle_and_forget), CHECKPOINT, SLEEP(5.0),
                                                   REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok");
    ok(ctrio__list_empty(&world.run.idle));
}

/* --- and its op abandoned later, when the task waits for something else ------------------------
 */

static struct ctrio_lock lock;
static struct ctrio_semaphore semaphore;
static struct ctrio_event event;
static struct ctrio_capacity_limiter limiter;
static struct ctrio_condition condition;
static struct ctrio__primitive lock_op, semaphore_op, event_op, lot_op;
static struct ctrio__limiter_op limiter_op;
static struct ctrio__condition_wait_op condition_op;

static void forget(struct ctrio__op *op, struct script_task *self)
{
    is((int)step(op, self), (int)CTRIO__PARKED);
}

/* Each one would have to wait: somebody else holds it all. */
static void begin_all_by_hand(struct script_task *self)
{
    whose = &self->task;
    ctrio__op_init(&lock_op.op, &ctrio__lock_acquire_kind, &lock);
    ctrio__op_init(&semaphore_op.op, &ctrio__semaphore_acquire_kind, &semaphore);
    ctrio__op_init(&event_op.op, &ctrio__event_wait_kind, &event);
    ctrio__op_init(&lot_op.op, &ctrio__park_kind, &lot);
    ctrio__limiter_op_init(&limiter_op, &limiter, (void *)7, 7);
    forget(&lock_op.op, self);
    forget(&semaphore_op.op, self);
    forget(&event_op.op, self);
    forget(&lot_op.op, self);
    if (tap_saw(limiter_op.base.op.kind->step(&limiter_op.base.op, &self->task,
                                              &(struct ctrio__outcome){0, NULL}) == CTRIO__DONE
                    ? -ENOMEM
                    : 0) == 0)
        is(limiter.lot.count, 1);
    is(lock.lot.count + semaphore.lot.count + event.lot.count + lot.count, 0);
}

static void abandon_all(struct script_task *self)
{
    (void)self;
    ctrio__op_abandon_withdrawn(&lock_op.op, whose);
    ctrio__op_abandon_withdrawn(&semaphore_op.op, whose);
    ctrio__op_abandon_withdrawn(&event_op.op, whose);
    ctrio__op_abandon_withdrawn(&lot_op.op, whose);
    if (limiter_op.loan != NULL || limiter_op.borrower != NULL)
        ctrio__op_abandon_withdrawn(&limiter_op.base.op, whose);
    is(lot.count, 0);
    is(other.count, 1); /* where the task is now */
}

static void giving_up_what_a_task_has_left_leaves_its_new_wait_alone(void)
{
    static const struct script_step forgetful[] = {CALL(begin_all_by_hand), TRY, PARK(&other),
                                                   REPORT, END};
    static const struct script_step main_task[] = {ACQUIRE(&lock),
                                                   PERMIT(&semaphore),
                                                   TOKEN(&limiter, 1),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "f", forgetful),
                                                   CHECKPOINT,
                                                   CALL(abandon_all),
                                                   UNPARK(&other, 9),
                                                   RELEASE(&lock),
                                                   GIVE_PERMIT(&semaphore),
                                                   GIVE_TOKEN(&limiter, 1),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    ctrio__lock_init(&lock, &script_frontend);
    ctrio__semaphore_init(&semaphore, 1, 1, &script_frontend);
    ctrio__event_init(&event, &script_frontend);
    ctrio__limiter_init(&limiter, 1, &script_borrowers, &script_frontend);
    is(script_run(main_task), 0);
    is(world.trace, "f=ok");
    ok(lock.owner == NULL);
    is(semaphore.value, 1);
    ctrio__limiter_close(&limiter);
}

static void permit_by_hand(struct script_task *self)
{
    whose = &self->task;
    ctrio__op_init(&semaphore_op.op, &ctrio__semaphore_acquire_kind, &semaphore);
    forget(&semaphore_op.op, self);
}

static void abandon_permit(struct script_task *self)
{
    (void)self;
    is((int)whose->state, (int)CTRIO__TASK_RUNNABLE); /* of its checkpoint, not for the permit */
    ctrio__op_abandon_withdrawn(&semaphore_op.op, whose);
    is(semaphore.value, 1);
}

static void a_permit_that_was_only_asked_for_is_not_given_back(void)
{
    static const struct script_step forgetful[] = {CALL(permit_by_hand), SHIELDED_CHECKPOINT,
                                                   REPORT, END};
    static const struct script_step main_task[] = {PERMIT(&semaphore),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "f", forgetful),
                                                   CHECKPOINT,
                                                   GIVE_PERMIT(&semaphore),
                                                   CALL(abandon_permit),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    ctrio__semaphore_init(&semaphore, 1, 2, &script_frontend);
    is(script_run(main_task), 0);
    is(world.trace, "f=ok");
    is(semaphore.value, 1);
}

static void wait_by_hand(struct script_task *self)
{
    whose = &self->task;
    condition_op =
        (struct ctrio__condition_wait_op){.op = {&ctrio__condition_wait_kind, &condition, 0}};
    forget(&condition_op.op, self); /* gives the lock up */
    is(condition.lot.count, 1);
}

static void abandon_wait(struct script_task *self)
{
    (void)self;
    is(condition.lot.count, 0);
    ctrio__op_abandon_withdrawn(&condition_op.op, whose);
    ok(ctrio__lock_held_by(&lock, whose)); /* by an acquire of its own since */
}

static void a_wait_that_was_withdrawn_gives_back_no_lock_that_was_taken_since(void)
{
    static const struct script_step forgetful[] = {ACQUIRE(&lock),
                                                   CALL(wait_by_hand),
                                                   ACQUIRE(&lock),
                                                   PARK(&other),
                                                   RELEASE(&lock),
                                                   REPORT,
                                                   END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "f", forgetful),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CALL(abandon_wait),
                                                   UNPARK(&other, 1),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    ctrio__lock_init(&lock, &script_frontend);
    ctrio__condition_init(&condition, &lock, &script_frontend);
    is(script_run(main_task), 0);
    is(world.trace, "f=ok");
}

static void wait_by_hand_without_abort(struct script_task *self)
{
    static struct ctrio__wait_op op;
    op = (struct ctrio__wait_op){.op = {&ctrio__wait_kind, NULL, 0}};
    forget(&op.op, self);
    ctrio__task_withdraw(&self->task);
    ok(!ctrio__task_waits(&self->task));
    ctrio__task_withdraw(&self->task); /* nothing any more */
    ctrio__op_abandon_withdrawn(&op.op, &self->task);
}

static void a_wait_without_abort_function_can_be_withdrawn_too(void)
{
    static const struct script_step main_task[] = {CALL(wait_by_hand_without_abort), SLEEP(1.0),
                                                   REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok");
}

/* --- after the end -------------------------------------------------------------------------------
 */

static void keep(struct ctrio_task *task)
{
    (void)task; /* a front end whose object lives on, its op still in the lot */
    world.tasks_living--;
}

static struct ctrio__frontend keeper;
static struct script_task *kept;

static void become_kept(struct script_task *self)
{
    keeper = script_frontend;
    keeper.task_free = keep;
    self->task.frontend = &keeper;
    kept = self;
}

static void a_task_left_over_when_the_run_has_closed_is_woken_to_nothing(void)
{
    static const struct script_step parker[] = {CALL(become_kept), PARK(&lot), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "p", parker), FOREVER,
                                                   CLOSE_NURSERY(&nursery), END};
    fresh();
    kept = NULL;
    is(script_run(main_task), CTRIO_MISUSE); /* stuck */
    is(ctrio__lot_unpark(&lot, 9), kept != NULL ? 1 : 0);
    is(lot.count, 0);
    if (kept != NULL) {
        kept->task.frontend = &script_frontend;
        world.tasks_living++;
        script_frontend.task_free(&kept->task);
    }
}

static void nobody_is_spawned_into_a_run_that_has_closed(void)
{
    static const struct script_step main_task[] = {CHECKPOINT, END};
    fresh();
    is(script_run(main_task), 0);
    struct script_task *late = script_task_new("late", main_task);
    if (late == NULL || world.run.io_ops == NULL)
        return;
    is(ctrio__task_spawn(&world.run, &late->task, NULL), CTRIO_CLOSED_RESOURCE);
    script_frontend.task_free(&late->task);
}

TAP_MAIN(TEST(an_op_stepped_by_hand_and_abandoned_has_parked_nobody),
         TEST(a_checkpoint_stepped_by_hand_queues_nobody),
         TEST(a_park_that_is_forgotten_leaves_the_lot_at_the_next_one),
         TEST(a_task_woken_before_it_sleeps_sleeps_all_the_same),
         TEST(a_task_woken_while_it_runs_may_end), TEST(parks_by_hand_and_ends),
         TEST(a_wake_for_a_task_that_runs_breaks_the_run),
         TEST(a_receive_that_is_forgotten_takes_nothing),
         TEST(a_sleep_that_is_forgotten_wakes_nobody),
         TEST(an_idle_wait_that_is_forgotten_wakes_nobody_either),
         TEST(giving_up_what_a_task_has_left_leaves_its_new_wait_alone),
         TEST(a_wait_that_was_withdrawn_gives_back_no_lock_that_was_taken_since),
         TEST(a_permit_that_was_only_asked_for_is_not_given_back),
         TEST(a_wait_without_abort_function_can_be_withdrawn_too),
         TEST(nobody_is_spawned_into_a_run_that_has_closed),
         TEST(a_task_left_over_when_the_run_has_closed_is_woken_to_nothing))
