/* scripted.c - time, readiness, threads and the rest of an os that exists only in memory.
 *
 * Invariant: the clock moves only where a real one would find us asleep.  A wait that nothing in
 * this world can end is told so (-EDEADLK) instead of sleeping for ever; handles become ready in
 * the order in which tasks began to wait for them, never by number or address. */
#include "io/scripted.h"
#include "base/alloc.h"
#include "io/scripted_net.h"
#include "kernel/run.h"
#include <netdb.h>
#include <string.h>

struct sim_wait {
    struct ctrio_list link; /* on world->waits or world->free_waits */
    intptr_t handle;
    enum ctrio__io_interest interest;
    struct ctrio_task *task;
};

static struct ctrio__scripted *world_of(struct ctrio__io *io)
{
    return (struct ctrio__scripted *)(void *)io; /* the world is its own backend */
}

/* --- readiness --------------------------------------------------------------------- */

static int io_open(struct ctrio__os *os, struct ctrio_run *run, struct ctrio__io **out)
{
    (void)run;
    *out = (struct ctrio__io *)(void *)ctrio__scripted_of(os);
    return 0;
}

static void release_waits(struct ctrio_list *waits)
{
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(waits)) != NULL)
        ctrio__free(ctrio__container(link, struct sim_wait, link));
}

static void io_close(struct ctrio__io *io)
{
    struct ctrio__scripted *world = world_of(io);
    release_waits(&world->waits);
    release_waits(&world->free_waits);
}

static void finish(struct ctrio__scripted *world, struct sim_wait *wait)
{
    ctrio__list_unlink(&wait->link);
    ctrio__list_append(&world->free_waits, &wait->link);
}

static void wake(struct ctrio__scripted *world, struct sim_wait *wait, int code)
{
    struct ctrio_task *task = wait->task;
    CTRIO_ASSERT(task->park_data == wait);
    finish(world, wait);
    ctrio__task_wake(task, code, NULL);
}

static enum ctrio__abort leave(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    (void)why;
    finish(world_of(task->run->io), task->park_data);
    return CTRIO__ABORT_SUCCEEDED;
}

static struct sim_wait *new_wait(struct ctrio__scripted *world)
{
    struct ctrio_list *link = ctrio__list_pop(&world->free_waits);
    if (link != NULL)
        return ctrio__container(link, struct sim_wait, link);
    struct sim_wait *wait = ctrio__alloc(sizeof *wait);
    if (wait != NULL)
        ctrio__list_init(&wait->link);
    return wait;
}

static int io_wait(struct ctrio__io *io, intptr_t handle, enum ctrio__io_interest interest,
                   struct ctrio_task *task)
{
    struct ctrio__scripted *world = world_of(io);
    if (ctrio__sim_find(world, handle) == NULL)
        return -EBADF;
    ctrio__list_each (link, &world->waits) {
        struct sim_wait *other = ctrio__container(link, struct sim_wait, link);
        if (other->handle == handle && other->interest == interest)
            return CTRIO_BUSY_RESOURCE;
    }
    struct sim_wait *wait = new_wait(world);
    if (wait == NULL)
        return -ENOMEM;
    wait->handle = handle;
    wait->interest = interest;
    wait->task = task;
    ctrio__list_append(&world->waits, &wait->link);
    ctrio__task_park(task, leave, wait);
    return 0;
}

static void io_notify_closing(struct ctrio__io *io, intptr_t handle)
{
    struct ctrio__scripted *world = world_of(io);
    for (struct ctrio_list *at = world->waits.next; at != &world->waits;) {
        struct sim_wait *wait = ctrio__container(at, struct sim_wait, link);
        at = at->next;
        if (wait->handle != handle)
            continue;
        wake(world, wait, CTRIO_CLOSED_RESOURCE);
        at = world->waits.next; /* a wake may run instruments, which may close */
    }
}

