/* The load of the echo row: a closed loop over C connections, one epoll.
 *
 * Each connection has exactly one request under way; the next one leaves when the whole echo is
 * there and is byte for byte what was sent. At the end of a slice nothing new is sent and all that
 * is under way is waited for, so requests counted and requests served are the same number.
 *
 * Refused: an open loop, because the row asks for CPU a request at saturation, not for latency at a
 * rate (the percentiles are those of a saturated server); several threads, because the server has
 * the other core.
 *
 * Use: echo_load PORT CONNECTIONS SIZE; then a line "MILLISECONDS" on standard input runs a slice
 * and prints a line of JSON. The end of input ends the program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SIZE_MAX_BYTES = 16384,
    CONNECTIONS_MAX = 10000,
    EVENTS_MAX = 256,
    LATENCIES_MAX = 4 * 1000 * 1000,
    SILENCE_MAX_MS = 10000
};

struct connection {
    int fd;
    size_t received;     /* < size while a request is under way. */
    uint64_t sent_at_ns; /* When the request under way left. */
    uint64_t serial;     /* Opens the request, so that no two of a connection are alike. */
};

struct load {
    int epoll_fd;
    size_t size;
    int connection_count;
    int under_way; /* Connections with a request under way. */
    struct connection *connections;
    uint32_t *latencies_ns; /* The first LATENCIES_MAX of the slice. */
    uint64_t requests;
    uint64_t until_ns; /* Nothing new is sent from then on. */
    char request[SIZE_MAX_BYTES];
    char reply[SIZE_MAX_BYTES];
};

static void die(const char *what)
{
    fprintf(stderr, "echo_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    uint64_t seconds = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    uint64_t micros = (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return seconds * 1000000000u + micros * 1000u;
}

static void connect_one(struct load *load, struct connection *connection, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        die("connect");
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = connection}};
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll_ctl");
    }
    connection->fd = fd;
    connection->received = load->size;
}

/* The serial in front tells requests apart; the rest is the same pattern for all. */
static void stamp(struct load *load, const struct connection *connection)
{
    size_t length = load->size < sizeof connection->serial ? load->size : sizeof connection->serial;
    memcpy(load->request, &connection->serial, length);
}

/* One request fits any send buffer: there is nothing else in it. */
static void send_request(struct load *load, struct connection *connection, uint64_t now)
{
    assert(connection->received == load->size);
    connection->serial++;
    stamp(load, connection);
    ssize_t sent = send(connection->fd, load->request, load->size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)load->size) {
        die("send");
    }
    connection->received = 0;
    connection->sent_at_ns = now;
    load->under_way++;
}

static void count_reply(struct load *load, struct connection *connection, uint64_t now)
{
    assert(load->under_way > 0);
    load->under_way--;
    if (load->requests < LATENCIES_MAX) {
        load->latencies_ns[load->requests] = (uint32_t)(now - connection->sent_at_ns);
    }
    load->requests++;
    if (now < load->until_ns) {
        send_request(load, connection, now);
    }
}

static void receive_reply(struct load *load, struct connection *connection)
{
    size_t wanted = load->size - connection->received;
    ssize_t got = recv(connection->fd, load->reply, wanted, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got == 0) {
        errno = ECONNRESET;
    }
    if (got <= 0) {
        die("recv");
    }
    stamp(load, connection);
    if (memcmp(load->reply, load->request + connection->received, (size_t)got) != 0) {
        errno = EBADMSG;
        die("the echo differs");
    }
    connection->received += (size_t)got;
    if (connection->received == load->size) {
        count_reply(load, connection, now_ns());
    }
}

static int by_value(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double percentile_us(const struct load *load, double share)
{
    uint64_t count = load->requests < LATENCIES_MAX ? load->requests : LATENCIES_MAX;
    uint64_t index = (uint64_t)((double)count * share);
    assert(count > 0);
    return load->latencies_ns[index < count ? index : count - 1] / 1e3;
}

static void report(struct load *load, uint64_t wall, uint64_t cpu)
{
    uint64_t count = load->requests < LATENCIES_MAX ? load->requests : LATENCIES_MAX;
    qsort(load->latencies_ns, count, sizeof *load->latencies_ns, by_value);
    printf("{\"requests\": %llu, \"wall_ns\": %llu, \"load_cpu_ns\": %llu, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           (unsigned long long)load->requests, (unsigned long long)wall, (unsigned long long)cpu,
           percentile_us(load, 0.5), percentile_us(load, 0.99), percentile_us(load, 0.999));
    fflush(stdout);
}

static void run_slice(struct load *load, unsigned milliseconds)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t cpu_before = cpu_ns();
    uint64_t begin = now_ns();
    load->requests = 0;
    load->until_ns = begin + (uint64_t)milliseconds * 1000000u;
    for (int i = 0; i < load->connection_count; i++) {
        send_request(load, &load->connections[i], now_ns());
    }
    while (load->under_way > 0) {
        int count = epoll_wait(load->epoll_fd, events, EVENTS_MAX, SILENCE_MAX_MS);
        if (count < 0 && errno != EINTR) {
            die("epoll_wait");
        }
        if (count == 0) {
            errno = ETIMEDOUT;
            die("no reply");
        }
        for (int i = 0; i < count; i++) {
            receive_reply(load, events[i].data.ptr);
        }
    }
    report(load, now_ns() - begin, cpu_ns() - cpu_before);
}

static void open_load(struct load *load, uint16_t port)
{
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load->connections = calloc((size_t)load->connection_count, sizeof *load->connections);
    load->latencies_ns = malloc(LATENCIES_MAX * sizeof *load->latencies_ns);
    if (load->epoll_fd < 0 || !load->connections || !load->latencies_ns) {
        die("setting up");
    }
    for (size_t i = 0; i < load->size; i++) {
        load->request[i] = (char)('a' + i % 26);
    }
    for (int i = 0; i < load->connection_count; i++) {
        connect_one(load, &load->connections[i], port);
    }
}

int main(int argc, char **argv)
{
    static struct load load;
    if (argc != 4) {
        fprintf(stderr, "usage: echo_load PORT CONNECTIONS SIZE\n");
        return 2;
    }
    int port = atoi(argv[1]);
    int size = atoi(argv[3]);
    load.connection_count = atoi(argv[2]);
    if (port <= 0 || port > UINT16_MAX || size <= 0 || size > SIZE_MAX_BYTES ||
        load.connection_count <= 0 || load.connection_count > CONNECTIONS_MAX) {
        fprintf(stderr, "echo_load: bad PORT, CONNECTIONS or SIZE\n");
        return 2;
    }
    load.size = (size_t)size;
    open_load(&load, (uint16_t)port);
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        run_slice(&load, (unsigned)strtoul(line, NULL, 10));
    }
    return 0;
}
