/* Scopes moved about, closed out of order, closed by abort functions, and by the million. */
#include "kernel/cancel.h"
#include "script.h"
#include <stdlib.h>

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

static const struct script_step sleeper[] = {TRY, FOREVER, REPORT_REASON, END};

/* --- moving, misnesting ---------------------------------------------------------------------- */

static void move_inner_out(struct script_task *self)
{
    (void)self;
    ctrio__scope_set_parent(&inner, &other);
    ok(!inner.effectively_cancelled);
    ok(ctrio__scope_tree_valid(&outer));
    ctrio__scope_set_parent(&inner, &outer);
    ok(inner.effectively_cancelled);
    ok(ctrio__scope_tree_valid(&outer));
    ctrio__scope_set_parent(&inner, NULL);
    ok(inner.effectively_cancelled); /* without parent it stays as it was */
    ctrio__scope_set_parent(&inner, &outer);
}

static void a_scope_under_another_parent_feels_its_cancellation(void)
{
    static const struct script_step holder[] = {OPEN_SCOPE(&other), FOREVER, CLOSE_SCOPE(&other),
                                                END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "h", holder), CHECKPOINT,
        OPEN_SCOPE(&outer),     OPEN_SCOPE(&inner),           CANCEL(&outer),
        CALL(move_inner_out),   CLOSE_SCOPE(&inner),          CLOSE_SCOPE(&outer),
        CANCEL(&nursery.scope), CLOSE_NURSERY(&nursery),      END};
    fresh();
    expect(main_task, "");
}

static int how(enum ctrio__misnesting which)
{
    return (int)world.misnested[which];
}

static void closing_twice_is_an_error_that_changes_nothing(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   CLOSE_SCOPE(&outer),
                                                   TRY,
                                                   CLOSE_SCOPE(&outer),
                                                   REPORT,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "main=misuse main=ok");
    is(how(CTRIO__SCOPE_EXITED_TWICE), 1);
}

static void closing_a_stranger_s_scope_is_an_error_that_changes_nothing(void)
{
    static const struct script_step thief[] = {TRY, CLOSE_SCOPE(&outer), REPORT, END};
    static const struct script_step owner[] = {OPEN_SCOPE(&outer),  TRY,    FOREVER, REPORT,
                                               CLOSE_SCOPE(&outer), REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "owner", owner),
                                                   SPAWN(&nursery, "thief", thief),
                                                   CHECKPOINT,
                                                   CANCEL(&outer),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    expect(main_task, "thief=misuse owner=cancelled owner=ok");
    is(how(CTRIO__SCOPE_OF_UNRELATED_TASK), 1);
}

static void closing_the_outer_first_abandons_the_inner_one(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_SCOPE(&inner),
                                                   TRY,
                                                   CLOSE_SCOPE(&outer),
                                                   REPORT,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   CLOSE_SCOPE(&inner),
                                                   REPORT,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "main=misuse main=ok main=ok main=ok");
    is(how(CTRIO__SCOPE_WITHIN_CHILD), 1);
    ok(inner.abandoned);
    ok(inner.effectively_cancelled);
}

static const struct script_step left_inside[] = {TRY,    FOREVER, REPORT_REASON, TRY, CHECKPOINT,
                                                 REPORT, END};

static void close_nursery_scope(struct script_task *self)
{
    struct ctrio__outcome io = {0, NULL};
    ctrio__scope_close(&nursery.scope, &self->task, &io);
    is(io.code, 0);
    ok(ctrio__scope_tree_valid(&world.run.limbo));
}

/* As in test_run.py::test_cancel_scope_misnesting: the children are cancelled for good. */
static void tasks_in_a_scope_that_is_closed_around_them_are_cancelled(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", left_inside),
                                                   CHECKPOINT,
                                                   CALL(close_nursery_scope),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=cancelled(unknown) a=cancelled main=misuse");
    is(how(CTRIO__SCOPE_CLOSED_BEFORE_TASK), 1); /* that is a's failure */
    is(how(CTRIO__SCOPE_EXITED_TWICE), 1);       /* and that the nursery's */
}

