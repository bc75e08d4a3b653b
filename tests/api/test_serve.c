/* test_serve.c - a server: limits, contained failures, drain, its listener's end. */
#include "wire.h"
#include <ctrio/lowlevel.h>
#include <ctrio/sync.h>
#include <stdio.h>
#include <string.h>

static struct wire wire;
static struct ctrio_event drain;
static struct ctrio_serve_options options;
static char logged[1024];
static int log_lines, handled;

static void keep_log(void *arg, enum ctrio_log_level level, const char *line)
{
    size_t used = strlen(logged);
    (void)arg;
    (void)level;
    log_lines++;
    strncat(logged, line, sizeof logged - used - 1);
}

static int serves(void *handler)
{
    ctrio_handler_fn *const *fn = handler;
    return ctrio_serve(wire.listener, *fn, NULL, &options);
}

static ctrio_handler_fn *server_handler;
static ctrio_task_fn *client;

/* A server of server_handler, with `client` beside it, whose end is the server's. */
static int server_main(void *arg)
{
    struct ctrio_nursery nursery;
    struct ctrio_cancel_scope limit; /* a connection may have been dropped for want of memory */
    int result = wire_listen(&wire);
    if (result < 0) {
        wire_close(&wire);
        return result;
    }
    ctrio_nursery_open(&nursery);
    result = ctrio_start_soon(&nursery, serves, &server_handler);
    ctrio_fail_after(&limit, 100000);
    result = ctrio_cancel_scope_close(&limit, result == 0 ? client(arg) : result);
    if (result == 0)
        ctrio_cancel(&nursery.scope);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    wire_close(&wire);
    return ctrio_collapse(result);
}

static int with_server(ctrio_handler_fn *handler, ctrio_task_fn *fn)
{
    struct ctrio_run_options run = {.log = keep_log};
    logged[0] = '\0';
    log_lines = 0;
    handled = 0;
    server_handler = handler;
    client = fn;
    int result = front_run_with(server_main, NULL, &run);
    if (strstr(logged, strerror(ENOMEM)) != NULL)
        tap_saw(-ENOMEM); /* it waited, or dropped the connection */
    return result;
}

static void plain_options(void)
{
    options = (struct ctrio_serve_options){.idle_seconds = INFINITY};
}

static int echo(struct ctrio_stream *stream, void *arg)
{
    char buffer[256];
    (void)arg;
    handled++;
    for (;;) {
        int n = ctrio_receive_some(stream, buffer, sizeof buffer);
        if (n <= 0)
            return n;
        n = ctrio_send_all(stream, buffer, (size_t)n);
        if (n < 0)
            return n;
    }
}

/* A byte there and back. */
static int ask(struct ctrio_stream *stream)
{
    char answer = 0;
    int result = ctrio_send_all(stream, "?", 1);
    if (result == 0)
        result = ctrio_receive_some(stream, &answer, 1);
    return result == 1 && answer == '?' ? 0 : result < 0 ? result : CTRIO_END_OF_CHANNEL;
}

static int connect_to(struct ctrio_stream **stream)
{
    return tap_saw(ctrio_connect(stream, &wire.address, NULL));
}

static int three_clients(void *arg)
{
    struct ctrio_stream *streams[3] = {NULL};
    int result = 0;
    (void)arg;
    for (int i = 0; i < 3 && result == 0; i++)
        result = connect_to(&streams[i]);
    for (int i = 0; i < 3 && result == 0; i++)
        result = ask(streams[i]);
    for (int i = 0; i < 3; i++)
        ctrio_stream_abort(streams[i]);
    return result;
}

static void a_server_serves_several_at_once(void)
{
    plain_options();
    is(with_server(echo, three_clients), 0);
    is(handled, 3);
    is((const char *)logged, "");
}

static int waits_for_the_end(void *arg)
{
    struct ctrio_stream *stream;
    char byte;
    double before = ctrio_current_time();
    (void)arg;
    int result = connect_to(&stream);
    result = result == 0 ? ask(stream) : result;
    if (result == 0)
        result = ctrio_receive_some(stream, &byte, 1);
    ctrio_stream_abort(stream);
    front_say("after %g s", ctrio_current_time() - before);
    return result;
}

