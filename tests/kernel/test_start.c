/* nursery.start() and task_status.started(). */
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

static const struct script_step server[] = {CHECKPOINT, NOTE("starting"), STARTED, NOTE("started"),
                                            CHECKPOINT, NOTE("serving"),  END};

static void start_waits_until_the_child_has_started(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   START(&nursery, "s", server),
                                                   REPORT,
                                                   CLOSE_NURSERY(&nursery),
                                                   NOTE("closed"),
                                                   END};
    fresh();
    expect(main_task, "s:starting s:started main=ok s:serving main:closed");
}

static void look_before(struct script_task *self)
{
    ok(self->task.nursery != &nursery.nursery);
    ok(ctrio__eventual_nursery(&self->task) == &nursery.nursery);
    is(nursery.nursery.pending_starts, 1);
}

static void look_after(struct script_task *self)
{
    ok(self->task.nursery == &nursery.nursery);
    ok(ctrio__eventual_nursery(&self->task) == NULL);
    ok(self->task.scope == &nursery.scope);
}

static void a_started_child_belongs_to_the_nursery_it_was_started_in(void)
{
    static const struct script_step child[] = {CALL(look_before), STARTED, CALL(look_after), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), START(&nursery, "s", child), REPORT, CLOSE_NURSERY(&nursery), END};
    fresh();
    expect(main_task, "main=ok");
    is(nursery.nursery.pending_starts, 0);
}

static void a_child_that_fails_first_fails_start_and_nothing_else(void)
{
    static const struct script_step child[] = {CHECKPOINT, FAIL(6), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),  TRY, START(&nursery, "s", child), REPORT, CHECKPOINT, REPORT,
        CLOSE_NURSERY(&nursery), END};
    fresh();
    expect(main_task, "main=6 main=ok");
    ok(!nursery.scope.cancel_called);
}

static void a_child_that_fails_later_fails_the_nursery(void)
{
    static const struct script_step child[] = {STARTED, CHECKPOINT, FAIL(6), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), START(&nursery, "s", child), REPORT, CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.trace, "main=ok");
    is(world.result, "group(foreign 6)");
}

static void a_child_that_ends_without_having_started_is_a_mistake(void)
{
    static const struct script_step child[] = {CHECKPOINT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),      TRY,
                                                   START(&nursery, "s", child), REPORT,
                                                   CLOSE_NURSERY(&nursery),     END};
    fresh();
    expect(main_task, "main=misuse");
}

static void starting_twice_is_a_mistake(void)
{
    static const struct script_step child[] = {STARTED, TRY, STARTED, REPORT, END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), START(&nursery, "s", child), CLOSE_NURSERY(&nursery), END};
    fresh();
    expect(main_task, "s=misuse");
}

static const struct script_step late_starter[] = {TRY,    FOREVER,    REPORT_REASON,     STARTED,
                                                  REPORT, CHECKPOINT, NOTE("unreached"), END};

static void a_child_that_starts_under_a_cancelled_start_stays_where_it_is(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   OPEN_SCOPE(&outer),
                                                   START(&nursery, "s", late_starter),
                                                   NOTE("unreached"),
                                                   CLOSE_SCOPE(&outer),
                                                   NOTE("out"),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    outer.deadline = 1.0;
    expect(main_task, "s=cancelled(deadline) s=ok main:out");
    ok(outer.cancelled_caught);
}

static void a_pending_start_keeps_the_nursery_open(void)
{
    static const struct script_step waits[] = {WAIT(&event), STARTED,      NOTE("in"),
                                               CHECKPOINT,   NOTE("done"), END};
    static const struct script_step starter[] = {START(&nursery, "s", waits), NOTE("through"), END};
    static const struct script_step setter[] = {LOOP(6),      CHECKPOINT,  AGAIN,
                                                NOTE("sets"), SET(&event), END};
    static const struct script_step whole[] = {OPEN_NURSERY(&second),
                                               SPAWN(&second, "setter", setter),
                                               OPEN_NURSERY(&nursery),
                                               SPAWN(&second, "starter", starter),
                                               CHECKPOINT,
                                               CHECKPOINT,
                                               CLOSE_NURSERY(&nursery),
                                               NOTE("closed"),
                                               CLOSE_NURSERY(&second),
                                               END};
    fresh();
    expect(whole, "setter:sets s:in starter:through s:done main:closed");
}

/* Everything inside the child moves: its scopes and the tasks of its own nurseries. */
static const struct script_step grandchild[] = {TRY, FOREVER, REPORT_REASON, END};
static const struct script_step whole_tree[] = {OPEN_SCOPE(&inner),
                                                OPEN_NURSERY(&second),
                                                SPAWN(&second, "g", grandchild),
                                                CHECKPOINT,
                                                STARTED,
                                                CLOSE_NURSERY(&second),
                                                CLOSE_SCOPE(&inner),
                                                END};

static void what_is_below_the_child_moves_with_it(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), START(&nursery, "s", whole_tree), REPORT,
        CANCEL(&nursery.scope), CLOSE_NURSERY(&nursery),          END};
    fresh();
    expect(main_task, "main=ok g=cancelled(explicit)");
}

