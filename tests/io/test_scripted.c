/* test_scripted.c - the os in memory: sockets that behave like the system's, time, jobs, and a
 * chooser that can repeat itself. */
#include "base/alloc.h"
#include "crew.h"
#include "io/scripted.h"
#include "io/socket_ops.h"
#include "tap.h"
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>

static struct ctrio__scripted world;
static const struct ctrio__net_ops *net;
static const struct sockaddr_in port_80 = {.sin_family = AF_INET, .sin_port = 80 << 8};

static void begin(void)
{
    ctrio__scripted_init(&world, &(struct ctrio__scripted_options){.buffer_size = 8});
    net = world.os.net;
}

static intptr_t open_socket(void)
{
    intptr_t handle = net->open(&world.os, AF_INET, SOCK_STREAM, 0);
    tap_saw((int)handle);
    return handle;
}

static int connect_80(intptr_t handle)
{
    return net->connect(&world.os, handle, (const struct sockaddr *)&port_80, sizeof port_80);
}

static void look(void)
{
    struct ctrio__io *io;
    struct ctrio__io_events events;
    is(world.os.io->open(&world.os, NULL, &io), 0);
    world.os.io->get_events(io, 0, &events);
}

static int pending_error(intptr_t handle)
{
    int error = 0;
    uint32_t size = sizeof error;
    net->getsockopt(&world.os, handle, SOL_SOCKET, SO_ERROR, &error, &size);
    return -error;
}

static void handles_count_from_two_to_the_thirty_and_calls_need_one(void)
{
    char byte;
    begin();
    intptr_t handle = open_socket();
    if (handle >= 0) {
        is(handle, ((intptr_t)1 << 30) + 1);
        is(net->recv(&world.os, handle, &byte, 1, 0), -ENOTCONN);
        is(net->send(&world.os, handle, &byte, 1, 0), -ENOTCONN);
        is(net->shutdown(&world.os, handle, SHUT_WR), -ENOTCONN);
        is(net->accept(&world.os, handle, NULL, NULL), -EINVAL);
        is(net->close(&world.os, handle), 0);
    }
    is(net->close(&world.os, 7), -EBADF);
    is(net->recv(&world.os, 7, &byte, 1, 0), -EBADF);
    is(net->send(&world.os, 7, &byte, 1, 0), -EBADF);
    is(net->listen(&world.os, 7, 1), -EBADF);
    is(connect_80(7), -EBADF);
    is(net->open(&world.os, AF_UNIX, SOCK_STREAM, 0), -EAFNOSUPPORT);
    is(net->open(&world.os, AF_INET, SOCK_DGRAM, 0), -ESOCKTNOSUPPORT);
    is(ctrio__scripted_close(&world), 0U);
}

static void a_backlog_takes_connections_until_it_is_full(void)
{
    intptr_t clients[3];
    begin();
    intptr_t server = open_socket();
    net->bind(&world.os, server, (const struct sockaddr *)&port_80, sizeof port_80);
    net->listen(&world.os, server, 1); /* room for two, as on Linux */
    for (int i = 0; i < 3; i++) {
        clients[i] = open_socket();
        is(connect_80(clients[i]), -EINPROGRESS);
        is(connect_80(clients[i]), -EALREADY);
    }
    look();
    for (int i = 0; i < 3; i++)
        is(pending_error(clients[i]), 0);
    is(connect_80(clients[0]), -EISCONN);
    is(connect_80(clients[1]), -EISCONN);
    is(connect_80(clients[2]), -EALREADY);
    struct sockaddr_in peer;
    uint32_t size = sizeof peer;
    intptr_t first = net->accept(&world.os, server, (struct sockaddr *)&peer, &size);
    ok(first >= 0);
    is(size, (uint32_t)sizeof peer);
    look();
    is(pending_error(clients[2]), 0);
    is(connect_80(clients[2]), -EISCONN);
    struct sockaddr_in own;
    size = sizeof own;
    is(net->name(&world.os, clients[0], false, (struct sockaddr *)&own, &size), 0);
    is(own.sin_port, peer.sin_port);
    ctrio__scripted_close(&world);
}

