#include "kernel/idle.h"
#include "script.h"

static struct script_nursery nursery;
static struct ctrio_cancel_scope scope;
static struct ctrio_event event;

static void fresh(void)
{
    script_reset();
    ctrio__event_init(&event, &script_frontend);
}

static void it_wakes_when_everybody_else_is_parked(void)
{
    static const struct script_step busy[] = {LOOP(5),      CHECKPOINT,    AGAIN, NOTE("parks"),
                                              WAIT(&event), NOTE("woken"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "busy", busy),
                                                   IDLE(0.0),
                                                   NOTE("idle"),
                                                   SET(&event),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "busy:parks main:idle busy:woken");
}

static const struct script_step first[] = {IDLE(0.5), NOTE("0.5"), END};
static const struct script_step second[] = {IDLE(0.25), NOTE("0.25"), END};
static const struct script_step third[] = {IDLE(0.5), NOTE("0.5"), END};

static void the_shortest_cushion_wakes_first_and_equal_ones_in_order(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),      SPAWN(&nursery, "a", first), SPAWN(&nursery, "b", second),
        SPAWN(&nursery, "c", third), CLOSE_NURSERY(&nursery),     END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "b:0.25 a:0.5 c:0.5");
    is(world.io.now, 1750000000); /* 0.25 s, and 0.5 s from then on */
}

static void a_cushion_below_nothing_is_none(void)
{
    static const struct script_step main_task[] = {IDLE(-1.0), NOTE("idle"), IDLE(NAN),
                                                   NOTE("idle"), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:idle main:idle");
    is(world.io.now, 1000000000);
}

static void what_happens_in_the_cushion_starts_it_anew(void)
{
    static const struct script_step waiter[] = {WAIT_IO(3, CTRIO__READABLE), NOTE("ready"), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "w", waiter), IDLE(0.5),
        NOTE("idle"),           CLOSE_NURSERY(&nursery),      END};
    fresh();
    script_open(main_task);
    while (script_turn() && ctrio__list_empty(&world.run.idle))
        ;
    script_turn(); /* now the other one waits, too */
    script_io_make_ready(&world.io, 3, CTRIO__READABLE);
    while (script_turn())
        ;
    is(script_close(), 0);
    is(world.trace, "w:ready main:idle");
}

static void it_comes_before_a_jump_of_the_clock(void)
{
    static const struct script_step sleeper[] = {SLEEP(1.0), NOTE("slept"), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "s", sleeper), IDLE(0.0), NOTE("idle"), IDLE(0.25),
        NOTE("again"),          CLOSE_NURSERY(&nursery),       END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:idle main:again s:slept");
}

static void a_deadline_that_passes_is_something_happening(void)
{
    static struct ctrio__system_clock clock;
    fresh();
    ctrio__system_clock_init(&clock, (struct ctrio__os *)(void *)&world.io, script_io_now, 0.0);
    world.use_clock = &clock.clock;
    ctrio__scope_init(&scope, &script_frontend);
    static const struct script_step with_deadline[] = {
        OPEN_SCOPE(&scope), IDLE(5.0), NOTE("unreached"), CLOSE_SCOPE(&scope), NOTE("out"), END};
    scope.relative_deadline = 2.0;
    is(script_run(with_deadline), 0);
    is(world.trace, "main:out");
    ok(scope.cancelled_caught);
}

static void a_cancelled_one_is_forgotten(void)
{
    static const struct script_step idler[] = {FRESH_SCOPE(&scope), IDLE(0.5),   NOTE("unreached"),
                                               CLOSE_SCOPE(&scope), NOTE("out"), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "i", idler), CHECKPOINT,
        CANCEL(&scope),         CLOSE_NURSERY(&nursery),     END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "i:out");
    ok(ctrio__list_empty(&world.run.idle));
    is(ctrio__idle_cushion(&world.run), (double)INFINITY);
}

static void an_abandoned_one_is_forgotten(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   FRESH_SCOPE(&scope),
                                                   SPAWN(&nursery, "i", first),
                                                   CHECKPOINT,
                                                   ABANDON("i"),
                                                   CLOSE_SCOPE(&scope),
                                                   CANCEL(&nursery.scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "");
    ok(ctrio__list_empty(&world.run.idle));
}

TAP_MAIN(TEST(it_wakes_when_everybody_else_is_parked),
         TEST(the_shortest_cushion_wakes_first_and_equal_ones_in_order),
         TEST(a_cushion_below_nothing_is_none), TEST(what_happens_in_the_cushion_starts_it_anew),
         TEST(it_comes_before_a_jump_of_the_clock),
         TEST(a_deadline_that_passes_is_something_happening), TEST(a_cancelled_one_is_forgotten),
         TEST(an_abandoned_one_is_forgotten))
