#include "kernel/run.h"
#include "script.h"

static struct script_nursery nursery;
static struct ctrio_cancel_scope scope;
static struct ctrio_event event;

static void fresh(void)
{
    script_reset();
    ctrio__event_init(&event, &script_frontend);
}

/* --- batches --------------------------------------------------------------------------------- */

static const struct script_step a_few[] = {LOOP(6), NOTE("x"), CHECKPOINT, AGAIN, END};
static const struct script_step three_of_them[] = {
    OPEN_NURSERY(&nursery),      SPAWN(&nursery, "a", a_few), SPAWN(&nursery, "b", a_few),
    SPAWN(&nursery, "c", a_few), CLOSE_NURSERY(&nursery),     END};

/* Of a trace of notes, the names: "abccba". */
static void names(char *out, size_t size)
{
    size_t length = 0;
    for (const char *at = world.trace; *at != '\0' && length + 1 < size; at++)
        if (*at == ':')
            out[length++] = at[-1];
    out[length] = '\0';
}

static void a_batch_runs_forwards_or_backwards_by_the_seed(void)
{
    int forwards = 0, backwards = 0, neither = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        char order[64];
        fresh();
        world.chooser = NULL;
        world.seed = seed;
        is(script_run(three_of_them), 0);
        names(order, sizeof order);
        is(strlen(order), 18);
        for (size_t i = 0; i + 3 <= strlen(order); i += 3) {
            bool same = i > 0 && strncmp(order + i, order + i - 3, 3) == 0;
            bool turned = i > 0 && order[i] == order[i - 1] && order[i + 2] == order[i - 3];
            forwards += i > 0 && same;
            backwards += i > 0 && turned;
            neither += i > 0 && !same && !turned;
        }
    }
    is(neither, 0);
    is(forwards + backwards, 200);
    ok(forwards > 60); /* a coin: half of them, and 14 either way is two in a thousand */
    ok(backwards > 60);
}

static void equal_seeds_give_equal_runs_and_others_others(void)
{
    uint64_t hashes[20];
    int equal = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (int twice = 0; twice < 2; twice++) {
            fresh();
            world.chooser = NULL;
            world.seed = seed;
            is(script_run(three_of_them), 0);
            if (twice == 0)
                hashes[seed] = world.hash;
        }
        is(world.hash, hashes[seed]);
        for (uint64_t other = 0; other < seed; other++)
            equal += hashes[other] == hashes[seed];
    }
    ok(equal < 10);
}

static void what_becomes_runnable_waits_for_the_next_batch(void)
{
    static const struct script_step waiter[] = {WAIT(&event), NOTE("woken"), END};
    static const struct script_step setter[] = {SET(&event), NOTE("set"), END};
    static const struct script_step third[] = {NOTE("also"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "w", waiter),
                                                   CHECKPOINT,
                                                   SPAWN(&nursery, "s", setter),
                                                   SPAWN(&nursery, "t", third),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "s:set t:also w:woken");
}

static struct {
    struct ctrio__chooser chooser;
    uint32_t answer; /* to every question, as far as it has so many answers */
    int asked;
    uint64_t last_site;
} told;

static uint32_t as_told(struct ctrio__chooser *self, enum ctrio__choice kind, uint32_t n,
                        uint64_t site)
{
    ok(self == &told.chooser);
    ok(n >= 2);
    is((int)kind, self->task_by_task ? (int)CTRIO__CHOOSE_TASK : (int)CTRIO__CHOOSE_BATCH);
    told.asked++;
    told.last_site = site;
    return told.answer < n ? told.answer : n - 1;
}

static const char *run_as_told(uint32_t answer, bool task_by_task)
{
    static char order[64];
    fresh();
    told.chooser = (struct ctrio__chooser){as_told, task_by_task};
    told.answer = answer;
    told.asked = 0;
    world.chooser = &told.chooser;
    is(script_run(three_of_them), 0);
    names(order, sizeof order);
    return order;
}

static void a_chooser_turns_batches_round(void)
{
    is(run_as_told(0, false), "cbaabccbaabccbaabc"); /* each one from its end */
    ok(told.asked > 6);
}

static void a_chooser_that_turns_each_batch_gives_the_order_of_waking(void)
{
    is(run_as_told(1, false), "abcabcabcabcabcabc");
}

static void task_by_task_the_first_choice_is_the_order_of_waking(void)
{
    is(run_as_told(0, true), "abcabcabcabcabcabc");
    ok(told.last_site != 0);
}

