/* test_tcp.c - connecting, names, and the race between several addresses.
 *
 * The resolver is the test's: it gives the addresses that it is told, at once, or when the test
 * says so, from another thread or after the run. */
#include "api/run.h"
#include "base/alloc.h"
#include "wire.h"
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct wire wire;
static struct ctrio__native_os *native;
static struct {
    struct sockaddr_in addresses[4];
    size_t count;
    int eai, refused;
    bool later; /* kept in `pending` */
    struct ctrio__names_op *pending;
    int asked, flags;
} resolver;

static void answer(struct ctrio__names_op *op)
{
    op->eai = resolver.eai;
    op->code = resolver.eai != 0 ? -ENOENT : 0;
    op->count = 0;
    op->found = NULL;
    if (resolver.eai == 0 && resolver.count > 0)
        op->found = ctrio__alloc(resolver.count * sizeof *op->found);
    for (; op->found != NULL && op->count < resolver.count; op->count++) {
        struct ctrio__address *address = &op->found[op->count];
        *address = (struct ctrio__address){.family = AF_INET, .size = sizeof(struct sockaddr_in)};
        memcpy(&address->name, &resolver.addresses[op->count], sizeof(struct sockaddr_in));
    }
    if (resolver.eai == 0 && resolver.count > 0 && op->found == NULL)
        op->code = -ENOMEM;
    op->done(op);
}

static int resolve(struct ctrio__os *os, struct ctrio__names_op *op)
{
    (void)os;
    resolver.asked++;
    resolver.flags = op->flags;
    if (resolver.refused < 0)
        return resolver.refused;
    if (resolver.later)
        resolver.pending = op;
    else
        answer(op);
    return 0;
}

/* A run of fn on the machine, but for the resolver. */
static int run_with_resolver(ctrio_task_fn *fn, void *arg)
{
    struct ctrio_clock *clock;
    int result = tap_saw(ctrio_open_mock_clock(&clock, 0.0));
    if (result < 0)
        return result;
    native = ctrio__native_os_new();
    struct ctrio_run_options options = {
        .clock = clock, .seed = 1, .strict_checkpoints = front_strict()};
    result = native != NULL ? 0 : tap_saw(-ENOMEM);
    if (native != NULL) {
        native->os.resolve = resolve;
        result = front_saw(ctrio__c_run_on(&native->os, NULL, fn, arg, &options, "main"));
        snprintf(front_message, sizeof front_message, "%s", ctrio_error_message(result));
        ctrio__native_os_drop(native);
    }
    front_forget();
    ctrio_mock_clock_free(clock);
    return result;
}

static void reset(void)
{
    memset(&resolver, 0, sizeof resolver);
}

/* 127.0.0.n and a port. */
static void add_address(int n, uint16_t port)
{
    resolver.addresses[resolver.count++] =
        (struct sockaddr_in){.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(0x7f000000u + (uint32_t)n)};
}

/* A socket that is bound and does not listen: its port refuses.  Or one whose backlog is full: a
 * connection to it comes to nothing, for ever. */
static int fillers[3];

static uint16_t open_bad(int n, bool hangs)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof name;
    name.sin_addr.s_addr = htonl(0x7f000000u + (uint32_t)n);
    for (int i = 0; i < 3; i++)
        fillers[i] = socket(AF_INET, SOCK_STREAM | (i > 0 ? SOCK_NONBLOCK : 0), 0);
    is(bind(fillers[0], (struct sockaddr *)&name, sizeof name), 0);
    is(getsockname(fillers[0], (struct sockaddr *)&name, &size), 0);
    if (hangs) {
        is(listen(fillers[0], 0), 0);
        for (int i = 1; i < 3; i++)
            (void)!connect(fillers[i], (struct sockaddr *)&name, sizeof name);
    }
    return ntohs(name.sin_port);
}

static void close_bad(void)
{
    for (int i = 0; i < 3; i++)
        close(fillers[i]);
}

static int port_of(const struct ctrio_address *address)
{
    struct sockaddr_in name;
    memcpy(&name, address->storage, sizeof name);
    return ntohs(name.sin_port);
}

/* Listens on 127.0.0.1 and on the port of the bad one: all addresses of a host have one port. */
static int listen_at(struct ctrio_listener **listener, int n, int port)
{
    char host[20];
    snprintf(host, sizeof host, "127.0.0.%d", n);
    return tap_saw(ctrio_open_tcp_listener(listener, host, (uint16_t)port, NULL));
}

/* --- one address ----------------------------------------------------------------------------- */

