/* serve.c - a server: accepting, a task a connection, limits, contained failures, drain.
 *
 * Two nurseries: the acceptors', which ends when no more is to be accepted, inside that of the
 * connections.  Invariant: a connection's task closes its stream, whatever happened to it, and what
 * its handler failed with goes no further unless it is a bug or somebody says so. */
#include "api/address.h"
#include "api/listener.h"
#include "api/nursery.h"
#include "api/watch.h"
#include "base/alloc.h"
#include "kernel/semaphore.h"
#include <ctrio/sync.h>

struct server {
    struct ctrio_listener *listener;
    ctrio_handler_fn *handler;
    void *arg;
    const struct ctrio_serve_options *options;
    double idle_seconds;
    struct ctrio_semaphore places;
    struct ctrio_nursery accepting, connections;
};
struct connection { /* its task's argument; owned by it */
    struct server *server;
    struct ctrio_stream *stream;
    struct ctrio_cancel_scope scope; /* the idle limit's */
    struct ctrio_timer idle;
    struct ctrio_run *run;
};

/* --- the idle limit -------------------------------------------------------------------------- */

/* One timer a connection, which looks when it fires whether a byte has gone since: moving it at
 * each byte would cost more than the byte. */
static void look_for_progress(struct ctrio_timer *timer)
{
    struct connection *connection = ctrio__container(timer, struct connection, idle);
    double due = connection->stream->progress + connection->server->idle_seconds;
    if (due <= timer->when) {
        bool inside = ctrio__set_inside(ctrio__c_current, false);
        ctrio_cancel_at(&connection->scope, "the idle limit of ctrio_serve()");
        ctrio__set_inside(ctrio__c_current, inside);
        return;
    }
    timer->when = due;
    ctrio__timer_arm(connection->run, timer);
}

static void begin_idle_limit(struct connection *connection)
{
    double now = ctrio__run_time(connection->run);
    double due = now + connection->server->idle_seconds;
    connection->stream->progress = now;
    connection->idle = (struct ctrio_timer){.when = due, .fire = look_for_progress};
    if (due < INFINITY)
        ctrio__timer_arm(connection->run, &connection->idle);
}

/* --- a connection ---------------------------------------------------------------------------- */

/* What peers do all day is not worth a line, alone or in a group. */
static int without_peers_faults(int code)
{
    static const int silent[] = {CTRIO_BROKEN_RESOURCE, CTRIO_TOO_SLOW, CTRIO_END_OF_CHANNEL,
                                 -ETIMEDOUT, -EHOSTUNREACH};
    for (size_t i = 0; i < sizeof silent / sizeof silent[0] && code < 0; i++)
        code = ctrio_except(code, silent[i]);
    return code;
}

static bool has_misuse(int code)
{
    const struct ctrio_error *root = ctrio__stories_find(ctrio__stories(), code);
    if (code == CTRIO_MISUSE || root == NULL)
        return code == CTRIO_MISUSE;
    for (const struct ctrio_error *at = root; at != NULL; at = ctrio__error_after(at, root))
        if (at->code == CTRIO_MISUSE)
            return true;
    return false;
}

static int contain(const struct connection *connection, int code, const struct ctrio_address *peer)
{
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    if (code >= 0)
        return 0;
    if (code == CTRIO_CANCELLED)
        return code;
    if (connection->server->options->failed != NULL)
        return connection->server->options->failed(code, peer, connection->server->arg);
    if (has_misuse(code))
        return code;
    code = without_peers_faults(code);
    if (code == CTRIO_CANCELLED)
        return code;
    if (code < 0)
        ctrio__log(ctrio__c_current, CTRIO_LOG_ERROR, "the handler of %s failed: %s",
                   ctrio_address_format(peer, text, sizeof text), ctrio_error_message(code));
    return 0;
}

static int serve_connection(void *arg)
{
    struct connection *connection = arg;
    struct server *server = connection->server;
    struct ctrio_stream *stream = connection->stream;
    struct ctrio_address peer = {.size = 0};
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    int known = ctrio_stream_address(stream, CTRIO_PEER, &peer); /* gone already: no address */
    if (known == 0)
        ctrio_set_task_name("connection of %s", ctrio_address_format(&peer, text, sizeof text));
    ctrio_cancel_scope_open(&connection->scope);
    begin_idle_limit(connection);
    int result = server->handler(stream, server->arg);
    ctrio__timer_disarm(connection->run, &connection->idle);
    result = ctrio_cancel_scope_close(&connection->scope, result);
    result = contain(connection, result, &peer);
    ctrio_stream_abort(stream);
    ctrio_semaphore_release(&server->places);
    ctrio__free(connection);
    return result;
}