static void task_by_task_a_woken_task_may_run_at_once(void)
{
    is(run_as_told(99, true), "ccccccbbbbbbaaaaaa"); /* always the last one to be woken */
}

static void task_by_task_any_in_the_middle_may_run(void)
{
    const char *order = run_as_told(1, true);
    is(strlen(order), 18);
    ok(order[0] == 'b' || order[0] == 'c' || order[0] == 'a');
}

static void task_by_task_the_loop_looks_after_each_step(void)
{
    run_as_told(0, false);
    ok(world.turns < 18);
    run_as_told(0, true);
    ok(world.turns >= 18);
}

static int batches;

static void by_name_backwards(struct ctrio_run *run, struct ctrio_task **batch, size_t count)
{
    ok(run == &world.run);
    ok(count >= 2);
    batches++;
    for (size_t i = 0; i < count; i++) /* the last member runs first */
        for (size_t j = i + 1; j < count; j++)
            if (batch[j]->serial < batch[i]->serial) {
                struct ctrio_task *swapped = batch[i];
                batch[i] = batch[j];
                batch[j] = swapped;
            }
}

static void hook_order_batch(void)
{
    batches = 0;
    world.hooks.wanted = CTRIO__HOOK_ORDER_BATCH;
    world.hooks.order_batch = by_name_backwards;
}

static void a_hook_may_order_batches_instead_of_the_coin(void)
{
    char order[64];
    fresh();
    world.chooser = NULL;
    hook_order_batch();
    is(script_run(three_of_them), 0);
    names(order, sizeof order);
    is(order, "cbacbacbacbacbacba");
    ok(batches >= 6);
}

/* Else what the hook draws from would decide too, and a replay would need that as well. */
static void under_a_chooser_no_hook_orders_batches(void)
{
    for (int task_by_task = 0; task_by_task < 2; task_by_task++) {
        fresh();
        told.chooser = (struct ctrio__chooser){as_told, task_by_task != 0};
        told.answer = 0;
        told.asked = 0;
        world.chooser = &told.chooser;
        hook_order_batch();
        is(script_run(three_of_them), 0);
        is(batches, 0);
        ok(told.asked > 6);
    }
}

static void two_that_wake_at_once_are_a_choice_too(void)
{
    static const struct script_step sleeper[] = {SLEEP(1.0), NOTE("x"), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", sleeper), SPAWN(&nursery, "b", sleeper),
        CLOSE_NURSERY(&nursery), END};
    fresh();
    told.chooser = (struct ctrio__chooser){as_told, true};
    told.answer = 0;
    world.chooser = &told.chooser;
    is(script_run(main_task), 0);
    is(world.trace, "a:x b:x");
}

/* As a simulator may: events arrive between two steps of a batch. */
static void a_turn_may_begin_before_the_last_batch_is_used_up(void)
{
    struct ctrio__io_events none = {NULL, 0};
    char order[64];
    fresh();
    script_open(three_of_them);
    while (ctrio__run_alive(&world.run)) {
        size_t left = world.run.batch_count;
        is(ctrio__run_timeout(&world.run) >= 0.0, true);
        ctrio__run_begin(&world.run, &none);
        if (left > 0)
            is(world.run.batch_count, left); /* nothing overtakes it */
        ctrio__run_step(&world.run);
    }
    is(script_close(), 0);
    names(order, sizeof order);
    is(order, "abcabcabcabcabcabc");
}

/* --- the wait -------------------------------------------------------------------------------- */

static const struct script_step reader[] = {TRY, WAIT_IO(3, CTRIO__READABLE), REPORT, END};

static bool make_ready(void)
{
    if (ctrio__list_empty(&world.io.waiting))
        return false;
    script_io_make_ready(&world.io, 3, CTRIO__READABLE);
    return true;
}

static void a_ready_handle_wakes_its_task(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),          SPAWN(&nursery, "r", reader), CHECKPOINT, CHECKPOINT,
        SPAWN(&nursery, "busy", reader), CLOSE_NURSERY(&nursery),      END};
    fresh();
    world.stuck = make_ready;
    is(script_run(main_task), 0);
    is(world.trace, "busy=busy r=ok");
}

static void a_wait_for_a_handle_can_be_cancelled(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "r", reader), SLEEP(1.0),
        CANCEL(&nursery.scope), CLOSE_NURSERY(&nursery),      END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "r=cancelled");
    ok(ctrio__list_empty(&world.io.waiting));
}

