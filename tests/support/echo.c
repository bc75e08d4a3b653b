/* echo.c - what a small server does, written as bodies of tasks. */
#include "echo.h"
#include <string.h>

/* Longer than one buffer of the scripted os, so that senders wait; shorter than two, so that
 * nobody has to read before it has finished to send. */
static const char question[] = "what is sent comes back, in pieces of any size";

static struct echo *echo_of(const struct crew_task *self)
{
    return ctrio__container(self->task.run->data, struct echo, crew);
}

static struct ctrio__op *op_of(struct echo_session *session)
{
    return &session->op.receive.head.base.op; /* all begin with it */
}

static void hang_up(struct echo *echo, struct ctrio__socket *socket)
{
    is(ctrio__socket_close(socket, &echo->crew.run, echo->os), 0);
}

/* Receives, sends the same, until the end of the stream. */
static bool serve(struct crew_task *self)
{
    struct echo_session *session = self->data;
    bool received = self->stage == 1;
    if (self->code < 0 || (received && self->code == 0)) {
        hang_up(echo_of(self), &session->socket);
        return false;
    }
    if (received)
        ctrio__send_all_init(&session->op.send, &session->socket, session->buffer,
                             (size_t)self->code, NULL);
    else
        ctrio__receive_some_init(&session->op.receive, &session->socket, session->buffer,
                                 sizeof session->buffer, 0);
    self->stage = received ? 2 : 1;
    crew_do(self, op_of(session));
    return true;
}

/* Accepts as many as there are clients. */
static bool listen_and_accept(struct crew_task *self)
{
    struct echo *echo = echo_of(self);
    if (self->stage++ > 0) {
        if (self->code < 0)
            return false;
        struct echo_session *session = &echo->servers[echo->accepted++];
        ctrio__socket_init(&session->socket, echo->accept.accepted);
        self->code = crew_add(&echo->crew, "server", serve, session)->code;
        if (self->code < 0)
            return false; /* no task: nobody would answer */
    }
    if (echo->accepted == ECHO_CLIENTS) {
        hang_up(echo, &echo->listener);
        return false;
    }
    ctrio__accept_init(&echo->accept, &echo->listener);
    crew_do(self, &echo->accept.head.base.op);
    return true;
}

enum { CONNECT, ASK, HEAR, HEARD };

/* Prepares the op of this stage. */
static void begin_stage(struct crew_task *self, struct echo_session *session)
{
    struct echo *echo = echo_of(self);
    if (self->stage == CONNECT)
        ctrio__connect_init(&session->op.connect, &session->socket,
                            (const struct sockaddr *)&echo->address, sizeof echo->address);
    else if (self->stage == ASK)
        ctrio__send_all_init(&session->op.send, &session->socket, question, sizeof question, NULL);
    else
        ctrio__receive_some_init(&session->op.receive, &session->socket,
                                 session->buffer + session->count, sizeof question - session->count,
                                 0);
}

static bool call(struct crew_task *self)
{
    struct echo_session *session = self->data;
    struct echo *echo = echo_of(self);
    if (self->code < 0)
        return false;
    if (self->stage == HEARD) {
        session->count += (size_t)self->code;
        self->stage = session->count < sizeof question ? HEAR : ASK;
        if (self->code == 0)
            return false; /* the server is gone */
    }
    if (self->stage == ASK && session->count == sizeof question) {
        echo->echoed += memcmp(session->buffer, question, sizeof question) == 0;
        session->count = 0;
        session->rounds++;
    }
    if (session->rounds == ECHO_ROUNDS) {
        hang_up(echo, &session->socket);
        return false;
    }
    begin_stage(self, session);
    self->stage++;
    crew_do(self, op_of(session));
    return true;
}

static void open_socket(struct echo *echo, struct ctrio__socket *socket)
{
    ctrio__socket_init(socket, echo->os->net->open(echo->os, AF_INET, SOCK_STREAM, 0));
    tap_saw((int)socket->handle);
}

static void listen_on_loopback(struct echo *echo, int backlog)
{
    const struct ctrio__net_ops *net = echo->os->net;
    intptr_t handle = echo->listener.handle;
    uint32_t size = sizeof echo->address;
    const unsigned char loopback[4] = {127, 0, 0, 1};
    echo->address = (struct sockaddr_in){.sin_family = AF_INET};
    memcpy(&echo->address.sin_addr, loopback, sizeof loopback);
    is(net->bind(echo->os, handle, (struct sockaddr *)&echo->address, size), 0);
    is(net->name(echo->os, handle, false, (struct sockaddr *)&echo->address, &size), 0);
    is(net->listen(echo->os, handle, backlog), 0);
}

void echo_init(struct echo *echo, struct ctrio__os *os, int backlog)
{
    memset(echo, 0, sizeof *echo);
    echo->os = os;
    crew_init(&echo->crew);
    open_socket(echo, &echo->listener);
    listen_on_loopback(echo, backlog);
    crew_add(&echo->crew, "listener", listen_and_accept, NULL);
    for (int i = 0; i < ECHO_CLIENTS; i++) {
        open_socket(echo, &echo->clients[i].socket);
        crew_add(&echo->crew, "client", call, &echo->clients[i]);
    }
}

int echo_run(struct echo *echo)
{
    int result = crew_run(&echo->crew, echo->os, echo->os->io);
    for (int i = 0; i < ECHO_CLIENTS; i++) { /* what a failed run left open */
        ctrio__socket_close(&echo->clients[i].socket, NULL, echo->os);
        if (i < (int)echo->accepted)
            ctrio__socket_close(&echo->servers[i].socket, NULL, echo->os);
    }
    ctrio__socket_close(&echo->listener, NULL, echo->os);
    bool all = echo->echoed == (size_t)ECHO_CLIENTS * ECHO_ROUNDS;
    return result == 0 && !all ? -EPROTO : result;
}
