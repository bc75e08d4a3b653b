#include "kernel/nursery.h"
#include "script.h"

static struct script_nursery nursery, second;
static struct ctrio_cancel_scope outer, inner;
static struct ctrio_event event;

static void init(void)
{
    ctrio__scope_init(&outer, &script_frontend);
    ctrio__scope_init(&inner, &script_frontend);
    ctrio__event_init(&event, &script_frontend);
}

static void fresh(void)
{
    script_reset();
    init();
}

static void expect(const struct script_step *script, const char *trace)
{
    is(script_run(script), 0);
    is(world.trace, trace);
}

static const struct script_step quick[] = {NOTE("ran"), END};
static const struct script_step fails_one[] = {FAIL(1), END};
static const struct script_step fails_two[] = {CHECKPOINT, FAIL(2), END};
static const struct script_step sleeper[] = {TRY, FOREVER, REPORT_REASON, END};
static const struct script_step cancelled[] = {FOREVER, END};

/* --- closing --------------------------------------------------------------------------------- */

static void it_waits_for_every_child(void)
{
    static const struct script_step slow[] = {LOOP(5), CHECKPOINT, AGAIN, NOTE("ran"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", slow),
                                                   SPAWN(&nursery, "b", quick),
                                                   NOTE("body"),
                                                   CLOSE_NURSERY(&nursery),
                                                   NOTE("closed"),
                                                   END};
    fresh();
    expect(main_task, "main:body b:ran a:ran main:closed");
    ok(nursery.nursery.closed);
    is(nursery.nursery.child_count, 0);
}

static uint32_t schedule_points, cancel_points;

static void count_points(struct script_task *self)
{
    schedule_points = self->task.schedule_points - schedule_points;
    cancel_points = self->task.cancel_points - cancel_points;
}

static void closing_an_empty_one_is_a_schedule_point_and_no_cancel_point(void)
{
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer), CANCEL(&outer),          OPEN_NURSERY(&nursery),
        CALL(count_points), CLOSE_NURSERY(&nursery), REPORT,
        CALL(count_points), CLOSE_SCOPE(&outer),     END};
    fresh();
    schedule_points = cancel_points = 0;
    expect(main_task, "main=ok");
    is(schedule_points, 1);
    is(cancel_points, 0);
}

static void children_may_be_spawned_while_the_parent_waits(void)
{
    static const struct script_step parent_of_b[] = {NOTE("spawns"), SPAWN(&nursery, "b", quick),
                                                     END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", parent_of_b),
                                                   CLOSE_NURSERY(&nursery), NOTE("closed"), END};
    fresh();
    expect(main_task, "a:spawns b:ran main:closed");
}

static void a_closed_one_takes_nobody_in(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   CLOSE_NURSERY(&nursery),
                                                   TRY,
                                                   SPAWN(&nursery, "a", quick),
                                                   REPORT,
                                                   TRY,
                                                   START(&nursery, "b", quick),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "main=closed main=misuse");
}

static void a_cancellation_reaches_the_children_and_not_the_parent_that_waits(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", sleeper),
                                                   SPAWN(&nursery, "b", sleeper),
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    outer.deadline = 1.0;
    expect(main_task, "a=cancelled(deadline) b=cancelled(deadline) main=ok");
    ok(!outer.cancelled_caught);
}

/* --- failures -------------------------------------------------------------------------------- */

static void one_failure_is_a_group_of_one_and_cancels_the_others(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "s", sleeper),
                                                   CHECKPOINT,
                                                   SPAWN(&nursery, "f", fails_one),
                                                   CLOSE_NURSERY(&nursery),
                                                   NOTE("unreached"),
                                                   END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.trace, "s=cancelled(nursery)");
    is(world.result, "group(foreign 1)");
    is(world.last_blame >= 0, true);
}

static void failures_are_in_the_order_of_failing(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "2", fails_two),
                                                   SPAWN(&nursery, "1", fails_one),
                                                   SHIELDED_CHECKPOINT,
                                                   SHIELDED_CHECKPOINT,
                                                   SHIELDED_CHECKPOINT,
                                                   FAIL(3),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    static const struct script_step shielded[] = {
        OPEN_SCOPE(&outer), SHIELD(&outer, 1), CHECKPOINT, FAIL(2), CLOSE_SCOPE(&outer), END};
    static const struct script_step with_shield[] = {OPEN_NURSERY(&nursery),
                                                     SPAWN(&nursery, "2", shielded),
                                                     SPAWN(&nursery, "1", fails_one),
                                                     SHIELDED_CHECKPOINT,
                                                     SHIELDED_CHECKPOINT,
                                                     SHIELDED_CHECKPOINT,
                                                     FAIL(3),
                                                     CLOSE_NURSERY(&nursery),
                                                     END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.result, "group(foreign 1, foreign 3)"); /* 2 was cancelled */
    fresh();
    is(script_run(with_shield), CTRIO_GROUP);
    is(world.result, "group(foreign 1, foreign 2, foreign 3)");
}