static double before[64], after[64];
static int waits, ends;

static void on_io(struct ctrio_run *run, enum ctrio__hook which, double timeout)
{
    ok(run == &world.run);
    if (which == CTRIO__HOOK_BEFORE_IO_WAIT)
        before[waits++ % 64] = timeout;
    else
        after[ends++ % 64] = timeout;
}

static void instruments_see_each_wait_and_its_timeout(void)
{
    static struct ctrio__system_clock clock;
    static const struct script_step main_task[] = {CHECKPOINT, SLEEP(0.25), CHECKPOINT, END};
    fresh();
    waits = ends = 0;
    ctrio__system_clock_init(&clock, (struct ctrio__os *)(void *)&world.io, script_io_now, 0.0);
    world.use_clock = &clock.clock;
    world.hooks.wanted = CTRIO__HOOK_BEFORE_IO_WAIT | CTRIO__HOOK_AFTER_IO_WAIT;
    world.hooks.io_event = on_io;
    is(script_run(main_task), 0);
    is(waits, ends);
    int quarters = 0, zeros = 0;
    for (int i = 0; i < waits; i++) {
        is(before[i], after[i]);
        quarters += before[i] == 0.25;
        zeros += before[i] == 0.0;
    }
    is(quarters, 1);
    is(zeros + quarters, waits);
}

static void while_something_is_runnable_nobody_waits(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope), FOREVER,
                                                   CLOSE_SCOPE(&scope), END};
    fresh();
    world.clock.clock.autojump_threshold = INFINITY;
    if (script_open(main_task) == 0) {
        is(ctrio__run_timeout(&world.run), 0.0);
        for (int i = 0; i < 5; i++)
            script_turn();
        if (world.run.main_task != NULL && !world.run.main_exited)
            is(ctrio__run_timeout(&world.run), 86400.0);
    }
    script_cancel_open(&scope);
    while (script_turn())
        ;
    is(script_close(), 0);
}

static double odd_time(struct ctrio_clock *clock)
{
    (void)clock;
    return 5.0;
}

static double odd_sleep(struct ctrio_clock *clock, double deadline)
{
    (void)clock;
    return deadline == INFINITY ? INFINITY : NAN; /* a user's clock may be broken */
}

static void start_nothing(struct ctrio_clock *clock, struct ctrio_run *run)
{
    (void)clock;
    (void)run;
}

static bool cancel_scope(void)
{
    bool open = scope.state == CTRIO_SCOPE_OPEN && !scope.cancel_called;
    script_cancel_open(&scope);
    return open;
}

static void a_clock_without_autojump_and_with_odd_answers_is_survived(void)
{
    static struct ctrio_clock odd = {start_nothing, odd_time, odd_sleep, NULL, 0.5, false};
    static const struct script_step main_task[] = {
        OPEN_SCOPE(&scope),  CHECKPOINT, CLOSE_SCOPE(&scope), FRESH_SCOPE(&scope), TRY, FOREVER,
        CLOSE_SCOPE(&scope), END};
    fresh();
    world.use_clock = &odd;
    ctrio__scope_init(&scope, &script_frontend);
    scope.deadline = 7.0;
    world.stuck = cancel_scope;
    is(script_run(main_task), 0);
    ok(world.turns > 4); /* it turns and turns, and does not hang */
}

static void refuse_to_start(struct ctrio_clock *clock, struct ctrio_run *run)
{
    (void)clock;
    ctrio__run_fail(run, CTRIO_BUSY_RESOURCE);
}

static void a_clock_that_does_not_start_stops_the_run(void)
{
    static const struct script_step main_task[] = {NOTE("unreached"), END};
    fresh();
    world.clock.clock.start = refuse_to_start;
    is(script_run(main_task), CTRIO_BUSY_RESOURCE);
    is(world.trace, "");
}

static void a_backend_that_does_not_open_is_the_result(void)
{
    static const struct script_step main_task[] = {NOTE("unreached"), END};
    fresh();
    world.io.open_error = -EMFILE;
    is(script_run(main_task), -EMFILE);
}

static void fail_twice(struct script_task *self)
{
    (void)self;
    ctrio__run_fail(&world.run, CTRIO_BUSY_RESOURCE);
    ctrio__run_fail(&world.run, CTRIO_MISUSE);
}

static void a_failed_run_stops_at_once_with_the_first_failure(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),  SPAWN(&nursery, "a", a_few), CALL(fail_twice),
        CLOSE_NURSERY(&nursery), NOTE("unreached"),           END};
    fresh();
    is(script_run(main_task), CTRIO_BUSY_RESOURCE);
    is(world.trace, "");
}

