/* test_connect.c - accept, connect and the bare wait on the scripted os; and errors at every call
 * of io/socket_ops.h. */
#include "io/scripted_net.h"
#include "play.h"
#include <netinet/in.h>
#include <string.h>

static const struct sockaddr_in port_80 = {.sin_family = AF_INET, .sin_port = 80 << 8};

/* --- accept and connect --------------------------------------------------------------------- */

static struct ctrio__socket listener, client;

static void listen_on(struct sockaddr_in address)
{
    ctrio__socket_init(&listener, play.net.open(&play.world.os, AF_INET, SOCK_STREAM, 0));
    ctrio__socket_init(&client, play.net.open(&play.world.os, AF_INET, SOCK_STREAM, 0));
    tap_saw((int)listener.handle);
    tap_saw((int)client.handle);
    play.net.bind(&play.world.os, listener.handle, (struct sockaddr *)&address, sizeof address);
    play.net.listen(&play.world.os, listener.handle, 1);
}

static void a_connection_is_made_and_accepted(void)
{
    static struct play_op accept, connect;
    play_begin();
    listen_on(port_80);
    ctrio__accept_init(&accept.u.accept, &listener);
    ctrio__connect_init(&connect.u.connect, &client, (const struct sockaddr *)&port_80,
                        sizeof port_80);
    struct crew_task *server = play_add(&accept), *caller = play_add(&connect);
    if (play_start()) {
        play_settle();
        is(server->code, 0);
        is(caller->code, 0);
        is(caller->steps, 2U);
        ok(accept.u.accept.accepted > client.handle);
        is(accept.u.accept.address_size, (uint32_t)sizeof(struct sockaddr_in));
        is(accept.u.accept.address.ss_family, AF_INET);
        play_finish();
    }
    play_end();
}

static void a_refused_connection_fails_after_the_wait(void)
{
    static struct play_op connect;
    play_begin();
    listen_on(port_80);
    play.net.close(&play.world.os, listener.handle);
    ctrio__connect_init(&connect.u.connect, &client, (const struct sockaddr *)&port_80,
                        sizeof port_80);
    struct crew_task *caller = play_add(&connect);
    if (play_start()) {
        play_settle();
        is(caller->code, -ECONNREFUSED);
        play_finish();
    }
    play_end();
}

static void a_cancelled_connect_stops_waiting(void)
{
    static struct play_op connect;
    play_begin();
    listen_on(port_80);
    ctrio__connect_init(&connect.u.connect, &client, (const struct sockaddr *)&port_80,
                        sizeof port_80);
    struct crew_task *caller = play_add(&connect);
    if (play_start()) {
        while (caller->steps == 0 && crew_turn(&play.crew, 0)) {
        }
        crew_cancel(caller);
        is(play_waiting(), 0U);
        play_settle();
        is(caller->code, CTRIO_CANCELLED);
        is(ctrio__socket_close(&client, &play.crew.run, &play.world.os), 0);
        play_finish();
    }
    play_end();
}

static void an_accept_abandoned_after_it_succeeded_closes_what_it_got(void)
{
    static struct play_op accept, connect;
    play_begin();
    listen_on(port_80);
    ctrio__connect_init(&connect.u.connect, &client, (const struct sockaddr *)&port_80,
                        sizeof port_80);
    struct crew_task *caller = play_add(&connect);
    if (play_start()) {
        while (!caller->over && crew_turn(&play.crew, 0)) {
            if (caller->steps == 1 && play.crew.count == 2) {
                ctrio__accept_init(&accept.u.accept, &listener);
                play_add(&accept);
            }
        }
        struct crew_task *server = &play.crew.tasks[2];
        while (accept.u.accept.accepted < 0 && crew_turn(&play.crew, 0)) {
        }
        size_t before = ctrio__scripted_socket_count(&play.world);
        if (!server->over) { /* at its schedule point */
            crew_abandon(server);
            is(ctrio__scripted_socket_count(&play.world), before - 1);
        }
        play_settle();
        play_finish();
    }
    play_end();
}

/* --- errors at every call ------------------------------------------------------------------- */

static int answer; /* what the injected call gives */

static ptrdiff_t failing_recv(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size,
                              int flags)
{
    (void)os, (void)handle, (void)buffer, (void)size, (void)flags;
    return answer;
}

