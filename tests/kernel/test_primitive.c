#include "kernel/parking_lot.h"
#include "kernel/primitive.h"
#include "script.h"

static struct script_nursery nursery;
static struct ctrio_cancel_scope scope, inner;

/* An op that does as it is told. */
static int attempts, parks, wakes, abandons; /* calls so far */
static int attempt_code, park_code;
static int retries; /* wakes that are answered by another attempt */
static struct ctrio_task *parked;
static struct ctrio_parking_lot lot;

static int attempt(struct ctrio__op *op, struct ctrio_task *task, struct ctrio__outcome *io)
{
    (void)op;
    (void)task;
    attempts++;
    is(io->code, 0);
    ok(io->value == NULL);
    io->value = attempt_code >= 0 ? (void *)7 : NULL;
    return attempt_code;
}

static int park(struct ctrio__op *op, struct ctrio_task *task)
{
    (void)op;
    parks++;
    if (park_code != 0)
        return park_code;
    parked = task;
    ctrio__task_park(task, ctrio__abort_simply, &parked);
    return 0;
}

static enum ctrio__step woken(struct ctrio__op *op, struct ctrio_task *task,
                              struct ctrio__outcome *io)
{
    wakes++;
    if (io->code < 0 || retries == 0)
        return CTRIO__DONE;
    retries--;
    return ctrio__primitive_retry(op, task, io);
}

static void abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    (void)op;
    (void)task;
    abandons++;
}

static const struct ctrio__op_kind plain = {
    .verb = "plain", .step = ctrio__primitive_step, .attempt = attempt, .park = park};
static const struct ctrio__op_kind stubborn = {.verb = "stubborn",
                                               .step = ctrio__primitive_step,
                                               .attempt = attempt,
                                               .park = park,
                                               .woken = woken,
                                               .abandon = abandon};

#define PLAIN SCRIPT_OP("plain", plain, &lot)
#define STUBBORN SCRIPT_OP("stubborn", stubborn, &lot)

static void reset_counters(void)
{
    attempts = parks = wakes = abandons = retries = 0;
    attempt_code = 0;
    park_code = 0;
    parked = NULL;
    ctrio__lot_init(&lot, NULL);
}

static void fresh(void)
{
    script_reset();
    reset_counters();
}

static uint32_t schedule_points, cancel_points;

static void count_points(struct script_task *self)
{
    schedule_points = self->task.schedule_points - schedule_points;
    cancel_points = self->task.cancel_points - cancel_points;
}

static void an_attempt_that_succeeds_is_followed_by_one_schedule_point(void)
{
    static const struct script_step main_task[] = {CALL(count_points), PLAIN, REPORT,
                                                   CALL(count_points), END};
    fresh();
    schedule_points = cancel_points = 0;
    is(script_run(main_task), 0);
    is(world.trace, "main=7");
    is(attempts, 1);
    is(parks, 0);
    is(schedule_points, 1);
    is(cancel_points, 1);
}

static void a_positive_result_is_kept_over_the_schedule_point(void)
{
    static const struct script_step main_task[] = {PLAIN, END};
    fresh();
    attempt_code = 5;
    script_open(main_task);
    while (world.run.main_task == NULL && script_turn())
        ;
    while (attempts == 0 && script_turn())
        ;
    if (attempts == 1) {
        struct script_task *self = (struct script_task *)world.run.main_task;
        is(self->op.primitive.code, 5);
        ok(self->op.primitive.result == (void *)7);
    }
    while (script_turn())
        ;
    is(script_close(), 0);
}

static void an_attempt_that_fails_is_the_result_at_once(void)
{
    static const struct script_step main_task[] = {CALL(count_points), TRY, PLAIN, REPORT,
                                                   CALL(count_points), END};
    fresh();
    schedule_points = 0;
    attempt_code = CTRIO_CLOSED_RESOURCE;
    is(script_run(main_task), 0);
    is(world.trace, "main=closed");
    is(schedule_points, 0);
}

