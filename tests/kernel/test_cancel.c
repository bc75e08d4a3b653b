#include "kernel/cancel.h"
#include "script.h"

static struct ctrio_cancel_scope outer, middle, inner, other;
static struct script_nursery nursery;

static void fresh(void)
{
    script_reset();
    ctrio__scope_init(&outer, &script_frontend);
    ctrio__scope_init(&middle, &script_frontend);
    ctrio__scope_init(&inner, &script_frontend);
    ctrio__scope_init(&other, &script_frontend);
}

static void expect(const struct script_step *script, const char *trace)
{
    is(script_run(script), 0);
    is(world.trace, trace);
}

/* --- one scope ------------------------------------------------------------------------------- */

static void a_cancelled_scope_swallows_its_own_cancellation(void)
{
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer),  CANCEL(&outer), CHECKPOINT, NOTE("unreached"),
        CLOSE_SCOPE(&outer), REPORT,         END};
    fresh();
    expect(main_task, "main=ok");
    ok(outer.cancelled_caught);
    ok(outer.cancel_called);
    is((int)outer.state, (int)CTRIO_SCOPE_CLOSED);
}

static void cancellation_is_level_triggered(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   CANCEL(&outer),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   TRY,
                                                   FOREVER,
                                                   REPORT,
                                                   TRY,
                                                   IF_CANCELLED,
                                                   REPORT,
                                                   CANCEL(&outer),
                                                   TRY,
                                                   SLEEP(1.0),
                                                   REPORT,
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    expect(main_task, "main=cancelled main=cancelled main=cancelled main=cancelled");
    ok(!outer.cancelled_caught); /* nothing came to the end of the block */
}

static void a_scope_cancelled_before_it_opens_is_cancelled_at_once(void)
{
    static const struct script_step main_task[] = {CANCEL(&outer),
                                                   OPEN_SCOPE(&outer),
                                                   CHECKPOINT,
                                                   NOTE("unreached"),
                                                   CLOSE_SCOPE(&outer),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "main=ok");
    ok(outer.cancelled_caught);
}

static void a_scope_lets_other_failures_through(void)
{
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer), CANCEL(&outer), FAIL(3), TRY, CLOSE_SCOPE(&outer), REPORT, END};
    fresh();
    expect(main_task, "main=3");
    ok(!outer.cancelled_caught);
}

static void a_nursery_swallows_what_its_own_scope_has_sent(void)
{
    static const struct script_step child[] = {FOREVER, END};
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer),          OPEN_NURSERY(&nursery),
        SPAWN(&nursery, "c", child), CHECKPOINT,
        CANCEL(&nursery.scope),      CHECKPOINT,
        CLOSE_NURSERY(&nursery),     REPORT,
        CLOSE_SCOPE(&outer),         END};
    fresh();
    expect(main_task, "main=ok");
    ok(!outer.cancelled_caught);
    ok(nursery.scope.cancelled_caught);
}

static void forgetting_twice_does_no_harm(void)
{
    fresh();
    ctrio__scope_cancel(&outer, script_reason(CTRIO__BY_EXPLICIT));
    ctrio__scope_forget(&outer);
    ctrio__scope_forget(&outer);
    ok(outer.reason == NULL);
    is((int)outer.state, (int)CTRIO_SCOPE_UNENTERED);
}

static void a_guest_without_a_tick_hook_moves_deadlines_too(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),  TRY, FOREVER, REPORT,
                                                   CLOSE_SCOPE(&outer), END};
    fresh();
    world.guest = true;
    outer.deadline = 2.0;
    expect(main_task, "main=cancelled");
}

/* --- the tree -------------------------------------------------------------------------------- */

