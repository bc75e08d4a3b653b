#include "kernel/parking_lot.h"
#include "script.h"

static struct ctrio_parking_lot lot, other;
static struct ctrio_cancel_scope scope;
static struct script_nursery nursery;
static struct ctrio_lot_breaker breaker, second_breaker;

static void init(void)
{
    ctrio__lot_init(&lot, &script_frontend);
    ctrio__lot_init(&other, &script_frontend);
    ctrio__list_init(&breaker.link);
    ctrio__list_init(&second_breaker.link);
}

static void fresh(void)
{
    script_reset();
    init();
}

static const struct script_step parker[] = {TRY, PARK(&lot), REPORT, END};
static const struct script_step scoped_parker[] = {FRESH_SCOPE(&scope), PARK(&lot),  REPORT,
                                                   CLOSE_SCOPE(&scope), NOTE("out"), END};

#define THREE_PARKERS                                                                              \
    OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", parker), SPAWN(&nursery, "b", parker),            \
        SPAWN(&nursery, "c", parker), CHECKPOINT

static void tasks_wake_in_the_order_in_which_they_parked(void)
{
    static const struct script_step main_task[] = {
        THREE_PARKERS, UNPARK(&lot, 1),         REPORT, CHECKPOINT, CHECKPOINT, UNPARK(&lot, 2),
        REPORT,        CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok a=ok main=ok b=ok c=ok");
    is(lot.count, 0);
}

static void first_while_parked(struct script_task *self)
{
    (void)self;
    is(lot.count, 3);
    ok(ctrio__lot_first(&lot) == &script_find("a")->task);
    is(ctrio__lot_unpark(&lot, 100), 3);
    is(ctrio__lot_unpark(&lot, 100), 0);
    ok(ctrio__lot_first(&lot) == NULL);
    ok(ctrio__lot_unpark_one(&lot) == NULL);
}

static void unparking_more_than_there_are_wakes_all(void)
{
    static const struct script_step main_task[] = {THREE_PARKERS, CALL(first_while_parked),
                                                   CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=ok b=ok c=ok");
}

static void repark_two(struct script_task *self)
{
    (void)self;
    is(ctrio__lot_repark(&lot, &other, 2), 2);
    is(lot.count, 1);
    is(other.count, 2);
    ok(ctrio__lot_first(&other) == &script_find("a")->task);
}

static void reparking_moves_the_oldest_without_waking_them(void)
{
    static const struct script_step main_task[] = {THREE_PARKERS,
                                                   CALL(repark_two),
                                                   CHECKPOINT,
                                                   NOTE("moved"),
                                                   UNPARK(&lot, 9),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   UNPARK(&other, 1),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   UNPARK(&other, 1),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:moved c=ok a=ok b=ok");
}

static void repark_all(struct script_task *self)
{
    (void)self;
    is(ctrio__lot_repark(&lot, &lot, 1), 1); /* the oldest becomes the youngest */
    is(ctrio__lot_repark(&lot, &other, 100), 3);
    is(ctrio__lot_repark(&lot, &other, 100), 0);
}

static void reparked_tasks_keep_their_order(void)
{
    static const struct script_step main_task[] = {THREE_PARKERS, CALL(repark_all),
                                                   UNPARK(&other, 3), CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "b=ok c=ok a=ok");
}

static void move_all(struct script_task *self)
{
    (void)self;
    ctrio__lot_repark(&lot, &other, 100);
}

static void counts_are_zero(struct script_task *self)
{
    (void)self;
    is(lot.count, 0);
    is(other.count, 0);
}

static void a_reparked_task_that_is_cancelled_leaves_the_new_lot(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", scoped_parker),
                                                   CHECKPOINT,
                                                   CALL(move_all),
                                                   CANCEL(&scope),
                                                   CALL(counts_are_zero),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a:out");
}

static void break_it(struct script_task *self)
{
    uint32_t points = self->task.schedule_points;
    ctrio__lot_break(&lot, &self->task);
    ok(lot.broken);
    is(lot.count, 0);
    ctrio__lot_break(&lot, &self->task);
    is(self->task.schedule_points, points);
}

static void a_broken_lot_wakes_everybody_and_admits_nobody(void)
{
    static const struct script_step main_task[] = {THREE_PARKERS,
                                                   CALL(break_it),
                                                   CLOSE_NURSERY(&nursery),
                                                   NOTE("then"),
                                                   TRY,
                                                   PARK(&lot),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=broken b=broken c=broken main:then main=broken");
    is(world.lots_broken, 2);
}

static void a_lot_without_front_end_breaks_too(void)
{
    static const struct script_step main_task[] = {THREE_PARKERS, CALL(break_it),
                                                   CLOSE_NURSERY(&nursery), END};
    fresh();
    lot.frontend = NULL;
    is(script_run(main_task), 0);
    is(world.trace, "a=broken b=broken c=broken");
    is(world.lots_broken, 0);
}

static void answer_for_both(struct script_task *self)
{
    ctrio__lot_breaker_add(&breaker, &lot, &self->task);
    ctrio__lot_breaker_add(&second_breaker, &other, &self->task);
}

static void answer_no_more(struct script_task *self)
{
    (void)self;
    ctrio__lot_breaker_remove(&breaker);
    ctrio__lot_breaker_remove(&breaker);
}

static const struct script_step other_parker[] = {TRY, PARK(&other), REPORT, END};

static void a_task_that_exits_breaks_the_lots_it_answers_for(void)
{
    static const struct script_step careless[] = {CALL(answer_for_both), CHECKPOINT, NOTE("exits"),
                                                  END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),       SPAWN(&nursery, "o", other_parker),
        SPAWN(&nursery, "l", parker), SPAWN(&nursery, "careless", careless),
        CLOSE_NURSERY(&nursery),      END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "careless:exits l=broken o=broken");
    is(world.lots_broken, 2);
    ok(!ctrio__list_linked(&breaker.link));
}

static void a_task_that_unregisters_breaks_nothing(void)
{
    static const struct script_step careful[] = {CALL(answer_for_both), CHECKPOINT,
                                                 CALL(answer_no_more), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "l", parker),
                                                   SPAWN(&nursery, "o", other_parker),
                                                   SPAWN(&nursery, "careful", careful),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   UNPARK(&lot, 1),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "o=broken l=ok");
    is(world.lots_broken, 1);
    ok(!lot.broken);
}

static void parking_in_a_cancelled_scope_queues_nobody(void)
{
    static const struct script_step main_task[] = {
        FRESH_SCOPE(&scope),   CANCEL(&scope),      TRY,         PARK(&lot), REPORT,
        CALL(counts_are_zero), CLOSE_SCOPE(&scope), NOTE("out"), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=cancelled main:out");
    ok(!scope.cancelled_caught);
}

/* An instrument that, told of one task, wakes the next. */
static void wake_another(struct ctrio_run *run, enum ctrio__hook which, struct ctrio_task *task)
{
    (void)run;
    (void)which;
    (void)task;
    if (lot.count > 0)
        ctrio__lot_unpark_one(&lot);
}

static void wake_two(struct script_task *self)
{
    (void)self;
    world.run.hooks.task_event = wake_another;
    world.run.hooks.wanted = CTRIO__HOOK_TASK_SCHEDULED;
    is(ctrio__lot_unpark(&lot, 2), 1); /* the others were the instrument's */
    world.run.hooks.wanted = 0;
    is(lot.count, 0);
}

static void an_instrument_may_unpark_while_tasks_are_unparked(void)
{
    static const struct script_step main_task[] = {THREE_PARKERS, CALL(wake_two),
                                                   CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=ok b=ok c=ok");
}

/* --- at every moment ------------------------------------------------------------------------ */

/* Unparks until both bystanders are through, whatever becomes of the victim. */
static bool unpark_more(void)
{
    return ctrio__lot_unpark(&lot, 1) + ctrio__lot_unpark(&other, 1) != 0;
}

static const struct script_step bystander[] = {PARK(&lot), REPORT, END};
static const struct script_step among_others[] = {OPEN_NURSERY(&nursery),
                                                  SPAWN(&nursery, "before", bystander),
                                                  SPAWN(&nursery, "victim", scoped_parker),
                                                  SPAWN(&nursery, "after", bystander),
                                                  CHECKPOINT,
                                                  UNPARK(&lot, 1),
                                                  CHECKPOINT,
                                                  CALL(move_all),
                                                  CHECKPOINT,
                                                  UNPARK(&other, 2),
                                                  CLOSE_NURSERY(&nursery),
                                                  END};

static void init_with_help(void)
{
    init();
    world.stuck = unpark_more;
}

static void others_are_through(void)
{
    is(lot.count, 0);
    is(other.count, 0);
    ok(strstr(world.trace, "before=ok") != NULL);
    ok(strstr(world.trace, "after=ok") != NULL);
    ok(strstr(world.trace, "before=ok") < strstr(world.trace, "after=ok"));
    ok(strstr(world.trace, "stuck") == NULL);
}

static void cancel_it(void)
{
    script_cancel_open(&scope);
}

static void abandon_it(void)
{
    script_abandon_named("victim");
}

static void a_cancellation_at_any_moment_loses_no_wake_up(void)
{
    ok(script_everywhere(among_others, init_with_help, cancel_it, others_are_through) > 20);
}

static void an_op_abandoned_at_any_moment_leaves_no_trace(void)
{
    ok(script_everywhere(among_others, init_with_help, abandon_it, others_are_through) > 20);
}

TAP_MAIN(TEST(tasks_wake_in_the_order_in_which_they_parked),
         TEST(unparking_more_than_there_are_wakes_all),
         TEST(reparking_moves_the_oldest_without_waking_them),
         TEST(reparked_tasks_keep_their_order),
         TEST(a_reparked_task_that_is_cancelled_leaves_the_new_lot),
         TEST(a_broken_lot_wakes_everybody_and_admits_nobody),
         TEST(a_lot_without_front_end_breaks_too),
         TEST(a_task_that_exits_breaks_the_lots_it_answers_for),
         TEST(a_task_that_unregisters_breaks_nothing),
         TEST(parking_in_a_cancelled_scope_queues_nobody),
         TEST(an_instrument_may_unpark_while_tasks_are_unparked),
         TEST(a_cancellation_at_any_moment_loses_no_wake_up),
         TEST(an_op_abandoned_at_any_moment_leaves_no_trace))
