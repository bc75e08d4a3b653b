/* The shortcuts: taken when every condition holds, and left alone when any one fails. */
#include "kernel/loop.h"
#include "script.h"

static struct ctrio__system_clock clock;
static struct script_nursery nursery;
static struct ctrio_cancel_scope scope;

/* A run that may take shortcuts: the system's clock, no chooser, no instruments. */
static void fresh(void)
{
    script_reset();
    ctrio__system_clock_init(&clock, (struct ctrio__os *)(void *)&world.io, script_io_now, 0.0);
    world.use_clock = &clock.clock;
    world.chooser = NULL;
}

/* The run's own tasks have had their first turns by then. */
#define SETTLE CHECKPOINT, CHECKPOINT

static size_t turns_before;
static uint32_t points_before, looks_before;

static void begin_counting(struct script_task *self)
{
    turns_before = world.turns;
    points_before = self->task.schedule_points;
    looks_before = self->task.cancel_points;
    self->task.may_continue = true;
}

static size_t turns, points, looks;

static void end_counting(struct script_task *self)
{
    turns = world.turns - turns_before;
    points = self->task.schedule_points - points_before;
    looks = self->task.cancel_points - looks_before;
}

static const struct script_step twenty[] = {SETTLE,     CALL(begin_counting), LOOP(20),
                                            CHECKPOINT, SHIELDED_CHECKPOINT,  IF_CANCELLED,
                                            AGAIN,      CALL(end_counting),   END};

static void alone_a_task_continues_and_its_points_are_counted(void)
{
    fresh();
    is(script_run(twenty), 0);
    is(turns, 0);
    is(points, 40);
    is(looks, 40);
}

static void a_task_that_may_not_continue_never_does(void)
{
    static const struct script_step main_task[] = {LOOP(20), CHECKPOINT, AGAIN, END};
    fresh();
    is(script_run(main_task), 0);
    ok(world.turns >= 20);
}

static void forbid_chooser(void)
{
    world.chooser = &script_in_order;
}

static void forbid_strict(void)
{
    world.strict = true;
}

static void forbid_guest(void)
{
    world.guest = true;
}

static void ignore_task(struct ctrio_run *run, enum ctrio__hook which, struct ctrio_task *task)
{
    (void)run;
    (void)which;
    (void)task;
}

static void forbid_instrument(void)
{
    world.hooks.wanted = CTRIO__HOOK_BEFORE_TASK_STEP;
    world.hooks.task_event = ignore_task;
}

static void forbid_mock_clock(void)
{
    world.use_clock = &world.clock.clock;
}

static void no_order(struct ctrio_run *run, struct ctrio_task **batch, size_t count)
{
    (void)run;
    (void)batch;
    (void)count;
}

static void forbid_order_batch(void)
{
    world.hooks.wanted = CTRIO__HOOK_ORDER_BATCH;
    world.hooks.order_batch = no_order;
}

static void (*const forbid[])(void) = {forbid_chooser,    forbid_strict,     forbid_guest,
                                       forbid_instrument, forbid_mock_clock, forbid_order_batch};

static void nobody_continues_where_shortcuts_are_off(void)
{
    for (size_t i = 0; i < sizeof forbid / sizeof forbid[0]; i++) {
        fresh();
        forbid[i]();
        turns = 0;
        is(script_run(twenty), 0);
        is(turns, 40);
        is(points, 40);
    }
}

static void nobody_continues_while_another_is_runnable(void)
{
    static const struct script_step other[] = {LOOP(5), CHECKPOINT, NOTE("o"), AGAIN, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "x", other),
                                                   CALL(begin_counting),
                                                   LOOP(5),
                                                   CHECKPOINT,
                                                   NOTE("m"),
                                                   AGAIN,
                                                   CALL(end_counting),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    world.hooks.wanted = 0;
    is(script_run(main_task), 0);
    ok(turns >= 5);
}

static void a_pending_cancellation_is_seen(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope),
                                                   CALL(begin_counting),
                                                   CHECKPOINT,
                                                   CANCEL(&scope),
                                                   TRY,
                                                   CHECKPOINT,
                                                   REPORT,
                                                   CLOSE_SCOPE(&scope),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=cancelled");
}