static const struct script_step scoped_inside[] = {OPEN_SCOPE(&inner),
                                                   TRY,
                                                   FOREVER,
                                                   REPORT,
                                                   OPEN_SCOPE(&other),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   CLOSE_SCOPE(&other),
                                                   CLOSE_SCOPE(&inner),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   END};

static void scopes_in_a_scope_that_is_closed_around_them_go_to_limbo(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", scoped_inside),
                                                   CHECKPOINT,
                                                   CALL(close_nursery_scope),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=cancelled a=cancelled a=cancelled main=misuse");
    is(how(CTRIO__SCOPE_CLOSED_BEFORE_TASK), 1);
}

static void spawn_into_closed_scope(struct script_task *self)
{
    (void)self;
    close_nursery_scope(self);
    tap_saw(script_spawn(&nursery.nursery, "late", left_inside));
}

static void a_child_spawned_after_that_is_born_cancelled(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   CALL(spawn_into_closed_scope),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "late=cancelled(unknown) late=cancelled main=misuse");
}

static void an_abandoned_scope_takes_its_cancellation_out_of_a_group(void)
{
    static struct script_nursery deep;
    static const struct script_step fails[] = {FAIL(4), END};
    static const struct script_step cancelled[] = {FOREVER, END};
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer),           OPEN_SCOPE(&inner),
        OPEN_NURSERY(&deep),          SPAWN(&deep, "f", fails),
        SPAWN(&deep, "c", cancelled), CANCEL(&inner),
        CLOSE_NURSERY(&deep),         CLOSE_SCOPE(&inner),
        CLOSE_SCOPE(&outer),          END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.result, "group(foreign 4)");
    ok(inner.cancelled_caught);
    ok(!outer.cancelled_caught);
}

static void close_outer_of_a_tree(struct script_task *self)
{
    struct ctrio__outcome io = {0, NULL};
    ctrio__scope_close(&outer, &self->task, &io);
    is(io.code, CTRIO_MISUSE);
    ok(middle.abandoned);
    ok(inner.abandoned);
    ok(other.abandoned);
    ok(!outer.abandoned);
}

static void all_that_is_below_a_closed_scope_is_abandoned(void)
{
    static const struct script_step a[] = {OPEN_SCOPE(&middle), OPEN_SCOPE(&inner),   TRY, FOREVER,
                                           CLOSE_SCOPE(&inner), CLOSE_SCOPE(&middle), END};
    static const struct script_step b[] = {OPEN_SCOPE(&other), TRY, FOREVER, CLOSE_SCOPE(&other),
                                           END};
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", a),
                                                   SPAWN(&nursery, "b", b),
                                                   CHECKPOINT,
                                                   CALL(close_outer_of_a_tree),
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "main=ok");
}

static void a_group_of_nothing_but_cancellations_is_swallowed(void)
{
    static struct script_nursery deep;
    static const struct script_step cancelled[] = {FOREVER, END};
    static const struct script_step main_task[] = {OPEN_SCOPE(&inner),
                                                   OPEN_NURSERY(&deep),
                                                   SPAWN(&deep, "a", cancelled),
                                                   SPAWN(&deep, "b", cancelled),
                                                   CANCEL(&inner),
                                                   CLOSE_NURSERY(&deep),
                                                   NOTE("unreached"),
                                                   CLOSE_SCOPE(&inner),
                                                   REPORT,
                                                   END};
    fresh();
    expect(main_task, "main=ok");
    ok(inner.cancelled_caught);
}

/* --- abort functions that do things ---------------------------------------------------------- */

static struct ctrio_task *waiting;
static void (*on_abort_do)(struct ctrio_task *task);

static enum ctrio__abort on_abort(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    (void)why;
    on_abort_do(task);
    return CTRIO__ABORT_SUCCEEDED;
}