static ptrdiff_t failing_send(struct ctrio__os *os, intptr_t handle, const void *data, size_t size,
                              int flags)
{
    (void)os, (void)handle, (void)data, (void)size, (void)flags;
    return answer;
}

static intptr_t failing_accept(struct ctrio__os *os, intptr_t handle, struct sockaddr *address,
                               uint32_t *size)
{
    (void)os, (void)handle, (void)address, (void)size;
    return answer;
}

static int failing_connect(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                           uint32_t size)
{
    (void)os, (void)handle, (void)address, (void)size;
    return answer;
}

static int failing_getsockopt(struct ctrio__os *os, intptr_t handle, int level, int name,
                              void *value, uint32_t *size)
{
    (void)os, (void)handle, (void)level, (void)name, (void)value, (void)size;
    return answer;
}

enum victim { RECEIVE, SEND, SEND_ALL, ACCEPT, CONNECT, VICTIMS };

static void prepare(struct play_op *one, enum victim victim)
{
    static char buffer[8];
    switch (victim) {
    case RECEIVE:
        play.net.recv = failing_recv;
        ctrio__receive_some_init(&one->u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
        break;
    case SEND:
        play.net.send = failing_send;
        ctrio__send_some_init(&one->u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
        break;
    case SEND_ALL:
        play.net.send = failing_send;
        ctrio__send_all_init(&one->u.send_all, &play.ends[0], buffer, sizeof buffer, NULL);
        break;
    case ACCEPT:
        play.net.accept = failing_accept;
        ctrio__accept_init(&one->u.accept, &play.ends[0]);
        break;
    default:
        play.net.connect = failing_connect;
        ctrio__connect_init(&one->u.connect, &play.ends[0], (const struct sockaddr *)&port_80,
                            sizeof port_80);
    }
}

static void whatever_a_call_answers_is_the_result_after_one_yield(void)
{
    static const int errors[] = {-ECONNRESET, -EPIPE,        -ENOTCONN, -EBADF,   -EMFILE,
                                 -ENFILE,     -ECONNABORTED, -EPERM,    -ENOBUFS, -EINVAL};
    static struct play_op one;
    for (enum victim victim = 0; victim < VICTIMS; victim++) {
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
            play_begin();
            answer = errors[i];
            prepare(&one, victim);
            struct crew_task *task = play_add(&one);
            if (play_start()) {
                play_settle();
                is(task->code, errors[i]);
                is(task->steps, 2U);
                play_finish();
            }
            play_end();
        }
    }
}

/* A Unix socket whose peer has no room: waiting would end at once, connected or not. */
static void a_connect_that_would_block_for_ever_says_so(void)
{
    static struct play_op one;
    play_begin();
    answer = -EAGAIN;
    prepare(&one, CONNECT);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        play_settle();
        is(task->code, -EAGAIN);
        play_finish();
    }
    play_end();
}

static void a_connect_whose_error_cannot_be_read_fails_with_that(void)
{
    static struct play_op one;
    play_begin();
    listen_on(port_80);
    ctrio__connect_init(&one.u.connect, &client, (const struct sockaddr *)&port_80, sizeof port_80);
    play.net.getsockopt = failing_getsockopt;
    answer = -ENOBUFS;
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        play_settle();
        is(task->code, -ENOBUFS);
        play_finish();
    }
    play_end();
}

