/* rig.c - counting and failing on the way to the native epoll. */
#include "rig.h"
#include <string.h>
#include <sys/socket.h>

static struct rig *rig_of(struct ctrio__os *os)
{
    return (struct rig *)(void *)os;
}

static int count(struct rig *rig, enum rig_call call)
{
    rig->calls[call]++;
    return rig->fail[call];
}

static int create(struct ctrio__os *os)
{
    int failure = count(rig_of(os), RIG_CREATE);
    return failure != 0 ? failure : ctrio__epoll_calls_native.create(os);
}

static int control(struct ctrio__os *os, int epoll, int what, int fd, struct epoll_event *event)
{
    struct rig *rig = rig_of(os);
    int failure = count(rig, RIG_CONTROL);
    rig->adds += what == EPOLL_CTL_ADD;
    rig->modifies += what == EPOLL_CTL_MOD;
    rig->deletes += what == EPOLL_CTL_DEL;
    if (failure != 0)
        return failure;
    return ctrio__epoll_calls_native.control(os, epoll, what, fd, event);
}

static int got(struct rig *rig, int result)
{
    rig->events += result > 0 ? (unsigned)result : 0;
    return result;
}

static int wait_roughly(struct ctrio__os *os, int epoll, struct epoll_event *events, int room,
                        int milliseconds)
{
    struct rig *rig = rig_of(os);
    int failure = count(rig, RIG_WAIT);
    rig->last_milliseconds = milliseconds;
    if (failure != 0 || rig->asleep)
        return failure;
    return got(rig, ctrio__epoll_calls_native.wait(os, epoll, events, room, milliseconds));
}

static int wait_exactly(struct ctrio__os *os, int epoll, struct epoll_event *events, int room,
                        double seconds)
{
    struct rig *rig = rig_of(os);
    int failure = count(rig, RIG_WAIT_EXACTLY);
    rig->last_seconds = seconds;
    if (failure != 0 || rig->asleep)
        return failure;
    return got(rig, ctrio__epoll_calls_native.wait_exactly(os, epoll, events, room, seconds));
}

static int make_bell(struct ctrio__os *os, int ends[2])
{
    int failure = count(rig_of(os), RIG_BELL);
    return failure != 0 ? failure : ctrio__epoll_calls_native.make_bell(os, ends);
}

static void ring_bell(struct ctrio__os *os, int end)
{
    ctrio__epoll_calls_native.ring_bell(os, end);
}

static void quiet_bell(struct ctrio__os *os, int end)
{
    ctrio__epoll_calls_native.quiet_bell(os, end);
}

static void close_fd(struct ctrio__os *os, int fd)
{
    rig_of(os)->closes++;
    ctrio__epoll_calls_native.close(os, fd);
}

const struct ctrio__epoll_calls rig_calls = {
    .create = create,
    .control = control,
    .wait = wait_roughly,
    .wait_exactly = wait_exactly,
    .make_bell = make_bell,
    .ring_bell = ring_bell,
    .quiet_bell = quiet_bell,
    .close = close_fd,
};

static int open_rigged(struct ctrio__os *os, struct ctrio_run *run, struct ctrio__io **out)
{
    (void)run;
    return ctrio__epoll_open(os, &rig_calls, out);
}

static bool keep_body(struct crew_task *self)
{
    if (self->stage++ != 0)
        return false;
    ctrio__op_init(&self->plain, &ctrio__sleep_forever_kind, NULL);
    crew_do(self, &self->plain);
    return true;
}

void rig_init(struct rig *rig)
{
    static struct ctrio__io_ops ops;
    ops = ctrio__epoll_ops;
    ops.open = open_rigged;
    memset(rig, 0, sizeof *rig);
    ctrio__native_os_init(&rig->native);
    rig->native.os.io = &ops;
    crew_init(&rig->crew);
    rig->keeper = crew_add(&rig->crew, "keeper", keep_body, NULL);
}

static void gone(void *arg)
{
    (void)arg;
}

void rig_close(struct rig *rig)
{
    ctrio__thread_cache_close(&rig->native.cache, gone, NULL);
}

bool rig_start(struct rig *rig)
{
    int result = crew_open(&rig->crew, &rig->native.os, rig->native.os.io);
    return is(result, 0);
}

void rig_settle(struct rig *rig)
{
    struct ctrio_run *run = &rig->crew.run;
    for (int i = 0; i < 100; i++) {
        unsigned before = rig->events;
        bool busy = run->ready_count != 0;
        if (!crew_turn(&rig->crew, 0))
            return;
        if (!busy && rig->events == before && run->ready_count == 0)
            return;
    }
}

unsigned rig_idle_events(struct rig *rig, int turns)
{
    unsigned before = rig->events;
    for (int i = 0; i < turns; i++)
        crew_turn(&rig->crew, 0);
    return rig->events - before;
}

int rig_finish(struct rig *rig)
{
    crew_cancel(rig->keeper);
    rig_settle(rig);
    bool stuck = ctrio__run_alive(&rig->crew.run) && rig->crew.failed == 0;
    int result = crew_close(&rig->crew);
    return stuck ? 1 : result;
}

struct ctrio__io *rig_io(struct rig *rig)
{
    return rig->crew.run.io;
}

void rig_pair(intptr_t out[2])
{
    is(ctrio__net_native.pair(NULL, AF_UNIX, SOCK_STREAM, out), 0);
}

void rig_say(intptr_t to)
{
    is(write((int)to, "x", 1), 1);
}

void rig_fill(intptr_t handle)
{
    static char block[65536];
    while (write((int)handle, block, sizeof block) > 0) {
    }
}

void rig_drain(intptr_t handle)
{
    static char block[65536];
    while (read((int)handle, block, sizeof block) > 0) {
    }
}

bool rig_wait_body(struct crew_task *self)
{
    struct rig_wait *data = self->data;
    if (self->stage > 0 && self->code == 0)
        data->woken++;
    int times = data->times > 0 ? data->times : 1;
    if (self->code < 0 || self->stage++ >= times)
        return false;
    ctrio__wait_handle_init(&data->op, data->handle, data->interest);
    crew_do(self, &data->op.op);
    return true;
}

bool rig_receive_body(struct crew_task *self)
{
    struct rig_receive *data = self->data;
    if (self->stage > 0 && self->code > 0)
        data->received += self->code;
    int times = data->times > 0 ? data->times : 1;
    if (self->code < 0 || self->stage++ >= times)
        return false;
    ctrio__receive_some_init(&data->op, data->socket, data->buffer, sizeof data->buffer, 0);
    crew_do(self, &data->op.head.base.op);
    return true;
}

bool rig_send_body(struct crew_task *self)
{
    struct rig_send *data = self->data;
    if (self->stage++ > 0)
        return false;
    ctrio__send_all_init(&data->op, data->socket, data->data, data->size, NULL);
    crew_do(self, &data->op.part.head.base.op);
    return true;
}
