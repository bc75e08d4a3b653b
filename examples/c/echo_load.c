/* echo_load.c - load for an echo server: each connection sends, waits for its echo, compares it,
 * and sends again, until the time is over.  Prints the rate, and how long an echo took. */
#include "command_line.h"
#include <ctrio.h>

static const char usage[] = "echo_load [HOST [PORT [CONNECTIONS [SECONDS [BYTES]]]]]";

/* How often an echo took how long, in classes that are 1 % wide: 64 to each power of two from
 * 2^-30 s (a nanosecond) on. */
enum { PER_OCTAVE = 64, OCTAVES = 40, FIRST_OCTAVE = -30 };

struct load {
    const char *host;
    uint16_t port;
    int connections;
    double seconds;
    size_t bytes;
    struct ctrio_event go; /* all are connected */
    double end;            /* on the run's clock, once they may go */
    size_t echoes;
    size_t took[OCTAVES * PER_OCTAVE];
};
struct client {
    struct load *load;
    int number;
    char *sent, *buffer; /* load->bytes each */
};

static void count_echo(struct load *load, double seconds)
{
    int octave;
    double mantissa = frexp(seconds, &octave); /* 0.5 <= mantissa < 1 */
    int class = (octave - FIRST_OCTAVE) * PER_OCTAVE + (int)((2.0 * mantissa - 1.0) * PER_OCTAVE);
    if (class < 0 || seconds <= 0)
        class = 0;
    if (class >= OCTAVES * PER_OCTAVE)
        class = OCTAVES * PER_OCTAVE - 1;
    load->took[class]++;
    load->echoes++;
}

/* The time within which this share of the echoes came. */
static double percentile(const struct load *load, double share)
{
    size_t seen = 0;
    int class = -1;
    while ((double)seen < share * (double)load->echoes)
        seen += load->took[++class];
    return class < 0 ? NAN
                     : ldexp(0.5 + (class % PER_OCTAVE + 0.5) / (2.0 * PER_OCTAVE),
                             class / PER_OCTAVE + FIRST_OCTAVE);
}

static int echo_once(struct client *client, struct ctrio_stream *stream,
                     struct ctrio_reader *reader)
{
    size_t size = client->load->bytes;
    char *echo;
    int rc = ctrio_send_all(stream, client->sent, size);
    if (rc == 0)
        rc = ctrio_read_exactly(reader, size, &echo);
    if (rc == CTRIO_END_OF_CHANNEL || rc == CTRIO_BROKEN_RESOURCE)
        return ctrio_fail(rc, "connection %d: the server hung up", client->number);
    if (rc >= 0 && memcmp(echo, client->sent, size) != 0)
        return ctrio_fail(-EBADMSG, "connection %d: other bytes came back", client->number);
    return rc;
}

static int talk(struct client *client, struct ctrio_stream *stream)
{
    struct load *load = client->load;
    struct ctrio_reader reader;
    ctrio_reader_init(&reader, stream, client->buffer, load->bytes);
    int rc = ctrio_event_wait(&load->go);
    while (rc >= 0) {
        double begin = ctrio_current_time();
        if (begin >= load->end)
            return 0;
        rc = echo_once(client, stream, &reader);
        if (rc >= 0)
            count_echo(load, ctrio_current_time() - begin);
    }
    return rc;
}

static int be_client(void *arg)
{
    struct client *client = arg;
    struct load *load = client->load;
    struct ctrio_stream *stream;
    for (size_t i = 0; i < load->bytes; i++)
        client->sent[i] = (char)((size_t)client->number * 7 + i);
    int rc = ctrio_open_tcp_stream(&stream, load->host, load->port, NULL);
    if (rc == -ECONNREFUSED)
        return ctrio_fail(rc, "nobody listens on port %u of %s: start a server first", load->port,
                          load->host);
    if (rc < 0)
        return rc;
    ctrio_started();
    rc = talk(client, stream);
    ctrio_stream_close(stream);
    return rc;
}

static int run_clients(struct load *load, struct client *clients)
{
    struct ctrio_nursery nursery;
    int rc = 0;
    ctrio_event_init(&load->go);
    ctrio_nursery_open(&nursery);
    for (int i = 0; i < load->connections && rc == 0; i++)
        rc = ctrio_start(&nursery, be_client, clients + i); /* returns when it is connected */
    load->end = ctrio_current_time() + load->seconds;
    ctrio_event_set(&load->go);
    return ctrio_collapse(ctrio_nursery_close(&nursery, rc));
}

static int run(void *arg)
{
    struct load *load = arg;
    size_t count = (size_t)load->connections;
    struct client *clients = calloc(count, sizeof *clients);
    char *bytes = calloc(count, 2 * load->bytes);
    int rc = clients != NULL && bytes != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; i < count && rc == 0; i++) {
        char *own = bytes + i * 2 * load->bytes;
        clients[i] = (struct client){load, (int)i, own, own + load->bytes};
    }
    if (rc == 0)
        rc = run_clients(load, clients);
    free(bytes);
    free(clients);
    return rc;
}

int main(int argc, char **argv)
{
    static struct load load;
    struct command_line line = command_line_of(argc, argv, usage);
    load.host = take_text(&line, "localhost");
    load.port = take_port(&line, 8007);
    load.connections = take_count(&line, 50, 1, 100000);
    load.seconds = take_number(&line, 2.0, 0.0, 3600.0);
    load.bytes = (size_t)take_count(&line, 64, 1, 1 << 20);
    take_no_more(&line);
    int rc = ctrio_run(run, &load, NULL);
    if (rc == 0 && load.echoes > 0) {
        printf("%d connections, %zu bytes each way, %g s\n", load.connections, load.bytes,
               load.seconds);
        printf("echoes %zu, a second %.0f\n", load.echoes, (double)load.echoes / load.seconds);
        printf("p50 %.1f us, p99 %.1f us\n", percentile(&load, 0.50) * 1e6,
               percentile(&load, 0.99) * 1e6);
    }
    return ctrio_exit_status(rc, "echo_load");
}