static void begin_wait(struct script_task *self, const struct script_step *step)
{
    (void)step;
    ctrio__op_init(&self->op.op, &ctrio__wait_kind, NULL);
    self->op.wait.abort_fn = on_abort;
    waiting = &self->task;
}
#define EVIL_WAIT SCRIPT_BEGIN("evil wait", begin_wait, .number = 0)

static void cancels_all(struct ctrio_task *task)
{
    (void)task;
    ctrio__scope_cancel(&outer, script_reason(CTRIO__BY_EXPLICIT));
    ctrio__scope_cancel(&inner, script_reason(CTRIO__BY_EXPLICIT));
    ctrio__scope_set_shield(&middle, true);
    ctrio__scope_set_shield(&middle, false);
}

static const struct script_step evil[] = {OPEN_SCOPE(&inner),  TRY, EVIL_WAIT, REPORT,
                                          CLOSE_SCOPE(&inner), END};

static void an_abort_function_may_cancel_and_shield_all_it_likes(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_SCOPE(&middle),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", sleeper),
                                                   SPAWN(&nursery, "e", evil),
                                                   SPAWN(&nursery, "b", sleeper),
                                                   CHECKPOINT,
                                                   CANCEL(&middle),
                                                   CLOSE_NURSERY(&nursery),
                                                   CLOSE_SCOPE(&middle),
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    on_abort_do = cancels_all;
    expect(main_task, "a=cancelled(explicit) b=cancelled(explicit) e=cancelled");
}

static void unshields_middle(struct ctrio_task *task)
{
    (void)task;
    ctrio__scope_set_shield(&middle, false);
}

static const struct script_step behind_shield[] = {
    OPEN_SCOPE(&middle), SHIELD(&middle, 1), TRY, FOREVER, REPORT, CLOSE_SCOPE(&middle), END};

/* test_run.py::test_unshield_while_cancel_propagating */
static void a_shield_that_falls_while_the_cancellation_spreads_lets_it_in(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "e", evil),
                                                   SPAWN(&nursery, "s", behind_shield),
                                                   CHECKPOINT,
                                                   CANCEL(&nursery.scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    on_abort_do = unshields_middle;
    expect(main_task, "s=cancelled e=cancelled"); /* in the order in which they were told */
}

/* The same with the shielded one still to be looked at. */
static void a_shield_that_falls_before_the_cancellation_gets_there_lets_it_in(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "s", behind_shield),
                                                   SPAWN(&nursery, "e", evil),
                                                   CHECKPOINT,
                                                   CANCEL(&nursery.scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    on_abort_do = unshields_middle;
    expect(main_task, "s=cancelled e=cancelled");
}

static void shields_nursery(struct ctrio_task *task)
{
    (void)task;
    ctrio__scope_set_shield(&nursery.scope, true);
}

/* The cancellation is taken back while it is still on its way to the others. */
static void a_shield_that_goes_up_while_the_cancellation_spreads_stops_it(void)
{
    static const struct script_step holds[] = {OPEN_SCOPE(&middle),  TRY, SLEEP(1.0), REPORT,
                                               CLOSE_SCOPE(&middle), END};
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "h", holds),
                                                   SPAWN(&nursery, "e", evil),
                                                   CHECKPOINT,
                                                   CANCEL(&outer),
                                                   CLOSE_NURSERY(&nursery),
                                                   CLOSE_SCOPE(&outer),
                                                   END};
    fresh();
    on_abort_do = shields_nursery;
    expect(main_task, "e=cancelled h=ok");
    ok(ctrio__list_empty(&world.run.todo));
}

static void closes_nursery_scope_of_main(struct ctrio_task *task)
{
    struct ctrio__outcome io = {0, NULL};
    (void)task;
    ctrio__scope_close(&nursery.scope, world.run.main_task, &io);
    is(io.code, 0);
}

