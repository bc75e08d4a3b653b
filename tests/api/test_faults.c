/* test_faults.c - every call to the machine fails in turn, with every plausible errno.
 *
 * The program is a server and a client that talk, half-close and part, in one run.  Whatever fails,
 * the first such call gives what the table says; each later one something that is documented; and
 * nothing is left: no memory, no handle, no task that waits for ever. */
#include "api/run.h"
#include "faults.h"
#include "io/native.h"
#include "io/scripted.h"
#include "memory.h"
#include "tap.h"
#include <ctrio.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TURNS = 2000 };

static struct dialogue {
    struct ctrio_listener *listener;
    struct ctrio_address address;
    struct ctrio_event drain;
    struct ctrio_nursery nursery;
} dialogue;

/* --- the program ------------------------------------------------------------------------------ */

static int echo(struct ctrio_stream *stream, void *arg)
{
    char buffer[16];
    int count;
    (void)arg;
    while ((count = ctrio_receive_some(stream, buffer, sizeof buffer)) > 0) {
        int result = ctrio_send_all(stream, buffer, (size_t)count);
        if (result < 0)
            return result;
    }
    return count < 0 ? count : ctrio_send_eof(stream);
}

static int say(struct ctrio_stream *stream)
{
    static const struct ctrio_slice slices[] = {{"two ", 4}, {"slices", 6}};
    int result = ctrio_send_all(stream, "one piece, ", 11);
    if (result == 0)
        result = ctrio_send_slices(stream, slices, 2);
    return result < 0 ? result : ctrio_send_eof(stream);
}

static int hear(struct ctrio_stream *stream)
{
    static const char expected[] = "one piece, two slices";
    char heard[64];
    size_t count = 0;
    int result;
    while ((result = ctrio_receive_some(stream, heard + count, sizeof heard - count)) > 0)
        count += (size_t)result;
    if (result < 0)
        return result;
    if (count != sizeof expected - 1 || memcmp(heard, expected, count) != 0)
        return CTRIO_BROKEN_RESOURCE; /* less than all came back */
    return 0;
}

static int talk(void)
{
    struct ctrio_stream *stream;
    struct ctrio_address self;
    struct ctrio_cancel_scope scope;
    ctrio_fail_after(&scope, 5.0);
    int result = ctrio_connect(&stream, &dialogue.address, NULL);
    if (result >= 0) {
        result = ctrio_stream_address(stream, CTRIO_LOCAL, &self);
        if (result >= 0)
            result = say(stream);
        if (result >= 0)
            result = hear(stream);
        ctrio_stream_close(stream);
    }
    return ctrio_cancel_scope_close(&scope, result);
}

static int client(void *arg)
{
    (void)arg;
    int result = talk();
    ctrio_event_set(&dialogue.drain);
    return result;
}

static int serve_and_talk(void *arg)
{
    const struct ctrio_serve_options options = {
        .drain = &dialogue.drain, .idle_seconds = 3.0, .grace_seconds = 1.0};
    (void)arg;
    ctrio_event_init(&dialogue.drain);
    int result = ctrio_open_tcp_listener(&dialogue.listener, "127.0.0.1", 0, NULL);
    if (result < 0)
        return result;
    result = ctrio_listener_address(dialogue.listener, 0, &dialogue.address);
    ctrio_nursery_open(&dialogue.nursery);
    if (result == 0) {
        ctrio_start_soon(&dialogue.nursery, client, NULL);
        result = ctrio_serve(dialogue.listener, echo, NULL, &options);
    }
    result = ctrio_collapse(ctrio_nursery_close(&dialogue.nursery, result));
    ctrio_listener_close(dialogue.listener);
    return result;
}

/* --- the faults ------------------------------------------------------------------------------- */

static void say_nothing(void *arg, enum ctrio_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
}

static int run_on(struct ctrio__os *os)
{
    const struct ctrio_run_options options = {.log = say_nothing, .seed = 1};
    return ctrio__c_run_on(os, NULL, serve_and_talk, NULL, &options, "dialogue");
}

