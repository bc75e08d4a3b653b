/* tcp.c - connecting: one address, or a host whose addresses race (happy eyeballs, RFC 8305).
 *
 * Each attempt is a task in a nursery of the call's own; the first that connects cancels the
 * others.  Invariant: whatever happens, at most one socket survives, and it is in *stream. */
#include "api/tcp.h"
#include "api/address.h"
#include "api/nursery.h"
#include "api/stream.h"
#include <ctrio/sync.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

int ctrio__tcp_check(const struct ctrio_tcp_options *options)
{
    if (!CTRIO__RESERVED_IS_ZERO(options))
        return ctrio__fail(-EINVAL, "ctrio_tcp_options: `reserved` must be zero");
    if (!(options->happy_eyeballs_seconds >= 0) || !(options->keepalive_seconds >= 0) ||
        options->backlog < 0)
        return ctrio__fail(-EINVAL, "ctrio_tcp_options: a time or backlog that is negative");
    return 0;
}

void ctrio__set_int(struct ctrio__os *os, intptr_t handle, int level, int name, int value)
{
    os->net->setsockopt(os, handle, level, name, &value, sizeof value);
}

void ctrio__tcp_configure(struct ctrio__os *os, intptr_t handle,
                          const struct ctrio_tcp_options *options)
{
    if (!options->delay)
        ctrio__set_int(os, handle, IPPROTO_TCP, TCP_NODELAY, 1);
    if (options->keepalive_seconds > 0) {
        int seconds = options->keepalive_seconds < 32767 ? (int)options->keepalive_seconds : 32767;
        ctrio__set_int(os, handle, SOL_SOCKET, SO_KEEPALIVE, 1);
        ctrio__set_int(os, handle, IPPROTO_TCP, TCP_KEEPIDLE, seconds > 0 ? seconds : 1);
    }
}

static intptr_t open_bound(struct ctrio__os *os, int family,
                           const struct ctrio_tcp_options *options)
{
    intptr_t handle = os->net->open(os, family, SOCK_STREAM, 0);
    const struct ctrio_address *from = options->bind_to;
    if (handle < 0 || from == NULL)
        return handle;
    int result = os->net->bind(os, handle, ctrio__address_name(from), from->size);
    if (result >= 0)
        return handle;
    os->net->close(os, handle);
    return result;
}

static int connect_handle(struct ctrio__c_task *self, struct ctrio_stream *stream,
                          const struct ctrio_address *address)
{
    struct ctrio__connect_op op;
    ctrio__connect_init(&op, &stream->socket, ctrio__address_name(address), address->size);
    return ctrio__await(self, &op.head.base.op);
}

static const struct ctrio_tcp_options defaults = {.backlog = 0};

int ctrio_connect(struct ctrio_stream **stream, const struct ctrio_address *address,
                  const struct ctrio_tcp_options *options)
{
    struct ctrio__c_task *self = ctrio__self();
    *stream = NULL;
    if (self == NULL)
        return ctrio__refuse_outside();
    options = options != NULL ? options : &defaults;
    int result = ctrio__tcp_check(options);
    if (result < 0)
        return result;
    struct ctrio__os *os = self->task.run->os;
    int family = ctrio__address_name(address)->sa_family;
    intptr_t handle = open_bound(os, family, options);
    if (handle < 0)
        return (int)handle;
    struct ctrio_stream *made = ctrio__stream_new(handle);
    if (made == NULL) {
        os->net->close(os, handle);
        return -ENOMEM;
    }
    result = connect_handle(self, made, address);
    if (result < 0) {
        ctrio_stream_abort(made);
        return result;
    }
    if (family == AF_INET || family == AF_INET6)
        ctrio__tcp_configure(os, handle, options);
    *stream = made;
    return 0;
}

/* --- the race -------------------------------------------------------------------------------- */

enum { MOST_ADDRESSES = 16 };

struct attempt {
    struct race *race;
    const struct ctrio_address *address;
    struct ctrio_event over; /* it has failed: the next one need not wait for its time */
    int result;
};
struct race {
    struct ctrio_nursery nursery;
    const struct ctrio_tcp_options *options;
    struct ctrio_stream *winner;
    struct attempt attempts[MOST_ADDRESSES];
};

