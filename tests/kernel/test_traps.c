/* Ops stepped by hand: what a step asks for takes effect only when the loop has the task back. */
#include "kernel/primitive.h"
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
    ctrio__channel_init(&channel, 0, script_drop_item);
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

/* In Trio, too, it comes out of its next wait: the wake was for whatever it waits in. */
static void a_task_woken_before_it_sleeps_does_not_sleep(void)
{
    static const struct script_step main_task[] = {CALL(park_and_unpark), SHIELDED_CHECKPOINT,
                                                   NOTE("through"), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:through");
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

static void receive_and_forget(struct script_task *self)
{
    ctrio__channel_receive_op_init(&receive_by_hand, &in);
    is((int)step(&receive_by_hand.base.op, self), (int)CTRIO__PARKED);
}

static void a_receive_that_is_forgotten_breaks_the_run_when_it_is_served(void)
{
    static const struct script_step forgets[] = {CALL(receive_and_forget), SLEEP(5.0),
                                                 NOTE("unreached"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "f", forgets),
                                                   CHECKPOINT,
                                                   SEND_NOWAIT(&out, 1),
                                                   SLEEP(9.0),
                                                   NOTE("unreached"),
                                                   END};
    fresh();
    is(script_run(main_task), CTRIO_MISUSE);
    is(world.trace, "");
    struct ctrio_task task;
    ctrio__task_init(&task, &script_frontend);
    ctrio__op_abandon(&receive_by_hand.base.op, &task); /* the item is not lost */
    if (!tap_excused())
        is(world.items_dropped, 1);
    ctrio__channel_clear(&channel);
}

static void sleep_and_forget(struct script_task *self)
{
    ctrio__sleep_op_init(&sleep_by_hand, ctrio__run_time(&world.run) + 1.0);
    is((int)step(&sleep_by_hand.op, self), (int)CTRIO__PARKED);
}

static void a_sleep_that_is_forgotten_breaks_the_run_when_it_ends(void)
{
    static const struct script_step main_task[] = {CALL(sleep_and_forget), PARK(&lot),
                                                   NOTE("unreached"), END};
    fresh();
    is(script_run(main_task), CTRIO_MISUSE);
    is(world.trace, "");
}

static void idle_and_forget(struct script_task *self)
{
    ctrio__idle_op_init(&idle_by_hand, 0.0);
    is((int)step(&idle_by_hand.op, self), (int)CTRIO__PARKED);
}

static void an_idle_wait_that_is_forgotten_breaks_the_run_too(void)
{
    static const struct script_step main_task[] = {CALL(idle_and_forget), PARK(&lot),
                                                   NOTE("unreached"), END};
    fresh();
    is(script_run(main_task), CTRIO_MISUSE);
    is(world.trace, "");
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

TAP_MAIN(TEST(an_op_stepped_by_hand_and_abandoned_has_parked_nobody),
         TEST(a_checkpoint_stepped_by_hand_queues_nobody),
         TEST(a_park_that_is_forgotten_leaves_the_lot_at_the_next_one),
         TEST(a_task_woken_before_it_sleeps_does_not_sleep),
         TEST(a_task_woken_while_it_runs_may_end), TEST(parks_by_hand_and_ends),
         TEST(a_wake_for_a_task_that_runs_breaks_the_run),
         TEST(a_receive_that_is_forgotten_breaks_the_run_when_it_is_served),
         TEST(a_sleep_that_is_forgotten_breaks_the_run_when_it_ends),
         TEST(an_idle_wait_that_is_forgotten_breaks_the_run_too),
         TEST(a_task_left_over_when_the_run_has_closed_is_woken_to_nothing))
