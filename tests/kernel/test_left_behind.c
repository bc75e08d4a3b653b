/* Nurseries that are not closed as they should be. */
#include "kernel/nursery.h"
#include "script.h"

static struct script_nursery nursery, second, third;
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

static int how(enum ctrio__misnesting which)
{
    return (int)world.misnested[which];
}

static const struct script_step sleeper[] = {TRY, FOREVER, REPORT_REASON, END};
static const struct script_step fails[] = {FAIL(1), END};

static void a_task_that_exits_with_a_nursery_open_cancels_what_is_in_it(void)
{
    static const struct script_step leaver[] = {OPEN_NURSERY(&second), SPAWN(&second, "a", sleeper),
                                                CHECKPOINT, NOTE("leaves"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "l", leaver),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "l:leaves a=cancelled(nursery) main=group");
    is(how(CTRIO__NURSERY_CLOSED_BEFORE_TASK), 1);
}

static void what_failed_in_a_nursery_left_open_goes_nowhere(void)
{
    static const struct script_step fails_on_cancel[] = {TRY, FOREVER, FAIL(2), END};
    static const struct script_step leaver[] = {OPEN_NURSERY(&second),
                                                SPAWN(&second, "a", fails),
                                                SPAWN(&second, "b", fails_on_cancel),
                                                TRY,
                                                CHECKPOINT,
                                                TRY,
                                                CHECKPOINT,
                                                NOTE("leaves"),
                                                END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "l", leaver),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "l:leaves main=group");
}

static void a_failing_task_that_leaves_one_open_fails_of_that(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&second), FAIL(3), END};
    fresh();
    is(script_run(main_task), CTRIO_MISUSE);
    is(how(CTRIO__NURSERY_CLOSED_BEFORE_TASK), 1);
}

static void a_shielded_child_left_behind_ends_the_run_badly(void)
{
    static const struct script_step stubborn[] = {OPEN_SCOPE(&inner), SHIELD(&inner, 1), FOREVER,
                                                  CLOSE_SCOPE(&inner), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&second),
                                                   SPAWN(&second, "a", stubborn), CHECKPOINT, END};
    fresh();
    is(script_run(main_task), CTRIO_MISUSE);
    is(world.run.failed, CTRIO_MISUSE);
}

static void closing_the_outer_one_first_is_an_error(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   OPEN_NURSERY(&second),
                                                   SPAWN(&second, "f", fails),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), CTRIO_MISUSE);
    is(how(CTRIO__NURSERY_OUT_OF_ORDER), 1);
    is(how(CTRIO__NURSERY_CLOSED_BEFORE_TASK), 1);
}

static void closing_one_too_often_is_an_error(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   OPEN_NURSERY(&second),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   TRY,
                                                   CLOSE_NURSERY(&second),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=misuse main=misuse main=misuse");
}

static void closing_another_task_s_nursery_is_an_error(void)
{
    static const struct script_step thief[] = {TRY, CLOSE_NURSERY(&nursery), REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "thief", thief),
                                                   CHECKPOINT,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "thief=misuse main=ok");
    is(how(CTRIO__NURSERY_OUT_OF_ORDER), 1);
}

static void left_child_fails_late(struct script_task *self)
{
    (void)self;
    script_cancel_open(&inner);
}

static void a_child_that_fails_after_all_was_folded_fails_for_nobody(void)
{
    static const struct script_step stubborn[] = {
        OPEN_SCOPE(&inner), SHIELD(&inner, 1), TRY, FOREVER, FAIL(7), CLOSE_SCOPE(&inner), END};
    static const struct script_step leaver[] = {OPEN_NURSERY(&second),
                                                SPAWN(&second, "a", stubborn),
                                                SPAWN(&second, "f", fails),
                                                TRY,
                                                CHECKPOINT,
                                                TRY,
                                                CHECKPOINT,
                                                END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "l", leaver),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   TRY,
                                                   CLOSE_NURSERY(&second),
                                                   REPORT,
                                                   CALL(left_child_fails_late),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=group main=group main=ok");
}