static void a_connection_on_which_no_byte_goes_is_closed_after_its_time(void)
{
    options = (struct ctrio_serve_options){.idle_seconds = 7};
    is(with_server(echo, waits_for_the_end), 0);
    front_stories_may_lack();
    is((const char *)front_trace, "after 7 s");
    is((const char *)logged, "");
    options = (struct ctrio_serve_options){.idle_seconds = 0};
    is(with_server(echo, waits_for_the_end), 0);
    front_stories_may_lack();
    is((const char *)front_trace, "after 120 s");
}

static int asks_now_and_then(void *arg)
{
    struct ctrio_stream *stream;
    (void)arg;
    int result = connect_to(&stream);
    for (int i = 0; i < 5 && result == 0; i++) {
        result = ask(stream);
        if (result == 0)
            result = ctrio_sleep(6);
    }
    ctrio_stream_abort(stream);
    return result;
}

static void a_byte_now_and_then_keeps_the_connection(void)
{
    options = (struct ctrio_serve_options){.idle_seconds = 7};
    is(with_server(echo, asks_now_and_then), 0);
}

/* --- failures -------------------------------------------------------------------------------- */

static int failure;

static int fails(struct ctrio_stream *stream, void *arg)
{
    (void)arg;
    (void)stream;
    handled++;
    return ctrio_fail(failure, "as planned");
}

static int give_failure(void *arg)
{
    (void)arg;
    return failure;
}

static int fails_in_a_nursery(struct ctrio_stream *stream, void *arg)
{
    struct ctrio_nursery nursery;
    (void)stream;
    (void)arg;
    handled++;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, give_failure, NULL);
    return front_saw(ctrio_nursery_close(&nursery, 0));
}

/* Two of them, one after the other: the first failure has ended nothing. */
static int meets_two_ends(void *arg)
{
    int result = 0;
    (void)arg;
    for (int i = 0; i < 2 && result == 0; i++) {
        struct ctrio_stream *stream;
        char byte;
        result = connect_to(&stream);
        if (result == 0)
            result = ctrio_receive_some(stream, &byte, 1);
        ctrio_stream_abort(stream);
    }
    return result;
}

static void a_handlers_failure_is_logged_and_ends_nothing_else(void)
{
    plain_options();
    failure = -EPROTO;
    is(with_server(fails, meets_two_ends), 0);
    is(handled, 2);
    front_stories_may_lack();
    is(log_lines, 2);
    ok(strstr(logged, "the handler of 127.0.0.1:") == logged);
    ok(strstr(logged, "failed: as planned") != NULL);
    is(with_server(fails_in_a_nursery, meets_two_ends), 0);
    front_stories_may_lack();
    is(log_lines, 2);
}

static void what_peers_do_all_day_is_silent_alone_and_in_groups(void)
{
    static const int codes[] = {CTRIO_BROKEN_RESOURCE, CTRIO_TOO_SLOW, CTRIO_END_OF_CHANNEL,
                                -ETIMEDOUT};
    plain_options();
    for (size_t i = 0; i < 4; i++) {
        failure = codes[i];
        is(with_server(fails, meets_two_ends), 0);
        is((const char *)logged, "");
        is(with_server(fails_in_a_nursery, meets_two_ends), 0);
        is((const char *)logged, "");
        is(handled, 2);
    }
}

static void misuse_ends_the_server(void)
{
    plain_options();
    failure = CTRIO_MISUSE;
    is(with_server(fails, meets_two_ends), CTRIO_MISUSE);
    is(handled, 1);
    is(with_server(fails_in_a_nursery, meets_two_ends), CTRIO_MISUSE);
    is(handled, 1);
}

static int asked_code, answer_to_failure;

static int judge(int code, const struct ctrio_address *peer, void *arg)
{
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    (void)arg;
    asked_code = code;
    ok(strncmp(ctrio_address_format(peer, text, sizeof text), "127.0.0.1:", 10) == 0);
    return answer_to_failure;
}