static void closing_a_listener_resets_who_was_not_accepted(void)
{
    char byte;
    begin();
    intptr_t server = open_socket(), client = open_socket();
    net->bind(&world.os, server, (const struct sockaddr *)&port_80, sizeof port_80);
    net->listen(&world.os, server, 1);
    connect_80(client);
    look();
    net->close(&world.os, server);
    if (client >= 0 && server >= 0) {
        is(net->recv(&world.os, client, &byte, 1, 0), -ECONNRESET);
        is(net->recv(&world.os, client, &byte, 1, 0), 0);
        is(net->send(&world.os, client, &byte, 1, 0), -EPIPE);
    }
    ctrio__scripted_close(&world);
}

static void ports_are_taken_once_and_given_in_order(void)
{
    begin();
    intptr_t a = open_socket(), b = open_socket();
    struct sockaddr_in any = {.sin_family = AF_INET};
    uint32_t size = sizeof any;
    is(net->bind(&world.os, a, (const struct sockaddr *)&port_80, sizeof port_80), 0);
    is(net->bind(&world.os, b, (const struct sockaddr *)&port_80, sizeof port_80), -EADDRINUSE);
    is(net->bind(&world.os, b, (const struct sockaddr *)&port_80, 3), -EINVAL);
    is(net->bind(&world.os, b, (const struct sockaddr *)&any, sizeof any), 0);
    is(net->bind(&world.os, b, (const struct sockaddr *)&any, sizeof any), -EINVAL);
    is(net->name(&world.os, b, false, (struct sockaddr *)&any, &size), 0);
    is(ntohs(any.sin_port), 49152);
    is(net->name(&world.os, b, true, (struct sockaddr *)&any, &size), -ENOTCONN);
    ctrio__scripted_close(&world);
}

static void a_stream_is_bounded_ordered_and_ends(void)
{
    intptr_t ends[2];
    char got[16] = {0};
    begin();
    if (is(net->pair(&world.os, AF_UNIX, SOCK_STREAM, ends), 0)) {
        is(net->send(&world.os, ends[0], "0123456789", 10, 0), 8);
        is(net->send(&world.os, ends[0], "89", 2, 0), -EAGAIN);
        is(net->recv(&world.os, ends[1], got, 5, MSG_PEEK), 5);
        is(net->recv(&world.os, ends[1], got, 5, 0), 5);
        is(net->write(&world.os, ends[0], "89", 2), 2);
        is(net->shutdown(&world.os, ends[0], SHUT_WR), 0);
        is(net->send(&world.os, ends[0], "x", 1, 0), -EPIPE);
        is(net->read(&world.os, ends[1], got + 5, 11), 5);
        is(strcmp(got, "0123456789"), 0);
        is(net->recv(&world.os, ends[1], got, 5, 0), 0);
        is(net->send(&world.os, ends[1], "back", 4, 0), 4); /* the other direction lives */
        is(net->recv(&world.os, ends[0], got, 5, 0), 4);
        is(net->recv(&world.os, ends[0], got, 5, 0), -EAGAIN);
        is(net->close(&world.os, ends[1]), 0);
        is(net->recv(&world.os, ends[0], got, 5, 0), 0);
    }
    is(net->pair(&world.os, AF_INET, SOCK_STREAM, ends), -EOPNOTSUPP);
    ctrio__scripted_close(&world);
}

static void a_message_is_cut_where_the_stream_is(void)
{
    intptr_t ends[2];
    char first[3], second[16];
    struct iovec out[3] = {{"0123", 4}, {NULL, 0}, {"456789", 6}};
    struct iovec in[2] = {{first, sizeof first}, {second, sizeof second}};
    struct sockaddr_storage address;
    char control[64];
    struct msghdr sent = {.msg_iov = out, .msg_iovlen = 3}, nothing = {.msg_iovlen = 0};
    struct msghdr received = {.msg_name = &address,
                              .msg_namelen = sizeof address,
                              .msg_iov = in,
                              .msg_iovlen = 2,
                              .msg_control = control,
                              .msg_controllen = sizeof control};
    begin();
    if (is(net->pair(&world.os, AF_UNIX, SOCK_STREAM, ends), 0)) {
        is(net->recvmsg(&world.os, ends[1], &received, 0), -EAGAIN);
        is(net->recvmsg(&world.os, ends[1], &nothing, 0), -EAGAIN);
        is(net->sendmsg(&world.os, ends[0], &nothing, 0), 0);
        is(net->sendmsg(&world.os, ends[0], &sent, 0), 8); /* there is no room for more */
        is(net->sendmsg(&world.os, ends[0], &sent, 0), -EAGAIN);
        is(net->recvmsg(&world.os, ends[1], &nothing, 0), 0);
        is(net->recvmsg(&world.os, ends[1], &received, MSG_PEEK), 3);
        is(net->recvmsg(&world.os, ends[1], &received, MSG_CMSG_CLOEXEC), 8);
        is(memcmp(first, "012", 3), 0);
        is(memcmp(second, "34567", 5), 0);
        is(received.msg_namelen, 0U);
        is((int)received.msg_controllen, 0);
        is(received.msg_flags, MSG_CMSG_CLOEXEC);
        net->close(&world.os, ends[0]);
        is(net->recvmsg(&world.os, ends[1], &received, 0), 0);
        is(net->sendmsg(&world.os, ends[1], &sent, 0), -EPIPE);
        is(net->recvmsg(&world.os, ends[0], &nothing, 0), -EBADF);
        is(net->sendmsg(&world.os, ends[0], &nothing, 0), -EBADF);
    }
    ctrio__scripted_close(&world);
}

