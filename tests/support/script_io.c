/* script_io.c - readiness from an array, time from a variable.
 *
 * The os of a run under test is the struct script_io itself, so nothing here is global and no
 * call leaves the process. */
#include "script_io.h"
#include "kernel/run.h"
#include <string.h>

static struct script_io *from_os(struct ctrio__os *os)
{
    return (struct script_io *)(void *)os;
}

static struct script_io *from_io(struct ctrio__io *io)
{
    return (struct script_io *)(void *)io;
}

void script_io_init(struct script_io *io)
{
    memset(io, 0, sizeof *io);
    ctrio__list_init(&io->waiting);
    io->now = UINT64_C(1000000000);
}

void script_io_make_ready(struct script_io *io, intptr_t handle, enum ctrio__io_interest interest)
{
    io->ready[io->ready_count].handle = handle;
    io->ready[io->ready_count].interest = interest;
    io->ready_count++;
}

uint64_t script_io_now(struct ctrio__os *os, int which)
{
    (void)which;
    return from_os(os)->now;
}

static int io_open(struct ctrio__os *os, struct ctrio_run *run, struct ctrio__io **out)
{
    struct script_io *io = from_os(os);
    (void)run;
    if (io->open_error != 0)
        return io->open_error;
    io->is_open = true;
    *out = (struct ctrio__io *)(void *)io;
    return 0;
}

static void io_close(struct ctrio__io *io)
{
    from_io(io)->is_open = false;
}

static struct script_io_op *waiter(struct script_io *io, intptr_t handle, int interests)
{
    ctrio__list_each (link, &io->waiting) {
        struct script_io_op *op = ctrio__container(link, struct script_io_op, link);
        if (op->handle == handle && ((int)op->interest & interests) != 0)
            return op;
    }
    return NULL;
}

static enum ctrio__abort stop_waiting(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    struct script_io_op *op = task->park_data;
    (void)why;
    ctrio__list_unlink(&op->link);
    return CTRIO__ABORT_SUCCEEDED;
}

/* The op that waits is found through the task: it is being stepped. */
static int io_wait(struct ctrio__io *base, intptr_t handle, enum ctrio__io_interest interest,
                   struct ctrio_task *task)
{
    struct script_io *io = from_io(base);
    struct script_io_op *op = task->park_data;
    if (waiter(io, handle, (int)interest) != NULL)
        return CTRIO_BUSY_RESOURCE;
    ctrio__list_append(&io->waiting, &op->link);
    ctrio__task_park(task, stop_waiting, op);
    return 0;
}

static void wake(struct script_io_op *op, int code)
{
    ctrio__list_unlink(&op->link);
    ctrio__task_wake(op->op.object, code, NULL);
}

static void io_notify_closing(struct ctrio__io *base, intptr_t handle)
{
    struct script_io_op *op;
    while ((op = waiter(from_io(base), handle, CTRIO__READABLE | CTRIO__WRITABLE)) != NULL)
        wake(op, CTRIO_CLOSED_RESOURCE);
}

static int io_get_events(struct ctrio__io *base, double timeout, struct ctrio__io_events *events)
{
    struct script_io *io = from_io(base);
    size_t wakeups = atomic_load(&io->wakeups);
    io->waits++;
    io->last_timeout = timeout;
    events->raw = io->ready;
    events->count = io->ready_count;
    if (wakeups != io->wakeups_seen) {
        io->wakeups_seen = wakeups;
        return events->count;
    }
    if (events->count == 0)
        io->now += (uint64_t)ceil(timeout * 1e9); /* never too short, as of an os */
    return events->count;
}

static void io_process_events(struct ctrio__io *base, const struct ctrio__io_events *events)
{
    struct script_io *io = from_io(base);
    for (int i = 0; i < events->count; i++) {
        struct script_io_op *op = waiter(io, io->ready[i].handle, (int)io->ready[i].interest);
        if (op != NULL)
            wake(op, 0);
    }
    io->ready_count = 0;
}

static void io_force_wakeup(struct ctrio__io *io)
{
    atomic_fetch_add(&from_io(io)->wakeups, 1);
}

static void io_statistics(struct ctrio__io *base, struct ctrio__io_statistics *out)
{
    *out = (struct ctrio__io_statistics){0, 0};
    ctrio__list_each (link, &from_io(base)->waiting) {
        if (ctrio__container(link, struct script_io_op, link)->interest == CTRIO__READABLE)
            out->tasks_waiting_read++;
        else
            out->tasks_waiting_write++;
    }
}

const struct ctrio__io_ops script_io_ops = {
    .name = "script",
    .open = io_open,
    .close = io_close,
    .wait = io_wait,
    .notify_closing = io_notify_closing,
    .get_events = io_get_events,
    .process_events = io_process_events,
    .force_wakeup = io_force_wakeup,
    .statistics = io_statistics,
};

static enum ctrio__step io_step(struct ctrio__op *base, struct ctrio_task *task,
                                struct ctrio__outcome *io)
{
    struct script_io_op *op = ctrio__container(base, struct script_io_op, op);
    struct ctrio_run *run = task->run;
    if (base->stage != 0)
        return CTRIO__DONE;
    base->stage = 1;
    base->object = task;
    task->park_data = op;
    io->code = run->io_ops->wait(run->io, op->handle, op->interest, task);
    return io->code == 0 ? CTRIO__PARKED : CTRIO__DONE;
}

static void io_abandon(struct ctrio__op *base, struct ctrio_task *task)
{
    (void)task;
    ctrio__list_unlink(&ctrio__container(base, struct script_io_op, op)->link);
}
const struct ctrio__op_kind script_io_kind = {
    .verb = "wait io", .step = io_step, .abandon = io_abandon, .bare = true};

void script_io_op_init(struct script_io_op *op, intptr_t handle, enum ctrio__io_interest interest)
{
    *op = (struct script_io_op){.handle = handle, .interest = interest};
    op->op.kind = &script_io_kind;
    ctrio__list_init(&op->link);
}
