#include "kernel/clock.h"
#include "script.h"

static struct ctrio__mock_clock mock;
static struct ctrio__system_clock sys;

static double now(void)
{
    return mock.clock.current_time(&mock.clock);
}

static void a_mock_clock_stands_still_until_it_is_moved(void)
{
    ctrio__mock_clock_init(&mock, INFINITY);
    mock.clock.start(&mock.clock, NULL);
    is(now(), 0.0);
    is(now(), 0.0);
    ctrio__mock_clock_jump(&mock, 2.5);
    ctrio__mock_clock_jump(&mock, 0.0);
    is(now(), 2.5);
    ok(!mock.clock.is_system);
}

static void a_mock_clock_is_worth_sleeping_for_never_or_not_at_all(void)
{
    ctrio__mock_clock_init(&mock, INFINITY);
    ctrio__mock_clock_jump(&mock, 10.0);
    is(mock.clock.deadline_to_sleep_time(&mock.clock, 10.0), 0.0);
    is(mock.clock.deadline_to_sleep_time(&mock.clock, 9.0), 0.0);
    is(mock.clock.deadline_to_sleep_time(&mock.clock, -INFINITY), 0.0);
    is(mock.clock.deadline_to_sleep_time(&mock.clock, 10.5), (double)INFINITY);
    is(mock.clock.deadline_to_sleep_time(&mock.clock, INFINITY), (double)INFINITY);
}

static void autojump_goes_to_the_next_deadline_exactly_and_never_back(void)
{
    ctrio__mock_clock_init(&mock, 0.0);
    mock.clock.autojump(&mock.clock, 0.1 + 0.2);
    is(now(), 0.1 + 0.2);
    mock.clock.autojump(&mock.clock, INFINITY);
    is(now(), 0.1 + 0.2);
    mock.clock.autojump(&mock.clock, 0.25);
    is(now(), 0.1 + 0.2);
}

static void the_system_clock_is_the_machine_s_with_an_offset(void)
{
    script_reset();
    ctrio__system_clock_init(&sys, (struct ctrio__os *)(void *)&world.io, script_io_now, 1000.0);
    sys.clock.start(&sys.clock, NULL);
    is(sys.clock.current_time(&sys.clock), 1001.0);
    world.io.now += 500000000;
    is(sys.clock.current_time(&sys.clock), 1001.5);
    is(sys.clock.deadline_to_sleep_time(&sys.clock, 1002.0), 0.5);
    is(sys.clock.deadline_to_sleep_time(&sys.clock, 1001.0), -0.5);
    is(sys.clock.deadline_to_sleep_time(&sys.clock, INFINITY), (double)INFINITY);
    ok(sys.clock.is_system);
    ok(sys.clock.autojump == NULL);
    is(sys.clock.autojump_threshold, (double)INFINITY);
}

static void on_the_system_clock(void)
{
    script_reset();
    ctrio__system_clock_init(&sys, (struct ctrio__os *)(void *)&world.io, script_io_now, 0.0);
    world.use_clock = &sys.clock;
}

static double slept_from, slept_to;
static void read_from(struct script_task *self)
{
    slept_from = ctrio__run_time(self->task.run);
}
static void read_to(struct script_task *self)
{
    slept_to = ctrio__run_time(self->task.run);
}

static void a_run_on_the_system_clock_sleeps_in_the_wait(void)
{
    static const struct script_step main_task[] = {CALL(read_from), SLEEP(2.5), CALL(read_to), END};
    on_the_system_clock();
    is(script_run(main_task), 0);
    is(slept_to - slept_from, 2.5);
}

static void a_long_sleep_is_waited_for_in_days(void)
{
    static const struct script_step main_task[] = {CALL(read_from), SLEEP(3.0 * 86400.0 + 1.0),
                                                   CALL(read_to), END};
    on_the_system_clock();
    is(script_run(main_task), 0);
    ok(slept_to - slept_from >= 3.0 * 86400.0 + 1.0);
    ok(slept_to - slept_from < 3.0 * 86400.0 + 1.001);
    is(world.io.last_timeout <= 86400.0, true);
}

