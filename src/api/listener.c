/* listener.c - opening, accepting, closing.
 *
 * Invariant: all sockets of a listener listen on the same port.  What the peer or the machine does
 * wrong for a while (a connection gone before it was accepted, no descriptor left) is not told to
 * the server, which could only try again. */
#include "api/listener.h"
#include "api/address.h"
#include "api/nursery.h"
#include "base/alloc.h"
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static void configure(struct ctrio__os *os, intptr_t handle, int family,
                      const struct ctrio_tcp_options *options)
{
    ctrio__set_int(os, handle, SOL_SOCKET, SO_REUSEADDR, 1);
    if (family == AF_INET6)
        ctrio__set_int(os, handle, IPPROTO_IPV6, IPV6_V6ONLY,
                       1); /* 0.0.0.0 has a socket of its own */
    if (options->reuse_port)
        ctrio__set_int(os, handle, SOL_SOCKET, SO_REUSEPORT, 1);
#ifdef TCP_DEFER_ACCEPT
    if (options->defer_accept)
        ctrio__set_int(os, handle, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
#endif
}

static intptr_t listen_on(struct ctrio__os *os, const struct ctrio_address *address,
                          const struct ctrio_tcp_options *options)
{
    int family = ctrio__address_name(address)->sa_family;
    intptr_t handle = os->net->open(os, family, SOCK_STREAM, 0);
    if (handle < 0)
        return handle;
    configure(os, handle, family, options);
    int result = os->net->bind(os, handle, ctrio__address_name(address), address->size);
    if (result >= 0)
        result = os->net->listen(os, handle, options->backlog > 0 ? options->backlog : 65535);
    if (result >= 0)
        return handle;
    os->net->close(os, handle);
    return result;
}

/* With port 0 the first one's is everybody's. */
static void set_port(struct ctrio_address *address, const struct ctrio_address *like)
{
    const struct sockaddr_in *from = (const struct sockaddr_in *)like->storage;
    struct sockaddr_in *to =
        (struct sockaddr_in *)address->storage; /* IPv6's is in the same place */
    to->sin_port = from->sin_port;
}

static int listen_on_all(struct ctrio_listener *listener, struct ctrio__os *os,
                         struct ctrio_address *addresses, size_t found)
{
    struct ctrio_address first = {.size = 0};
    int failed = 0;
    for (size_t i = 0; i < found; i++) {
        if (first.size != 0)
            set_port(&addresses[i], &first);
        intptr_t handle = listen_on(os, &addresses[i], &listener->options);
        if (handle == -EAFNOSUPPORT ||
            handle == -EADDRNOTAVAIL) { /* a family that is switched off */
            failed = (int)handle;
            continue;
        }
        if (handle < 0)
            return (int)handle;
        ctrio__socket_init(&listener->sockets[listener->count++], handle);
        if (first.size == 0) {
            int result = ctrio_listener_address(listener, 0, &first);
            if (result < 0)
                return result;
        }
    }
    return listener->count > 0 ? 0 : failed;
}

int ctrio_open_tcp_listener(struct ctrio_listener **listener, const char *host, uint16_t port,
                            const struct ctrio_tcp_options *options)
{
    static const struct ctrio_tcp_options defaults = {.backlog = 0};
    struct ctrio_address addresses[CTRIO__MOST_LISTENING];
    *listener = NULL;
    options = options != NULL ? options : &defaults;
    int result = ctrio__tcp_check(options);
    if (result < 0)
        return result;
    int found = ctrio__resolve(host, port, AI_PASSIVE, addresses, CTRIO__MOST_LISTENING);
    if (found < 0)
        return found;
    struct ctrio_listener *made = ctrio__alloc(sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->options = *options;
    ctrio_event_init(&made->closed);
    result = listen_on_all(made, ctrio__c_current->os, addresses, (size_t)found);
    if (result < 0) {
        ctrio_listener_close(made);
        return ctrio_fail(result, "cannot listen on %s port %u: %s",
                          host != NULL ? host : "any address", port, ctrio__code_text(result));
    }
    *listener = made;
    return 0;
}

int ctrio_listener_address(const struct ctrio_listener *listener, size_t i,
                           struct ctrio_address *address)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (run == NULL)
        return ctrio__refuse_outside();
    if (i >= listener->count)
        return -ENOENT;
    return ctrio__address_of_socket(address, run->os, listener->sockets[i].handle, false);
}

void ctrio__listener_enter(struct ctrio_listener *listener)
{
    listener->calls++;
}

void ctrio__listener_leave(struct ctrio_listener *listener)
{
    CTRIO_ASSERT(listener->calls > 0);
    if (--listener->calls == 0 && listener->closed.is_set)
        ctrio__free(listener);
}

void ctrio__listener_push_spare(struct ctrio_listener *listener, struct ctrio_stream *stream)
{
    CTRIO_ASSERT(stream != NULL);
    if (listener->closed.is_set) {
        ctrio_stream_abort(stream);
        return;
    }
    stream->next = listener->spare;
    listener->spare = stream;
}

static struct ctrio_stream *pop_spare(struct ctrio_listener *listener)
{
    struct ctrio_stream *stream = listener->spare;
    if (stream != NULL)
        listener->spare = stream->next;
    return stream;
}

void ctrio_listener_close(struct ctrio_listener *listener)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (listener == NULL)
        return;
    CTRIO_ASSERT(!listener->closed.is_set);
    if (run == NULL)
        ctrio__die_outside();
    ctrio__listener_enter(listener);
    ctrio_event_set(&listener->closed);
    for (size_t i = 0; i < listener->count; i++)
        ctrio__socket_close(&listener->sockets[i], &run->run, run->os);
    for (struct ctrio_stream *spare; (spare = pop_spare(listener)) != NULL;)
        ctrio_stream_abort(spare);
    ctrio__listener_leave(listener);
}