static void a_child_that_moves_into_a_cancelled_nursery_is_cancelled(void)
{
    static const struct script_step starter[] = {OPEN_SCOPE(&outer),
                                                 SHIELD(&outer, 1),
                                                 TRY,
                                                 START(&nursery, "s", whole_tree),
                                                 REPORT,
                                                 CLOSE_SCOPE(&outer),
                                                 END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "x", starter), CANCEL(&nursery.scope),
        CLOSE_NURSERY(&nursery), END};
    fresh();
    expect(main_task, "g=cancelled(explicit) x=ok");
}

static void a_shielded_start_moves_plain_tasks_too(void)
{
    static const struct script_step child[] = {CHECKPOINT, STARTED,       TRY,
                                               FOREVER,    REPORT_REASON, END};
    static const struct script_step starter[] = {OPEN_SCOPE(&outer),          SHIELD(&outer, 1),
                                                 START(&nursery, "s", child), REPORT,
                                                 CLOSE_SCOPE(&outer),         END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "x", starter), CANCEL(&nursery.scope),
        CLOSE_NURSERY(&nursery), END};
    fresh();
    expect(main_task, "x=ok s=cancelled(explicit)");
}

/* A child that gets hold of the nursery it starts in, and spawns there. */
static void spawn_beside(struct script_task *self)
{
    static const struct script_step fails[] = {FAIL(8), END};
    tap_saw(script_spawn(self->task.nursery, "beside", fails));
}

static void two_failures_before_it_starts_stay_a_group(void)
{
    static const struct script_step child[] = {CALL(spawn_beside),
                                               OPEN_SCOPE(&inner),
                                               SHIELD(&inner, 1),
                                               CHECKPOINT,
                                               FAIL(9),
                                               CLOSE_SCOPE(&inner),
                                               END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),      TRY,
                                                   START(&nursery, "s", child), REPORT,
                                                   CLOSE_NURSERY(&nursery),     END};
    fresh();
    expect(main_task, "main=group");
}

static void an_abandoned_start_lets_the_nursery_close(void)
{
    static const struct script_step waits[] = {TRY, FOREVER, REPORT, STARTED, END};
    static const struct script_step starter[] = {START(&nursery, "s", waits), NOTE("unreached"),
                                                 END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&second),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&second, "starter", starter),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   ABANDON("starter"),
                                                   CLOSE_NURSERY(&nursery),
                                                   NOTE("closed"),
                                                   CANCEL(&second.scope),
                                                   CLOSE_NURSERY(&second),
                                                   END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP); /* the starter's own nursery was left open */
    is(script_said("main:closed"), 1);
    is(nursery.nursery.pending_starts, 0);
    is((int)world.misnested[CTRIO__NURSERY_CLOSED_BEFORE_TASK], 1);
}

static void an_abandoned_start_that_never_began_changes_nothing(void)
{
    struct ctrio_task task;
    struct ctrio__start_op op;
    fresh();
    ctrio__task_init(&task, &script_frontend);
    ctrio__start_op_init(&op, &nursery.nursery);
    ctrio__op_abandon(&op.op, &task);
    ok(!op.entered);
    is(ctrio__start_op_started(&op), 0); /* to nobody */
}

static void cancel_start(void)
{
    script_cancel_open(&outer);
}

static void nobody_is_left(void)
{
    is(script_said("main=ok"), 1);
    is(script_said("stuck"), 0);
    is(nursery.nursery.pending_starts, 0);
    is(nursery.nursery.child_count, 0);
}

static void a_start_cancelled_at_any_moment_moves_the_child_or_takes_it_down(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   OPEN_SCOPE(&outer),
                                                   START(&nursery, "s", server),
                                                   CHECKPOINT,
                                                   CLOSE_SCOPE(&outer),
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    ok(script_everywhere(main_task, init, cancel_start, nobody_is_left) > 10);
}

TAP_MAIN(TEST(start_waits_until_the_child_has_started),
         TEST(a_started_child_belongs_to_the_nursery_it_was_started_in),
         TEST(a_child_that_fails_first_fails_start_and_nothing_else),
         TEST(a_child_that_fails_later_fails_the_nursery),
         TEST(a_child_that_ends_without_having_started_is_a_mistake),
         TEST(starting_twice_is_a_mistake),
         TEST(a_child_that_starts_under_a_cancelled_start_stays_where_it_is),
         TEST(a_pending_start_keeps_the_nursery_open), TEST(what_is_below_the_child_moves_with_it),
         TEST(a_child_that_moves_into_a_cancelled_nursery_is_cancelled),
         TEST(a_shielded_start_moves_plain_tasks_too),
         TEST(two_failures_before_it_starts_stay_a_group),
         TEST(an_abandoned_start_lets_the_nursery_close),
         TEST(an_abandoned_start_that_never_began_changes_nothing),
         TEST(a_start_cancelled_at_any_moment_moves_the_child_or_takes_it_down))