static int run_attempt(void *arg)
{
    struct attempt *attempt = arg;
    struct race *race = attempt->race;
    struct ctrio_stream *stream;
    attempt->result = ctrio_connect(&stream, attempt->address, race->options);
    ctrio_event_set(&attempt->over);
    if (attempt->result < 0)
        return attempt->result == CTRIO_CANCELLED ? CTRIO_CANCELLED : 0;
    if (race->winner != NULL) { /* in the same turn as another one */
        ctrio_stream_abort(stream);
        return 0;
    }
    race->winner = stream;
    ctrio_cancel(&race->nursery.scope);
    return 0;
}

static int start_attempts(struct race *race, size_t count)
{
    double head_start = race->options->happy_eyeballs_seconds;
    int result = 0;
    if (!(head_start > 0))
        head_start = 0.25;
    for (size_t i = 0; i < count && result >= 0 && race->winner == NULL; i++) {
        struct ctrio_cancel_scope wait;
        ctrio_start_soon(&race->nursery, run_attempt, &race->attempts[i]);
        if (i + 1 == count)
            break;
        ctrio_move_on_after(&wait, head_start);
        result = ctrio_event_wait(&race->attempts[i].over);
        result = ctrio_cancel_scope_close(&wait, result);
    }
    return result;
}

/* The first that RFC 8305 would try after the best: the best of the other family. */
static void interleave(struct ctrio_address *addresses, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (ctrio__address_name(&addresses[i])->sa_family ==
            ctrio__address_name(&addresses[0])->sa_family)
            continue;
        struct ctrio_address other = addresses[i];
        memmove(&addresses[2], &addresses[1], (i - 1) * sizeof *addresses);
        addresses[1] = other;
        return;
    }
}

static int explain(const struct race *race, size_t count, const char *host, uint16_t port)
{
    char text[1024];
    size_t used = 0;
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        char address[CTRIO_ADDRESS_TEXT_SIZE];
        const struct attempt *attempt = &race->attempts[i];
        if (attempt->result >= 0)
            continue;
        result = attempt->result;
        if (used < sizeof text)
            used +=
                (size_t)snprintf(text + used, sizeof text - used, "%s%s: %s", used > 0 ? "; " : "",
                                 ctrio_address_format(attempt->address, address, sizeof address),
                                 ctrio__code_text(result));
    }
    return ctrio_fail(result, "no connection to %s port %u: %s", host, port, text);
}

static int run_race(struct race *race, size_t count, struct ctrio_stream **stream)
{
    ctrio_nursery_open(&race->nursery);
    int result = start_attempts(race, count);
    result = ctrio_collapse(ctrio_nursery_close(&race->nursery, result));
    if (race->winner != NULL && result < 0) { /* cancelled from outside, just then */
        ctrio_stream_abort(race->winner);
        race->winner = NULL;
    }
    *stream = race->winner;
    return result;
}

/* A race of one, without the tasks. */
static int connect_only(struct ctrio_stream **stream, const struct ctrio_address *address,
                        const char *host, uint16_t port, const struct ctrio_tcp_options *options)
{
    int result = ctrio_connect(stream, address, options);
    if (result >= 0 || result == CTRIO_CANCELLED)
        return result;
    return ctrio_fail(result, "no connection to %s port %u: %s", host, port,
                      ctrio__code_text(result));
}

int ctrio_open_tcp_stream(struct ctrio_stream **stream, const char *host, uint16_t port,
                          const struct ctrio_tcp_options *options)
{
    struct ctrio_address addresses[MOST_ADDRESSES];
    struct race race = {.options = options != NULL ? options : &defaults};
    *stream = NULL;
    int result = ctrio__tcp_check(race.options);
    if (result < 0)
        return result;
    int found = ctrio_resolve(host, port, addresses, MOST_ADDRESSES);
    if (found < 0)
        return found;
    if (found == 1)
        return connect_only(stream, addresses, host, port, options);
    interleave(addresses, (size_t)found);
    for (int i = 0; i < found; i++) {
        race.attempts[i] = (struct attempt){.race = &race, .address = &addresses[i]};
        ctrio_event_init(&race.attempts[i].over);
    }
    result = run_race(&race, (size_t)found, stream);
    if (result < 0 || *stream != NULL)
        return result;
    return explain(&race, (size_t)found, host, port);
}