static void what_a_stream_cannot_carry_is_refused_rather_than_lost(void)
{
    intptr_t ends[2];
    char control[64] = {0};
    struct sockaddr_in address = port_80;
    struct iovec piece = {"x", 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    begin();
    if (is(net->pair(&world.os, AF_UNIX, SOCK_STREAM, ends), 0)) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        is(net->sendmsg(&world.os, ends[0], &message, 0), -EINVAL);
        message.msg_controllen = 0;
        message.msg_name = &address;
        message.msg_namelen = sizeof address;
        is(net->sendmsg(&world.os, ends[0], &message, 0), -EISCONN);
        message.msg_namelen = 0;
        is(net->sendmsg(&world.os, ends[0], &message, 0), 1);
    }
    ctrio__scripted_close(&world);
}

static void closing_with_unread_data_resets(void)
{
    intptr_t ends[2];
    char byte;
    begin();
    if (is(net->pair(&world.os, AF_UNIX, SOCK_STREAM, ends), 0)) {
        net->send(&world.os, ends[0], "x", 1, 0);
        net->close(&world.os, ends[1]);
        is(net->recv(&world.os, ends[0], &byte, 1, 0), -ECONNRESET);
        is(net->send(&world.os, ends[0], "x", 1, 0), -EPIPE);
    }
    ctrio__scripted_close(&world);
}

static void options_answer_what_is_known(void)
{
    int value = -1;
    uint32_t size = sizeof value;
    begin();
    intptr_t handle = open_socket();
    if (handle >= 0) {
        is(net->getsockopt(&world.os, handle, SOL_SOCKET, SO_TYPE, &value, &size), 0);
        is(value, SOCK_STREAM);
        is(net->getsockopt(&world.os, handle, SOL_SOCKET, SO_DOMAIN, &value, &size), 0);
        is(value, AF_INET);
        is(net->getsockopt(&world.os, handle, SOL_SOCKET, SO_ACCEPTCONN, &value, &size), 0);
        is(value, 0);
        is(net->getsockopt(&world.os, handle, SOL_SOCKET, SO_LINGER, &value, &size), -ENOPROTOOPT);
        is(net->setsockopt(&world.os, handle, SOL_SOCKET, SO_LINGER, &value, size), 0);
    }
    is(net->setsockopt(&world.os, 7, SOL_SOCKET, SO_LINGER, &value, size), -EBADF);
    is(net->getsockopt(&world.os, 7, SOL_SOCKET, SO_TYPE, &value, &size), -EBADF);
    ctrio__scripted_close(&world);
}

static intptr_t placeholder(void *data)
{
    int *next = data;
    return *next == 12 ? -EMFILE : (*next)++;
}

static void numbers_may_come_from_outside(void)
{
    int next = 10;
    ctrio__scripted_init(
        &world, &(struct ctrio__scripted_options){.new_handle = placeholder, .data = &next});
    net = world.os.net;
    intptr_t server = open_socket();
    if (server == -ENOMEM) {
        ctrio__scripted_close(&world);
        return;
    }
    is(server, (intptr_t)10);
    is(net->adopt(&world.os, 5), (intptr_t)5);
    is(net->adopt(&world.os, 5), (intptr_t)5);
    is(net->adopt(&world.os, -1), (intptr_t)-EBADF);
    net->bind(&world.os, 5, (const struct sockaddr *)&port_80, sizeof port_80);
    net->listen(&world.os, 5, 4);
    is(connect_80(server), -EINPROGRESS);
    intptr_t second = open_socket();
    connect_80(second);
    look();
    is(net->accept(&world.os, 5, NULL, NULL), (intptr_t)-EMFILE);
    next = 20;
    is(net->accept(&world.os, 5, NULL, NULL), (intptr_t)20); /* it was not lost */
    net->release(&world.os, 5);
    is(ctrio__scripted_socket_count(&world), 3U);
    ctrio__scripted_close(&world);
}