/* What is inside goes to limbo though the cancellation had not reached it. */
static void a_scope_closed_while_its_children_wait_to_be_told_leaves_them_cancelled(void)
{
    static const struct script_step holds[] = {
        OPEN_SCOPE(&middle), OPEN_SCOPE(&other),   TRY, SLEEP(1.0), REPORT,
        CLOSE_SCOPE(&other), CLOSE_SCOPE(&middle), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "h", holds),
                                                   SPAWN(&nursery, "e", evil),
                                                   CHECKPOINT,
                                                   CANCEL(&nursery.scope),
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    on_abort_do = closes_nursery_scope_of_main;
    is(script_run(main_task), 0);
    is(script_said("h=cancelled"), 1);
    is(script_said("e=cancelled"), 1);
    is(script_said("main=misuse"), 1);
}

static void closes_inner(struct ctrio_task *task)
{
    struct ctrio__outcome io = {0, NULL};
    ctrio__scope_close(&inner, task, &io);
    is(io.code, 0);
    ctrio__scope_forget(&inner);
    memset(&inner, 0xdb, sizeof inner); /* as if the memory were given back */
}

static const struct script_step evil_closer[] = {OPEN_SCOPE(&inner), TRY, EVIL_WAIT, REPORT, END};

static void a_scope_may_be_closed_while_a_cancellation_spreads_through_it(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "e", evil_closer),
                                                   SPAWN(&nursery, "b", sleeper),
                                                   CHECKPOINT,
                                                   CANCEL(&nursery.scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    on_abort_do = closes_inner;
    expect(main_task, "b=cancelled(explicit) e=cancelled");
}

/* --- front ends that do things ------------------------------------------------------------- */

static struct ctrio__frontend meddler;
static int closings;

static void drop_and_close(struct ctrio__outcome *outcome)
{
    script_frontend.outcome_drop(outcome);
    if (closings++ == 0)
        ctrio__scope_forget(&outer);
}

static void meddle(struct script_task *self)
{
    meddler = script_frontend;
    meddler.outcome_drop = drop_and_close;
    closings = 0;
    self->task.frontend = &meddler;
}

static void a_front_end_may_close_the_scope_while_it_is_closing(void)
{
    static const struct script_step main_task[] = {
        CALL(meddle), OPEN_SCOPE(&outer), CANCEL(&outer), CHECKPOINT, CLOSE_SCOPE(&outer), REPORT,
        END};
    fresh();
    expect(main_task, "main=ok");
    is((int)outer.state, (int)CTRIO_SCOPE_CLOSED);
}

static void misnested_and_close(enum ctrio__misnesting which, struct ctrio_task *task,
                                struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *inside,
                                struct ctrio__outcome *io)
{
    script_frontend.misnested(which, task, scope, inside, io);
    if (scope == &outer)
        ctrio__scope_forget(scope);
}

static void meddle_with_misnesting(struct script_task *self)
{
    meddler = script_frontend;
    meddler.misnested = misnested_and_close;
    self->task.frontend = &meddler;
}

static void a_front_end_may_close_the_scope_when_told_of_misnesting(void)
{
    static const struct script_step main_task[] = {OPEN_SCOPE(&outer),
                                                   OPEN_SCOPE(&inner),
                                                   CALL(meddle_with_misnesting),
                                                   TRY,
                                                   CLOSE_SCOPE(&outer),
                                                   REPORT,
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   CLOSE_SCOPE(&inner),
                                                   END};
    fresh();
    is(script_run(main_task), CTRIO_MISUSE); /* it ends in limbo, as in any misnesting */
    is(world.trace, "main=misuse main=cancelled");
    is(how(CTRIO__SCOPE_CLOSED_BEFORE_TASK), 1);
}

/* --- a million ------------------------------------------------------------------------------- */

enum { MILLION = 1000000 };
static struct ctrio_cancel_scope *many;

