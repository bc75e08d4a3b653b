/* epoll.c - who waits for which handle, and what epoll has been told about it.
 *
 * Tasks wait by number, one a direction, as in Trio.  A number is registered in one of two ways:
 *   one-shot   for handles that others own: told anew for each wait, silent after each event;
 *   lasting    edge-triggered, once for the life of a struct ctrio__socket (io/socket.h).
 * Each registration has an epoch, given out once, which its events carry.  Invariant: events of
 * any epoch but the number's present one come from a registration that cannot be reached any more
 * (the number means another file now) or was given up after they were fetched, and are dropped;
 * a socket whose epoch is not the present one registers anew.  So nothing ever has to be known
 * about who closes or reuses numbers behind our back; neither way can make epoll spin.
 * docs/design/io.md: the alternatives, and the five situations that tell them apart. */
#include "io/epoll.h"
#include "base/alloc.h"

enum { EVENTS = 256 }; /* a poll; more wait for the next one */
#define BELL UINT64_MAX

/* What is known of a number.  armed != 0 => epoch != 0.  A waiter => it is armed for it, or an
 * event that wakes it is being processed. */
struct entry {
    struct ctrio_task *reader, *writer; /* parked here; NULL: nobody */
    uint64_t epoch;                     /* of the registration; 0: none */
    uint32_t armed; /* what epoll reports, with EPOLLET or EPOLLONESHOT; 0: nothing */
    bool known;     /* epoll has probably not forgotten it: try to modify it first */
};

struct ctrio__io {
    struct ctrio__os *os;
    const struct ctrio__epoll_calls *calls;
    int epoll;
    int bell[2];           /* read, write */
    uint64_t epoch;        /* the last one given out */
    struct entry *entries; /* by number; owned */
    size_t capacity;
    bool rough; /* only whole milliseconds can be slept; get_events' own */
    struct epoll_event events[EVENTS];
};

int ctrio__epoll_open(struct ctrio__os *os, const struct ctrio__epoll_calls *calls,
                      struct ctrio__io **out)
{
    struct ctrio__io *io = ctrio__alloc(sizeof *io);
    if (io == NULL)
        return -ENOMEM;
    io->os = os;
    io->calls = calls;
    /* Clocks run faster than registrations can be made: no two backends that a socket meets at
     * the same address, one after the other, give out the same epoch. */
    io->epoch = os->now(os, CTRIO__MONOTONIC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = BELL};
    int result = io->epoll = calls->create(os);
    if (result < 0)
        goto fail;
    result = calls->make_bell(os, io->bell);
    if (result < 0)
        goto fail_bell;
    result = calls->control(os, io->epoll, EPOLL_CTL_ADD, io->bell[0], &event);
    if (result < 0)
        goto fail_add;
    *out = io;
    return 0;
fail_add:
    calls->close(os, io->bell[0]);
    calls->close(os, io->bell[1]);
fail_bell:
    calls->close(os, io->epoll);
fail:
    ctrio__free(io);
    CTRIO_ASSERT(result < 0);
    return result;
}

static int open_native(struct ctrio__os *os, struct ctrio_run *run, struct ctrio__io **out)
{
    (void)run;
    return ctrio__epoll_open(os, &ctrio__epoll_calls_native, out);
}

static void close_epoll(struct ctrio__io *io)
{
    io->calls->close(io->os, io->bell[0]);
    io->calls->close(io->os, io->bell[1]);
    io->calls->close(io->os, io->epoll);
    ctrio__free(io->entries);
    ctrio__free(io);
}

static struct entry *find(struct ctrio__io *io, int fd)
{
    CTRIO_ASSERT(fd >= 0);
    return (size_t)fd < io->capacity ? &io->entries[fd] : NULL;
}

/* There was room for it: somebody waits, or it has been registered. */
static struct entry *existing(struct ctrio__io *io, int fd)
{
    struct entry *entry = find(io, fd);
    CTRIO_ASSERT(entry != NULL);
    return entry;
}

static int make_room(struct ctrio__io *io, int fd)
{
    size_t before = io->capacity;
    int result =
        ctrio__reserve((void **)&io->entries, &io->capacity, (size_t)fd + 1, sizeof *io->entries);
    for (size_t i = before; i < io->capacity; i++)
        io->entries[i] = (struct entry){0};
    return result;
}

static struct ctrio_task **slot(struct entry *entry, enum ctrio__io_interest interest)
{
    CTRIO_ASSERT(interest == CTRIO__READABLE || interest == CTRIO__WRITABLE);
    return interest == CTRIO__READABLE ? &entry->reader : &entry->writer;
}

static void wake(struct ctrio_task **waiter, int code)
{
    struct ctrio_task *task = *waiter;
    *waiter = NULL;
    if (task != NULL)
        ctrio__task_wake(task, code, NULL);
}

static uint32_t wanted(const struct entry *entry)
{
    return (entry->reader != NULL ? (uint32_t)EPOLLIN : 0U) |
           (entry->writer != NULL ? (uint32_t)EPOLLOUT : 0U);
}