static void a_hook_may_decide_what_a_failure_means(void)
{
    plain_options();
    options.failed = judge;
    failure = CTRIO_MISUSE;
    answer_to_failure = 0;
    is(with_server(fails, meets_two_ends), 0);
    is(asked_code, CTRIO_MISUSE);
    failure = CTRIO_TOO_SLOW;
    answer_to_failure = -EIO;
    is(with_server(fails, meets_two_ends), -EIO);
    is(asked_code, CTRIO_TOO_SLOW);
    is((const char *)logged, "");
}

/* --- limits and drain ------------------------------------------------------------------------ */

static int two_where_one_may(void *arg)
{
    struct ctrio_stream *first, *second;
    struct ctrio_cancel_scope scope;
    (void)arg;
    int result = connect_to(&first);
    if (result < 0)
        return result;
    result = connect_to(&second);
    result = result == 0 ? ask(first) : result;
    if (result == 0) {
        ctrio_move_on_after(&scope, 50);
        result = ask(second);
        is(result, CTRIO_CANCELLED);
        is(ctrio_cancel_scope_close(&scope, result), 0);
        is(handled, 1);
        char byte;
        ctrio_stream_abort(first);
        first = NULL;
        result = ctrio_receive_some(second, &byte, 1);
        is(result, 1);
        is(handled, 2);
    }
    ctrio_stream_abort(first);
    ctrio_stream_abort(second);
    return result < 0 ? result : 0;
}

static void more_connections_than_allowed_wait_in_the_backlog(void)
{
    plain_options();
    options.max_connections = 1;
    is(with_server(echo, two_where_one_may), 0);
}

static int drained_main(void *arg)
{
    struct ctrio_nursery nursery;
    struct ctrio_stream *stream = NULL;
    char byte;
    double before = ctrio_current_time();
    (void)arg;
    ctrio_event_init(&drain);
    int result = wire_listen(&wire);
    if (result < 0) {
        wire_close(&wire);
        return result;
    }
    ctrio_nursery_open(&nursery);
    result = ctrio_start_soon(&nursery, serves, &server_handler);
    result = result == 0 ? connect_to(&stream) : result;
    result = result == 0 ? ask(stream) : result;
    ctrio_event_set(&drain);
    if (result == 0) { /* it is still served */
        result = ctrio_wait_all_tasks_blocked(0);
        is(ask(stream), 0);
        result = ctrio_receive_some(stream, &byte, 1);
        is(result, 0);
    }
    result = front_saw(ctrio_nursery_close(&nursery, result < 0 ? result : 0));
    front_say("after %g s", ctrio_current_time() - before);
    ctrio_stream_abort(stream);
    wire_close(&wire);
    return ctrio_collapse(result);
}

static void a_drained_server_stops_accepting_waits_its_grace_and_ends_well(void)
{
    struct ctrio_run_options run = {.log = keep_log};
    plain_options();
    options.drain = &drain;
    options.grace_seconds = 5;
    server_handler = echo;
    logged[0] = '\0';
    is(front_run_with(drained_main, NULL, &run), 0);
    front_stories_may_lack();
    is((const char *)front_trace, "after 5 s");
}

static int already_drained(void *arg)
{
    (void)arg;
    ctrio_event_init(&drain);
    ctrio_event_set(&drain);
    int result = wire_listen(&wire);
    if (result == 0)
        result = ctrio_serve(wire.listener, echo, NULL, &options);
    wire_close(&wire);
    return ctrio_collapse(front_saw(result));
}

static void a_server_that_is_drained_already_ends_at_once(void)
{
    plain_options();
    options.drain = &drain;
    is(front_run(already_drained, NULL), 0);
}

static int bad_options(void *arg)
{
    int result = wire_listen(&wire);
    (void)arg;
    if (result == 0) {
        options = (struct ctrio_serve_options){.idle_seconds = -1};
        is(ctrio_serve(wire.listener, echo, NULL, &options), -EINVAL);
        options = (struct ctrio_serve_options){.grace_seconds = NAN};
        is(ctrio_serve(wire.listener, echo, NULL, &options), -EINVAL);
        options = (struct ctrio_serve_options){.reserved = {1}};
        is(ctrio_serve(wire.listener, echo, NULL, &options), -EINVAL);
    }
    wire_close(&wire);
    return result;
}

static void options_that_make_no_sense_are_refused(void)
{
    is(front_run(bad_options, NULL), 0);
}