/* --- time, jobs, signals -------------------------------------------------------------------- */

static bool sleep_an_hour(struct crew_task *self)
{
    if (self->stage++ != 0)
        return false;
    crew_sleep(self, 3600);
    return true;
}

static void time_passes_only_when_all_sleep(void)
{
    static struct crew crew;
    begin();
    crew_init(&crew);
    crew_add(&crew, "sleeper", sleep_an_hour, NULL);
    uint64_t before = world.os.now(&world.os, CTRIO__MONOTONIC);
    is(crew_run(&crew, &world.os, world.os.io), 0);
    uint64_t after = world.os.now(&world.os, CTRIO__REALTIME);
    ok(after - before >= UINT64_C(3600000000000) || tap_excused());
    ok(after - before < UINT64_C(3600000001000));
    ctrio__scripted_close(&world);
}

static bool wait_for_nothing(struct crew_task *self)
{
    if (self->stage++ != 0)
        return false;
    ctrio__op_init(&self->plain, &ctrio__sleep_forever_kind, NULL);
    crew_do(self, &self->plain);
    return true;
}

static void a_run_that_nothing_can_wake_is_told(void)
{
    static struct crew crew;
    begin();
    crew_init(&crew);
    crew_add(&crew, "stuck", wait_for_nothing, NULL);
    is(crew_run(&crew, &world.os, world.os.io), -EDEADLK);
    ctrio__scripted_close(&world);
}

struct noted {
    struct ctrio__job job;
    struct ctrio__cell *cell;
    int ran, delivered;
};

static void note_ran(struct ctrio__job *job)
{
    ctrio__container(job, struct noted, job)->ran++;
}

static void note_delivered(struct ctrio__job *job)
{
    struct noted *noted = ctrio__container(job, struct noted, job);
    noted->delivered += noted->ran;
    if (noted->cell != NULL)
        world.os.threads->post(&world.os, noted->cell);
}

static void jobs_run_where_they_are_told_to(void)
{
    const struct ctrio__thread_ops *threads;
    struct ctrio__cell cell = {0};
    struct noted jobs[2] = {{.job = {note_ran, note_delivered}},
                            {.job = {note_ran, note_delivered}, .cell = &cell}};
    begin();
    threads = world.os.threads;
    is(threads->start(&world.os, NULL, NULL, "none"), -EAGAIN);
    is(threads->current(&world.os), 1U);
    if (is(threads->run_job(&world.os, &jobs[0].job), 0)) {
        is(jobs[0].ran, 0);
        is(ctrio__scripted_run_jobs(&world), 1U);
        is(jobs[0].delivered, 1);
    }
    if (is(threads->run_job(&world.os, &jobs[1].job), 0)) {
        ok(threads->wait(&world.os, &cell, INFINITY));
        is(jobs[1].delivered, 1);
    }
    uint64_t before = world.now;
    ok(!threads->wait(&world.os, &cell, 0.5));
    is(world.now - before, UINT64_C(500000000));
    ctrio__scripted_close(&world);
}

static void idle_runs_may_run_jobs(void)
{
    static struct crew crew;
    struct noted job = {.job = {note_ran, note_delivered}};
    begin();
    world.idle_runs_jobs = true;
    crew_init(&crew);
    crew_add(&crew, "sleeper", sleep_an_hour, NULL);
    if (is(world.os.threads->run_job(&world.os, &job.job), 0)) {
        is(crew_run(&crew, &world.os, world.os.io), 0);
        ok(job.delivered == 1 || tap_excused());
    }
    ctrio__scripted_close(&world);
}

static int signalled;

static void on_signal(void *arg, int number)
{
    *(int *)arg += number;
}

