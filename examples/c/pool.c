/* pool.c - at most 8 connections to a server, reused; one whose use was cut short is not. */
#include <ctrio.h>
#include <stdio.h>

enum { POOL_SIZE = 8 };
struct connection {
    struct ctrio_stream *stream;
    struct ctrio_reader reader; /* lives as long as the stream: it may hold bytes of it */
    char buffer[256];
    bool in_use;
};
struct pool {
    const char *host;
    uint16_t port;
    struct ctrio_capacity_limiter limiter;
    struct connection connections[POOL_SIZE];
};

static int pool_get(struct pool *pool, struct connection **out)
{
    int rc = ctrio_capacity_limiter_acquire(&pool->limiter, NULL);
    if (rc < 0)
        return rc;
    struct connection *c = pool->connections;
    while (c->in_use) /* the limiter promises a free one */
        c++;
    c->in_use = true;
    if (c->stream == NULL &&
        (rc = ctrio_open_tcp_stream(&c->stream, pool->host, pool->port, NULL)) == 0)
        ctrio_reader_init(&c->reader, c->stream, c->buffer, sizeof c->buffer);
    if (rc < 0) {
        c->in_use = false;
        ctrio_capacity_limiter_release(&pool->limiter, NULL);
        return rc;
    }
    *out = c;
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

static void pool_close(struct pool *pool)
{
    for (size_t i = 0; i < POOL_SIZE; i++)
        ctrio_stream_close(pool->connections[i].stream);
}

static int ask(struct pool *pool, int number)
{
    struct connection *connection;
    char *line;
    int rc = pool_get(pool, &connection);
    if (rc < 0)
        return rc;
    rc = ctrio_send_format(connection->stream, "question %d\n", number);
    if (rc == 0)
        rc = ctrio_read_line(&connection->reader, &line);
    if (rc >= 0)
        printf("answer: %s\n", line);
    pool_put(pool, connection, rc);
    return rc;
}

struct job {
    struct pool *pool;
    int number;
};

static int work(void *arg)
{
    struct job *job = arg;
    struct ctrio_cancel_scope each;
    ctrio_move_on_after(&each, 0.5);
    int rc = ask(job->pool, job->number);
    rc = ctrio_cancel_scope_close(&each, rc);
    if (ctrio_cancelled_caught(&each))
        printf("no answer to %d\n", job->number);
    return rc;
}

static int run(void *arg)
{
    struct pool pool = {.host = "localhost", .port = 8007};
    struct ctrio_nursery nursery;
    (void)arg;
    ctrio_capacity_limiter_init(&pool.limiter, POOL_SIZE);
    ctrio_nursery_open(&nursery);
    for (int i = 0; i < 100; i++)
        ctrio_start_soon_copy(&nursery, work, &(struct job){&pool, i});
    int rc = ctrio_nursery_close(&nursery, 0);
    pool_close(&pool);
    return rc;
}

int main(void)
{
    return ctrio_exit_status(ctrio_run(run, NULL, NULL), "pool");
}