static int connects_by_number(void *arg)
{
    int result = wire_listen(&wire);
    (void)arg;
    if (result == 0)
        result = tap_saw(
            ctrio_open_tcp_stream(&wire.here, "127.0.0.1", (uint16_t)port_of(&wire.address), NULL));
    if (result == 0)
        result = tap_saw(ctrio_accept(wire.listener, &wire.there));
    wire_close(&wire);
    return result;
}

static void a_number_needs_no_resolver(void)
{
    reset();
    is(run_with_resolver(connects_by_number, NULL), 0);
    is(resolver.asked, 0);
}

static int connects_to_nobody(void *arg)
{
    struct ctrio_stream *stream;
    struct ctrio_tcp_options bad = {.keepalive_seconds = -1}, worse = {.reserved = {1}};
    is(ctrio_open_tcp_stream(&stream, "127.0.0.1", 1, &bad), -EINVAL);
    is(ctrio_open_tcp_stream(&stream, "127.0.0.1", 1, &worse), -EINVAL);
    is(ctrio_open_tcp_stream(&stream, NULL, 1, NULL), -EINVAL);
    is(ctrio_open_tcp_stream(&stream, "127.0.0.1", *(uint16_t *)arg, NULL), -ECONNREFUSED);
    ok(stream == NULL);
    return 0;
}

static void a_port_at_which_nobody_listens_refuses(void)
{
    uint16_t port = open_bad(1, false);
    reset();
    is(run_with_resolver(connects_to_nobody, &port), 0);
    close_bad();
}

static int cancelled_connect(void *arg)
{
    struct ctrio_stream *stream;
    struct ctrio_cancel_scope scope;
    ctrio_fail_after(&scope, 3);
    int result = ctrio_open_tcp_stream(&stream, "127.0.0.1", *(uint16_t *)arg, NULL);
    ok(stream == NULL);
    return ctrio_cancel_scope_close(&scope, result);
}

static void a_connection_that_comes_to_nothing_can_be_cancelled(void)
{
    uint16_t port = open_bad(1, true);
    reset();
    is(run_with_resolver(cancelled_connect, &port), CTRIO_TOO_SLOW);
    close_bad();
}

static int binds(void *arg)
{
    struct ctrio_address from, seen;
    struct ctrio_tcp_options options = {.bind_to = &from, .keepalive_seconds = 60};
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    (void)arg;
    is(ctrio_address_parse(&from, "127.0.0.9:0"), 0);
    int result = wire_listen(&wire);
    if (result == 0)
        result = tap_saw(ctrio_connect(&wire.here, &wire.address, &options));
    if (result == 0) {
        is(ctrio_stream_address(wire.here, CTRIO_LOCAL, &seen), 0);
        ok(strncmp(ctrio_address_format(&seen, text, sizeof text), "127.0.0.9:", 10) == 0);
    }
    wire_close(&wire);
    return result;
}

static void a_connection_may_come_from_an_address_of_choice(void)
{
    reset();
    is(run_with_resolver(binds, NULL), 0);
}

static int connects_to_a_path(void *arg)
{
    const char *path = arg;
    struct ctrio_stream *stream;
    struct ctrio_address address, peer;
    char text[CTRIO_ADDRESS_TEXT_SIZE], got[8] = "";
    is(ctrio_address_parse(&address, path), 0);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    is(bind(listener, (const struct sockaddr *)address.storage, (socklen_t)address.size), 0);
    is(tap_saw(ctrio_connect(&stream, &address, NULL)), -ECONNREFUSED);
    is(listen(listener, 1), 0);
    int result = tap_saw(ctrio_connect(&stream, &address, NULL));
    if (result == 0) {
        int there = accept(listener, NULL, NULL);
        is(ctrio_stream_address(stream, CTRIO_PEER, &peer), 0);
        is(ctrio_address_format(&peer, text, sizeof text), path);
        result = tap_saw(ctrio_send_all(stream, "hello", 5));
        is(recv(there, got, sizeof got - 1, MSG_DONTWAIT), 5);
        is(got, "hello");
        close(there);
        ctrio_stream_abort(stream);
    }
    close(listener);
    return result;
}

static void a_path_is_connected_to_where_somebody_listens(void)
{
    char folder[] = "/tmp/ctrio-test-XXXXXX", path[CTRIO_ADDRESS_TEXT_SIZE];
    ok(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "unix:%s/socket", folder);
    is(front_run(connects_to_a_path, path), 0);
    unlink(strchr(path, '/'));
    rmdir(folder);
}