static void cancellation_flows_down_and_stops_at_a_shield(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   CANCEL(&outer),
                                                   OPEN_SCOPE(&middle),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT_REASON,
                                                   SHIELD(&middle, 1),
                                                   CHECKPOINT,
                                                   REPORT,
                                                   OPEN_SCOPE(&inner),
                                                   CHECKPOINT,
                                                   REPORT,
                                                   SHIELD(&middle, 0),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   SHIELD(&inner, 1),
                                                   CHECKPOINT,
                                                   REPORT,
                                                   CANCEL(&inner),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   CLOSE_SCOPE(&inner),
                                                   CLOSE_SCOPE(&middle),
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    expect(main_task,
           "main=cancelled(explicit) main=ok main=ok main=cancelled main=ok main=cancelled");
}

static void an_inner_scope_does_not_swallow_what_an_outer_one_sent(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_SCOPE(&inner),
                                                   CANCEL(&outer),
                                                   CHECKPOINT,
                                                   TRY,
                                                   CLOSE_SCOPE(&inner),
                                                   REPORT,
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    expect(main_task, "main=cancelled");
    ok(!inner.cancelled_caught);
    ok(!inner.cancel_called);
}

static void with_both_cancelled_the_outer_one_gets_it(void)
{
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer),  OPEN_SCOPE(&inner), CANCEL(&inner),      CANCEL(&outer), CHECKPOINT,
        CLOSE_SCOPE(&inner), NOTE("unreached"),  CLOSE_SCOPE(&outer), NOTE("out"),    END};
    fresh();
    expect(main_task, "main:out");
    ok(!inner.cancelled_caught);
    ok(outer.cancelled_caught);
}

static void a_shielded_scope_swallows_its_own_within_a_cancelled_one(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),  OPEN_SCOPE(&inner),
                                                   SHIELD(&inner, 1),   CANCEL(&inner),
                                                   CANCEL(&outer),      CHECKPOINT,
                                                   CLOSE_SCOPE(&inner), NOTE("between"),
                                                   CLOSE_SCOPE(&outer), END};
    fresh();
    expect(main_task, "main:between");
    ok(inner.cancelled_caught);
    ok(!outer.cancelled_caught);
}

static const struct script_step sleeper[] = {TRY, FOREVER, REPORT_REASON, END};
static const struct script_step shielded_sleeper[] = {
    OPEN_SCOPE(&inner), SHIELD(&inner, 1), TRY, FOREVER, REPORT, CLOSE_SCOPE(&inner), END};

static void every_task_below_is_woken_in_order(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", sleeper),
                                                   SPAWN(&nursery, "s", shielded_sleeper),
                                                   SPAWN(&nursery, "b", sleeper),
                                                   CHECKPOINT,
                                                   CANCEL(&outer),
                                                   SHIELDED_CHECKPOINT,
                                                   SHIELDED_CHECKPOINT,
                                                   SHIELDED_CHECKPOINT,
                                                   NOTE("unshields"),
                                                   SHIELD(&inner, 0),
                                                   CLOSE_NURSERY(&nursery),
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    expect(main_task, "a=cancelled(explicit) b=cancelled(explicit) main:unshields s=cancelled");
}

static void tree_checks(struct script_task *self)
{
    const struct ctrio_cancel_scope *root = &outer;
    ok(ctrio__scope_tree_valid(root));
    inner.effectively_cancelled = true;
    ok(!ctrio__scope_tree_valid(root));
    inner.effectively_cancelled = false;
    inner.run = NULL;
    ok(!ctrio__scope_tree_valid(root));
    inner.run = self->task.run;
    inner.state = CTRIO_SCOPE_CLOSED;
    ok(!ctrio__scope_tree_valid(root));
    inner.state = CTRIO_SCOPE_OPEN;
    self->task.scope = &middle;
    ok(!ctrio__scope_tree_valid(root));
    self->task.scope = &inner;
    ok(ctrio__scope_tree_valid(root));
}

static void the_check_of_the_tree_sees_what_is_broken(void)
{
    static const struct script_step sibling[] = {OPEN_SCOPE(&other), FOREVER, CLOSE_SCOPE(&other),
                                                 END};
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "x", sibling),
                                                   CHECKPOINT,
                                                   OPEN_SCOPE(&middle),
                                                   OPEN_SCOPE(&inner),
                                                   CALL(tree_checks),
                                                   CLOSE_SCOPE(&inner),
                                                   CLOSE_SCOPE(&middle),
                                                   CANCEL(&outer),
                                                   CLOSE_NURSERY(&nursery),
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    expect(main_task, "");
}

