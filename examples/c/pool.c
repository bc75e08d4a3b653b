/* pool.c - a few connections to a server, reused; one whose use was cut short is not. */
#include "command_line.h"
#include <ctrio.h>

static const char usage[] = "pool [HOST [PORT [QUESTIONS [CONNECTIONS [SECONDS_EACH]]]]]";

enum { MOST_CONNECTIONS = 64 };
struct connection {
    struct ctrio_stream *stream;
    struct ctrio_reader reader; /* lives as long as the stream: it may hold bytes of it */
    char buffer[256];
    bool in_use;
};
struct pool {
    const char *host;
    uint16_t port;
    int questions, size;
    double seconds_each;
    int opened; /* connections, so far */
    struct ctrio_capacity_limiter limiter;
    struct connection connections[MOST_CONNECTIONS];
};

/* One that is open if there is any, so that no more are opened than are needed at a time. */
static struct connection *find_free(struct pool *pool)
{
    struct connection *found = pool->connections;
    while (found->in_use) /* the limiter promises a free one */
        found++;
    for (struct connection *c = found; c < pool->connections + pool->size; c++)
        if (!c->in_use && c->stream != NULL)
            return c;
    return found;
}

static int pool_open(struct pool *pool, struct connection *connection)
{
    int rc = ctrio_open_tcp_stream(&connection->stream, pool->host, pool->port, NULL);
    if (rc < 0)
        return rc;
    pool->opened++;
    ctrio_reader_init(&connection->reader, connection->stream, connection->buffer,
                      sizeof connection->buffer);
    return 0;
}

/* `result`: what the use came to; cancelled or failed in the middle: not fit for others. */
static void pool_put(struct pool *pool, struct connection *connection, int result)
{
    if (result < 0) {
        ctrio_stream_abort(connection->stream);
        connection->stream = NULL;
    }
    connection->in_use = false;
    ctrio_capacity_limiter_release(&pool->limiter, NULL);
}

static int pool_get(struct pool *pool, struct connection **out)
{
    int rc = ctrio_capacity_limiter_acquire(&pool->limiter, NULL);
    if (rc < 0)
        return rc;
    *out = find_free(pool);
    (*out)->in_use = true;
    if ((*out)->stream == NULL)
        rc = pool_open(pool, *out);
    if (rc < 0)
        pool_put(pool, *out, rc);
    return rc;
}

static void pool_close(struct pool *pool)
{
    for (int i = 0; i < pool->size; i++)
        ctrio_stream_close(pool->connections[i].stream);
    ctrio_capacity_limiter_close(&pool->limiter);
}

static int ask(struct pool *pool, int number)
{
    struct connection *connection;
    struct ctrio_cancel_scope limit;
    char *line;
    int rc = pool_get(pool, &connection);
    if (rc < 0)
        return rc;
    ctrio_fail_after(&limit, pool->seconds_each);
    rc = ctrio_send_format(connection->stream, "question %d\n", number);
    if (rc == 0)
        rc = ctrio_read_line(&connection->reader, &line);
    rc = ctrio_cancel_scope_close(&limit, rc);
    if (rc >= 0)
        printf("%d: %s\n", number, line);
    pool_put(pool, connection, rc);
    return rc;
}

struct job {
    struct pool *pool;
    int number;
};

/* A question without an answer is no reason to give up the others; no server is. */
static int work(void *arg)
{
    const struct job *job = arg;
    int rc = ask(job->pool, job->number);
    if (rc == CTRIO_TOO_SLOW)
        printf("%d: no answer in time\n", job->number);
    else if (rc == CTRIO_BROKEN_RESOURCE || rc == CTRIO_END_OF_CHANNEL)
        printf("%d: the server hung up\n", job->number);
    else if (rc < 0)
        return rc;
    return 0;
}

static int run(void *arg)
{
    struct pool *pool = arg;
    struct ctrio_nursery nursery;
    ctrio_capacity_limiter_init(&pool->limiter, (size_t)pool->size);
    ctrio_nursery_open(&nursery);
    for (int i = 0; i < pool->questions; i++)
        ctrio_start_soon_copy(&nursery, work, &(struct job){pool, i});
    int rc = ctrio_nursery_close(&nursery, 0);
    pool_close(pool);
    return ctrio_collapse(rc);
}

int main(int argc, char **argv)
{
    struct command_line line = command_line_of(argc, argv, usage);
    struct pool pool = {.host = take_text(&line, "localhost")};
    pool.port = take_port(&line, 8007); /* echo_server's: it answers with the question */
    pool.questions = take_count(&line, 100, 1, 1000000);
    pool.size = take_count(&line, 8, 1, MOST_CONNECTIONS);
    pool.seconds_each = take_number(&line, 5.0, 0.001, INFINITY);
    take_no_more(&line);
    int rc = ctrio_run(run, &pool, NULL);
    printf("connections opened: %d\n", pool.opened);
    return ctrio_exit_status(rc, "pool");
}