static uint32_t flag(enum ctrio__io_interest interest)
{
    return interest == CTRIO__READABLE ? (uint32_t)EPOLLIN : (uint32_t)EPOLLOUT;
}

/* Nothing is registered for the number any more; those who wait hear why. */
static void give_up(struct ctrio__io *io, int fd, int code)
{
    struct entry *entry = find(io, fd);
    if (entry == NULL)
        return;
    entry->epoch = 0;
    entry->armed = 0;
    entry->known = false;
    wake(&entry->reader, code);
    wake(&existing(io, fd)->writer, code);
}

static int control(struct ctrio__io *io, int what, int fd, uint32_t flags, uint64_t epoch)
{
    struct epoll_event event = {.events = flags, .data.u64 = epoch << 32 | (uint32_t)fd};
    CTRIO_ASSERT(event.data.u64 != BELL);
    return io->calls->control(io->os, io->epoll, what, fd, &event);
}

/* Makes `flags` what epoll reports of the number, under a new epoch; it reports at once what is
 * already so.  Nobody can know whether epoll still has the number: one of two calls will fit.  The
 * table grows only for numbers that epoll has found to be open. */
static int arm(struct ctrio__io *io, int fd, uint32_t flags)
{
    struct entry *entry = find(io, fd);
    uint64_t epoch = ++io->epoch;
    bool known = entry != NULL && entry->known;
    int result = control(io, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, flags, epoch);
    if (result == (known ? -ENOENT : -EEXIST))
        result = control(io, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, flags, epoch);
    if (result == 0 && entry == NULL) {
        result = make_room(io, fd);
        if (result < 0)
            control(io, EPOLL_CTL_DEL, fd, 0, epoch);
    }
    if (result < 0) {
        give_up(io, fd, result);
        return result;
    }
    entry = existing(io, fd);
    entry->epoch = epoch;
    entry->armed = flags;
    entry->known = true;
    return 0;
}

/* After a waiter of a one-shot registration has gone. */
static void arm_remaining(struct ctrio__io *io, int fd)
{
    struct entry *entry = existing(io, fd);
    uint32_t flags = wanted(entry);
    CTRIO_ASSERT((entry->armed & EPOLLET) == 0);
    if (flags != (entry->armed & ~(uint32_t)EPOLLONESHOT))
        arm(io, fd, flags | EPOLLONESHOT);
    if (flags == 0)
        entry->armed = 0;
}

/* park_data holds the number, plus one, and the direction: entries move, and NULL would say that
 * there is nothing to leave. */
static enum ctrio__abort leave(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    (void)why;
    struct ctrio__io *io = task->run->io;
    intptr_t place = (intptr_t)task->park_data;
    int fd = (int)(place >> 1) - 1;
    struct entry *entry = existing(io, fd);
    struct ctrio_task **waiter = (place & 1) != 0 ? &entry->writer : &entry->reader;
    CTRIO_ASSERT(*waiter == task);
    *waiter = NULL;
    if ((entry->armed & EPOLLET) == 0)
        arm_remaining(io, fd);
    return CTRIO__ABORT_SUCCEEDED;
}

static void park(struct ctrio__io *io, int fd, enum ctrio__io_interest interest,
                 struct ctrio_task *task)
{
    struct entry *entry = existing(io, fd);
    CTRIO_ASSERT(*slot(entry, interest) == NULL);
    CTRIO_ASSERT((entry->armed & flag(interest)) != 0);
    *slot(entry, interest) = task;
    intptr_t place = ((intptr_t)fd + 1) << 1 | (interest == CTRIO__WRITABLE);
    ctrio__task_park(task, leave, (void *)place);
}

/* A wait by number on what a socket has registered for good: the caller has not tried before, so
 * epoll must look again.  -ENOENT: the number means another file now. */
static int share(struct ctrio__io *io, int fd, enum ctrio__io_interest interest)
{
    struct entry *entry = existing(io, fd);
    CTRIO_ASSERT(entry->epoch != 0);
    uint32_t flags = entry->armed | flag(interest);
    int result = control(io, EPOLL_CTL_MOD, fd, flags, entry->epoch);
    if (result == 0)
        entry->armed = flags;
    return result;
}

static int wait_handle(struct ctrio__io *io, intptr_t handle, enum ctrio__io_interest interest,
                       struct ctrio_task *task)
{
    if (handle < 0 || handle > INT32_MAX)
        return -EBADF;
    int fd = (int)handle;
    struct entry *entry = find(io, fd);
    if (entry != NULL && *slot(entry, interest) != NULL)
        return CTRIO_BUSY_RESOURCE;
    int result = -ENOENT;
    if (entry != NULL && (entry->armed & EPOLLET) != 0)
        result = share(io, fd, interest);
    if (result != 0) {
        uint32_t others = entry != NULL ? wanted(entry) : 0;
        result = arm(io, fd, others | flag(interest) | EPOLLONESHOT);
    }
    if (result == 0)
        park(io, fd, interest, task);
    return result;
}