static void a_mock_run_jumps_to_each_deadline_in_turn(void)
{
    static struct script_nursery nursery;
    static const struct script_step a[] = {SLEEP(5.0), NOTE("5"), END};
    static const struct script_step b[] = {SLEEP(2.0), NOTE("2"), SLEEP(1.0), NOTE("3"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", a),
                                                   SPAWN(&nursery, "b", b), CLOSE_NURSERY(&nursery),
                                                   END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "b:2 b:3 a:5");
    is(world.clock.time, 5.0);
    is(world.io.now, 1000000000); /* no real time passed */
}

static void a_jump_wakes_whoever_it_passes(void)
{
    static struct script_nursery nursery;
    static const struct script_step a[] = {SLEEP(5.0), NOTE("woken"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", a),
                                                   CHECKPOINT,
                                                   JUMP(7.0),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    script_reset();
    world.clock.clock.autojump_threshold = INFINITY;
    is(script_run(main_task), 0);
    is(world.trace, "a:woken");
    is(world.clock.time, 7.0);
}

static void a_clock_that_may_jump_only_after_a_while_waits_so_long(void)
{
    static const struct script_step main_task[] = {SLEEP(5.0), NOTE("woken"), END};
    script_reset();
    world.clock.clock.autojump_threshold = 0.25;
    is(script_run(main_task), 0);
    is(world.clock.time, 5.0);
    is(world.io.now, 1250000000);
}

/* --- many timers ----------------------------------------------------------------------------- */

enum { CROWD = 5000, THRONG = 150000 };
static struct ctrio_timer crowd[THRONG];
static int crowd_size, early;
static double latest; /* seconds after its time that one has fired */

static void note_lateness(struct ctrio_timer *timer)
{
    double late = ctrio__run_time(&world.run) - timer->when;
    early += late < 0.0;
    latest = late > latest ? late : latest;
}

static void arm_crowd(struct script_task *self)
{
    double now = ctrio__run_time(self->task.run);
    early = 0;
    latest = 0.0;
    for (int i = 0; i < crowd_size; i++) { /* ten microseconds apart */
        crowd[i] = (struct ctrio_timer){.when = now + (i + 1) * 1e-5, .fire = note_lateness};
        ctrio__timer_arm(self->task.run, &crowd[i]);
    }
}

/* How often the loop has waited until all had fired. */
static size_t waits_for(int count, bool strict, struct ctrio__chooser *chooser)
{
    static const struct script_step main_task[] = {CALL(arm_crowd), SLEEP(0.2), END};
    on_the_system_clock();
    crowd_size = count;
    world.strict = strict;
    world.chooser = chooser;
    is(script_run(main_task), 0);
    is(early, 0);
    return world.io.waits;
}

static void where_many_timers_are_due_a_wait_ends_later_for_several_of_them(void)
{
    ok(waits_for(CROWD, false, NULL) < CROWD / 2); /* the fewer are left the less it waits */
    ok(latest <= 10e-9 * CROWD + 2e-9);            /* the clock ticks in nanoseconds */
    ok(latest > 10e-6);
}

static void see_the_longest_wait(struct script_task *self)
{
    struct ctrio_run *run = self->task.run;
    double now = ctrio__run_time(run);
    for (int i = 0; i < THRONG; i++) {
        crowd[i] = (struct ctrio_timer){.when = now + 10.0 + i, .fire = note_lateness};
        ctrio__timer_arm(run, &crowd[i]);
    }
    double longest = ctrio__run_timeout(run);
    ok(longest > 10.0009);
    ok(longest < 10.0011);
    for (int i = 0; i < THRONG; i++)
        ctrio__timer_disarm(run, &crowd[i]);
    is(ctrio__run_timeout(run), 86400.0); /* without end is not made longer */
}

static void a_wait_ends_at_most_a_millisecond_late(void)
{
    static const struct script_step main_task[] = {SLEEP(1.0), CALL(see_the_longest_wait), END};
    on_the_system_clock();
    world.chooser = NULL;
    is(script_run(main_task), 0);
}

static void a_few_timers_are_waited_for_exactly(void)
{
    ok(waits_for(99, false, NULL) >= 99); /* and the sleep */
    ok(latest <= 2e-9);
}

static void whoever_decides_the_order_has_many_waited_for_exactly_too(void)
{
    ok(waits_for(CROWD, true, NULL) >= CROWD);
    ok(latest <= 2e-9);
    ok(waits_for(CROWD, false, &script_in_order) >= CROWD);
    ok(latest <= 2e-9);
}

TAP_MAIN(TEST(a_mock_clock_stands_still_until_it_is_moved),
         TEST(a_mock_clock_is_worth_sleeping_for_never_or_not_at_all),
         TEST(autojump_goes_to_the_next_deadline_exactly_and_never_back),
         TEST(the_system_clock_is_the_machine_s_with_an_offset),
         TEST(a_run_on_the_system_clock_sleeps_in_the_wait),
         TEST(a_long_sleep_is_waited_for_in_days), TEST(a_mock_run_jumps_to_each_deadline_in_turn),
         TEST(a_jump_wakes_whoever_it_passes),
         TEST(a_clock_that_may_jump_only_after_a_while_waits_so_long),
         TEST(where_many_timers_are_due_a_wait_ends_later_for_several_of_them),
         TEST(a_wait_ends_at_most_a_millisecond_late), TEST(a_few_timers_are_waited_for_exactly),
         TEST(whoever_decides_the_order_has_many_waited_for_exactly_too))