/* --- troubles -------------------------------------------------------------------------------- */

static int closes_the_listener(void *arg)
{
    (void)arg;
    int result = ctrio_wait_all_tasks_blocked(0);
    ctrio_listener_close(wire.listener);
    wire.listener = NULL;
    return result == 0 ? ctrio_sleep(INFINITY) : result;
}

/* The one place is taken, the acceptor waits for it and not on a socket. */
static int closes_while_it_is_full(void *arg)
{
    int result = connect_to(&wire.here);
    result = result == 0 ? ask(wire.here) : result;
    return result == 0 ? closes_the_listener(arg) : result;
}

static void a_listener_that_is_closed_ends_a_server_that_is_full(void)
{
    plain_options();
    options.max_connections = 1;
    is(with_server(echo, closes_while_it_is_full), CTRIO_CLOSED_RESOURCE);
}

static int closed_before_it_begins(void *arg)
{
    struct ctrio_nursery nursery;
    (void)arg;
    int result = wire_listen(&wire);
    if (result < 0)
        return result;
    ctrio_nursery_open(&nursery);
    result = ctrio_start_soon(&nursery, serves, &server_handler);
    result = result == 0 ? ctrio_cancel_shielded_checkpoint() : result; /* it has just begun */
    ctrio_listener_close(wire.listener);
    wire.listener = NULL;
    result = front_saw(ctrio_nursery_close(&nursery, result));
    wire_close(&wire);
    return ctrio_collapse(result);
}

static void a_listener_that_is_closed_ends_a_server_that_has_not_begun_to_accept(void)
{
    plain_options();
    server_handler = echo;
    is(front_run(closed_before_it_begins, NULL), CTRIO_CLOSED_RESOURCE);
}

static void a_listener_that_is_closed_ends_its_server(void)
{
    plain_options();
    is(with_server(echo, closes_the_listener), CTRIO_CLOSED_RESOURCE);
}

static uint16_t free_port;

static int serves_tcp(void *arg)
{
    (void)arg;
    return ctrio_serve_tcp("127.0.0.1", free_port, echo, NULL, &options);
}

static int one_line_server(void *arg)
{
    struct ctrio_nursery nursery;
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    int port, result = wire_listen(&wire);
    (void)arg;
    if (result < 0)
        return result;
    ctrio_address_format(&wire.address, text, sizeof text);
    is(sscanf(strrchr(text, ':'), ":%d", &port), 1);
    free_port = (uint16_t)port;
    ctrio_listener_close(wire.listener);
    wire.listener = NULL;
    ctrio_nursery_open(&nursery);
    result = ctrio_start(&nursery, serves_tcp, NULL);
    result = front_saw(result) == 0 ? connect_to(&wire.here) : result;
    result = result == 0 ? ask(wire.here) : result;
    ctrio_cancel(&nursery.scope);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    wire_close(&wire);
    return ctrio_collapse(result);
}

static void the_one_line_server_is_there_when_start_returns(void)
{
    plain_options();
    is(front_run(one_line_server, NULL), 0);
    front_stories_may_lack();
}

TAP_MAIN(TEST(a_server_serves_several_at_once),
         TEST(a_connection_on_which_no_byte_goes_is_closed_after_its_time),
         TEST(a_byte_now_and_then_keeps_the_connection),
         TEST(a_handlers_failure_is_logged_and_ends_nothing_else),
         TEST(what_peers_do_all_day_is_silent_alone_and_in_groups), TEST(misuse_ends_the_server),
         TEST(a_hook_may_decide_what_a_failure_means),
         TEST(more_connections_than_allowed_wait_in_the_backlog),
         TEST(a_drained_server_stops_accepting_waits_its_grace_and_ends_well),
         TEST(a_server_that_is_drained_already_ends_at_once),
         TEST(options_that_make_no_sense_are_refused),
         TEST(a_listener_that_is_closed_ends_its_server),
         TEST(the_one_line_server_is_there_when_start_returns),
         TEST(a_listener_that_is_closed_ends_a_server_that_is_full),
         TEST(a_listener_that_is_closed_ends_a_server_that_has_not_begun_to_accept))
