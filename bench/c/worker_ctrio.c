/* The C rows on ctrio: one process that measures one row, a slice when asked.
 *
 * It obeys the same protocol as the worker of the Python rows: a line "slice N" on standard input
 * is answered by a line of JSON. The run lasts as long as the process, as the runtimes of the peers
 * do, and what it has grown (stacks, tables) serves all slices; the main task may block in fgets,
 * since nobody else has anything to do between two slices. Every run has a deadline an hour away
 * and a listener on which nobody ever arrives.
 *
 * Refused: reading the orders inside the run. That would be a second descriptor, and a wake-up that
 * the idle row would count.
 *
 * Use: worker_ctrio ROW; for ROW "echo" it is a server: it prints {"port": …} and serves on.
 */
#define _GNU_SOURCE
#include <ctrio.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BATCH = 1000,
    CANCELLED_TASKS = 10000,
    CAPACITY = 128,
    PARTS = 4,
    SETTLE_TURNS = 3,
    ECHO_BYTES = 4096
};
static const double FAR_SECONDS = 3600.0;
static const double TIMEOUT_SECONDS = 10.0;

/* What one slice took, for all its operations together. */
struct slice {
    uint64_t ops;
    int64_t cpu_ns, wall_ns, size_bytes;
};

typedef int row_fn(uint64_t n, struct slice *slice);

struct row {
    const char *name;
    row_fn *run;
    bool strict;
};

/* --- measuring ------------------------------------------------------------------------------ */

static int64_t read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void start_watch(struct slice *slice)
{
    slice->wall_ns -= read_ns(CLOCK_MONOTONIC);
    slice->cpu_ns -= read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void stop_watch(struct slice *slice)
{
    slice->cpu_ns += read_ns(CLOCK_PROCESS_CPUTIME_ID);
    slice->wall_ns += read_ns(CLOCK_MONOTONIC);
}

/* Counted page by page: the figures in status and statm lag. */
static int64_t resident_bytes(void)
{
    char line[256];
    int64_t kib = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file && kib < 0 && fgets(line, sizeof line, file)) {
        (void)sscanf(line, "Rss: %" SCNd64, &kib);
    }
    if (file) {
        fclose(file);
    }
    return kib * 1024;
}

static void say(const struct slice *slice)
{
    printf("{\"ops\": %" PRIu64 ", \"cpu_ns\": %" PRId64 ", \"wall_ns\": %" PRId64
           ", \"size_bytes\": %" PRId64 "}\n",
           slice->ops, slice->cpu_ns, slice->wall_ns, slice->size_bytes);
    fflush(stdout);
}

/* --- tasks that wait ------------------------------------------------------------------------ */

struct parked {
    struct ctrio_event over;
    uint64_t count; /* How many have come as far as their wait. */
};

static int wait_for_the_end(void *arg)
{
    struct parked *parked = arg;
    parked->count++;
    return ctrio_event_wait(&parked->over);
}

static int sleep_for_good(void *arg)
{
    struct parked *parked = arg;
    parked->count++;
    return ctrio_sleep(INFINITY);
}

static int settle(void)
{
    int rc = 0;
    for (int i = 0; i < SETTLE_TURNS && rc == 0; i++) {
        rc = ctrio_checkpoint();
    }
    return rc;
}

/* Starts `n` tasks and returns when all of them are parked. */
static int park(struct ctrio_nursery *nursery, uint64_t n, ctrio_task_fn *fn, struct parked *parked)
{
    int rc = 0;
    for (uint64_t i = 0; i < n && rc == 0; i++) {
        rc = ctrio_start_soon(nursery, fn, parked);
    }
    while (rc == 0 && parked->count < n) {
        rc = ctrio_checkpoint();
    }
    return rc < 0 ? rc : settle();
}

/* --- rows ----------------------------------------------------------------------------------- */

static int take_turns(void *arg)
{
    int rc = 0;
    for (uint64_t left = *(const uint64_t *)arg; left > 0 && rc == 0; left--) {
        rc = ctrio_checkpoint();
    }
    return rc;
}

static int run_yield(uint64_t n, struct slice *slice)
{
    struct ctrio_nursery nursery;
    start_watch(slice);
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, take_turns, &n);
    ctrio_start_soon(&nursery, take_turns, &n);
    int rc = ctrio_nursery_close(&nursery, 0);
    stop_watch(slice);
    slice->ops = 2 * n;
    return rc;
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int run_spawn(uint64_t n, struct slice *slice)
{
    int rc = 0;
    start_watch(slice);
    for (uint64_t i = 0; i < n && rc == 0; i++) {
        struct ctrio_nursery nursery;
        ctrio_nursery_open(&nursery);
        for (int j = 0; j < BATCH; j++) {
            ctrio_start_soon(&nursery, do_nothing, NULL);
        }
        rc = ctrio_nursery_close(&nursery, 0);
    }
    stop_watch(slice);
    slice->ops = n * BATCH;
    return rc;
}

