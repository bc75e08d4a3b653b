#include "kernel/checkpoint.h"
#include "script.h"

static struct script_nursery nursery;
static struct ctrio_cancel_scope scope, inner;
static uint32_t schedule_points, cancel_points;

/* The difference to the last call. */
static void count_points(struct script_task *self)
{
    schedule_points = self->task.schedule_points - schedule_points;
    cancel_points = self->task.cancel_points - cancel_points;
}

static void fresh(void)
{
    script_reset();
    schedule_points = 0;
    cancel_points = 0;
}

static void expect_points(const struct script_step *script, uint32_t schedules, uint32_t cancels)
{
    fresh();
    is(script_run(script), 0);
    is(schedule_points, schedules);
    is(cancel_points, cancels);
}

static void a_checkpoint_is_one_of_each(void)
{
    static const struct script_step both[] = {CALL(count_points), CHECKPOINT, CALL(count_points),
                                              END};
    static const struct script_step shielded[] = {CALL(count_points), SHIELDED_CHECKPOINT,
                                                  CALL(count_points), END};
    static const struct script_step looking[] = {CALL(count_points), IF_CANCELLED,
                                                 CALL(count_points), END};
    expect_points(both, 1, 1);
    expect_points(shielded, 1, 0);
    expect_points(looking, 0, 1);
}

static void a_checkpoint_lets_the_others_run(void)
{
    static const struct script_step other[] = {NOTE("1"), CHECKPOINT, NOTE("2"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "b", other),
                                                   NOTE("1"),
                                                   CHECKPOINT,
                                                   NOTE("2"),
                                                   SHIELDED_CHECKPOINT,
                                                   NOTE("3"),
                                                   IF_CANCELLED,
                                                   NOTE("4"),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:1 b:1 main:2 b:2 main:3 main:4");
}

static void each_kind_looks_as_it_should_for_a_cancellation(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope),
                                                   CANCEL(&scope),
                                                   SHIELDED_CHECKPOINT,
                                                   REPORT,
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   TRY,
                                                   IF_CANCELLED,
                                                   REPORT_REASON,
                                                   TRY,
                                                   FOREVER,
                                                   REPORT,
                                                   TRY,
                                                   SLEEP(1.0),
                                                   REPORT,
                                                   FRESH_SCOPE(&inner),
                                                   SHIELD(&inner, 1),
                                                   CHECKPOINT,
                                                   IF_CANCELLED,
                                                   REPORT,
                                                   SLEEP(1.0),
                                                   REPORT,
                                                   CLOSE_SCOPE(&inner),
                                                   CLOSE_SCOPE(&scope),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok main=cancelled main=cancelled(explicit) main=cancelled "
                    "main=cancelled main=ok main=ok");
}

static void a_checkpoint_sees_a_deadline_that_passed_before_its_turn(void)
{
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&scope), JUMP(2.0),           NOTE("late"), CHECKPOINT,
        NOTE("unreached"),  CLOSE_SCOPE(&scope), NOTE("out"),  END};
    fresh();
    ctrio__scope_init(&scope, &script_frontend);
    scope.deadline = 1.0;
    is(script_run(main_task), 0);
    is(world.trace, "main:late main:out");
    ok(scope.cancelled_caught);
}

static void shield_inner(void)
{
    if (inner.state == CTRIO_SCOPE_OPEN)
        ctrio__scope_set_shield(&inner, true);
}

/* Whenever the shield goes up, the look comes to a result. */
static void is_through(void)
{
    is(script_said("main:through"), 1);
    is(script_said("stuck"), 0);
}

static void nothing(void)
{
}

static void a_shield_that_goes_up_on_the_way_is_respected(void)
{
    static const struct script_step looks[] = {FRESH_SCOPE(&scope),
                                               CANCEL(&scope),
                                               FRESH_SCOPE(&inner),
                                               TRY,
                                               IF_CANCELLED,
                                               REPORT,
                                               TRY,
                                               CHECKPOINT,
                                               REPORT,
                                               CLOSE_SCOPE(&inner),
                                               CLOSE_SCOPE(&scope),
                                               NOTE("through"),
                                               END};
    ok(script_everywhere(looks, nothing, shield_inner, is_through) > 8);
}

static void raise_shield(struct script_task *self)
{
    (void)self;
    shield_inner();
}

