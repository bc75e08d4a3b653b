/* test_net.c - the native socket calls: what they answer, and how their descriptors are born. */
#include "io/net.h"
#include "os/native.h"
#include "tap.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct ctrio__net_ops *const net = &ctrio__net_native;

static bool well_born(intptr_t handle)
{
    return (fcntl((int)handle, F_GETFD) & FD_CLOEXEC) != 0 &&
           (fcntl((int)handle, F_GETFL) & O_NONBLOCK) != 0;
}

/* What the system does on loopback, it may do a moment later. */
static void await(intptr_t handle, short events)
{
    struct pollfd one = {.fd = (int)handle, .events = events};
    is(poll(&one, 1, 60000), 1);
}

/* A listener on loopback; its address in *address. */
static intptr_t listener(struct sockaddr_in *address)
{
    uint32_t size = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    intptr_t handle = net->open(NULL, AF_INET, SOCK_STREAM, 0);
    ok(handle >= 0);
    is(net->bind(NULL, handle, (struct sockaddr *)address, size), 0);
    is(net->name(NULL, handle, false, (struct sockaddr *)address, &size), 0);
    is(size, (uint32_t)sizeof *address);
    return handle;
}

static void a_connection_over_loopback_carries_bytes_both_ways(void)
{
    struct sockaddr_in address, peer;
    char buffer[8] = {0};
    intptr_t server = listener(&address);
    is(net->accept(NULL, server, NULL, NULL), -EINVAL); /* not yet listening */
    is(net->listen(NULL, server, 8), 0);
    is(net->accept(NULL, server, NULL, NULL), -EAGAIN);
    intptr_t client = net->open(NULL, AF_INET, SOCK_STREAM, 0);
    int result = net->connect(NULL, client, (struct sockaddr *)&address, sizeof address);
    ok(result == 0 || result == -EINPROGRESS);
    uint32_t size = sizeof peer;
    await(server, POLLIN);
    intptr_t accepted = net->accept(NULL, server, (struct sockaddr *)&peer, &size);
    ok(accepted >= 0);
    is(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    ok(well_born(server) && well_born(client) && well_born(accepted));
    is(net->send(NULL, client, "ping", 4, 0), 4);
    await(accepted, POLLIN);
    is(net->recv(NULL, accepted, buffer, sizeof buffer, MSG_PEEK), 4);
    is(net->recv(NULL, accepted, buffer, sizeof buffer, 0), 4);
    ok(memcmp(buffer, "ping", 4) == 0);
    is(net->recv(NULL, accepted, buffer, sizeof buffer, 0), -EAGAIN);
    is(net->shutdown(NULL, accepted, SHUT_WR), 0);
    await(client, POLLIN);
    is(net->recv(NULL, client, buffer, sizeof buffer, 0), 0);
    size = sizeof peer;
    is(net->name(NULL, client, true, (struct sockaddr *)&peer, &size), 0);
    is(peer.sin_port, address.sin_port);
    is(net->close(NULL, client), 0);
    is(net->close(NULL, accepted), 0);
    is(net->close(NULL, server), 0);
}

static void options_are_read_and_written(void)
{
    int value = 0, one = 1;
    uint32_t size = sizeof value;
    intptr_t handle = net->open(NULL, AF_INET, SOCK_STREAM, 0);
    is(net->getsockopt(NULL, handle, SOL_SOCKET, SO_TYPE, &value, &size), 0);
    is(value, SOCK_STREAM);
    is(net->setsockopt(NULL, handle, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    is(net->getsockopt(NULL, handle, SOL_SOCKET, SO_REUSEADDR, &value, &size), 0);
    is(value, 1);
    is(net->setsockopt(NULL, handle, SOL_SOCKET, 123456, &one, sizeof one), -ENOPROTOOPT);
    is(net->close(NULL, handle), 0);
}

static void a_refused_connection_says_so(void)
{
    struct sockaddr_in address;
    intptr_t nobody = listener(&address); /* bound, so that nobody else gets it; not listening */
    intptr_t client = net->open(NULL, AF_INET, SOCK_STREAM, 0);
    int error = -net->connect(NULL, client, (struct sockaddr *)&address, sizeof address);
    uint32_t size = sizeof error;
    if (error == EINPROGRESS) {
        await(client, POLLOUT);
        is(net->getsockopt(NULL, client, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    }
    is(error, ECONNREFUSED);
    is(net->close(NULL, client), 0);
    is(net->close(NULL, nobody), 0);
}

static void a_send_to_nobody_raises_no_signal(void)
{
    intptr_t ends[2];
    struct iovec piece = {"x", 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    signal(SIGPIPE, SIG_DFL); /* which would end us */
    is(net->pair(NULL, AF_UNIX, SOCK_STREAM, ends), 0);
    is(net->close(NULL, ends[1]), 0);
    is(net->send(NULL, ends[0], "x", 1, 0), -EPIPE);
    is(net->sendmsg(NULL, ends[0], &message, 0), -EPIPE);
    is(net->write(NULL, ends[0], "x", 1), -EPIPE);
    is(net->close(NULL, ends[0]), 0);
}

static void a_write_to_a_broken_pipe_raises_no_signal_and_eats_none(void)
{
    int ends[2];
    sigset_t only, pending, before;
    signal(SIGPIPE, SIG_DFL);
    is(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    is(net->write(NULL, ends[1], "ab", 2), 2);
    char buffer[4];
    is(net->read(NULL, ends[0], buffer, sizeof buffer), 2);
    is(net->read(NULL, ends[0], buffer, sizeof buffer), -EAGAIN);
    close(ends[0]);
    is(net->write(NULL, ends[1], "x", 1), -EPIPE);
    /* One that was waiting already stays, and so does the mask. */
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    sigprocmask(SIG_BLOCK, &only, &before);
    raise(SIGPIPE);
    is(net->write(NULL, ends[1], "x", 1), -EPIPE);
    sigpending(&pending);
    is(sigismember(&pending, SIGPIPE), 1);
    signal(SIGPIPE, SIG_IGN); /* throws it away */
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    close(ends[1]);
}

/* A copy of stderr through a message, received with these flags; -1 if none came. */
static int pass_stderr(const intptr_t ends[2], int flags)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    char byte = 'x';
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    int sent = STDERR_FILENO, received = -1;
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof sent);
    memcpy(CMSG_DATA(&control.head), &sent, sizeof sent);
    is(net->recvmsg(NULL, ends[1], &message, flags), -EAGAIN);
    message.msg_controllen = sizeof control.room;
    is(net->sendmsg(NULL, ends[0], &message, 0), 1);
    is(net->recvmsg(NULL, ends[1], &message, flags), 1);
    is(message.msg_flags, flags); /* the system gives this one back */
    memcpy(&received, CMSG_DATA(&control.head), sizeof received);
    return received != sent ? received : -1;
}

static void descriptors_that_arrive_in_messages_are_close_on_exec_if_asked_for(void)
{
    intptr_t ends[2];
    is(net->pair(NULL, AF_UNIX, SOCK_STREAM, ends), 0);
    int plain = pass_stderr(ends, 0), protected = pass_stderr(ends, MSG_CMSG_CLOEXEC);
    ok(plain >= 0 && protected >= 0);
    ok((fcntl(plain, F_GETFD) & FD_CLOEXEC) == 0);
    ok((fcntl(protected, F_GETFD) & FD_CLOEXEC) != 0);
    close(plain);
    close(protected);
    is(net->close(NULL, ends[0]), 0);
    is(net->close(NULL, ends[1]), 0);
}

static void an_adopted_descriptor_becomes_non_blocking(void)
{
    int ends[2];
    is(pipe(ends), 0);
    is(net->adopt(NULL, ends[0]), (intptr_t)ends[0]);
    ok((fcntl(ends[0], F_GETFL) & O_NONBLOCK) != 0);
    is(net->adopt(NULL, ends[0]), (intptr_t)ends[0]);
    net->release(NULL, ends[0]);
    close(ends[0]);
    close(ends[1]);
    is(net->adopt(NULL, ends[0]), -EBADF);
}

static void a_number_that_is_no_descriptor_is_nobodys(void)
{
    char byte = 'x';
    struct sockaddr_in address = {.sin_family = AF_INET};
    /* Cut down to an int, the last one would be standard output. */
    const intptr_t handles[] = {-1, 1000000,
                                (intptr_t)(sizeof(intptr_t) > 4 ? (INT64_C(1) << 32) + 1 : -2)};
    for (int i = 0; i < 3; i++) {
        intptr_t handle = handles[i];
        is(net->recv(NULL, handle, &byte, 1, 0), -EBADF);
        is(net->send(NULL, handle, &byte, 1, 0), -EBADF);
        is(net->read(NULL, handle, &byte, 1), -EBADF);
        is(net->write(NULL, handle, &byte, 1), -EBADF);
        is(net->accept(NULL, handle, NULL, NULL), -EBADF);
        is(net->listen(NULL, handle, 1), -EBADF);
        is(net->connect(NULL, handle, (struct sockaddr *)&address, sizeof address), -EBADF);
        is(net->bind(NULL, handle, (struct sockaddr *)&address, sizeof address), -EBADF);
        is(net->shutdown(NULL, handle, SHUT_WR), -EBADF);
        is(net->close(NULL, handle), -EBADF);
    }
}

static void kinds_that_do_not_exist_are_refused(void)
{
    intptr_t ends[2];
    is(net->open(NULL, AF_INET, 77, 0), -EINVAL);
    is(net->open(NULL, 9999, SOCK_STREAM, 0), -EAFNOSUPPORT);
    is(net->pair(NULL, AF_INET, SOCK_STREAM, ends), -EOPNOTSUPP);
    is(net->pair(NULL, AF_UNIX, SOCK_STREAM, ends), 0);
    ok(well_born(ends[0]) && well_born(ends[1]));
    close((int)ends[0]);
    close((int)ends[1]);
}

TAP_MAIN(TEST(a_connection_over_loopback_carries_bytes_both_ways),
         TEST(options_are_read_and_written), TEST(a_refused_connection_says_so),
         TEST(a_send_to_nobody_raises_no_signal),
         TEST(a_write_to_a_broken_pipe_raises_no_signal_and_eats_none),
         TEST(descriptors_that_arrive_in_messages_are_close_on_exec_if_asked_for),
         TEST(an_adopted_descriptor_becomes_non_blocking),
         TEST(a_number_that_is_no_descriptor_is_nobodys), TEST(kinds_that_do_not_exist_are_refused))