/* The clock runs from the cancellation until the last task has been joined. */
static int run_cancel(uint64_t n, struct slice *slice)
{
    int rc = 0;
    for (uint64_t i = 0; i < n && rc == 0; i++) {
        struct ctrio_nursery nursery;
        struct parked parked = {.count = 0};
        ctrio_nursery_open(&nursery);
        rc = park(&nursery, CANCELLED_TASKS, sleep_for_good, &parked);
        start_watch(slice);
        ctrio_cancel(&nursery.scope);
        rc = ctrio_nursery_close(&nursery, rc);
        stop_watch(slice);
    }
    slice->ops = n * CANCELLED_TASKS;
    return rc;
}

struct pipe {
    struct ctrio_send_channel *send;
    struct ctrio_receive_channel *receive;
    uint64_t n;
};

static int produce(void *arg)
{
    struct pipe *pipe = arg;
    int rc = 0;
    for (uint64_t item = 0; item < pipe->n && rc == 0; item++) {
        rc = ctrio_send(pipe->send, &item);
    }
    ctrio_send_channel_close(pipe->send);
    return rc;
}

static int consume(void *arg)
{
    struct pipe *pipe = arg;
    uint64_t item, sum = 0;
    int rc;
    while ((rc = ctrio_receive(pipe->receive, &item)) >= 0) {
        sum += item;
    }
    if (rc != CTRIO_END_OF_CHANNEL) {
        return rc;
    }
    return sum == pipe->n * (pipe->n - 1) / 2 ? 0 : -EBADMSG;
}

static int run_channel(uint64_t n, struct slice *slice)
{
    struct ctrio_nursery nursery;
    struct pipe pipe = {.n = n};
    int rc = ctrio_open_memory_channel(&pipe.send, &pipe.receive, sizeof(uint64_t), CAPACITY, NULL);
    if (rc < 0) {
        return rc;
    }
    start_watch(slice);
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, produce, &pipe);
    ctrio_start_soon(&nursery, consume, &pipe);
    rc = ctrio_nursery_close(&nursery, 0);
    stop_watch(slice);
    ctrio_receive_channel_close(pipe.receive);
    slice->ops = n;
    return rc;
}

static int checkpoints_with_timeout(uint64_t n)
{
    int rc = 0;
    for (uint64_t i = 0; i < n && rc == 0; i++) {
        struct ctrio_cancel_scope scope;
        ctrio_move_on_after(&scope, TIMEOUT_SECONDS);
        rc = ctrio_checkpoint();
        rc = ctrio_cancel_scope_close(&scope, rc);
    }
    return rc;
}

/* Parts with and without the timeout alternate, and the difference is what is told. */
static int run_timeout(uint64_t n, struct slice *slice)
{
    struct slice inside = {0}, bare = {0};
    int rc = 0;
    for (int part = 0; part < PARTS && rc == 0; part++) {
        start_watch(&inside);
        rc = checkpoints_with_timeout(n);
        stop_watch(&inside);
        start_watch(&bare);
        for (uint64_t i = 0; i < n && rc == 0; i++) {
            rc = ctrio_checkpoint();
        }
        stop_watch(&bare);
    }
    slice->ops = n * PARTS;
    slice->cpu_ns = inside.cpu_ns - bare.cpu_ns;
    slice->wall_ns = inside.wall_ns - bare.wall_ns;
    return rc;
}

static int run_timeout_ready(uint64_t n, struct slice *slice)
{
    struct ctrio_event ready;
    int rc = 0;
    ctrio_event_init(&ready);
    ctrio_event_set(&ready);
    start_watch(slice);
    for (uint64_t i = 0; i < n && rc == 0; i++) {
        struct ctrio_cancel_scope scope;
        ctrio_move_on_after(&scope, TIMEOUT_SECONDS);
        rc = ctrio_event_wait(&ready);
        rc = ctrio_cancel_scope_close(&scope, rc);
    }
    stop_watch(slice);
    slice->ops = n;
    return rc;
}

static int run_memory(uint64_t n, struct slice *slice)
{
    struct ctrio_nursery nursery;
    struct parked parked = {.count = 0};
    ctrio_event_init(&parked.over);
    ctrio_nursery_open(&nursery);
    int64_t before = resident_bytes();
    int rc = park(&nursery, n, wait_for_the_end, &parked);
    slice->size_bytes = resident_bytes() - before;
    ctrio_event_set(&parked.over);
    slice->ops = n;
    return ctrio_nursery_close(&nursery, rc);
}