static bool registered(const struct ctrio__io *io, const struct entry *entry,
                       const struct ctrio__socket *socket)
{
    return entry != NULL && socket->io == io && socket->epoch != 0 && socket->epoch == entry->epoch;
}

/* A socket that only ever waits to read is not told that it can write, which it always can. */
int ctrio__epoll_wait_socket(struct ctrio__io *io, struct ctrio__socket *socket,
                             enum ctrio__io_interest interest, struct ctrio_task *task)
{
    if (socket->handle < 0 || socket->handle > INT32_MAX)
        return -EBADF;
    int fd = (int)socket->handle;
    struct entry *entry = find(io, fd);
    if (entry != NULL && *slot(entry, interest) != NULL)
        return CTRIO_BUSY_RESOURCE;
    bool ours = registered(io, entry, socket);
    CTRIO_ASSERT(!ours || (entry->armed & EPOLLET) != 0);
    if (!ours || (entry->armed & flag(interest)) == 0) {
        uint32_t others = entry != NULL ? wanted(entry) : 0;
        int result = arm(io, fd, others | EPOLLIN | flag(interest) | EPOLLET);
        if (result < 0)
            return result;
        socket->io = io;
        socket->epoch = existing(io, fd)->epoch;
    }
    park(io, fd, interest, task);
    return 0;
}

static void notify_closing(struct ctrio__io *io, intptr_t handle)
{
    struct entry *entry = handle >= 0 && handle <= INT32_MAX ? find(io, (int)handle) : NULL;
    if (entry == NULL || !entry->known)
        return;
    control(io, EPOLL_CTL_DEL, (int)handle, 0, 0); /* fails if it is too late, and need not */
    give_up(io, (int)handle, CTRIO_CLOSED_RESOURCE);
}

static int sleep_and_look(struct ctrio__io *io, double timeout)
{
    struct ctrio__os *os = io->os;
    const struct ctrio__epoll_calls *calls = io->calls;
    if (timeout > 0 && !io->rough) {
        double seconds = timeout < 86400 ? timeout : 86400;
        int result = calls->wait_exactly(os, io->epoll, io->events, EVENTS, seconds);
        if (result != -ENOSYS && result != -EPERM)
            return result;
        io->rough = true;
    }
    double milliseconds = timeout < 86400 ? ceil(timeout * 1000) : 86400e3;
    return calls->wait(os, io->epoll, io->events, EVENTS, (int)milliseconds);
}

static int get_events(struct ctrio__io *io, double timeout, struct ctrio__io_events *events)
{
    CTRIO_ASSERT(timeout >= 0);
    int result = sleep_and_look(io, timeout);
    if (result == -EINTR)
        result = 0;
    *events = (struct ctrio__io_events){io->events, result < 0 ? 0 : result};
    CTRIO_ASSERT(events->count <= EVENTS);
    return result;
}

static void process_event(struct ctrio__io *io, const struct epoll_event *event)
{
    if (event->data.u64 == BELL) {
        io->calls->quiet_bell(io->os, io->bell[0]);
        return;
    }
    int fd = (int)(uint32_t)event->data.u64;
    struct entry *entry = find(io, fd);
    if (entry == NULL || entry->epoch == 0 ||
        (uint32_t)entry->epoch != (uint32_t)(event->data.u64 >> 32))
        return;
    uint64_t epoch = entry->epoch;
    bool lasting = (entry->armed & EPOLLET) != 0;
    if (!lasting)
        entry->armed = 0;
    /* An error or a hang-up is news for both directions. */
    if ((event->events & ~(uint32_t)EPOLLIN) != 0)
        wake(&entry->writer, 0);
    if ((event->events & ~(uint32_t)EPOLLOUT) != 0)
        wake(&entry->reader, 0);
    if (!lasting && entry->epoch == epoch) /* a wake may run instruments, which may close */
        arm_remaining(io, fd);
}

static void process_events(struct ctrio__io *io, const struct ctrio__io_events *events)
{
    const struct epoll_event *raw = events->raw;
    for (int i = 0; i < events->count; i++)
        process_event(io, &raw[i]);
}

static void force_wakeup(struct ctrio__io *io)
{
    io->calls->ring_bell(io->os, io->bell[1]);
}

static intptr_t bell_handle(struct ctrio__io *io)
{
    return io->bell[1];
}

static void statistics(struct ctrio__io *io, struct ctrio__io_statistics *out)
{
    *out = (struct ctrio__io_statistics){0};
    for (size_t i = 0; i < io->capacity; i++) {
        out->tasks_waiting_read += io->entries[i].reader != NULL;
        out->tasks_waiting_write += io->entries[i].writer != NULL;
    }
}

const struct ctrio__io_ops ctrio__epoll_ops = {
    .name = "epoll",
    .open = open_native,
    .close = close_epoll,
    .wait = wait_handle,
    .notify_closing = notify_closing,
    .get_events = get_events,
    .process_events = process_events,
    .force_wakeup = force_wakeup,
    .bell = bell_handle,
    .statistics = statistics,
};