static void let_time_pass(struct script_task *self)
{
    (void)self;
    world.io.now += 60000; /* ns: more than the budget */
}

static void once_the_last_poll_is_old_the_loop_gets_its_turn(void)
{
    static const struct script_step main_task[] = {SETTLE,     CALL(begin_counting), LOOP(10),
                                                   CHECKPOINT, CALL(let_time_pass),  CHECKPOINT,
                                                   AGAIN,      CALL(end_counting),   END};
    fresh();
    is(script_run(main_task), 0);
    is(turns, 10);
    is(points, 20);
}

static void a_near_deadline_stops_the_shortcuts_and_a_far_one_does_not(void)
{
    static const struct script_step main_task[] = {
        SETTLE, CALL(begin_counting), OPEN_SCOPE(&scope),  LOOP(10), CHECKPOINT,
        AGAIN,  CALL(end_counting),   CLOSE_SCOPE(&scope), END};
    fresh();
    ctrio__scope_init(&scope, &script_frontend);
    scope.relative_deadline = 100.0;
    is(script_run(main_task), 0);
    ok(turns <= 1); /* the clock had not been read: once through the loop, then on */
    fresh();
    ctrio__scope_init(&scope, &script_frontend);
    scope.relative_deadline = 0.0005;
    is(script_run(main_task), 0);
    is(turns, 10);
}

static void called(struct ctrio__entry *entry, struct ctrio_run *run)
{
    (void)entry;
    (void)run;
    script_say("called");
}

static struct ctrio__entry entry = {.fn = called};

static void push_entry(struct script_task *self)
{
    is(ctrio__entry_queue_push(self->task.run, &entry), 0);
}

static void the_entry_queue_stops_the_shortcuts(void)
{
    static const struct script_step main_task[] = {
        SETTLE,     CALL(begin_counting), CHECKPOINT, CALL(push_entry), CHECKPOINT, CHECKPOINT,
        NOTE("on"), CALL(end_counting),   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "called main:on");
    ok(turns >= 1);
}

static void void_the_budget(struct script_task *self)
{
    ctrio__void_poll_budget(self->task.run);
}

static void a_new_wait_for_readiness_stops_the_shortcuts_once(void)
{
    static const struct script_step main_task[] = {SETTLE,
                                                   CALL(begin_counting),
                                                   CALL(void_the_budget),
                                                   LOOP(10),
                                                   CHECKPOINT,
                                                   AGAIN,
                                                   CALL(end_counting),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(turns, 1);
    is(points, 10);
}

static struct ctrio_semaphore semaphore;

static void primitives_that_succeed_at_once_continue_too(void)
{
    static const struct script_step main_task[] = {
        SETTLE, CALL(begin_counting), LOOP(10), PERMIT(&semaphore), GIVE_PERMIT(&semaphore),
        AGAIN,  CALL(end_counting),   END};
    fresh();
    ctrio__semaphore_init(&semaphore, 1, 1, &script_frontend);
    is(script_run(main_task), 0);
    is(turns, 0);
    is(points, 10);
}

/* --- each condition by itself ---------------------------------------------------------------- */

static const struct script_step neighbour[] = {LOOP(4), CHECKPOINT, AGAIN, END};

static void may_not_continue(struct script_task *self)
{
    self->task.may_continue = false;
}

static void be_cancelled(struct script_task *self)
{
    (void)self;
    ctrio__scope_cancel(&scope, NULL);
}

static void be_interrupted(struct script_task *self)
{
    self->task.run->interrupt_pending = true;
}

static void have_a_near_deadline(struct script_task *self)
{
    ctrio__scope_set_deadline(&scope, ctrio__run_time(self->task.run) + 0.0005);
}

static void have_company(struct script_task *self)
{
    (void)self;
    tap_saw(script_spawn(&nursery.nursery, "company", neighbour));
}

static void (*meanwhile)(struct script_task *self);
static bool continues, skips_poll;

static void break_a_condition(struct script_task *self)
{
    if (meanwhile != NULL)
        meanwhile(self);
}

static void ask_to_continue(struct script_task *self)
{
    continues = ctrio__may_continue(self->task.run, &self->task);
}

static void ask_to_skip(struct script_task *self)
{
    skips_poll = ctrio__may_skip_poll(self->task.run);
    self->task.run->interrupt_pending = false;
}

/* Alone the main task may continue; with another one runnable the loop may skip its look. */
static void ask_both(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope),
                                                   OPEN_NURSERY(&nursery),
                                                   SETTLE,
                                                   CALL(begin_counting),
                                                   CALL(break_a_condition),
                                                   CALL(ask_to_continue),
                                                   SPAWN(&nursery, "n", neighbour),
                                                   CALL(ask_to_skip),
                                                   CLOSE_NURSERY(&nursery),
                                                   CLOSE_SCOPE(&scope),
                                                   END};
    continues = skips_poll = false;
    is(script_run(main_task), 0);
}