static void a_child_that_starts_into_a_nursery_left_behind_stays_where_it_is(void)
{
    static const struct script_step child[] = {WAIT(&event), TRY,    STARTED, REPORT,
                                               CHECKPOINT,   REPORT, END};
    static const struct script_step starter[] = {START(&second, "s", child), REPORT, END};
    static const struct script_step leaver[] = {OPEN_NURSERY(&second),
                                                SPAWN(&nursery, "x", starter),
                                                CHECKPOINT,
                                                CHECKPOINT,
                                                NOTE("leaves"),
                                                END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   OPEN_NURSERY(&third),
                                                   SPAWN(&third, "l", leaver),
                                                   TRY,
                                                   CLOSE_NURSERY(&third),
                                                   REPORT,
                                                   SET(&event),
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "l:leaves main=group s=closed s=ok x=ok main=ok");
    is(second.nursery.pending_starts, 0);
}

static struct ctrio__nursery_close_op close_by_hand;

static void begin_to_close(struct script_task *self)
{
    struct ctrio__outcome io = {0, NULL};
    ctrio__nursery_close_op_init(&close_by_hand, &nursery.nursery);
    is((int)close_by_hand.op.kind->step(&close_by_hand.op, &self->task, &io), (int)CTRIO__PARKED);
    if (nursery.nursery.child_count != 0)
        ok(nursery.nursery.parent_waiting);
}

static void look_whether_it_waits(struct script_task *self)
{
    (void)self;
    ok(!nursery.nursery.parent_waiting);
}

static void a_close_that_was_only_asked_for_wakes_nobody(void)
{
    static const struct script_step child[] = {CHECKPOINT, NOTE("ends"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "c", child),
                                                   CALL(begin_to_close),
                                                   SLEEP(1.0),
                                                   NOTE("slept"),
                                                   CALL(look_whether_it_waits),
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "c:ends main:slept main=ok");
    is(world.clock.time, 1.0);
}

static void close_target_scope(struct script_task *self)
{
    struct ctrio__outcome io = {0, NULL};
    ctrio__scope_close(&nursery.scope, &self->task, &io);
    is(io.code, 0);
}

static void a_child_that_starts_into_a_scope_long_closed_goes_to_limbo(void)
{
    static const struct script_step child[] = {WAIT(&event), STARTED, TRY, CHECKPOINT, REPORT, END};
    static const struct script_step starter[] = {TRY, START(&nursery, "s", child), REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&second),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&second, "x", starter),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CALL(close_target_scope),
                                                   SET(&event),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   CLOSE_NURSERY(&second),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(script_said("s=cancelled"), 1);
    is(script_said("x=ok"), 1);
    is(script_said("main=misuse"), 1);
}

/* As an async generator that is finalised elsewhere does. */
static void a_nursery_left_behind_may_be_closed_by_another_task(void)
{
    static const struct script_step leaver[] = {OPEN_NURSERY(&second),
                                                SPAWN(&second, "f", fails),
                                                TRY,
                                                CHECKPOINT,
                                                TRY,
                                                CHECKPOINT,
                                                NOTE("leaves"),
                                                END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "l", leaver),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   TRY,
                                                   CLOSE_NURSERY(&second),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(script_said("l:leaves"), 1);
    is(script_said("main=group"), 2); /* of the leaver, and what it left */
}

static void a_nursery_whose_close_is_abandoned_is_left_behind(void)
{
    static const struct script_step waits[] = {OPEN_NURSERY(&second), SPAWN(&second, "a", sleeper),
                                               CLOSE_NURSERY(&second), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "w", waits),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   ABANDON("w"),
                                                   CANCEL(&nursery.scope),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=cancelled(explicit) main=group");
    is(how(CTRIO__NURSERY_CLOSED_BEFORE_TASK), 1);
}

TAP_MAIN(TEST(a_task_that_exits_with_a_nursery_open_cancels_what_is_in_it),
         TEST(what_failed_in_a_nursery_left_open_goes_nowhere),
         TEST(a_failing_task_that_leaves_one_open_fails_of_that),
         TEST(a_shielded_child_left_behind_ends_the_run_badly),
         TEST(closing_the_outer_one_first_is_an_error), TEST(closing_one_too_often_is_an_error),
         TEST(closing_another_task_s_nursery_is_an_error),
         TEST(a_nursery_left_behind_may_be_closed_by_another_task),
         TEST(a_child_that_fails_after_all_was_folded_fails_for_nobody),
         TEST(a_child_that_starts_into_a_scope_long_closed_goes_to_limbo),
         TEST(a_child_that_starts_into_a_nursery_left_behind_stays_where_it_is),
         TEST(a_close_that_was_only_asked_for_wakes_nobody),
         TEST(a_nursery_whose_close_is_abandoned_is_left_behind))
