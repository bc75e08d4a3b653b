/* test_shortcuts.c - one program with shortcuts, without, and under a chooser: the same to a hair.
 *
 * The shortcuts leave out turns in which nothing would have happened.  So what every step came to,
 * when and in whose turn must not depend on them, nor may the coins that order batches fall
 * otherwise.  The hash of the world has all that in it. */
#include "base/rng.h"
#include "kernel/loop.h"
#include "script.h"

enum { SEEDS = 100 };

static struct ctrio__system_clock clock;
static struct script_nursery nursery;
static struct ctrio_cancel_scope scope;
static struct ctrio_lock lock;
static struct ctrio__channel channel;
static struct ctrio__channel_end out, in;

/* The coins of a run without a chooser, tossed by a chooser. */
static struct {
    struct ctrio__chooser chooser;
    struct ctrio__rng rng;
} neutral;

static uint32_t toss(struct ctrio__chooser *self, enum ctrio__choice kind, uint32_t n,
                     uint64_t site)
{
    (void)self;
    (void)site;
    ok(kind == CTRIO__CHOOSE_BATCH);
    is(n, 2U);
    return (uint32_t)(ctrio__rng_next(&neutral.rng) >> 63);
}

static void fresh(uint64_t seed)
{
    script_reset();
    ctrio__system_clock_init(&clock, (struct ctrio__os *)(void *)&world.io, script_io_now, 0.0);
    world.use_clock = &clock.clock;
    world.chooser = NULL;
    world.seed = seed;
    neutral.chooser = (struct ctrio__chooser){toss, false};
    neutral.rng = (struct ctrio__rng){seed};
    ctrio__lock_init(&lock, &script_frontend);
    ctrio__channel_init(&channel, sizeof(struct script_item *), 1, script_drop_item);
    ctrio__channel_end_init(&out, &channel, CTRIO__SEND_END);
    ctrio__channel_end_init(&in, &channel, CTRIO__RECEIVE_END);
    ctrio__scope_init(&scope, &script_frontend);
}

/* --- the program: spawning, a channel, a lock, a timeout, sleeps ----------------------------- */

static void may_continue(struct script_task *self)
{
    self->task.may_continue = true;
}

static void set_a_timeout(struct script_task *self)
{
    (void)self;
    scope.relative_deadline = 0.5;
}

static const struct script_step sender[] = {
    CALL(may_continue), LOOP(3),    CHECKPOINT,     SEND(&out, 7), REPORT,          CHECKPOINT,
    ACQUIRE(&lock),     CHECKPOINT, RELEASE(&lock), AGAIN,         CLOSE_END(&out), END};
static const struct script_step receiver[] = {
    CALL(may_continue), LOOP(3), RECEIVE(&in), REPORT,       SLEEP(0.125), CHECKPOINT,
    CHECKPOINT,         AGAIN,   TRY,          RECEIVE(&in), REPORT,       END};
static const struct script_step impatient[] = {CALL(may_continue),
                                               CALL(set_a_timeout),
                                               OPEN_SCOPE(&scope),
                                               ACQUIRE(&lock),
                                               CHECKPOINT,
                                               RELEASE(&lock),
                                               CHECKPOINT,
                                               TRY,
                                               FOREVER,
                                               REPORT_REASON,
                                               TRY,
                                               CHECKPOINT,
                                               CLOSE_SCOPE(&scope),
                                               REPORT,
                                               END};
static const struct script_step main_task[] = {CALL(may_continue),
                                               OPEN_NURSERY(&nursery),
                                               SPAWN(&nursery, "s", sender),
                                               SPAWN(&nursery, "r", receiver),
                                               SPAWN(&nursery, "i", impatient),
                                               CHECKPOINT,
                                               CHECKPOINT,
                                               CLOSE_NURSERY(&nursery),
                                               LOOP(5),
                                               CHECKPOINT,
                                               AGAIN,
                                               NOTE("done"),
                                               END};

/* --- a driver that takes them, as that of Python does ---------------------------------------- */

static size_t turns, looks;

static void run_it(void)
{
    struct ctrio_run *run = &world.run;
    turns = looks = 0;
    script_open(main_task);
    while (ctrio__run_alive(run)) {
        struct ctrio__io_events events = {NULL, 0};
        bool skip = ctrio__may_skip_poll(run);
        if (!skip)
            run->io_ops->get_events(run->io, ctrio__run_timeout(run), &events);
        ctrio__run_begin(run, skip ? NULL : &events);
        while (ctrio__run_step(run)) {
        }
        turns++;
        looks += !skip;
    }
    is(script_close(), 0);
    ctrio__channel_clear(&channel);
}

static void what_happens_is_the_same_with_and_without_shortcuts(void)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        static char trace[sizeof world.trace];
        fresh(seed);
        run_it();
        uint64_t hash = world.hash;
        size_t steps = world.steps, turns_taken = turns, looks_taken = looks;
        memcpy(trace, world.trace, sizeof trace);
        is(script_said("i=cancelled(deadline)"), 1);
        is(script_said("main:done"), 1);

        fresh(seed);
        world.strict = true;
        run_it();
        is((const char *)world.trace, (const char *)trace);
        is(world.hash, hash);
        is(world.steps, steps);
        ok(turns > turns_taken); /* else there was nothing to compare */
        is(looks, turns);
        ok(looks_taken < turns_taken);

        fresh(seed);
        world.chooser = &neutral.chooser;
        run_it();
        is((const char *)world.trace, (const char *)trace);
        is(world.hash, hash);
        is(looks, turns);
    }
}

static void the_coins_do_make_a_difference(void)
{
    uint64_t first = 0, different = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        fresh(seed);
        run_it();
        first = seed == 0 ? world.hash : first;
        different += world.hash != first;
    }
    ok(different > SEEDS / 4);
}

TAP_MAIN(BIG_TEST(what_happens_is_the_same_with_and_without_shortcuts),
         BIG_TEST(the_coins_do_make_a_difference))