/* Before the look, between the look and its result, and too late. */
static void a_cancellation_that_was_seen_is_dropped_if_a_shield_goes_up_before_it_is_told(void)
{
    static const struct script_step soon[] = {CALL(raise_shield), END};
    static const struct script_step in_between[] = {SHIELDED_CHECKPOINT, CALL(raise_shield), END};
    static const struct script_step late[] = {SHIELDED_CHECKPOINT, SHIELDED_CHECKPOINT,
                                              CALL(raise_shield), END};
    static const struct script_step *const helper[] = {soon, in_between, late};
    static const char *const result[] = {"main=ok", "main=ok", "main=cancelled"};
    for (int i = 0; i < 3; i++) {
        const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                FRESH_SCOPE(&inner),
                                                SPAWN(&nursery, "h", helper[i]),
                                                CANCEL(&nursery.scope),
                                                TRY,
                                                CHECKPOINT,
                                                REPORT,
                                                CLOSE_SCOPE(&inner),
                                                CLOSE_NURSERY(&nursery),
                                                END};
        fresh();
        is(script_run(main_task), 0);
        is(world.trace, result[i]);
    }
}

static void sleeping_takes_as_long_as_it_says(void)
{
    static const struct script_step main_task[] = {SLEEP(1.5), SLEEP(0.25), REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.clock.time, 1.75);
    is(world.trace, "main=ok");
}

static void sleeping_until_the_past_is_a_checkpoint(void)
{
    static const struct script_step main_task[] = {CALL(count_points), SLEEP_UNTIL(-7.0),
                                                   CALL(count_points), SLEEP_UNTIL(0.0), END};
    expect_points(main_task, 1, 1);
    is(world.clock.time, 0.0);
}

