/* test_echo.c - the seam holds: a server and its clients, on a scripted os and chooser.
 *
 * The program of tests/io/test_native_echo.c, but nothing leaves the process: between the first
 * step and the last the system allows no call but for memory, and kills the child that makes one.
 * The same seed gives the same trace, other seeds give others. */
#include "echo.h"
#include "io/scripted.h"
#include "seal.h"
#include <string.h>
#include <unistd.h>

enum { SEEDS = 100 };

static struct world {
    struct ctrio__scripted scripted;
    struct ctrio__scripted_chooser chooser;
    struct ctrio__trace trace;
    struct echo echo;
} world;

/* 0 if every byte came back and nothing is left over. */
static int run_once(uint64_t seed)
{
    memset(&world, 0, sizeof world);
    ctrio__scripted_init(&world.scripted, &(struct ctrio__scripted_options){.seed = seed,
                                                                            .buffer_size = 24,
                                                                            .short_counts = true,
                                                                            .trace = &world.trace});
    ctrio__scripted_chooser_seed(&world.chooser, seed, &world.trace);
    echo_init(&world.echo, &world.scripted.os, 1);
    world.echo.crew.chooser = &world.chooser.chooser;
    world.echo.crew.trace = &world.trace;
    int result = echo_run(&world.echo);
    size_t left = ctrio__scripted_close(&world.scripted);
    return result == 0 && left != 0 ? -EPROTO : result;
}

static void every_client_hears_what_it_said(void)
{
    is(run_once(1), 0);
}

static void the_same_seed_takes_the_same_way_and_others_take_others(void)
{
    static uint64_t hashes[SEEDS];
    size_t different = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        is(run_once(seed), 0);
        hashes[seed] = world.trace.hash;
        bool seen = false;
        for (uint64_t other = 0; other < seed; other++)
            seen = seen || hashes[other] == hashes[seed];
        different += !seen;
    }
    ok(different >= 90);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        is(run_once(seed), 0);
        is(world.trace.hash, hashes[seed]);
    }
}

static int leave(void)
{
    if (!seal_process())
        return SEAL_IMPOSSIBLE;
    return getppid() > 0 ? 0 : 1;
}

static int play(void)
{
    if (!seal_process())
        return SEAL_IMPOSSIBLE;
    return run_once(3) == 0 ? 0 : 1;
}

static void nothing_leaves_the_process(void)
{
    int status = child_came_to(play);
    if (seal_was_possible(status))
        is(status, 0);
}

/* The filter bites: else the test above could not fail. */
static void a_call_that_leaves_is_caught(void)
{
    int status = child_came_to(leave);
    if (seal_was_possible(status))
        ok(status < 0);
}

TAP_MAIN(TEST(every_client_hears_what_it_said),
         BIG_TEST(the_same_seed_takes_the_same_way_and_others_take_others),
         BIG_TEST(nothing_leaves_the_process), BIG_TEST(a_call_that_leaves_is_caught))
