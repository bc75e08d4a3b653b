/* The floor of the echo row: an echo server of nothing but epoll, recv and send.
 *
 * One level-triggered registration a connection, one recv and one send a request; an answer that
 * does not fit the send buffer is waited for with poll, since this server has no other work then.
 * Like the other servers it prints {"port": …} and serves until it is killed, with a deadline an
 * hour away.
 *
 * Refused: edge-triggered and one-shot registrations (no faster, or slower) and io_uring (within
 * the noise of a loopback server). The floor is meant to be what anyone would write.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, BUFFER_BYTES = 65536, BACKLOG = 1024, FAR_MS = 3600 * 1000 };

static void die(const char *what)
{
    fprintf(stderr, "echo_server_raw: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll_ctl");
    }
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, BACKLOG) < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
        die("listen");
    }
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_one(int epoll_fd, int listen_fd)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EAGAIN || errno == ECONNABORTED) {
            return;
        }
        die("accept4");
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(epoll_fd, fd);
}

static bool send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent > 0) {
            assert((size_t)sent <= length);
            data += sent;
            length -= (size_t)sent;
        } else if (errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            (void)poll(&room, 1, -1);
        } else {
            return false;
        }
    }
    return true;
}

static void echo_once(int fd)
{
    static char buffer[BUFFER_BYTES];
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0 || !send_all(fd, buffer, (size_t)got)) {
        close(fd);
    }
}

int main(void)
{
    struct epoll_event events[EVENTS_MAX];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) {
        die("epoll_create1");
    }
    int listen_fd = listen_on_loopback();
    watch(epoll_fd, listen_fd);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, FAR_MS);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listen_fd) {
                accept_one(epoll_fd, listen_fd);
            } else {
                echo_once(fd);
            }
        }
    }
}