/* --- deadlines ------------------------------------------------------------------------------- */

static void a_deadline_cancels_when_it_passes(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),  TRY, FOREVER, REPORT_REASON,
                                                   CLOSE_SCOPE(&outer), END};
    fresh();
    outer.deadline = 7.25;
    expect(main_task, "main=cancelled(deadline)");
    is(world.clock.time, 7.25);
}

static void a_deadline_that_has_come_counts_as_passed(void)
{
    static const struct script_step main_task[] = {
        JUMP(3.0), OPEN_SCOPE(&outer), TRY, CHECKPOINT, REPORT_REASON, CLOSE_SCOPE(&outer), END};
    fresh();
    outer.deadline = 3.0;
    expect(main_task, "main=cancelled(deadline)");
    fresh();
    outer.deadline = -INFINITY;
    expect(main_task, "main=cancelled(deadline)");
    ok(ctrio__timers_first(&world.run.timers) == NULL);
}

static void a_relative_deadline_counts_from_the_opening(void)
{
    static const struct script_step main_task[] = {JUMP(3.0), OPEN_SCOPE(&outer),  TRY, FOREVER,
                                                   REPORT,    CLOSE_SCOPE(&outer), END};
    fresh();
    outer.relative_deadline = 1.5;
    expect(main_task, "main=cancelled");
    is(world.clock.time, 4.5);
    is(outer.deadline, 4.5);
    is(outer.relative_deadline, (double)INFINITY);
}

static void move_deadlines(struct script_task *self)
{
    (void)self;
    is(ctrio__timers_count(&world.run.timers), 1);
    ctrio__scope_set_deadline(&outer, 9.0);
    is(ctrio__run_next_deadline(&world.run), 9.0);
    ctrio__scope_set_deadline(&outer, INFINITY);
    is(ctrio__timers_count(&world.run.timers), 0);
    ctrio__scope_set_deadline(&outer, 2.0);
    ctrio__scope_set_deadline(&outer, 4.0);
    is(ctrio__timers_count(&world.run.timers), 1);
}

static void a_deadline_can_be_moved_while_it_is_open(void)
{
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer), CALL(move_deadlines), TRY, FOREVER, REPORT, CLOSE_SCOPE(&outer), END};
    fresh();
    outer.deadline = 5.0;
    expect(main_task, "main=cancelled");
    is(world.clock.time, 4.0);
    ctrio__scope_set_deadline(&outer, 1.0); /* closed: only a number */
    is(outer.deadline, 1.0);
}

static void expired_together(struct script_task *self)
{
    (void)self;
    is(ctrio__timers_count(&world.run.timers), 3);
}

static const struct script_step late_a[] = {OPEN_SCOPE(&outer),  TRY, FOREVER, REPORT,
                                            CLOSE_SCOPE(&outer), END};
static const struct script_step late_b[] = {OPEN_SCOPE(&middle),  TRY, FOREVER, REPORT,
                                            CLOSE_SCOPE(&middle), END};
static const struct script_step late_c[] = {OPEN_SCOPE(&inner),  TRY, FOREVER, REPORT,
                                            CLOSE_SCOPE(&inner), END};

static void equal_deadlines_expire_in_the_order_of_opening(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", late_a),
                                                   SPAWN(&nursery, "b", late_b),
                                                   SPAWN(&nursery, "c", late_c),
                                                   CHECKPOINT,
                                                   CALL(expired_together),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    outer.deadline = middle.deadline = inner.deadline = 1.0;
    expect(main_task, "a=cancelled b=cancelled c=cancelled");
}

static void a_cancelled_scope_with_a_passed_deadline_keeps_its_reason(void)
{
    static const struct script_step main_task[] = {
        CANCEL(&outer), OPEN_SCOPE(&outer),  TRY, CHECKPOINT,
        REPORT_REASON,  CLOSE_SCOPE(&outer), END};
    fresh();
    outer.deadline = -1.0;
    expect(main_task, "main=cancelled(explicit)");
}