static void each_thing_that_is_set_beforehand_forbids_both_shortcuts(void)
{
    meanwhile = NULL;
    fresh();
    ask_both();
    ok(continues);
    ok(skips_poll);
    for (size_t i = 0; i < sizeof forbid / sizeof forbid[0]; i++) {
        fresh();
        forbid[i]();
        ask_both();
        ok(!continues);
        ok(!skips_poll);
    }
}

static void each_thing_that_happens_forbids_what_it_concerns(void)
{
    static const struct {
        void (*happens)(struct script_task *self);
        bool skips_poll;
    } table[] = {{push_entry, false},  {let_time_pass, false},      {void_the_budget, false},
                 {be_cancelled, true}, {be_interrupted, true},      {may_not_continue, true},
                 {have_company, true}, {have_a_near_deadline, true}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fresh();
        meanwhile = table[i].happens;
        ask_both();
        ok(!continues);
        is(skips_poll, table[i].skips_poll);
    }
}

/* --- leaving out the look at the machine ----------------------------------------------------- */

static bool skips[8];
static size_t skip_count;

static void ask(struct script_task *self)
{
    skips[skip_count++] = ctrio__may_skip_poll(self->task.run);
}

static void with_tasks_runnable_a_recent_look_is_enough(void)
{
    static const struct script_step main_task[] = {CALL(ask),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "n", neighbour),
                                                   CALL(ask),
                                                   CALL(let_time_pass),
                                                   CALL(ask),
                                                   CHECKPOINT,
                                                   CALL(ask),
                                                   CALL(void_the_budget),
                                                   CALL(ask),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    skip_count = 0;
    world.seed = 3;
    is(script_run(main_task), 0);
    is(skip_count, 5);
    ok(!skips[0]); /* nobody is runnable: the wait may be long */
    ok(skips[1]);
    ok(!skips[2]); /* too long ago */
    ok(!skips[4]); /* someone has begun to wait */
}

static int asked; /* how many turns went without a look at the machine */
static uint64_t then_takes;

/* A hundred turns that take no time, then such as do. */
static void ask_until_told_to_look(struct script_task *self)
{
    struct ctrio_run *run = self->task.run;
    for (int i = 0; i < 100; i++)
        ok(ctrio__may_skip_poll(run));
    for (asked = 0; asked < 1000 && ctrio__may_skip_poll(run); asked++)
        world.io.now += then_takes;
}

static void turns_that_become_slow_are_noticed_within_sixteen(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),          SETTLE,
        SPAWN(&nursery, "n", neighbour), CALL(ask_until_told_to_look),
        CLOSE_NURSERY(&nursery),         END};
    static const struct {
        uint64_t then_takes;
        int most;
    } table[] = {{1000000, 16}, {50000, 16}, {10000, 20}, {1000, 64}, {100, 515}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fresh();
        then_takes = table[i].then_takes;
        is(script_run(main_task), 0);
        ok(asked <= table[i].most);
        ok((uint64_t)asked * then_takes >= 50000);
    }
}