/* --- timers ---------------------------------------------------------------------------------- */

static char fired[16];
static struct ctrio_timer timers[4];

static void fire(struct ctrio_timer *timer)
{
    size_t length = strlen(fired);
    fired[length] = (char)('0' + (timer - timers));
    ok(!ctrio__timer_armed(&world.run, timer));
    if (timer == &timers[1]) { /* firing may arm and disarm others */
        ctrio__timer_disarm(&world.run, &timers[2]);
        timer->when = 2.0;
        ctrio__timer_arm(&world.run, timer);
        timer->fire = NULL; /* and not again in this round */
    }
}

static void arm_some(struct script_task *self)
{
    (void)self;
    memset(fired, 0, sizeof fired);
    for (int i = 0; i < 4; i++) {
        timers[i] = (struct ctrio_timer){.when = i == 0 ? 2.0 : 1.0, .fire = fire};
        ctrio__timer_arm(&world.run, &timers[i]);
        ok(ctrio__timer_armed(&world.run, &timers[i]));
    }
    is(ctrio__run_next_deadline(&world.run), 1.0);
}

static void disarm_all(struct script_task *self)
{
    (void)self;
    for (int i = 0; i < 4; i++) {
        ctrio__timer_disarm(&world.run, &timers[i]);
        ctrio__timer_disarm(&world.run, &timers[i]);
    }
    is(ctrio__run_next_deadline(&world.run), (double)INFINITY);
}

static void timers_fire_in_order_and_may_change_others(void)
{
    static const struct script_step main_task[] = {CALL(arm_some), JUMP(1.5), CHECKPOINT,
                                                   CALL(disarm_all), END};
    fresh();
    is(script_run(main_task), 0);
    is((char *)fired, "13");
}

/* --- guest mode ------------------------------------------------------------------------------ */

static int ticks;

static void tick(struct ctrio_run *run)
{
    is(run->ready_count, 0);
    ticks++;
}

static void a_guest_run_asks_for_a_tick_when_it_becomes_runnable(void)
{
    static const struct script_step waiter[] = {WAIT(&event), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", waiter), SPAWN(&nursery, "b", waiter),
        CLOSE_NURSERY(&nursery), END};
    fresh();
    ticks = 0;
    world.guest = true;
    world.hooks.wanted = CTRIO__HOOK_GUEST_TICK;
    world.hooks.guest_tick = tick;
    script_open(main_task);
    for (int i = 0; i < 6; i++)
        script_turn();
    int at_rest = ticks;
    if (event.lot.count == 2) {
        ctrio__event_set(&event); /* from the host: two wake, one tick */
        is(ticks, at_rest + 1);
    }
    while (script_turn())
        ;
    is(script_close(), 0);
}

TAP_MAIN(TEST(a_batch_runs_forwards_or_backwards_by_the_seed),
         TEST(equal_seeds_give_equal_runs_and_others_others),
         TEST(what_becomes_runnable_waits_for_the_next_batch), TEST(a_chooser_turns_batches_round),
         TEST(a_chooser_that_turns_each_batch_gives_the_order_of_waking),
         TEST(task_by_task_the_first_choice_is_the_order_of_waking),
         TEST(task_by_task_a_woken_task_may_run_at_once),
         TEST(task_by_task_any_in_the_middle_may_run),
         TEST(task_by_task_the_loop_looks_after_each_step),
         TEST(a_hook_may_order_batches_instead_of_the_coin),
         TEST(under_a_chooser_no_hook_orders_batches), TEST(two_that_wake_at_once_are_a_choice_too),
         TEST(a_turn_may_begin_before_the_last_batch_is_used_up),
         TEST(a_ready_handle_wakes_its_task), TEST(a_wait_for_a_handle_can_be_cancelled),
         TEST(instruments_see_each_wait_and_its_timeout),
         TEST(while_something_is_runnable_nobody_waits),
         TEST(a_clock_without_autojump_and_with_odd_answers_is_survived),
         TEST(a_clock_that_does_not_start_stops_the_run),
         TEST(a_backend_that_does_not_open_is_the_result),
         TEST(a_failed_run_stops_at_once_with_the_first_failure),
         TEST(timers_fire_in_order_and_may_change_others),
         TEST(a_guest_run_asks_for_a_tick_when_it_becomes_runnable))