static int on_scripted(const struct fault *fault, size_t n)
{
    struct ctrio__scripted world;
    ctrio__scripted_init(&world, &(struct ctrio__scripted_options){.seed = 1, .buffer_size = 8});
    fault_begin(&world.os);
    fault_arm(fault, n);
    int result = run_on(&world.os);
    is(ctrio__scripted_close(&world), (size_t)0);
    return result;
}

static int on_native(const struct fault *fault, size_t n)
{
    struct ctrio__native_os *native = ctrio__native_os_new();
    if (native == NULL)
        return -ENOMEM;
    fault_begin(&native->os);
    fault_arm(fault, n);
    int result = run_on(&native->os);
    ctrio__native_os_drop(native);
    return result;
}

/* What a call that failed for a task may come to at the program's end. */
static bool is_documented(int result, const struct fault *fault)
{
    return result == 0 || result == fault->code || result == CTRIO_BROKEN_RESOURCE ||
           result == CTRIO_TOO_SLOW;
}

static void expect(const struct fault *fault, size_t n, int result, bool scripted)
{
    bool fine = !scripted || n > 1 ? is_documented(result, fault) : result == fault->first;
    if (!ok(fine) || !ok(fault_handles() == 0) || !ok(fault_turns() < MOST_TURNS))
        note("#     %s number %zu fails with %d: the program gives %d; %td handles, %zu turns",
             fault_names[fault->call], n, fault->code, result, fault_handles(), fault_turns());
}

static size_t calls_failed;

static void fail_each(const struct fault *fault, int (*run)(const struct fault *fault, size_t n),
                      bool scripted)
{
    size_t live = memory_live_bytes();
    for (size_t n = 1;; n++) {
        int result = run(fault, n);
        ctrio__stories_drop(ctrio__stories()); /* this thread keeps its last four */
        if (!fault_met()) {
            is(result, 0);
            ok(n > 1); /* the program makes such a call */
            return;
        }
        calls_failed++;
        expect(fault, n, result, scripted);
        if (!is(memory_live_bytes(), live))
            note("#     %s number %zu fails with %d", fault_names[fault->call], n, fault->code);
    }
}

static void whatever_fails_on_a_scripted_machine_is_told_and_leaves_nothing(void)
{
    is(on_scripted(NULL, 0), 0);
    for (size_t i = 0; i < fault_count; i++)
        fail_each(&faults[i], on_scripted, true);
}

/* Not EAGAIN, which the system never says of what it has just called ready: no edge would follow.
 */
static void whatever_fails_on_the_real_one_is_told_and_leaves_nothing(void)
{
    is(on_native(NULL, 0), 0);
    for (size_t i = 0; i < fault_count; i++)
        if (faults[i].code != -EAGAIN || faults[i].call == FAULT_CONNECT)
            fail_each(&faults[i], on_native, false);
    printf("# %zu calls have failed, of %d kinds with %zu codes\n", calls_failed, FAULT_CALLS,
           fault_count);
}

static int look_up(void *arg)
{
    struct ctrio_address address;
    (void)arg;
    return ctrio_resolve("localhost", 80, &address, 1);
}

static void a_look_up_that_cannot_begin_says_why(void)
{
    static const struct fault none[] = {{FAULT_RESOLVE, -EAGAIN, -EAGAIN},
                                        {FAULT_RESOLVE, -ENOMEM, -ENOMEM}};
    const struct ctrio_run_options options = {.log = say_nothing};
    for (size_t i = 0; i < 3; i++) {
        struct ctrio__scripted world;
        ctrio__scripted_init(&world, &(struct ctrio__scripted_options){.seed = 1});
        fault_begin(&world.os);
        fault_arm(i < 2 ? &none[i] : NULL, 1);
        int result = ctrio__c_run_on(&world.os, NULL, look_up, NULL, &options, "look_up");
        is(result, i < 2 ? none[i].first : CTRIO_NAME_ERROR); /* that world has no names */
        ctrio__stories_drop(ctrio__stories());
        is(ctrio__scripted_close(&world), (size_t)0);
    }
}

TAP_MAIN(BIG_TEST(whatever_fails_on_a_scripted_machine_is_told_and_leaves_nothing),
         BIG_TEST(whatever_fails_on_the_real_one_is_told_and_leaves_nothing),
         BIG_TEST(a_look_up_that_cannot_begin_says_why))
