/* test_c_echo.c - the seams hold for programs in C: a server and its clients, on stacks, through
 * the public calls, on a scripted os and chooser.
 *
 * tests/sim/scripted_twin.py is the same program in Python.  Where both are scripted alike they
 * make the same calls, with the same results at the same times: twin_calls.txt says which, for each
 * seed, and both are held to it.  `sim_test_c_echo write` writes it anew. */
#include "api/run.h"
#include "front.h"
#include "io/scripted.h"
#include "seal.h"
#include "tap.h"
#include <ctrio.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEEDS = 100, CLIENTS = 3, SIZE = 40, PORT = 7, SEALED_SEED = 3 };

static const char twin_calls[] = "tests/sim/twin_calls.txt";

struct client {
    struct ctrio_stream *stream;
    char said[SIZE];
    int number;
};
static struct world {
    struct ctrio__scripted scripted;
    struct ctrio__scripted_chooser chooser;
    struct ctrio__trace trace;
    struct ctrio_nursery nursery;
    struct ctrio_listener *listener;
    struct client clients[CLIENTS];
    int answered;
    bool sealed;
} world;

/* --- the program ------------------------------------------------------------------------------ */

static int serve(void *arg)
{
    struct ctrio_stream *stream = arg;
    char buffer[10];
    int result;
    while ((result = ctrio_receive_some(stream, buffer, sizeof buffer)) > 0) {
        result = ctrio_send_all(stream, buffer, (size_t)result);
        if (result < 0)
            break;
    }
    ctrio_stream_close(stream);
    return result;
}

static int accept_all(void *arg)
{
    (void)arg;
    int result = 0;
    for (int i = 0; i < CLIENTS && result >= 0; i++) {
        struct ctrio_stream *stream;
        result = ctrio_accept(world.listener, &stream);
        if (result >= 0 && ctrio_start_soon(&world.nursery, serve, stream) < 0)
            ctrio_stream_abort(stream);
    }
    ctrio_listener_close(world.listener);
    return result;
}

static int say(void *arg)
{
    struct client *client = arg;
    return ctrio_send_all(client->stream, client->said, SIZE);
}

static int hear(struct client *client)
{
    char heard[SIZE];
    size_t count = 0;
    while (count < SIZE) {
        int result = ctrio_receive_some(client->stream, heard + count, SIZE - count);
        if (result <= 0)
            return result < 0 ? result : -EPROTO;
        count += (size_t)result;
    }
    return memcmp(heard, client->said, SIZE) == 0 ? 0 : -EPROTO;
}

static int call(void *arg)
{
    struct client *client = arg;
    struct ctrio_nursery nursery;
    struct ctrio_address address;
    memset(client->said, 'A' + client->number, SIZE);
    int result = ctrio_sleep(0.5 * (client->number % 2));
    if (result == 0)
        result = ctrio_address_parse(&address, "127.0.0.1:7");
    if (result == 0)
        result = ctrio_connect(&client->stream, &address, NULL);
    if (result < 0)
        return result;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, say, client);
    result = ctrio_nursery_close(&nursery, hear(client));
    ctrio_stream_close(client->stream);
    world.answered += result == 0;
    return result;
}

static int echo(void *arg)
{
    (void)arg;
    const struct ctrio_tcp_options options = {.backlog = 16};
    if (world.sealed && !seal_process())
        _exit(SEAL_IMPOSSIBLE);
    int result = ctrio_open_tcp_listener(&world.listener, "127.0.0.1", PORT, &options);
    if (result < 0)
        return result;
    ctrio_nursery_open(&world.nursery);
    if (ctrio_start_soon(&world.nursery, accept_all, NULL) < 0)
        ctrio_listener_close(world.listener);
    for (int i = 0; i < CLIENTS; i++) {
        world.clients[i].number = i;
        ctrio_start_soon(&world.nursery, call, &world.clients[i]);
    }
    return ctrio_nursery_close(&world.nursery, 0);
}

/* --- running it ------------------------------------------------------------------------------- */