/* --- the race -------------------------------------------------------------------------------- */

static int races(void *arg)
{
    const char *expected = arg;
    struct ctrio_stream *stream = NULL;
    struct ctrio_cancel_scope scope; /* for want of memory only the one that hangs may be left */
    struct ctrio_listener *listener = NULL;
    struct ctrio_address peer;
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    int port = ntohs(resolver.addresses[0].sin_port), result = 0;
    if (expected != NULL)
        result = listen_at(&listener, expected[8] - '0', port);
    double before = ctrio_current_time();
    ctrio_fail_after(&scope, 1000);
    if (result == 0)
        result = front_saw(ctrio_open_tcp_stream(&stream, "host.test", (uint16_t)port, NULL));
    result = ctrio_cancel_scope_close(&scope, result);
    if (result == CTRIO_TOO_SLOW)
        front_stories_may_lack();
    front_say("after %g s", ctrio_current_time() - before);
    if (result == 0) {
        is(ctrio_stream_address(stream, CTRIO_PEER, &peer), 0);
        ok(strncmp(ctrio_address_format(&peer, text, sizeof text), expected, 9) == 0);
        ctrio_stream_abort(stream);
    }
    ctrio_listener_close(listener);
    return result;
}

static void the_second_address_is_tried_when_the_first_has_taken_its_time(void)
{
    reset();
    uint16_t port = open_bad(2, true);
    add_address(2, port);
    add_address(3, port);
    front_trace[0] = '\0';
    is(run_with_resolver(races, "127.0.0.3"), 0);
    front_stories_may_lack();
    is((const char *)front_trace, "after 0.25 s");
    is(resolver.asked, 1);
    close_bad();
}

static void the_second_address_is_tried_at_once_when_the_first_fails(void)
{
    reset();
    uint16_t port = open_bad(2, false);
    add_address(2, port);
    add_address(3, port);
    front_trace[0] = '\0';
    is(run_with_resolver(races, "127.0.0.3"), 0);
    front_stories_may_lack();
    is((const char *)front_trace, "after 0 s");
    close_bad();
}

static void if_all_fail_the_story_names_each(void)
{
    char part[64];
    reset();
    uint16_t port = open_bad(2, false);
    add_address(2, port);
    add_address(3, port);
    is(run_with_resolver(races, NULL), -ECONNREFUSED);
    front_stories_may_lack();
    snprintf(part, sizeof part, "no connection to host.test port %d: ", port);
    ok(strstr(front_message, part) == front_message);
    snprintf(part, sizeof part, "127.0.0.2:%d: %s; 127.0.0.3:%d: ", port, strerror(ECONNREFUSED),
             port);
    ok(strstr(front_message, part) != NULL);
    close_bad();
}

static int cancelled_race(void *arg)
{
    struct ctrio_cancel_scope scope;
    ctrio_fail_after(&scope, 1);
    return ctrio_cancel_scope_close(&scope, races(arg));
}

static void a_race_can_be_cancelled_whole(void)
{
    reset();
    uint16_t port = open_bad(2, true);
    for (int i = 0; i < 3; i++)
        add_address(2, port);
    is(run_with_resolver(cancelled_race, NULL), CTRIO_TOO_SLOW);
    close_bad();
}

/* --- names ----------------------------------------------------------------------------------- */

static int looks_up(void *arg)
{
    struct ctrio_address addresses[2];
    (void)arg;
    return ctrio_resolve("host.test", 80, addresses, 2);
}

static void a_name_gives_as_many_addresses_as_there_is_room_for(void)
{
    reset();
    for (int i = 1; i <= 4; i++)
        add_address(i, 80);
    is(run_with_resolver(looks_up, NULL), 2);
    resolver.count = 1;
    is(run_with_resolver(looks_up, NULL), 1);
}

static void a_name_that_does_not_resolve_says_so_in_the_resolvers_words(void)
{
    char expected[128];
    reset();
    resolver.eai = EAI_NONAME;
    is(run_with_resolver(looks_up, NULL), CTRIO_NAME_ERROR);
    front_stories_may_lack();
    snprintf(expected, sizeof expected, "host.test: %s", gai_strerror(EAI_NONAME));
    is((const char *)front_message, (const char *)expected);
    resolver.eai = 0;
    is(run_with_resolver(looks_up, NULL), CTRIO_NAME_ERROR);
    front_stories_may_lack();
    is((const char *)front_message, "host.test: no address");
    resolver.refused = -EAGAIN;
    is(run_with_resolver(looks_up, NULL), -EAGAIN);
}