static void nest_a_million(struct script_task *self)
{
    struct ctrio__outcome io = {0, NULL};
    for (int i = 0; i < MILLION; i++) {
        ctrio__scope_init(&many[i], &script_frontend);
        ctrio__scope_open(&many[i], &self->task);
    }
    is(many[MILLION - 1].effectively_cancelled, false);
    ctrio__scope_cancel(&many[0], NULL);
    is(many[MILLION - 1].effectively_cancelled, true);
    ctrio__scope_set_shield(&many[MILLION / 2], true);
    is(many[MILLION - 1].effectively_cancelled, false);
    ok(ctrio__scope_tree_valid(&many[0]));
    is(ctrio__scope_effective_deadline(&many[MILLION - 1]), (double)INFINITY);
    ctrio__scope_close(&many[1], &self->task, &io); /* abandons all but two */
    is(io.code, CTRIO_MISUSE);
    ok(self->task.scope == &many[0]);
    io.code = 0;
    ctrio__scope_close(&many[0], &self->task, &io);
    for (int i = MILLION; i-- > 2;) {
        io.code = 0;
        ctrio__scope_close(&many[i], &self->task, &io);
    }
    is(io.code, 0);
}

static void a_million_nested_scopes_need_no_recursion(void)
{
    static const struct script_step main_task[] = {CALL(nest_a_million), CHECKPOINT, REPORT, END};
    fresh();
    many = malloc(sizeof *many * MILLION);
    expect(main_task, "main=ok");
    free(many);
}

static void open_a_million_siblings(struct script_task *self)
{
    struct ctrio__outcome io = {0, NULL};
    int wrong = 0;
    for (int i = 0; i < MILLION; i++) {
        ctrio__scope_init(&many[i], &script_frontend);
        many[i].deadline = 10.0 + (double)(i % 1000);
        ctrio__scope_open(&many[i], &self->task);
        ctrio__task_enter_scope(&self->task, &outer);
    }
    is(ctrio__timers_count(&world.run.timers), MILLION);
    ctrio__scope_cancel(&outer, NULL);
    for (int i = 0; i < MILLION; i++)
        wrong += !many[i].effectively_cancelled;
    is(wrong, 0);
    for (int i = 0; i < MILLION; i++) {
        ctrio__task_enter_scope(&self->task, &many[i]);
        ctrio__scope_close(&many[i], &self->task, &io);
    }
    is(io.code, 0);
    is(ctrio__timers_count(&world.run.timers), 0);
}

static void a_million_sibling_scopes_are_cancelled_at_once(void)
{
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&outer), CALL(open_a_million_siblings), CLOSE_SCOPE(&outer), REPORT, END};
    fresh();
    many = malloc(sizeof *many * MILLION);
    expect(main_task, "main=ok");
    free(many);
}

TAP_MAIN(TEST(a_scope_under_another_parent_feels_its_cancellation),
         TEST(closing_twice_is_an_error_that_changes_nothing),
         TEST(closing_a_stranger_s_scope_is_an_error_that_changes_nothing),
         TEST(closing_the_outer_first_abandons_the_inner_one),
         TEST(tasks_in_a_scope_that_is_closed_around_them_are_cancelled),
         TEST(scopes_in_a_scope_that_is_closed_around_them_go_to_limbo),
         TEST(a_child_spawned_after_that_is_born_cancelled),
         TEST(an_abandoned_scope_takes_its_cancellation_out_of_a_group),
         TEST(all_that_is_below_a_closed_scope_is_abandoned),
         TEST(a_group_of_nothing_but_cancellations_is_swallowed),
         TEST(an_abort_function_may_cancel_and_shield_all_it_likes),
         TEST(a_shield_that_falls_while_the_cancellation_spreads_lets_it_in),
         TEST(a_shield_that_falls_before_the_cancellation_gets_there_lets_it_in),
         TEST(a_shield_that_goes_up_while_the_cancellation_spreads_stops_it),
         TEST(a_scope_closed_while_its_children_wait_to_be_told_leaves_them_cancelled),
         TEST(a_front_end_may_close_the_scope_while_it_is_closing),
         TEST(a_front_end_may_close_the_scope_when_told_of_misnesting),
         TEST(a_scope_may_be_closed_while_a_cancellation_spreads_through_it),
         BIG_TEST(a_million_nested_scopes_need_no_recursion),
         BIG_TEST(a_million_sibling_scopes_are_cancelled_at_once))