static void a_failing_body_cancels_its_children(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "s", sleeper),
                                                   CHECKPOINT,
                                                   FAIL(5),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.trace, "s=cancelled(nursery)");
    is(world.result, "group(foreign 5)");
}

static void nested_failures_are_groups_in_groups(void)
{
    static const struct script_step middle[] = {
        OPEN_NURSERY(&second), SPAWN(&second, "f", fails_one), CLOSE_NURSERY(&second), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "m", middle), CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.result, "group(group(foreign 1))");
}

static void a_cancellation_from_outside_goes_through_as_a_group(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", cancelled),
                                                   SPAWN(&nursery, "b", cancelled),
                                                   CANCEL(&outer),
                                                   CHECKPOINT,
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   CLOSE_SCOPE(&outer),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "main=group main=ok");
    ok(!nursery.scope.cancelled_caught);
}

static struct ctrio__frontend stranger;

static int resumed;
static enum ctrio__step stranger_resume(struct ctrio_task *task, struct ctrio__outcome *io)
{
    (void)task;
    resumed++;
    *io = (struct ctrio__outcome){CTRIO_FOREIGN, (void *)77};
    return CTRIO__DONE;
}

static void spawn_stranger(struct script_task *self)
{
    struct script_task *child = script_task_new("stranger", NULL);
    (void)self;
    if (child == NULL)
        return;
    stranger = script_frontend;
    stranger.resume = stranger_resume;
    child->task.frontend = &stranger;
    if (tap_saw(ctrio__task_spawn(&world.run, &child->task, &nursery.nursery)) < 0)
        script_frontend.task_free(&child->task);
}

static void a_failure_of_another_front_end_is_adopted(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery), CALL(spawn_stranger),
                                                   CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.result, "group(foreign 77)");
    is(world.adopted, 1);
}

static void interrupt(struct script_task *self)
{
    (void)self;
    world.run.interrupt_pending = true;
    ctrio__run_deliver_interrupt(&world.run);
}

static void an_interrupt_while_the_parent_waits_is_one_of_the_failures(void)
{
    static const struct script_step interrupter[] = {CHECKPOINT, CALL(interrupt), TRY,
                                                     FOREVER,    REPORT_REASON,   END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "i", interrupter), CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.result, "group(interrupted)");
    is(script_said("i=cancelled(nursery)") + script_said("i=cancelled(interrupt)") +
           script_said("i=cancelled(unsaid)"),
       1);
    ok(!world.run.interrupt_pending);
}

/* --- at every moment ------------------------------------------------------------------------- */

static void cancel_nursery(void)
{
    script_cancel_open(&nursery.scope);
}

static void nobody_is_left(void)
{
    is(script_said("main=ok"), 1);
    is(script_said("stuck"), 0);
    is(world.run.tasks_living, 0);
}

static void a_nursery_cancelled_at_any_moment_closes(void)
{
    static const struct script_step a[] = {CHECKPOINT, SLEEP(1.0), CHECKPOINT, END};
    static const struct script_step b[] = {OPEN_NURSERY(&second), SPAWN(&second, "c", a),
                                           SPAWN(&second, "d", a), CLOSE_NURSERY(&second), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", a),
                                                   SPAWN(&nursery, "b", b),
                                                   SLEEP(0.5),
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    ok(script_everywhere(main_task, init, cancel_nursery, nobody_is_left) > 15);
}

TAP_MAIN(TEST(it_waits_for_every_child),
         TEST(closing_an_empty_one_is_a_schedule_point_and_no_cancel_point),
         TEST(children_may_be_spawned_while_the_parent_waits), TEST(a_closed_one_takes_nobody_in),
         TEST(a_cancellation_reaches_the_children_and_not_the_parent_that_waits),
         TEST(one_failure_is_a_group_of_one_and_cancels_the_others),
         TEST(failures_are_in_the_order_of_failing), TEST(a_failing_body_cancels_its_children),
         TEST(nested_failures_are_groups_in_groups),
         TEST(a_cancellation_from_outside_goes_through_as_a_group),
         TEST(a_failure_of_another_front_end_is_adopted),
         TEST(an_interrupt_while_the_parent_waits_is_one_of_the_failures),
         TEST(a_nursery_cancelled_at_any_moment_closes))