static bool is_ready(struct ctrio__scripted *world, const struct sim_wait *wait)
{
    return (ctrio__sim_ready(world, wait->handle) & (int)wait->interest) != 0;
}

static struct sim_wait *first_ready(struct ctrio__scripted *world)
{
    ctrio__list_each (link, &world->waits) {
        struct sim_wait *wait = ctrio__container(link, struct sim_wait, link);
        if (is_ready(world, wait))
            return wait;
    }
    return NULL;
}

static int count_ready(struct ctrio__scripted *world)
{
    int count = 0;
    ctrio__sim_arrive(world);
    ctrio__list_each (link, &world->waits)
        count += is_ready(world, ctrio__container(link, struct sim_wait, link));
    if (count == 0 && world->idle_runs_jobs)
        ctrio__scripted_run_jobs(world);
    count += world->woken;
    world->woken = false;
    return count;
}

static void pass(struct ctrio__scripted *world, double seconds)
{
    CTRIO_ASSERT(seconds >= 0);
    world->now += (uint64_t)ceil(seconds * 1e9);
    ctrio__trace_add(world->options.trace, world->now);
}

/* A run caps what it sleeps at a day: one that would sleep for so long waits for nothing. */
static int io_get_events(struct ctrio__io *io, double timeout, struct ctrio__io_events *events)
{
    struct ctrio__scripted *world = world_of(io);
    *events = (struct ctrio__io_events){world, count_ready(world)};
    if (events->count != 0 || timeout <= 0)
        return events->count;
    if (timeout >= 86400)
        return -EDEADLK;
    pass(world, timeout);
    return 0;
}

static void io_process_events(struct ctrio__io *io, const struct ctrio__io_events *events)
{
    struct ctrio__scripted *world = world_of(io);
    if (events->count == 0)
        return;
    CTRIO_ASSERT(events->raw == world);
    struct sim_wait *wait;
    while ((wait = first_ready(world)) != NULL)
        wake(world, wait, 0);
}

static void io_force_wakeup(struct ctrio__io *io)
{
    world_of(io)->woken = true;
}

static void io_statistics(struct ctrio__io *io, struct ctrio__io_statistics *out)
{
    *out = (struct ctrio__io_statistics){0};
    ctrio__list_each (link, &world_of(io)->waits) {
        const struct sim_wait *wait = ctrio__container(link, struct sim_wait, link);
        out->tasks_waiting_read += wait->interest == CTRIO__READABLE;
        out->tasks_waiting_write += wait->interest == CTRIO__WRITABLE;
    }
}

const struct ctrio__io_ops ctrio__scripted_io = {
    .name = "scripted",
    .open = io_open,
    .close = io_close,
    .wait = io_wait,
    .notify_closing = io_notify_closing,
    .get_events = io_get_events,
    .process_events = io_process_events,
    .force_wakeup = io_force_wakeup,
    .statistics = io_statistics,
};

/* --- threads: there are none, jobs run where they are told to ---------------------- */

static int no_thread(struct ctrio__os *os, void (*fn)(void *arg), void *arg, const char *name)
{
    (void)os;
    (void)fn;
    (void)arg;
    (void)name;
    return -EAGAIN;
}

struct sim_job {
    struct ctrio_list link; /* on world->jobs */
    struct ctrio__job *job;
};

static int run_job(struct ctrio__os *os, struct ctrio__job *job)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    struct sim_job *later = ctrio__alloc(sizeof *later);
    if (later == NULL)
        return -ENOMEM;
    ctrio__list_init(&later->link);
    later->job = job;
    ctrio__list_append(&world->jobs, &later->link);
    return 0;
}

size_t ctrio__scripted_run_jobs(struct ctrio__scripted *world)
{
    size_t count = 0;
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&world->jobs)) != NULL) {
        struct sim_job *later = ctrio__container(link, struct sim_job, link);
        struct ctrio__job *job = later->job;
        ctrio__free(later);
        job->fn(job);
        job->deliver(job);
        count++;
    }
    CTRIO_ASSERT(ctrio__list_empty(&world->jobs));
    return count;
}