static void a_park_that_fails_is_the_result_at_once(void)
{
    static const struct script_step main_task[] = {CALL(count_points), TRY, PLAIN, REPORT,
                                                   CALL(count_points), END};
    fresh();
    schedule_points = 0;
    attempt_code = CTRIO_WOULD_BLOCK;
    park_code = CTRIO_BUSY_RESOURCE;
    is(script_run(main_task), 0);
    is(world.trace, "main=busy");
    is(parks, 1);
    is(schedule_points, 0);
}

static void wake_parked(struct script_task *self)
{
    (void)self;
    ctrio__task_wake(parked, 0, (void *)9);
}

static void wake_parked_and_let_it_succeed(struct script_task *self)
{
    attempt_code = 0;
    wake_parked(self);
}

static const struct script_step waits[] = {FRESH_SCOPE(&scope), TRY, PLAIN, REPORT,
                                           CLOSE_SCOPE(&scope), END};
static const struct script_step waits_stubbornly[] = {FRESH_SCOPE(&scope), TRY, STUBBORN, REPORT,
                                                      CLOSE_SCOPE(&scope), END};

static void what_waits_ends_with_its_wake(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "w", waits), CHECKPOINT,
        CALL(wake_parked),      CLOSE_NURSERY(&nursery),     END};
    fresh();
    attempt_code = CTRIO_WOULD_BLOCK;
    is(script_run(main_task), 0);
    is(world.trace, "w=9");
    is(attempts, 1);
    is(parks, 1);
}

static void a_wake_may_lead_to_another_attempt(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "w", waits_stubbornly),
                                                   CHECKPOINT,
                                                   CALL(wake_parked),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CALL(wake_parked_and_let_it_succeed),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    attempt_code = CTRIO_WOULD_BLOCK;
    retries = 2;
    is(script_run(main_task), 0);
    is(world.trace, "w=7"); /* without a second schedule point */
    is(attempts, 3);
    is(parks, 2);
    is(wakes, 2);
}

static void what_waits_can_be_cancelled(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "w", waits_stubbornly),
                                                   CHECKPOINT,
                                                   CANCEL(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    attempt_code = CTRIO_WOULD_BLOCK;
    retries = 5;
    is(script_run(main_task), 0);
    is(world.trace, "w=cancelled");
    is(attempts, 1);
}

static void a_cancelled_one_has_not_even_tried(void)
{
    static const struct script_step main_task[] = {
        FRESH_SCOPE(&scope), CANCEL(&scope),     CALL(count_points),  TRY, PLAIN,
        REPORT_REASON,       CALL(count_points), CLOSE_SCOPE(&scope), END};
    fresh();
    schedule_points = cancel_points = 0;
    is(script_run(main_task), 0);
    is(world.trace, "main=cancelled(explicit)");
    is(attempts, 0);
    is(schedule_points, 2); /* the checkpoint's, and the wait for the loop to raise */
    is(cancel_points, 2);
}

static void raise_shield(struct script_task *self)
{
    (void)self;
    ctrio__scope_set_shield(&inner, true);
}

static void a_shield_that_goes_up_while_it_yields_lets_it_try_after_all(void)
{
    static const struct script_step soon[] = {CALL(raise_shield), END};
    static const struct script_step in_between[] = {SHIELDED_CHECKPOINT, CALL(raise_shield), END};
    static const struct script_step *const helper[] = {soon, in_between};
    for (int i = 0; i < 2; i++) {
        const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                FRESH_SCOPE(&inner),
                                                SPAWN(&nursery, "h", helper[i]),
                                                CANCEL(&nursery.scope),
                                                PLAIN,
                                                REPORT,
                                                CLOSE_SCOPE(&inner),
                                                CLOSE_NURSERY(&nursery),
                                                END};
        fresh();
        is(script_run(main_task), 0);
        is(world.trace, "main=7");
        is(attempts, 1);
    }
}

static void an_interrupt_counts_as_a_cancellation_to_the_main_task(void)
{
    static const struct script_step other[] = {PLAIN, REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "o", other),
                                                   TRY,
                                                   PLAIN,
                                                   REPORT,
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    script_open(main_task);
    while (world.run.main_task == NULL && script_turn())
        ;
    world.run.interrupt_pending = true;
    while (script_turn())
        ;
    is(script_close(), 0);
    is(world.trace, "o=7 main=interrupted");
    is(attempts, 1);
}

