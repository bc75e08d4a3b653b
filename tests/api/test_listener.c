/* test_listener.c - accepting: every address, troubles of the machine, a close meanwhile. */
#include "api/listener.h"
#include "seal.h"
#include "wire.h"
#include <ctrio/lowlevel.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct wire wire;
static char logged[1024];
static rlim_t lifted;

static void lift_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = lifted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void keep_log_and_lift(void *arg, enum ctrio_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    snprintf(logged, sizeof logged, "%s", line);
    lift_limit();
}

static int accepts_short(void *arg)
{
    struct rlimit limit;
    (void)arg;
    int result = wire_listen(&wire);
    result = result == 0 ? tap_saw(ctrio_connect(&wire.here, &wire.address, NULL)) : result;
    if (result == 0) {
        int lowest = fcntl(0, F_DUPFD, 0);
        close(lowest);
        getrlimit(RLIMIT_NOFILE, &limit);
        lifted = limit.rlim_cur;
        limit.rlim_cur = (rlim_t)lowest;
        setrlimit(RLIMIT_NOFILE, &limit);
        double before = ctrio_current_time();
        result = tap_saw(ctrio_accept(wire.listener, &wire.there));
        lift_limit();
        ok(ctrio_current_time() > before);
    }
    if (result == 0)
        is(ctrio_send_all(wire.there, "x", 1), 0);
    wire_close(&wire);
    return result;
}

static void an_accept_for_which_there_is_no_descriptor_is_made_again(void)
{
    if (seal_on_valgrind()) {
        skip("valgrind takes the connection, and only then finds that the limit is reached");
        return;
    }
    struct ctrio_run_options run = {.log = keep_log_and_lift};
    logged[0] = '\0';
    is(front_run_with(accepts_short, NULL, &run), 0);
    front_stories_may_lack();
    char expected[128];
    snprintf(expected, sizeof expected, "cannot accept, will try again: %s", strerror(EMFILE));
    ok(strstr(logged, expected) != NULL);
}

static struct ctrio_stream *accepted;

static int accepts(void *arg)
{
    *(int *)arg = ctrio_accept(wire.listener, &accepted);
    return *(int *)arg == CTRIO_CANCELLED ? CTRIO_CANCELLED : 0;
}

/* Closes it while a task accepts from it that waits, or is about to. */
static int close_under_an_accept(bool waits)
{
    struct ctrio_nursery nursery;
    int told = 0;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, accepts, &told);
    if (result == 0)
        result = waits ? ctrio_wait_all_tasks_blocked(0) : ctrio_cancel_shielded_checkpoint();
    ctrio_listener_close(wire.listener);
    wire.listener = NULL;
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        is(told, CTRIO_CLOSED_RESOURCE);
    ok(accepted == NULL);
    return ctrio_collapse(result);
}

static int on_every_address(void *arg)
{
    struct ctrio_address address;
    (void)arg;
    wire = (struct wire){.listener = NULL};
    accepted = NULL;
    int result = tap_saw(ctrio_open_tcp_listener(&wire.listener, NULL, 0, NULL));
    for (size_t i = 0; result == 0; i++) {
        result = ctrio_listener_address(wire.listener, i, &address);
        if (result == -ENOENT)
            break;
        result = result == 0 ? tap_saw(ctrio_connect(&wire.here, &address, NULL)) : result;
        result = result == 0 ? front_saw(ctrio_accept(wire.listener, &wire.there)) : result;
        result = result == 0 ? ctrio_send_all(wire.here, "x", 1) : result;
        ctrio_stream_abort(wire.here);
        ctrio_stream_abort(wire.there);
        wire.here = NULL;
        wire.there = NULL;
    }
    if (result != -ENOENT) {
        wire_close(&wire);
        return result;
    }
    return close_under_an_accept(true);
}

static void a_listener_without_a_host_listens_on_every_address_and_is_closed_whole(void)
{
    is(front_run(on_every_address, NULL), 0);
    front_wait_for_threads();
}

/* Another accept has taken both connections and left one, for which this one is about to come. */
static int with_a_spare(void *arg)
{
    (void)arg;
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    accepted = NULL;
    ctrio__listener_push_spare(wire.listener, wire.there);
    wire.there = NULL;
    result = close_under_an_accept(false);
    wire_close(&wire);
    return result;
}

static void an_accept_that_was_to_get_a_spare_connection_hears_of_the_close(void)
{
    is(front_run(with_a_spare, NULL), 0);
}

TAP_MAIN(TEST(an_accept_for_which_there_is_no_descriptor_is_made_again),
         TEST(a_listener_without_a_host_listens_on_every_address_and_is_closed_whole),
         TEST(an_accept_that_was_to_get_a_spare_connection_hears_of_the_close))