/* Answers when all are parked, and stays so: it is watched from outside, then killed. */
static int run_idle(uint64_t n, struct slice *slice)
{
    struct ctrio_nursery nursery;
    struct parked parked = {.count = 0};
    ctrio_event_init(&parked.over);
    ctrio_nursery_open(&nursery);
    int rc = park(&nursery, n, wait_for_the_end, &parked);
    slice->ops = n;
    if (rc == 0) {
        say(slice);
    }
    return ctrio_nursery_close(&nursery, rc);
}

/* --- the surroundings ----------------------------------------------------------------------- */

static int sleep_for_an_hour(void *arg)
{
    (void)arg;
    return ctrio_sleep(FAR_SECONDS);
}

static int accept_nobody(void *arg)
{
    struct ctrio_stream *stream = NULL;
    int rc = ctrio_accept(arg, &stream);
    ctrio_stream_abort(stream);
    return rc;
}

static int obey(const struct row *row)
{
    char line[64];
    int rc = 0;
    while (rc == 0 && fgets(line, sizeof line, stdin)) {
        uint64_t n;
        struct slice slice = {0};
        if (sscanf(line, "slice %" SCNu64, &n) != 1) {
            return -EINVAL;
        }
        rc = row->run(n, &slice);
        if (rc == 0) {
            say(&slice);
        }
    }
    return rc;
}

static int work(void *arg)
{
    struct ctrio_nursery nursery;
    struct ctrio_listener *listener;
    int rc = ctrio_open_tcp_listener(&listener, "127.0.0.1", 0, NULL);
    if (rc < 0) {
        return rc;
    }
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, sleep_for_an_hour, NULL);
    ctrio_start_soon(&nursery, accept_nobody, listener);
    rc = settle();
    if (rc == 0) {
        rc = obey(arg);
    }
    ctrio_cancel(&nursery.scope);
    rc = ctrio_nursery_close(&nursery, rc);
    ctrio_listener_close(listener);
    return rc;
}

/* --- the echo server ------------------------------------------------------------------------ */

static int echo(struct ctrio_stream *stream, void *arg)
{
    char buffer[ECHO_BYTES];
    (void)arg;
    for (;;) {
        int n = ctrio_receive_some(stream, buffer, sizeof buffer);
        if (n <= 0) {
            return n;
        }
        int rc = ctrio_send_all(stream, buffer, (size_t)n);
        if (rc < 0) {
            return rc;
        }
    }
}

/* With the options as they are for everybody: connections have an idle limit, no peer's have. */
static int serve_on(struct ctrio_listener *listener)
{
    struct ctrio_address address;
    struct sockaddr_in name;
    int rc = ctrio_listener_address(listener, 0, &address);
    if (rc < 0) {
        return rc;
    }
    memcpy(&name, address.storage, sizeof name);
    printf("{\"port\": %d}\n", ntohs(name.sin_port));
    fflush(stdout);
    return ctrio_serve(listener, echo, NULL, NULL);
}

static int serve(void *arg)
{
    struct ctrio_nursery nursery;
    struct ctrio_listener *listener;
    (void)arg;
    int rc = ctrio_open_tcp_listener(&listener, "127.0.0.1", 0, NULL);
    if (rc < 0) {
        return rc;
    }
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, sleep_for_an_hour, NULL);
    rc = serve_on(listener);
    ctrio_cancel(&nursery.scope);
    rc = ctrio_nursery_close(&nursery, rc);
    ctrio_listener_close(listener);
    return rc;
}

static const struct row rows[] = {
    {"yield", run_yield, false},
    {"spawn_1000", run_spawn, false},
    {"cancel_10k", run_cancel, false},
    {"channel", run_channel, false},
    {"channel_strict", run_channel, true},
    {"timeout", run_timeout, false},
    {"timeout_ready", run_timeout_ready, false},
    {"memory", run_memory, false},
    {"idle", run_idle, false},
};

int main(int argc, char **argv)
{
    const char *name = argc == 2 ? argv[1] : "";
    if (strcmp(name, "echo") == 0) {
        return ctrio_exit_status(ctrio_run(serve, NULL, NULL), "worker_ctrio");
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(name, rows[i].name) == 0) {
            struct row row = rows[i];
            struct ctrio_run_options options = {.strict_checkpoints = row.strict};
            printf("{\"version\": \"%06x\"}\n", (unsigned)ctrio_version());
            fflush(stdout);
            return ctrio_exit_status(ctrio_run(work, &row, &options), "worker_ctrio");
        }
    }
    fprintf(stderr, "usage: worker_ctrio ROW\n");
    return 2;
}