/* 0 if every byte came back and nothing is left over. */
static int run_once(uint64_t seed, bool strict, bool sealed)
{
    memset(&world, 0, sizeof world);
    world.sealed = sealed;
    ctrio__scripted_init(&world.scripted, &(struct ctrio__scripted_options){.seed = seed,
                                                                            .buffer_size = 24,
                                                                            .short_counts = true,
                                                                            .trace = &world.trace});
    ctrio__scripted_chooser_seed(&world.chooser, seed, &world.trace);
    const struct ctrio_run_options options = {.strict_checkpoints = strict};
    int result = front_saw(
        ctrio__c_run_on(&world.scripted.os, &world.chooser.chooser, echo, NULL, &options, "echo"));
    front_forget(); /* the thread keeps the story of a run that failed */
    size_t left = ctrio__scripted_close(&world.scripted);
    if (result == 0 && (left != 0 || world.answered != CLIENTS))
        return -EPROTO;
    return result;
}

static void every_client_hears_what_it_said(void)
{
    is(run_once(1, true, false), 0);
    is(run_once(1, false, false), 0);
}

static void the_same_seed_takes_the_same_way_and_others_take_others(void)
{
    static uint64_t hashes[SEEDS];
    size_t different = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        is(run_once(seed, false, false), 0);
        hashes[seed] = world.trace.hash;
        bool seen = false;
        for (uint64_t other = 0; other < seed; other++)
            seen = seen || hashes[other] == hashes[seed];
        different += !seen;
    }
    ok(different >= 90);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        is(run_once(seed, false, false), 0);
        is(world.trace.hash, hashes[seed]);
    }
}

static void it_makes_the_calls_that_its_twin_makes(void)
{
    FILE *file = fopen(twin_calls, "r");
    if (!ok(file != NULL))
        return;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint64_t written = 0;
        is(fscanf(file, "%" SCNu64, &written), 1);
        is(run_once(seed, true, false), 0);
        is(world.scripted.calls.hash, written);
    }
    fclose(file);
}

/* --- shut in ---------------------------------------------------------------------------------- */

static int play(void)
{
    return run_once(SEALED_SEED, false, true) == 0 ? 0 : 1;
}

static int ask_who_we_are(void *arg)
{
    (void)arg;
    if (!seal_process())
        _exit(SEAL_IMPOSSIBLE);
    return getppid() > 0 ? 0 : -EPROTO;
}

static int leave(void)
{
    ctrio__scripted_init(&world.scripted, &(struct ctrio__scripted_options){.seed = 1});
    const struct ctrio_run_options options = {.strict_checkpoints = true};
    return ctrio__c_run_on(&world.scripted.os, NULL, ask_who_we_are, NULL, &options, "leave");
}

static void between_the_first_step_and_the_last_nobody_calls_the_system(void)
{
    int status = child_came_to(play);
    if (seal_was_possible(status))
        is(status, 0);
}

/* The filter bites: else the test above could not fail. */
static void a_task_that_calls_the_system_is_caught(void)
{
    int status = child_came_to(leave);
    if (seal_was_possible(status))
        ok(status < 0);
}

static int write_calls(void)
{
    FILE *file = fopen(twin_calls, "w");
    for (uint64_t seed = 0; file != NULL && seed < SEEDS; seed++) {
        int result = run_once(seed, true, false);
        if (result < 0)
            return 1;
        fprintf(file, "%" PRIu64 "\n", world.scripted.calls.hash);
    }
    return file != NULL && fclose(file) == 0 ? 0 : 1;
}

int main(int count, char **words)
{
    static const struct tap_test tests[] = {
        TEST(every_client_hears_what_it_said),
        BIG_TEST(the_same_seed_takes_the_same_way_and_others_take_others),
        BIG_TEST(it_makes_the_calls_that_its_twin_makes),
        BIG_TEST(between_the_first_step_and_the_last_nobody_calls_the_system),
        BIG_TEST(a_task_that_calls_the_system_is_caught)};
    if (count == 2 && strcmp(words[1], "write") == 0)
        return write_calls();
    return tap_run(tests, sizeof tests / sizeof tests[0]);
}