/* Not by ctrio_start_soon(): a connection for which there is no memory must not end the others. */
static int start_connection(struct server *server, struct ctrio_stream *stream)
{
    struct ctrio__c_run *run = ctrio__c_current;
    struct connection *connection = ctrio__alloc(sizeof *connection);
    if (connection == NULL)
        return -ENOMEM;
    connection->server = server;
    connection->stream = stream;
    connection->run = &run->run;
    struct ctrio__c_task *task =
        ctrio__c_task_new(run, serve_connection, connection, "a connection");
    int result = ctrio__c_task_spawn(task, &server->connections.core);
    if (result < 0)
        ctrio__free(connection);
    return result;
}

/* --- accepting ------------------------------------------------------------------------------- */

struct acceptor {
    struct server *server;
    size_t i;
};

static int accept_connections(void *arg)
{
    const struct acceptor *acceptor = arg;
    struct server *server = acceptor->server;
    for (;;) {
        struct ctrio_stream *stream = NULL;
        int result = ctrio_semaphore_acquire(&server->places);
        if (result < 0)
            return result;
        result = ctrio__listener_accept(server->listener, acceptor->i, &stream);
        if (result < 0) {
            ctrio_semaphore_release(&server->places);
            return result;
        }
        result = start_connection(server, stream);
        if (result < 0) {
            ctrio_stream_abort(stream);
            ctrio_semaphore_release(&server->places);
            ctrio__log(ctrio__c_current, CTRIO_LOG_WARNING, "a connection was dropped: %s",
                       ctrio__code_text(result));
        }
    }
}

static int accept_until_drain(struct server *server)
{
    struct acceptor acceptors[CTRIO__MOST_LISTENING];
    ctrio_nursery_open(&server->accepting);
    if (server->options->drain != NULL)
        ctrio_cancel_on_event(&server->accepting.scope, server->options->drain);
    for (size_t i = 0; i < server->listener->count; i++) {
        acceptors[i] = (struct acceptor){server, i};
        ctrio_start_soon(&server->accepting, accept_connections, &acceptors[i]);
    }
    return ctrio_collapse(ctrio_nursery_close(&server->accepting, 0));
}

/* Who waits for a place does not notice that the listener is closed: the scope does. */
static int accept_all(struct server *server)
{
    struct ctrio_listener *listener = server->listener;
    struct ctrio_cancel_scope open;
    ctrio__listener_enter(listener);
    ctrio_cancel_scope_open(&open);
    ctrio_cancel_on_event(&open, &listener->closed);
    int result = accept_until_drain(server);
    bool drained = result == 0;
    result = ctrio_cancel_scope_close(&open, result);
    if (result == 0 && !drained)
        result = CTRIO_CLOSED_RESOURCE;
    ctrio__listener_leave(listener);
    return result;
}

static void begin_drain(struct server *server)
{
    double grace = server->options->grace_seconds;
    if (!(grace > 0))
        grace = 30.0;
    ctrio_cancel_scope_set_deadline(&server->connections.scope, ctrio_current_time() + grace);
}

static int check_options(const struct ctrio_serve_options *options)
{
    if (!CTRIO__RESERVED_IS_ZERO(options))
        return ctrio__fail(-EINVAL, "ctrio_serve_options: `reserved` must be zero");
    if (!(options->idle_seconds >= 0) || !(options->grace_seconds >= 0))
        return ctrio__fail(-EINVAL, "ctrio_serve_options: a length of time that is negative or "
                                    "not a number");
    return 0;
}

int ctrio_serve(struct ctrio_listener *listener, ctrio_handler_fn *handler, void *arg,
                const struct ctrio_serve_options *options)
{
    static const struct ctrio_serve_options defaults = {.idle_seconds = 0};
    struct server server = {.listener = listener, .handler = handler, .arg = arg};
    if (ctrio__self() == NULL)
        return ctrio__refuse_outside();
    server.options = options != NULL ? options : &defaults;
    int result = check_options(server.options);
    if (result < 0)
        return result;
    size_t most = server.options->max_connections;
    server.idle_seconds = server.options->idle_seconds > 0 ? server.options->idle_seconds : 120.0;
    ctrio_semaphore_init(&server.places, most != 0 ? most : 10000, 0);
    ctrio_nursery_open(&server.connections);
    result = accept_all(&server);
    if (result == 0) /* the drain event, as nothing else ends the accepting so */
        begin_drain(&server);
    result = ctrio_nursery_close(&server.connections, result);
    return ctrio_collapse(result);
}

int ctrio_serve_tcp(const char *host, uint16_t port, ctrio_handler_fn *handler, void *arg,
                    const struct ctrio_serve_options *options)
{
    struct ctrio_listener *listener;
    int result = ctrio_open_tcp_listener(&listener, host, port, NULL);
    if (result < 0)
        return result;
    ctrio_started();
    result = ctrio_serve(listener, handler, arg, options);
    ctrio_listener_close(listener);
    return result;
}