static void sleeping_in_a_cancelled_scope_raises_even_if_the_time_has_come(void)
{
    static const struct script_step main_task[] = {
        FRESH_SCOPE(&scope), CANCEL(&scope),      TRY, SLEEP_UNTIL(-1.0),
        REPORT_REASON,       CLOSE_SCOPE(&scope), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=cancelled(deadline)");
}

static void a_sleep_cancelled_after_its_time_has_its_own_reason(void)
{
    static const struct script_step over[] = {TRY, SLEEP_UNTIL(1.0), REPORT_REASON, END};
    static const struct script_step not_over[] = {TRY, SLEEP_UNTIL(9.0), REPORT_REASON, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", over),
                                                   SPAWN(&nursery, "b", not_over),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   JUMP(1.0),
                                                   CANCEL(&nursery.scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(script_said("a=cancelled(deadline)"), 1u);
    is(script_said("b=cancelled(explicit)"), 1u);
}

/* Trio sleeps in a scope of its own, inside the shield. */
static const struct script_step shielded_sleeper[] = {
    FRESH_SCOPE(&scope), FRESH_SCOPE(&inner), TRY, SLEEP_UNTIL(1.0), REPORT_REASON,
    CLOSE_SCOPE(&inner), CLOSE_SCOPE(&scope), END};
#define LET_IT_SLEEP                                                                               \
    OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", shielded_sleeper), CHECKPOINT, CHECKPOINT

static void expect_sleeper(const struct script_step *script, const char *trace)
{
    fresh();
    is(script_run(script), 0);
    is(world.trace, trace);
}

static void a_sleep_over_behind_a_shield_that_has_gone_up_is_over(void)
{
    static const struct script_step over_first[] = {
        LET_IT_SLEEP, JUMP(1.0), CANCEL(&scope), SHIELD(&inner, 1), CLOSE_NURSERY(&nursery), END};
    static const struct script_step seen_by_the_loop[] = {
        LET_IT_SLEEP, CANCEL(&scope), SHIELD(&inner, 1), JUMP(1.0), CLOSE_NURSERY(&nursery), END};
    static const struct script_step late_shield[] = {JUMP(1.0), SHIELD(&inner, 1), END};
    static const struct script_step seen_by_the_shield[] = {
        LET_IT_SLEEP,   SPAWN(&nursery, "", late_shield), /* one of them runs before it */
        CANCEL(&scope), SPAWN(&nursery, "", late_shield), CLOSE_NURSERY(&nursery), END};
    expect_sleeper(over_first, "a=ok");
    expect_sleeper(seen_by_the_loop, "a=ok");
    expect_sleeper(seen_by_the_shield, "a=ok");
}

static void a_sleep_that_was_not_over_when_the_shield_went_up_is_cancelled(void)
{
    static const struct script_step never[] = {LET_IT_SLEEP, CANCEL(&scope), SHIELD(&inner, 1),
                                               CLOSE_NURSERY(&nursery), END};
    static const struct script_step late[] = {JUMP(1.0), END};
    static const struct script_step over_before_it_runs[] = {LET_IT_SLEEP,
                                                             SPAWN(&nursery, "", late),
                                                             CANCEL(&scope),
                                                             SHIELD(&inner, 1),
                                                             SPAWN(&nursery, "", late),
                                                             CLOSE_NURSERY(&nursery),
                                                             END};
    expect_sleeper(never, "a=cancelled(explicit)");
    expect_sleeper(over_before_it_runs, "a=cancelled(explicit)");
}

static void sleeping_until_never_ends_only_by_a_cancellation(void)
{
    static const struct script_step sleeper[] = {
        FRESH_SCOPE(&scope), TRY, SLEEP_UNTIL(INFINITY), REPORT, CLOSE_SCOPE(&scope), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "s", sleeper), SLEEP(1e9),
        CANCEL(&scope),         CLOSE_NURSERY(&nursery),       END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "s=cancelled");
}

static void sleepers_wake_in_the_order_of_their_deadlines(void)
{
    static const struct script_step a[] = {SLEEP(3.0), NOTE("3"), END};
    static const struct script_step b[] = {SLEEP(1.0), NOTE("1"), END};
    static const struct script_step c[] = {SLEEP(2.0), NOTE("2"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", a),
                                                   SPAWN(&nursery, "b", b),
                                                   SPAWN(&nursery, "c", c),
                                                   SPAWN(&nursery, "d", b),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "b:1 d:1 c:2 a:3");
}

static void cancel_it(void)
{
    script_cancel_open(&scope);
}

static void abandon_it(void)
{
    script_abandon_named("victim");
}

static void no_timer_is_left(void)
{
    ok(ctrio__timers_first(&world.run.timers) == NULL);
    is(ctrio__timers_count(&world.run.timers), 0);
    is(script_said("stuck"), 0);
}

static const struct script_step victim[] = {
    FRESH_SCOPE(&scope), CHECKPOINT, SLEEP(1.0),          IF_CANCELLED,
    SHIELDED_CHECKPOINT, SLEEP(1.0), CLOSE_SCOPE(&scope), END};
static const struct script_step beside_another[] = {OPEN_NURSERY(&nursery),
                                                    SPAWN(&nursery, "victim", victim),
                                                    SLEEP(1.0),
                                                    SLEEP(5.0),
                                                    CLOSE_NURSERY(&nursery),
                                                    END};

static void a_cancellation_at_any_moment_leaves_no_timer(void)
{
    ok(script_everywhere(beside_another, nothing, cancel_it, no_timer_is_left) > 15);
}

static void an_op_abandoned_at_any_moment_leaves_no_timer(void)
{
    ok(script_everywhere(beside_another, nothing, abandon_it, no_timer_is_left) > 15);
}

static void an_abandoned_sleep_that_never_began_has_no_timer(void)
{
    struct ctrio_task task;
    struct ctrio__sleep_op op;
    ctrio__task_init(&task, &script_frontend);
    ctrio__sleep_op_init(&op, 1.0);
    ctrio__op_abandon(&op.op, &task);
    is((int)op.op.stage, 0);
}

/* --- the raw wait -------------------------------------------------------------------------- */

static int marker;
static bool refuse;
static struct ctrio_task *parked;

static enum ctrio__abort on_abort(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    ok(task->park_data == &marker);
    is(why->code, CTRIO_CANCELLED);
    script_say("asked");
    return refuse ? CTRIO__ABORT_FAILED : CTRIO__ABORT_SUCCEEDED;
}

static void begin_wait(struct script_task *self, const struct script_step *step)
{
    (void)step;
    ctrio__op_init(&self->op.op, &ctrio__wait_kind, &marker);
    self->op.wait.abort_fn = on_abort;
    parked = &self->task;
}

static void wake_it(struct script_task *self)
{
    (void)self;
    ctrio__task_wake(parked, 42, NULL);
}

#define RAW_WAIT SCRIPT_BEGIN("wait", begin_wait, .number = 0)

static const struct script_step raw_waiter[] = {
    FRESH_SCOPE(&scope), TRY, RAW_WAIT, REPORT, TRY, CHECKPOINT, REPORT, CLOSE_SCOPE(&scope), END};

static void a_raw_wait_ends_with_what_it_is_woken_with(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "w", raw_waiter), CHECKPOINT,
        CALL(wake_it),          CLOSE_NURSERY(&nursery),          END};
    fresh();
    refuse = false;
    is(script_run(main_task), 0);
    is(world.trace, "w=ok w=ok");
}

static void a_raw_wait_that_agrees_is_cancelled(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "w", raw_waiter), CHECKPOINT,
        CANCEL(&scope),         CLOSE_NURSERY(&nursery),          END};
    fresh();
    refuse = false;
    is(script_run(main_task), 0);
    is(world.trace, "asked w=cancelled w=cancelled");
}