/* Drives it as a driver with shortcuts does. */
static void a_turn_without_a_look_still_fires_near_timers(void)
{
    static const struct script_step sleeper[] = {SLEEP(0.0001), NOTE("slept"), END};
    static const struct script_step busy[] = {LOOP(30), CHECKPOINT,   CALL(ask),
                                              AGAIN,    NOTE("done"), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "s", sleeper), SPAWN(&nursery, "b", busy),
        CLOSE_NURSERY(&nursery), END};
    fresh();
    script_open(main_task);
    struct ctrio_run *run = &world.run;
    size_t skipped = 0;
    while (ctrio__run_alive(run)) {
        skip_count = 0;
        struct ctrio__io_events events = {NULL, 0};
        if (ctrio__may_skip_poll(run)) {
            skipped++;
            ctrio__run_begin(run, NULL);
        } else {
            run->io_ops->get_events(run->io, ctrio__run_timeout(run), &events);
            ctrio__run_begin(run, &events);
        }
        while (ctrio__run_step(run))
            world.io.now += 5000;
    }
    is(script_close(), 0);
    is(world.trace, "s:slept b:done");
    ok(skipped > 10);
}

/* --- operations that complete at once, where the run is bounded ---------------------------- */

static uint64_t each_takes; /* ticks */
static int went_on;

/* With somebody else runnable, so that only the bounds let it go on.  150: more than any bound. */
static void go_on_while_allowed(struct script_task *self)
{
    self->task.run->bounded = true;
    break_a_condition(self);
    for (went_on = 0; went_on < 150 && ctrio__may_go_on(self->task.run, &self->task); went_on++)
        world.io.now += each_takes;
}

static int count_going_on(uint64_t ticks)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope),
                                                   OPEN_NURSERY(&nursery),
                                                   SETTLE,
                                                   SPAWN(&nursery, "n", neighbour),
                                                   CALL(go_on_while_allowed),
                                                   CLOSE_NURSERY(&nursery),
                                                   CLOSE_SCOPE(&scope),
                                                   END};
    each_takes = ticks;
    went_on = -1;
    is(script_run(main_task), 0);
    return went_on;
}

static void so_many_operations_or_so_much_time_then_the_others_have_a_turn(void)
{
    static const struct {
        uint64_t each_takes;
        int went_on;
    } table[] = {{0, 100}, {1, 100}, {1000, 20}, {19999, 2}, {20000, 1}, {10000000, 1}};
    meanwhile = NULL;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fresh();
        is(count_going_on(table[i].each_takes), table[i].went_on);
    }
}

static void be_unbounded(struct script_task *self)
{
    self->task.run->bounded = false;
}

static void each_thing_that_forbids_to_go_on(void)
{
    static void (*const beforehand[])(void) = {forbid_chooser, forbid_instrument};
    static void (*const happens[])(struct script_task *self) = {be_unbounded, push_entry};
    meanwhile = NULL;
    for (size_t i = 0; i < sizeof beforehand / sizeof beforehand[0]; i++) {
        fresh();
        beforehand[i]();
        is(count_going_on(0), 0);
    }
    for (size_t i = 0; i < sizeof happens / sizeof happens[0]; i++) {
        fresh();
        meanwhile = happens[i];
        is(count_going_on(0), 0);
    }
}

TAP_MAIN(TEST(alone_a_task_continues_and_its_points_are_counted),
         TEST(a_task_that_may_not_continue_never_does),
         TEST(nobody_continues_where_shortcuts_are_off),
         TEST(nobody_continues_while_another_is_runnable), TEST(a_pending_cancellation_is_seen),
         TEST(once_the_last_poll_is_old_the_loop_gets_its_turn),
         TEST(a_near_deadline_stops_the_shortcuts_and_a_far_one_does_not),
         TEST(the_entry_queue_stops_the_shortcuts),
         TEST(a_new_wait_for_readiness_stops_the_shortcuts_once),
         TEST(primitives_that_succeed_at_once_continue_too),
         TEST(each_thing_that_is_set_beforehand_forbids_both_shortcuts),
         TEST(each_thing_that_happens_forbids_what_it_concerns),
         TEST(with_tasks_runnable_a_recent_look_is_enough),
         TEST(turns_that_become_slow_are_noticed_within_sixteen),
         TEST(a_turn_without_a_look_still_fires_near_timers),
         TEST(so_many_operations_or_so_much_time_then_the_others_have_a_turn),
         TEST(each_thing_that_forbids_to_go_on))