/* --- abandoned ------------------------------------------------------------------------------- */

static void an_abandoned_op_that_is_cancelled_is_not_asked(void)
{
    static const struct script_step parker[] = {FRESH_SCOPE(&scope), PARK(&lot), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "p", parker), CHECKPOINT,   ABANDON("p"),
        CANCEL(&scope),         CLOSE_NURSERY(&nursery),      NOTE("over"), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:over");
    is(lot.count, 0);
}

static void abandoning_calls_what_the_kind_has_for_it(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "w", waits_stubbornly),
                                                   CHECKPOINT,
                                                   ABANDON("w"),
                                                   CANCEL(&nursery.scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   NOTE("over"),
                                                   END};
    fresh();
    attempt_code = CTRIO_WOULD_BLOCK;
    is(script_run(main_task), 0);
    is(world.trace, "main:over");
    is(abandons, 1);
    is(wakes, 0);
}

static void an_op_that_must_still_be_woken_stays_so_when_abandoned(void)
{
    struct ctrio_task task;
    struct ctrio__op op;
    fresh();
    ctrio__task_init(&task, &script_frontend);
    ctrio__op_init(&op, &ctrio__wait_kind, NULL);
    task.state = CTRIO__TASK_PARKED; /* an abort function has been asked, and has refused */
    ctrio__op_abandon(&op, &task);
    ok(task.abort_fn == NULL);
}

/* --- at every moment ------------------------------------------------------------------------- */

static bool wake_if_parked(void)
{
    if (parked == NULL || parked->state != CTRIO__TASK_PARKED || parked->park_data != &parked)
        return false;
    ctrio__task_wake(parked, 0, (void *)9);
    return true;
}

static void fresh_and_waiting(void)
{
    reset_counters();
    attempt_code = CTRIO_WOULD_BLOCK;
    world.stuck = wake_if_parked;
}

static void cancel_it(void)
{
    script_cancel_open(&scope);
}

static void it_ends_once(void)
{
    is(script_said("w=9") + script_said("w=cancelled"), 1);
    is(script_said("stuck"), 0);
    ok(attempts <= 1);
}

static void a_cancellation_at_any_moment_is_the_result_or_too_late(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "w", waits), CHECKPOINT,
                                                   CLOSE_NURSERY(&nursery), END};
    ok(script_everywhere(main_task, fresh_and_waiting, cancel_it, it_ends_once) > 8);
}

/* What the front ends of the tests assert of each op that they step, and Python's in debug builds.
 */
static void an_op_that_hides_its_verb_or_its_object_is_found_out(void)
{
    static const struct ctrio__op_kind mute = {.step = ctrio__primitive_step};
    struct ctrio__op op;
    ctrio__op_init(&op, &plain, &lot);
    ok(ctrio__op_is_told(&op));
    ctrio__op_init(&op, &plain, NULL);
    ok(!ctrio__op_is_told(&op));
    ctrio__op_init(&op, &mute, &lot);
    ok(!ctrio__op_is_told(&op));
    ctrio__op_init(&op, &ctrio__checkpoint_kind, NULL);
    ok(ctrio__op_is_told(&op));
}

TAP_MAIN(TEST(an_attempt_that_succeeds_is_followed_by_one_schedule_point),
         TEST(a_positive_result_is_kept_over_the_schedule_point),
         TEST(an_attempt_that_fails_is_the_result_at_once),
         TEST(a_park_that_fails_is_the_result_at_once), TEST(what_waits_ends_with_its_wake),
         TEST(a_wake_may_lead_to_another_attempt), TEST(what_waits_can_be_cancelled),
         TEST(a_cancelled_one_has_not_even_tried),
         TEST(a_shield_that_goes_up_while_it_yields_lets_it_try_after_all),
         TEST(an_interrupt_counts_as_a_cancellation_to_the_main_task),
         TEST(an_abandoned_op_that_is_cancelled_is_not_asked),
         TEST(abandoning_calls_what_the_kind_has_for_it),
         TEST(an_op_that_must_still_be_woken_stays_so_when_abandoned),
         TEST(a_cancellation_at_any_moment_is_the_result_or_too_late),
         TEST(an_op_that_hides_its_verb_or_its_object_is_found_out))