/* --- accepting ------------------------------------------------------------------------------- */

/* Gone before we came, or refused by a firewall: the next one may be better (accept(2)). */
static bool is_peers(int result)
{
    switch (result) {
    case -ECONNABORTED:
    case -EPERM:
    case -EPROTO:
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -EOPNOTSUPP:
    case -ENETUNREACH:
        return true;
    default:
        return false;
    }
}

static bool is_short(int result)
{
    return result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM;
}

static int wait_out(struct ctrio__c_task *self, int result)
{
    static const double pause = 0.1; /* seconds; the connection waits in the backlog meanwhile */
    ctrio__log(ctrio__c_run_of(&self->task), CTRIO_LOG_WARNING, "cannot accept, will try again: %s",
               ctrio__code_text(result));
    return ctrio_sleep(pause);
}

/* One attempt.  *room: the stream for it, made before the connection is taken out of the backlog:
 * without memory it had better wait there. */
static int accept_into(struct ctrio__c_task *self, struct ctrio_listener *listener, size_t i,
                       struct ctrio_stream **room)
{
    struct ctrio__accept_op op;
    if (*room == NULL)
        *room = ctrio__stream_new(-1);
    if (*room == NULL)
        return -ENOMEM;
    ctrio__accept_init(&op, &listener->sockets[i]);
    int result = ctrio__await(self, &op.head.base.op);
    if (result < 0)
        return result;
    ctrio__tcp_configure(self->task.run->os, op.accepted, &listener->options);
    ctrio__socket_init(&(*room)->socket, op.accepted);
    return 0;
}

int ctrio__listener_accept(struct ctrio_listener *listener, size_t i, struct ctrio_stream **stream)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio_stream *room = NULL;
    int result = CTRIO_WOULD_BLOCK;
    CTRIO_ASSERT(self != NULL); /* both callers have looked */
    ctrio__listener_enter(listener);
    while (result == CTRIO_WOULD_BLOCK) {
        result =
            listener->closed.is_set ? CTRIO_CLOSED_RESOURCE : accept_into(self, listener, i, &room);
        if (is_short(result))
            result = wait_out(self, result);
        else if (result == 0)
            break;
        if (result == 0 || is_peers(result))
            result = CTRIO_WOULD_BLOCK; /* the next one */
    }
    if (result == 0)
        *stream = room;
    else
        ctrio__free(room);
    ctrio__listener_leave(listener);
    return result;
}

struct acceptor { /* one of several sockets, in a call of ctrio_accept() */
    struct ctrio_listener *listener;
    struct ctrio_nursery *nursery;
    struct ctrio_stream **stream;
    size_t i;
};

static int accept_one(void *arg)
{
    struct acceptor *acceptor = arg;
    struct ctrio_stream *accepted = NULL;
    int result = ctrio__listener_accept(acceptor->listener, acceptor->i, &accepted);
    if (result < 0)
        return result;
    if (*acceptor->stream == NULL)
        *acceptor->stream = accepted;
    else
        ctrio__listener_push_spare(acceptor->listener, accepted);
    ctrio_cancel(&acceptor->nursery->scope);
    return 0;
}

static int accept_any(struct ctrio_listener *listener, struct ctrio_stream **stream)
{
    struct acceptor acceptors[CTRIO__MOST_LISTENING];
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    for (size_t i = 0; i < listener->count; i++) {
        acceptors[i] = (struct acceptor){listener, &nursery, stream, i};
        ctrio_start_soon(&nursery, accept_one, &acceptors[i]);
    }
    int result = ctrio_collapse(ctrio_nursery_close(&nursery, 0));
    if (result < 0 && *stream != NULL) { /* it is there for the next call */
        ctrio__listener_push_spare(listener, *stream);
        *stream = NULL;
    }
    return result;
}

/* What another call has accepted beside its own; none, if somebody takes it while others run. */
static int take_spare(struct ctrio_listener *listener, struct ctrio_stream **stream)
{
    int result = listener->spare != NULL ? ctrio_checkpoint() : 0;
    if (result == 0)
        *stream = pop_spare(listener);
    return result;
}

int ctrio_accept(struct ctrio_listener *listener, struct ctrio_stream **stream)
{
    *stream = NULL;
    if (ctrio__self() == NULL)
        return ctrio__refuse_outside();
    ctrio__listener_enter(listener);
    int result = take_spare(listener, stream);
    if (result == 0 && *stream == NULL)
        result = listener->count == 1 ? ctrio__listener_accept(listener, 0, stream)
                                      : accept_any(listener, stream);
    ctrio__listener_leave(listener);
    return result;
}