static void asks_cancel_called(struct script_task *self)
{
    (void)self;
    ok(!ctrio__scope_cancel_called(&outer, 1.9));
    ok(ctrio__scope_cancel_called(&outer, 2.0));
    ok(outer.effectively_cancelled);
    ok(ctrio__scope_cancel_called(&outer, 1.0));
}

static void asking_lets_a_passed_deadline_take_effect(void)
{
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer), CALL(asks_cancel_called), TRY, CHECKPOINT,
        REPORT_REASON,      CLOSE_SCOPE(&outer),      END};
    fresh();
    outer.deadline = 2.0;
    expect(main_task, "main=cancelled(deadline)");
    ok(ctrio__scope_cancel_called(&middle, 5.0) == false);
    ctrio__scope_set_deadline(&middle, 1.0);
    ok(ctrio__scope_cancel_called(&middle, 5.0)); /* unentered too */
    fresh();
    static const struct script_step closes[] = {OPEN_SCOPE(&outer), CLOSE_SCOPE(&outer), END};
    outer.deadline = 2.0;
    expect(closes, "");
    ok(!ctrio__scope_cancel_called(&outer, 5.0)); /* it closed in time */
}

static void expect_deadline_counts(struct script_task *self)
{
    (void)self;
    ok(inner.cancel_called);
    ok(inner.reason == &ctrio__reason_deadline);
    ok(inner.effectively_cancelled);
    ok(!ctrio__timer_armed(inner.run, &inner.timer));
}

static void a_shield_lets_a_passed_deadline_take_effect(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&inner),
                                                   JUMP(2.0),
                                                   SHIELD(&inner, 1),
                                                   CALL(expect_deadline_counts),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT_REASON,
                                                   CLOSE_SCOPE(&inner),
                                                   END};
    fresh();
    inner.deadline = 2.0;
    expect(main_task, "main=cancelled(deadline)");
}

static void a_passed_deadline_inside_what_is_cancelled_is_the_reason_there(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_SCOPE(&inner),
                                                   JUMP(2.0),
                                                   CANCEL(&outer),
                                                   CALL(expect_deadline_counts),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT_REASON,
                                                   CLOSE_SCOPE(&inner),
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    inner.deadline = 2.0;
    expect(main_task, "main=cancelled(deadline)");
}

static void a_deadline_that_is_still_to_come_changes_no_reason(void)
{
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer), OPEN_SCOPE(&inner), JUMP(1.5),           CANCEL(&outer),      TRY,
        CHECKPOINT,         REPORT_REASON,      CLOSE_SCOPE(&inner), CLOSE_SCOPE(&outer), END};
    fresh();
    inner.deadline = 2.0;
    expect(main_task, "main=cancelled(explicit)");
    ok(!inner.cancel_called);
}

static bool clock_closes;

static double closing_time(struct ctrio_clock *clock)
{
    (void)clock;
    if (clock_closes)
        ctrio__scope_forget(&outer);
    return 0.0;
}

static double no_sleep(struct ctrio_clock *clock, double deadline)
{
    (void)clock;
    return deadline;
}

static void start_no_clock(struct ctrio_clock *clock, struct ctrio_run *run)
{
    (void)clock;
    (void)run;
}

static void shield_while_the_clock_closes(struct script_task *self)
{
    (void)self;
    clock_closes = true;
    ctrio__scope_set_shield(&outer, true);
    clock_closes = false;
    is((int)outer.state, (int)CTRIO_SCOPE_CLOSED);
}

static void a_clock_may_close_the_scope_that_asks_for_the_time(void)
{
    static struct ctrio_clock closing = {start_no_clock, closing_time, no_sleep, NULL, 0.5, false};
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   CALL(shield_while_the_clock_closes),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT_REASON,
                                                   END};
    fresh();
    world.use_clock = &closing;
    outer.deadline = 9.0;
    script_run(main_task);
    is(world.trace, "main=cancelled(unknown)"); /* by the misnesting */
}

