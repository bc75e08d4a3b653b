/* epoll_native.c - epoll itself.
 *
 * epoll_pwait2 is called by number: the C library may be older than the system, and the system
 * older than both, which is found out by calling it. */
#include "io/epoll.h"
#include <fcntl.h>
#include <linux/time_types.h>
#include <math.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* the same on every architecture */
#endif

static int create(struct ctrio__os *os)
{
    (void)os;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int control(struct ctrio__os *os, int epoll, int what, int fd, struct epoll_event *event)
{
    (void)os;
    return epoll_ctl(epoll, what, fd, event) < 0 ? -errno : 0;
}

static int wait_roughly(struct ctrio__os *os, int epoll, struct epoll_event *events, int room,
                        int milliseconds)
{
    (void)os;
    int count = epoll_wait(epoll, events, room, milliseconds);
    return count < 0 ? -errno : count;
}

static int wait_exactly(struct ctrio__os *os, int epoll, struct epoll_event *events, int room,
                        double seconds)
{
    (void)os;
    CTRIO_ASSERT(seconds >= 0 && seconds < 1e9);
    double whole = floor(seconds);
    struct __kernel_timespec time = {(long long)whole, (long long)ceil((seconds - whole) * 1e9)};
    if (time.tv_nsec >= 1000000000) {
        time.tv_nsec -= 1000000000;
        time.tv_sec++;
    }
    long count = syscall(SYS_epoll_pwait2, epoll, events, room, &time, NULL, 0);
    return count < 0 ? -errno : (int)count;
}

/* Not an eventfd: that takes eight bytes at a time, and signal handlers write one. */
static int make_bell(struct ctrio__os *os, int ends[2])
{
    (void)os;
    return pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

static void ring_bell(struct ctrio__os *os, int end)
{
    (void)os;
    int saved = errno;
    ssize_t written = write(end, "", 1);
    (void)written; /* full: it rings already */
    errno = saved;
}

static void quiet_bell(struct ctrio__os *os, int end)
{
    (void)os;
    char bytes[256];
    while (read(end, bytes, sizeof bytes) == sizeof bytes)
        continue;
}

static void close_fd(struct ctrio__os *os, int fd)
{
    (void)os;
    close(fd);
}

const struct ctrio__epoll_calls ctrio__epoll_calls_native = {
    .create = create,
    .control = control,
    .wait = wait_roughly,
    .wait_exactly = wait_exactly,
    .make_bell = make_bell,
    .ring_bell = ring_bell,
    .quiet_bell = quiet_bell,
    .close = close_fd,
};
