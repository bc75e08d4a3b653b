/* An interrupt: for the main task only, before any cancellation, past every shield. */
#include "script.h"

static struct script_nursery nursery;
static struct ctrio_cancel_scope scope;

static void fresh(void)
{
    script_reset();
}

static void interrupt(struct script_task *self)
{
    (void)self;
    world.run.interrupt_pending = true;
    ctrio__run_deliver_interrupt(&world.run);
}

static const struct script_step interrupter[] = {CHECKPOINT, CALL(interrupt), END};

static void an_interrupt_reaches_the_main_task_where_it_waits(void)
{
    static const struct script_step main_task[] = {
        SYSTEM_SPAWN("i", interrupter), TRY, FOREVER, REPORT, CHECKPOINT, REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=interrupted main=ok");
    ok(!world.run.interrupt_pending);
}

static void an_interrupt_comes_before_a_cancellation_and_passes_shields(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope),
                                                   SHIELD(&scope, 1),
                                                   CANCEL(&scope),
                                                   CALL(interrupt),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT_REASON,
                                                   CLOSE_SCOPE(&scope),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=interrupted main=cancelled(explicit)");
}

static void an_interrupt_is_no_reason_for_a_cancellation_that_follows(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope),
                                                   CALL(interrupt),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   CANCEL(&scope),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT_REASON,
                                                   CLOSE_SCOPE(&scope),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=interrupted main=cancelled(explicit)");
}

static void an_interrupt_waits_until_the_main_task_can_be_interrupted(void)
{
    static const struct script_step main_task[] = {
        CALL(interrupt), SHIELDED_CHECKPOINT, REPORT, TRY, IF_CANCELLED, REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok main=interrupted");
}

static void an_interrupt_reaches_a_sleep_whose_time_has_come(void)
{
    static const struct script_step main_task[] = {CALL(interrupt), TRY, SLEEP_UNTIL(-1.0), REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=interrupted");
}

static void other_tasks_are_not_interrupted(void)
{
    static const struct script_step other[] = {CALL(interrupt), CHECKPOINT, REPORT,
                                               SLEEP(1.0),      REPORT,     END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "o", other),
                                                   SHIELDED_CHECKPOINT,
                                                   TRY,
                                                   FOREVER,
                                                   REPORT,
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "o=ok main=interrupted o=ok");
}

static void an_interrupt_after_the_main_task_is_left_for_who_ends_the_run(void)
{
    static const struct script_step late[] = {TRY, FOREVER, CALL(interrupt), END};
    static const struct script_step main_task[] = {SYSTEM_SPAWN("late", late), CHECKPOINT, END};
    fresh();
    is(script_run(main_task), 0);
    ok(world.run.interrupt_pending);
}

static void without_an_interrupt_there_is_nothing_to_deliver(void)
{
    static const struct script_step main_task[] = {CHECKPOINT, END};
    fresh();
    if (script_open(main_task) == 0)
        ctrio__run_deliver_interrupt(&world.run);
    world.run.interrupt_pending = true;
    ctrio__run_deliver_interrupt(&world.run); /* there is no main task yet */
    ok(world.run.interrupt_pending);
    world.run.interrupt_pending = false;
    while (script_turn())
        ;
    is(script_close(), 0);
}

static enum ctrio__abort not_now(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    (void)task;
    (void)why;
    return CTRIO__ABORT_FAILED;
}
static void wait_for_good(struct script_task *self, const struct script_step *step)
{
    (void)step;
    self->op.wait.abort_fn = not_now;
    ctrio__op_init(&self->op.op, &ctrio__wait_kind, NULL);
}
static void wake_main(struct script_task *self)
{
    (void)self;
    ctrio__task_wake(world.run.main_task, 0, NULL);
}

static void an_interrupt_that_cannot_be_delivered_is_nobody_else_s(void)
{
    static const struct script_step other[] = {
        CHECKPOINT, CALL(interrupt), CALL(interrupt), SLEEP(1.0), REPORT, CALL(wake_main), END};
    static const struct script_step main_task[] = {SYSTEM_SPAWN("o", other),
                                                   SCRIPT_BEGIN("wait", wait_for_good, .number = 0),
                                                   REPORT,
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "o=ok main=ok main=interrupted");
    ok(!world.run.interrupt_pending);
}

TAP_MAIN(TEST(an_interrupt_reaches_the_main_task_where_it_waits),
         TEST(an_interrupt_comes_before_a_cancellation_and_passes_shields),
         TEST(an_interrupt_is_no_reason_for_a_cancellation_that_follows),
         TEST(an_interrupt_waits_until_the_main_task_can_be_interrupted),
         TEST(an_interrupt_reaches_a_sleep_whose_time_has_come),
         TEST(other_tasks_are_not_interrupted),
         TEST(an_interrupt_after_the_main_task_is_left_for_who_ends_the_run),
         TEST(without_an_interrupt_there_is_nothing_to_deliver),
         TEST(an_interrupt_that_cannot_be_delivered_is_nobody_else_s))