static void measure(struct script_task *self)
{
    (void)self;
    is(ctrio__scope_effective_deadline(&inner), 3.0);
    ctrio__scope_set_shield(&middle, true);
    is(ctrio__scope_effective_deadline(&inner), 5.0);
    ctrio__scope_set_deadline(&inner, 4.0);
    is(ctrio__scope_effective_deadline(&inner), 4.0);
    ctrio__scope_cancel(&middle, NULL);
    is(ctrio__scope_effective_deadline(&inner), -(double)INFINITY);
    is(ctrio__scope_effective_deadline(&outer), 3.0);
    is(ctrio__scope_effective_deadline(NULL), (double)INFINITY);
}

static void the_effective_deadline_is_the_nearest_that_is_visible(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_SCOPE(&middle),
                                                   OPEN_SCOPE(&inner),
                                                   CALL(measure),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT_REASON,
                                                   CLOSE_SCOPE(&inner),
                                                   CLOSE_SCOPE(&middle),
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    outer.deadline = 3.0;
    middle.deadline = 5.0;
    expect(main_task, "main=cancelled(unknown)");
}

static int ticks;
static void tick(struct ctrio_run *run)
{
    (void)run;
    ticks++;
}

static void move_guest_deadlines(struct script_task *self)
{
    (void)self;
    ticks = 0;
    ctrio__scope_set_deadline(&outer, 9.0);
    is(ticks, 1);
    ctrio__scope_set_deadline(&inner, 100.0); /* not the next one */
    is(ticks, 1);
    ctrio__scope_set_deadline(&outer, INFINITY);
    is(ticks, 2);
}

static void in_guest_mode_a_new_next_deadline_asks_for_a_tick(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),         OPEN_SCOPE(&inner),
                                                   CALL(move_guest_deadlines), CLOSE_SCOPE(&inner),
                                                   CLOSE_SCOPE(&outer),        END};
    fresh();
    world.guest = true;
    world.hooks.wanted = CTRIO__HOOK_GUEST_TICK;
    world.hooks.guest_tick = tick;
    expect(main_task, "");
    ok(ticks > 2); /* becoming runnable asks for one, too */
}

TAP_MAIN(TEST(a_cancelled_scope_swallows_its_own_cancellation),
         TEST(cancellation_is_level_triggered),
         TEST(a_scope_cancelled_before_it_opens_is_cancelled_at_once),
         TEST(a_scope_lets_other_failures_through),
         TEST(a_nursery_swallows_what_its_own_scope_has_sent), TEST(forgetting_twice_does_no_harm),
         TEST(a_guest_without_a_tick_hook_moves_deadlines_too),
         TEST(cancellation_flows_down_and_stops_at_a_shield),
         TEST(an_inner_scope_does_not_swallow_what_an_outer_one_sent),
         TEST(with_both_cancelled_the_outer_one_gets_it),
         TEST(a_shielded_scope_swallows_its_own_within_a_cancelled_one),
         TEST(every_task_below_is_woken_in_order), TEST(the_check_of_the_tree_sees_what_is_broken),
         TEST(a_deadline_cancels_when_it_passes), TEST(a_deadline_that_has_come_counts_as_passed),
         TEST(a_relative_deadline_counts_from_the_opening),
         TEST(a_deadline_can_be_moved_while_it_is_open),
         TEST(equal_deadlines_expire_in_the_order_of_opening),
         TEST(a_cancelled_scope_with_a_passed_deadline_keeps_its_reason),
         TEST(asking_lets_a_passed_deadline_take_effect),
         TEST(a_shield_lets_a_passed_deadline_take_effect),
         TEST(a_passed_deadline_inside_what_is_cancelled_is_the_reason_there),
         TEST(a_deadline_that_is_still_to_come_changes_no_reason),
         TEST(a_clock_may_close_the_scope_that_asks_for_the_time),
         TEST(the_effective_deadline_is_the_nearest_that_is_visible),
         TEST(in_guest_mode_a_new_next_deadline_asks_for_a_tick))