static void a_wait_that_cannot_begin_is_the_result(void)
{
    static struct play_op first, second;
    char buffer[8];
    play_begin();
    ctrio__receive_some_init(&first.u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
    ctrio__receive_some_init(&second.u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
    struct crew_task *a = play_add(&first), *b = play_add(&second);
    if (play_start()) {
        play_settle();
        ok((a->code == CTRIO_BUSY_RESOURCE) != (b->code == CTRIO_BUSY_RESOURCE));
        play_finish();
    }
    play_end();
}

/* --- arguments ------------------------------------------------------------------------------ */

/* What a caller has in variables of its own, and may overwrite as soon as the op is made. */
static struct arguments {
    struct sockaddr_in address;
    uint32_t address_size;
    const void *data;
    void *buffer;
    size_t size;
    int flags;
    intptr_t handle;
    enum ctrio__io_interest interest;
} given;

static int connects;

static int strict_connect(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                          uint32_t size)
{
    connects++;
    is(size, (uint32_t)sizeof port_80);
    is(memcmp(address, &port_80, sizeof port_80), 0);
    return ctrio__scripted_net.connect(os, handle, address, size);
}

static ptrdiff_t strict_recv(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size,
                             int flags)
{
    is(size, (size_t)4);
    is(flags, MSG_DONTWAIT);
    return ctrio__scripted_net.recv(os, handle, buffer, size, flags);
}

static ptrdiff_t strict_send(struct ctrio__os *os, intptr_t handle, const void *data, size_t size,
                             int flags)
{
    is(size, (size_t)4);
    is(flags, MSG_DONTWAIT);
    return ctrio__scripted_net.send(os, handle, data, size, flags);
}

/* A simulator or a backend that finishes calls later has only the op to go by. */
static void an_op_keeps_what_its_caller_overwrites(void)
{
    static struct play_op accept, connect, send, receive, wait;
    char buffer[8] = {0};
    play_begin();
    listen_on(port_80);
    play.net.connect = strict_connect;
    play.net.recv = strict_recv;
    play.net.send = strict_send;
    connects = 0;
    given = (struct arguments){.address = port_80,
                               .address_size = sizeof port_80,
                               .data = "abc",
                               .buffer = buffer,
                               .size = 4,
                               .flags = MSG_DONTWAIT,
                               .handle = play.ends[1].handle,
                               .interest = CTRIO__WRITABLE};
    ctrio__accept_init(&accept.u.accept, &listener);
    ctrio__connect_init(&connect.u.connect, &client, (struct sockaddr *)&given.address,
                        given.address_size);
    ctrio__send_some_init(&send.u.transfer, &play.ends[0], given.data, given.size, given.flags);
    ctrio__receive_some_init(&receive.u.transfer, &play.ends[1], given.buffer, given.size,
                             given.flags);
    ctrio__wait_handle_init(&wait.u.wait, given.handle, given.interest);
    memset(&given, 0xdb, sizeof given);
    struct crew_task *server = play_add(&accept), *caller = play_add(&connect);
    struct crew_task *sender = play_add(&send), *receiver = play_add(&receive);
    struct crew_task *waiter = play_add(&wait);
    if (play_start()) {
        play_settle();
        is(server->code, 0);
        is(caller->code, 0);
        is(connects, 1);
        is(waiter->code, 0);
        is(sender->code, 4);
        is(receiver->code, 4);
        is((const char *)buffer, "abc");
        play_finish();
    }
    play_end();
}

/* --- the bare wait -------------------------------------------------------------------------- */

static void the_bare_wait_needs_no_try(void)
{
    static struct play_op reads, writes;
    play_begin();
    ctrio__wait_handle_init(&reads.u.wait, play.ends[0].handle, CTRIO__READABLE);
    ctrio__wait_handle_init(&writes.u.wait, play.ends[0].handle, CTRIO__WRITABLE);
    is(strcmp(reads.u.op.kind->verb, "wait_readable"), 0);
    is(strcmp(writes.u.op.kind->verb, "wait_writable"), 0);
    play_send_now(1, "x");
    struct crew_task *reader = play_add(&reads), *writer = play_add(&writes);
    if (play_start()) {
        play_settle();
        ok(reader->over && writer->over);
        is(reader->code, 0);
        is(writer->code, 0);
        play_finish();
    }
    play_end();
}

static void a_bare_wait_can_be_abandoned(void)
{
    static struct play_op reads;
    play_begin();
    ctrio__wait_handle_init(&reads.u.wait, play.ends[0].handle, CTRIO__READABLE);
    struct crew_task *reader = play_add(&reads);
    if (play_start()) {
        play_settle();
        is(play_waiting(), 1U);
        crew_abandon(reader);
        is(play_waiting(), 0U);
        play_settle();
        ok(reader->over);
        play_finish();
    }
    play_end();
}

TAP_MAIN(TEST(a_connection_is_made_and_accepted), TEST(a_refused_connection_fails_after_the_wait),
         TEST(a_cancelled_connect_stops_waiting),
         TEST(an_accept_abandoned_after_it_succeeded_closes_what_it_got),
         TEST(whatever_a_call_answers_is_the_result_after_one_yield),
         TEST(a_connect_that_would_block_for_ever_says_so),
         TEST(a_connect_whose_error_cannot_be_read_fails_with_that),
         TEST(a_wait_that_cannot_begin_is_the_result), TEST(an_op_keeps_what_its_caller_overwrites),
         TEST(the_bare_wait_needs_no_try), TEST(a_bare_wait_can_be_abandoned))
