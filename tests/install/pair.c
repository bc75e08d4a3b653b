/* pair.c - a server and its client in one program: what an installed library must be able to do. */
#include <ctrio.h>
#include <ctrio/lowlevel.h>
#include <ctrio/testing.h>
#include <stdio.h>
#include <string.h>

static int echo(struct ctrio_stream *stream, void *arg)
{
    char buffer[64];
    int n, rc = 0;
    (void)arg;
    while (rc == 0 && (n = ctrio_receive_some(stream, buffer, sizeof buffer)) > 0)
        rc = ctrio_send_all(stream, buffer, (size_t)n);
    return rc < 0 ? rc : n;
}

static int serve(void *arg)
{
    return ctrio_serve(arg, echo, NULL, NULL);
}

static int ask(struct ctrio_listener *listener, char *answer, size_t size)
{
    struct ctrio_address address;
    struct ctrio_stream *stream;
    int rc = ctrio_listener_address(listener, 0, &address);
    if (rc < 0)
        return rc;
    rc = ctrio_connect(&stream, &address, NULL);
    if (rc < 0)
        return rc;
    rc = ctrio_send_format(stream, "hello from %s", "the installed library");
    if (rc == 0)
        rc = ctrio_receive_some(stream, answer, size - 1);
    if (rc > 0)
        answer[rc] = '\0';
    ctrio_stream_close(stream);
    return rc;
}

static int both(void *arg)
{
    struct ctrio_listener *listener;
    struct ctrio_nursery nursery;
    int rc = ctrio_open_tcp_listener(&listener, "127.0.0.1", 0, NULL);
    if (rc < 0)
        return rc;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, serve, listener);
    rc = ask(listener, arg, 64);
    ctrio_cancel(&nursery.scope);
    rc = ctrio_nursery_close(&nursery, rc);
    ctrio_listener_close(listener);
    return rc;
}

int main(void)
{
    static char answer[64];
    int rc = ctrio_run(both, answer, NULL);
    printf("%s, version %x\n", answer, (unsigned)ctrio_version());
    return ctrio_exit_status(rc, "pair");
}