static void a_raw_wait_that_refuses_is_asked_once_and_cancelled_later(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "w", raw_waiter),
                                                   CHECKPOINT,
                                                   CANCEL(&scope),
                                                   CHECKPOINT,
                                                   SHIELD(&scope, 1),
                                                   SHIELD(&scope, 0),
                                                   CANCEL(&nursery.scope),
                                                   CALL(wake_it),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    refuse = true;
    is(script_run(main_task), 0);
    is(world.trace, "asked w=ok w=cancelled");
}

static void remember(struct script_task *self)
{
    parked = &self->task;
}

static void wake_with_a_value(struct script_task *self)
{
    (void)self;
    ctrio__task_wake(parked, 0, (void *)5);
}

static void a_sleep_for_ever_that_is_woken_is_a_mistake_of_the_waker(void)
{
    static const struct script_step sleeper[] = {CALL(remember), TRY, FOREVER, REPORT, END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),  SPAWN(&nursery, "s", sleeper), CHECKPOINT,
        CALL(wake_with_a_value), CLOSE_NURSERY(&nursery),       END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "s=misuse");
    is(world.failures_dropped, 2); /* the value, and the failure tried */
}

static void a_task_without_a_scope_sleeps_like_any_other(void)
{
    static const struct script_step main_task[] = {CHECKPOINT, END};
    struct ctrio__sleep_op op;
    struct ctrio_task task;
    struct ctrio__outcome io = {0, NULL};
    fresh();
    ctrio__task_init(&task, &script_frontend);
    task.run = &world.run;
    ctrio__sleep_op_init(&op, 1.0);
    op.op.stage = 1; /* it has slept */
    is((int)op.op.kind->step(&op.op, &task, &io), (int)CTRIO__DONE);
    is(io.code, 0);
    is(script_run(main_task), 0);
}

TAP_MAIN(TEST(a_checkpoint_is_one_of_each), TEST(a_checkpoint_lets_the_others_run),
         TEST(each_kind_looks_as_it_should_for_a_cancellation),
         TEST(a_checkpoint_sees_a_deadline_that_passed_before_its_turn),
         TEST(a_shield_that_goes_up_on_the_way_is_respected),
         TEST(a_cancellation_that_was_seen_is_dropped_if_a_shield_goes_up_before_it_is_told),
         TEST(sleeping_takes_as_long_as_it_says), TEST(sleeping_until_the_past_is_a_checkpoint),
         TEST(sleeping_in_a_cancelled_scope_raises_even_if_the_time_has_come),
         TEST(a_sleep_cancelled_after_its_time_has_its_own_reason),
         TEST(a_sleep_over_behind_a_shield_that_has_gone_up_is_over),
         TEST(a_sleep_that_was_not_over_when_the_shield_went_up_is_cancelled),
         TEST(sleeping_until_never_ends_only_by_a_cancellation),
         TEST(sleepers_wake_in_the_order_of_their_deadlines),
         TEST(a_cancellation_at_any_moment_leaves_no_timer),
         TEST(an_op_abandoned_at_any_moment_leaves_no_timer),
         TEST(an_abandoned_sleep_that_never_began_has_no_timer),
         TEST(a_raw_wait_ends_with_what_it_is_woken_with),
         TEST(a_raw_wait_that_agrees_is_cancelled),
         TEST(a_raw_wait_that_refuses_is_asked_once_and_cancelled_later),
         TEST(a_sleep_for_ever_that_is_woken_is_a_mistake_of_the_waker),
         TEST(a_task_without_a_scope_sleeps_like_any_other))