static void *answer_in_thread(void *arg)
{
    struct ctrio__names_op *op = resolver.pending;
    (void)arg;
    resolver.pending = NULL;
    if (op != NULL)
        answer(op);
    return NULL;
}

static int gives_up_looking(void *answer_before_the_end)
{
    struct ctrio_cancel_scope scope;
    pthread_t thread;
    ctrio_move_on_after(&scope, 5);
    int result = looks_up(NULL);
    if (result != -ENOMEM)
        is(result, CTRIO_CANCELLED);
    result = ctrio_cancel_scope_close(&scope, result);
    if (result == 0 && answer_before_the_end != NULL) {
        is(pthread_create(&thread, NULL, answer_in_thread, NULL), 0);
        pthread_join(thread, NULL);
        result = ctrio_wait_all_tasks_blocked(0);
    }
    return result;
}

static void a_look_up_that_was_given_up_may_end_in_its_thread_before_the_run_or_after_it(void)
{
    int yes = 1;
    reset();
    resolver.later = true;
    add_address(1, 80);
    is(run_with_resolver(gives_up_looking, &yes), 0);
    answer_in_thread(NULL); /* unless it was */
    is(run_with_resolver(gives_up_looking, NULL), 0);
    answer_in_thread(NULL);
}

static int resolves_really(void *arg)
{
    struct ctrio_address addresses[8];
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    (void)arg;
    int found = ctrio_resolve("localhost", 443, addresses, 8);
    for (int i = 0; i < found; i++)
        ok(strstr(ctrio_address_format(&addresses[i], text, sizeof text), ":443") != NULL);
    if (found == CTRIO_NAME_ERROR)
        skip("no localhost here");
    is(ctrio_resolve("127.0.0.1", 1, addresses, 0), -EINVAL);
    is(ctrio_resolve(NULL, 1, addresses, 1), -EINVAL);
    return found > 0 || found == CTRIO_NAME_ERROR ? 0 : found;
}

static void localhost_is_found_by_the_machines_own_resolver(void)
{
    is(front_run(resolves_really, NULL), 0);
    front_wait_for_threads();
}

/* --- listening ------------------------------------------------------------------------------- */

static int listens_twice(void *arg)
{
    struct ctrio_listener *again;
    struct ctrio_tcp_options shared = {.reuse_port = true, .defer_accept = true, .backlog = 5};
    (void)arg;
    int result = wire_listen(&wire);
    if (result == 0) {
        uint16_t port = (uint16_t)port_of(&wire.address);
        is(ctrio_open_tcp_listener(&again, "127.0.0.1", port, NULL), -EADDRINUSE);
        ok(again == NULL);
        front_stories_may_lack();
        ok(strstr(ctrio_error_message(-EADDRINUSE), "cannot listen on 127.0.0.1 port") != NULL);
    }
    wire_close(&wire);
    struct ctrio_listener *first = NULL;
    if (result == 0)
        result = tap_saw(ctrio_open_tcp_listener(&first, "127.0.0.1", 0, &shared));
    if (result == 0 && is(ctrio_listener_address(first, 0, &wire.address), 0)) {
        is(ctrio_open_tcp_listener(&again, "127.0.0.1", (uint16_t)port_of(&wire.address), &shared),
           0);
        ctrio_listener_close(again);
    }
    ctrio_listener_close(first);
    ctrio_listener_close(NULL);
    return result;
}

static void a_port_that_is_taken_is_refused_unless_it_is_shared(void)
{
    reset();
    is(run_with_resolver(listens_twice, NULL), 0);
}

TAP_MAIN(TEST(a_number_needs_no_resolver), TEST(a_port_at_which_nobody_listens_refuses),
         TEST(a_connection_that_comes_to_nothing_can_be_cancelled),
         TEST(a_connection_may_come_from_an_address_of_choice),
         TEST(a_path_is_connected_to_where_somebody_listens),
         TEST(the_second_address_is_tried_when_the_first_has_taken_its_time),
         TEST(the_second_address_is_tried_at_once_when_the_first_fails),
         TEST(if_all_fail_the_story_names_each), TEST(a_race_can_be_cancelled_whole),
         TEST(a_name_gives_as_many_addresses_as_there_is_room_for),
         TEST(a_name_that_does_not_resolve_says_so_in_the_resolvers_words),
         TEST(a_look_up_that_was_given_up_may_end_in_its_thread_before_the_run_or_after_it),
         TEST(localhost_is_found_by_the_machines_own_resolver),
         TEST(a_port_that_is_taken_is_refused_unless_it_is_shared))