/* The only thread waits for itself: jobs may post the cell; otherwise the time passes. */
static bool wait_cell(struct ctrio__os *os, struct ctrio__cell *cell, double seconds)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    if (atomic_load(&cell->posted) == 0)
        ctrio__scripted_run_jobs(world);
    if (atomic_exchange(&cell->posted, 0) != 0)
        return true;
    CTRIO_ASSERT(seconds != INFINITY); /* nobody is left to post it */
    pass(world, seconds);
    return false;
}

static void post(struct ctrio__os *os, struct ctrio__cell *cell)
{
    (void)os;
    atomic_store(&cell->posted, 1);
}

static uint64_t current(struct ctrio__os *os)
{
    (void)os;
    return 1;
}

static const struct ctrio__thread_ops threads = {
    .start = no_thread,
    .run_job = run_job,
    .wait = wait_cell,
    .post = post,
    .current = current,
};

/* --- the rest of the table --------------------------------------------------------- */

static uint64_t now(struct ctrio__os *os, int which)
{
    (void)which;
    return ctrio__scripted_of(os)->now;
}

static int random_bytes(struct ctrio__os *os, void *buffer, size_t size)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    unsigned char *bytes = buffer;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(ctrio__rng_next(&world->rng) >> 56);
    return 0;
}

/* There are no names in this world. */
static int resolve(struct ctrio__os *os, struct ctrio__names_op *op)
{
    (void)os;
    op->code = -ENOENT;
    op->eai = EAI_NONAME;
    op->found = NULL;
    op->count = 0;
    op->done(op);
    return 0;
}

static int watch_signal(struct ctrio__os *os, int number, void (*fn)(void *arg, int number),
                        void *arg)
{
    struct ctrio__scripted *world = ctrio__scripted_of(os);
    if (number <= 0 || number > 64)
        return -EINVAL;
    if (fn != NULL && world->watches[number].fn != NULL)
        return -EBUSY;
    world->watches[number].fn = fn;
    world->watches[number].arg = arg;
    return 0;
}

bool ctrio__scripted_raise(struct ctrio__scripted *world, int number)
{
    CTRIO_ASSERT(number > 0 && number <= 64);
    if (world->watches[number].fn == NULL)
        return false;
    world->watches[number].fn(world->watches[number].arg, number);
    return true;
}

void ctrio__scripted_init(struct ctrio__scripted *world,
                          const struct ctrio__scripted_options *options)
{
    *world = (struct ctrio__scripted){
        .os.io = &ctrio__scripted_io,
        .os.net = &ctrio__scripted_net,
        .os.threads = &threads,
        .os.now = now,
        .os.random = random_bytes,
        .os.resolve = resolve,
        .os.watch_signal = watch_signal,
        .rng = {options->seed},
        .now = 1000000000,
        .last_handle = (intptr_t)1 << 30,
        .last_port = 49151,
    };
    world->options = *options;
    if (world->options.buffer_size == 0)
        world->options.buffer_size = 4096;
    if (world->options.trace == NULL)
        world->options.trace = &world->own_trace;
    ctrio__list_init(&world->sockets);
    ctrio__list_init(&world->waits);
    ctrio__list_init(&world->free_waits);
    ctrio__list_init(&world->jobs);
}

size_t ctrio__scripted_socket_count(const struct ctrio__scripted *world)
{
    return ctrio__list_count(&world->sockets);
}

size_t ctrio__scripted_close(struct ctrio__scripted *world)
{
    size_t left = ctrio__scripted_socket_count(world);
    CTRIO_ASSERT(ctrio__list_empty(&world->waits));
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&world->sockets)) != NULL)
        ctrio__sim_free(ctrio__container(link, struct ctrio__sim_socket, link));
    while ((link = ctrio__list_pop(&world->jobs)) != NULL)
        ctrio__free(ctrio__container(link, struct sim_job, link));
    return left;
}
