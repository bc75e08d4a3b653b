#include "kernel/event.h"
#include "script.h"

static struct ctrio_event event;
static struct ctrio_cancel_scope scope;
static struct script_nursery nursery;

static void init(void)
{
    ctrio__event_init(&event, &script_frontend);
}

static void fresh(void)
{
    script_reset();
    init();
}

static const struct script_step waiter[] = {WAIT(&event), REPORT, END};

static void setting_wakes_every_waiter_in_order(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", waiter),
                                                   SPAWN(&nursery, "b", waiter),
                                                   SPAWN(&nursery, "c", waiter),
                                                   CHECKPOINT,
                                                   NOTE("sets"),
                                                   SET(&event),
                                                   SET(&event),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:sets a=ok b=ok c=ok");
    is(event.lot.count, 0);
    ok(event.is_set);
}

static uint32_t schedule_points, cancel_points;

static void count_points(struct script_task *self)
{
    schedule_points = self->task.schedule_points - schedule_points;
    cancel_points = self->task.cancel_points - cancel_points;
}

static void waiting_for_a_set_event_is_one_checkpoint(void)
{
    static const struct script_step main_task[] = {
        SET(&event), CALL(count_points), WAIT(&event), CALL(count_points), REPORT, END};
    fresh();
    schedule_points = 0;
    cancel_points = 0;
    is(script_run(main_task), 0);
    is(world.trace, "main=ok");
    is(schedule_points, 1);
    is(cancel_points, 1);
}

static void waiting_for_a_set_event_can_be_cancelled(void)
{
    static const struct script_step main_task[] = {
        SET(&event),       FRESH_SCOPE(&scope), CANCEL(&scope), WAIT(&event),
        NOTE("unreached"), CLOSE_SCOPE(&scope), NOTE("out"),    END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:out");
    ok(scope.cancelled_caught);
}

static void a_cancelled_waiter_is_forgotten(void)
{
    static const struct script_step scoped[] = {FRESH_SCOPE(&scope), WAIT(&event),
                                                NOTE("unreached"),   CLOSE_SCOPE(&scope),
                                                NOTE("out"),         END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", scoped),
                                                   SPAWN(&nursery, "b", waiter),
                                                   CHECKPOINT,
                                                   CANCEL(&scope),
                                                   SET(&event),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a:out b=ok");
}

static void a_waiter_woken_before_the_cancellation_is_not_cancelled(void)
{
    static const struct script_step scoped[] = {FRESH_SCOPE(&scope), WAIT(&event), REPORT,
                                                CLOSE_SCOPE(&scope), NOTE("out"),  END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", scoped), CHECKPOINT, SET(&event),
        CANCEL(&scope),         CLOSE_NURSERY(&nursery),      END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=ok a:out");
}

static void an_event_set_in_the_same_step_is_waited_for_like_any_set_one(void)
{
    static const struct script_step setter[] = {SET(&event), NOTE("set"), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", setter), SPAWN(&nursery, "b", waiter),
        CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a:set b=ok");
}

/* --- at every moment ------------------------------------------------------------------------ */

static const struct script_step victim[] = {FRESH_SCOPE(&scope), WAIT(&event), WAIT(&event),
                                            CLOSE_SCOPE(&scope), NOTE("out"),  END};
static const struct script_step among_others[] = {OPEN_NURSERY(&nursery),
                                                  SPAWN(&nursery, "before", waiter),
                                                  SPAWN(&nursery, "victim", victim),
                                                  SPAWN(&nursery, "after", waiter),
                                                  CHECKPOINT,
                                                  SET(&event),
                                                  CLOSE_NURSERY(&nursery),
                                                  END};

static void others_are_through(void)
{
    is(event.lot.count, 0);
    is(script_said("before=ok"), 1);
    is(script_said("after=ok"), 1);
}

static void cancel_it(void)
{
    script_cancel_open(&scope);
}

static void abandon_it(void)
{
    script_abandon_named("victim");
}

static void a_cancellation_at_any_moment_disturbs_nobody_else(void)
{
    ok(script_everywhere(among_others, init, cancel_it, others_are_through) > 15);
}

static void an_op_abandoned_at_any_moment_leaves_no_trace(void)
{
    ok(script_everywhere(among_others, init, abandon_it, others_are_through) > 15);
}

TAP_MAIN(TEST(setting_wakes_every_waiter_in_order), TEST(waiting_for_a_set_event_is_one_checkpoint),
         TEST(waiting_for_a_set_event_can_be_cancelled), TEST(a_cancelled_waiter_is_forgotten),
         TEST(a_waiter_woken_before_the_cancellation_is_not_cancelled),
         TEST(an_event_set_in_the_same_step_is_waited_for_like_any_set_one),
         TEST(a_cancellation_at_any_moment_disturbs_nobody_else),
         TEST(an_op_abandoned_at_any_moment_leaves_no_trace))
