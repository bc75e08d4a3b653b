/* The echo server of the C rows on libuv.
 *
 * What is read is written back at once with uv_try_write, from the one buffer that all connections
 * share; only what does not fit the send buffer is copied and queued. Like the other servers it
 * prints {"port": …} and serves until it is killed, with a timer an hour away.
 *
 * Refused: uv_write for everything, as the manual's first example does: a request allocated and a
 * callback more for each echo.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BUFFER_BYTES = 65536, BACKLOG = 1024 };
static const uint64_t FAR_MS = UINT64_C(3600) * 1000;

struct write {
    uv_write_t request; /* First: the callback gets its address. */
    char data[];
};

static void check(int code, const char *what)
{
    if (code < 0) {
        fprintf(stderr, "echo_server_uv: %s: %s\n", what, uv_strerror(code));
        exit(1);
    }
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void hang_up(uv_stream_t *stream)
{
    if (!uv_is_closing((uv_handle_t *)stream)) {
        uv_close((uv_handle_t *)stream, free_handle);
    }
}

static void lend_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
    static char shared[BUFFER_BYTES];
    (void)handle;
    (void)wanted;
    *buffer = uv_buf_init(shared, sizeof shared);
}

static void on_written(uv_write_t *request, int status)
{
    if (status < 0) {
        hang_up(request->handle);
    }
    free(request);
}

static void queue(uv_stream_t *stream, const char *data, size_t length)
{
    struct write *write = malloc(sizeof *write + length);
    if (!write) {
        check(UV_ENOMEM, "malloc");
        return;
    }
    memcpy(write->data, data, length);
    uv_buf_t rest = uv_buf_init(write->data, (unsigned)length);
    if (uv_write(&write->request, stream, &rest, 1, on_written) < 0) {
        free(write);
        hang_up(stream);
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    if (got < 0) {
        hang_up(stream);
    }
    if (got <= 0) {
        return;
    }
    uv_buf_t whole = uv_buf_init(buffer->base, (unsigned)got);
    int sent = uv_try_write(stream, &whole, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        hang_up(stream);
    } else if (sent < got) {
        size_t done = sent < 0 ? 0 : (size_t)sent;
        queue(stream, buffer->base + done, (size_t)got - done);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    check(status, "listen");
    uv_tcp_t *peer = malloc(sizeof *peer);
    if (!peer) {
        check(UV_ENOMEM, "malloc");
        return;
    }
    check(uv_tcp_init(listener->loop, peer), "uv_tcp_init");
    if (uv_accept(listener, (uv_stream_t *)peer) < 0) {
        hang_up((uv_stream_t *)peer);
        return;
    }
    uv_tcp_nodelay(peer, 1);
    check(uv_read_start((uv_stream_t *)peer, lend_buffer, on_read), "uv_read_start");
}

static void on_far_timer(uv_timer_t *timer)
{
    (void)timer;
}

int main(void)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    uv_timer_t far;
    struct sockaddr_in address;
    int length = sizeof address;
    check(uv_timer_init(loop, &far), "uv_timer_init");
    check(uv_timer_start(&far, on_far_timer, FAR_MS, 0), "uv_timer_start");
    check(uv_tcp_init(loop, &listener), "uv_tcp_init");
    check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
    check(uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0), "uv_tcp_bind");
    check(uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection), "uv_listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length), "getsockname");
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