static void signals_come_when_told_to(void)
{
    begin();
    signalled = 0;
    ok(!ctrio__scripted_raise(&world, SIGTERM));
    is(world.os.watch_signal(&world.os, SIGTERM, on_signal, &signalled), 0);
    is(world.os.watch_signal(&world.os, SIGTERM, on_signal, &signalled), -EBUSY);
    is(world.os.watch_signal(&world.os, 0, on_signal, &signalled), -EINVAL);
    ok(ctrio__scripted_raise(&world, SIGTERM));
    is(signalled, SIGTERM);
    is(world.os.watch_signal(&world.os, SIGTERM, NULL, NULL), 0);
    ok(!ctrio__scripted_raise(&world, SIGTERM));
    ctrio__scripted_close(&world);
}

static void looked_up(struct ctrio__names_op *op)
{
    ++*(int *)op->data;
}

static void names_are_unknown_and_random_bytes_follow_the_seed(void)
{
    unsigned char bytes[2][32];
    int called = 0;
    struct ctrio__names_op op = {.host = "example.org", .done = looked_up, .data = &called};
    for (int i = 0; i < 2; i++) {
        begin();
        is(world.os.random(&world.os, bytes[i], sizeof bytes[i]), 0);
    }
    is(memcmp(bytes[0], bytes[1], sizeof bytes[0]), 0);
    is(world.os.resolve(&world.os, &op), 0);
    is(called, 1);
    is(op.eai, EAI_NONAME);
    ctrio__scripted_close(&world);
}

/* --- the chooser ---------------------------------------------------------------------------- */

static void a_seed_gives_the_same_choices_again_and_another_seed_others(void)
{
    struct ctrio__trace traces[3] = {{0, 0}, {0, 0}, {0, 0}};
    static const uint64_t seeds[] = {5, 5, 6};
    for (int i = 0; i < 3; i++) {
        struct ctrio__scripted_chooser chooser;
        ctrio__scripted_chooser_seed(&chooser, seeds[i], &traces[i]);
        ok(chooser.chooser.task_by_task);
        for (uint32_t n = 2; n < 50; n++)
            ok(chooser.chooser.choose(&chooser.chooser, CTRIO__CHOOSE_TASK, n, n) < n);
    }
    is(traces[0].hash, traces[1].hash);
    ok(traces[0].hash != traces[2].hash);
}

static void a_tape_is_played_and_then_nothing_is_disturbed(void)
{
    static const uint32_t tape[] = {1, 7, 2};
    static const uint32_t expected[] = {1, 0, 2, 0, 0};
    struct ctrio__scripted_chooser chooser;
    struct ctrio__trace trace = {0, 0};
    ctrio__scripted_chooser_play(&chooser, tape, 3, &trace);
    for (int i = 0; i < 5; i++)
        is(chooser.chooser.choose(&chooser.chooser, CTRIO__CHOOSE_TASK, 3, 0), expected[i]);
    is(chooser.position, 5U);
}

static void a_trace_knows_the_order(void)
{
    struct ctrio__trace a = {0, 0}, b = {0, 0};
    ctrio__trace_add(&a, 1);
    ctrio__trace_add(&a, 2);
    ctrio__trace_add(&b, 2);
    ctrio__trace_add(&b, 1);
    ok(a.hash != b.hash);
}

TAP_MAIN(TEST(handles_count_from_two_to_the_thirty_and_calls_need_one),
         TEST(a_backlog_takes_connections_until_it_is_full),
         TEST(closing_a_listener_resets_who_was_not_accepted),
         TEST(ports_are_taken_once_and_given_in_order), TEST(a_stream_is_bounded_ordered_and_ends),
         TEST(a_message_is_cut_where_the_stream_is),
         TEST(what_a_stream_cannot_carry_is_refused_rather_than_lost),
         TEST(closing_with_unread_data_resets), TEST(options_answer_what_is_known),
         TEST(numbers_may_come_from_outside), TEST(time_passes_only_when_all_sleep),
         TEST(a_run_that_nothing_can_wake_is_told), TEST(jobs_run_where_they_are_told_to),
         TEST(idle_runs_may_run_jobs), TEST(signals_come_when_told_to),
         TEST(names_are_unknown_and_random_bytes_follow_the_seed),
         TEST(a_seed_gives_the_same_choices_again_and_another_seed_others),
         TEST(a_tape_is_played_and_then_nothing_is_disturbed), TEST(a_trace_knows_the_order))
