/* serve.h - listeners, and serving with limits and drain. */
#ifndef CTRIO_SERVE_H
#define CTRIO_SERVE_H
#include <ctrio/types.h>
#ifdef __cplusplus
extern "C" {
#endif
/* The next connection, owned; passing troubles (EMFILE, ECONNABORTED) are waited out inside. */
CTRIO_ASYNC int ctrio_accept(struct ctrio_listener *listener, struct ctrio_stream **stream);
/* The i-th address listened on; -ENOENT past the end. */
CTRIO_CHECKED int ctrio_listener_address(const struct ctrio_listener *listener, size_t i,
                                         struct ctrio_address *address);
/* Steals; accepts NULL; never suspends; a task in accept gets CTRIO_CLOSED_RESOURCE. */
CTRIO_API void ctrio_listener_close(struct ctrio_listener *listener);

/* Serves one connection in a task of its own, named after the peer.  `stream` is borrowed: it is
 * closed after the return. */
typedef int ctrio_handler_fn(struct ctrio_stream *stream, void *arg);
/* Says what a handler's failure means: 0 contains it, a negative code ends the serve. */
typedef int ctrio_handler_failed_fn(int code, const struct ctrio_address *peer, void *arg);
struct ctrio_serve_options {
    struct ctrio_event *drain;       /* when set: stop accepting, wait grace_seconds, cancel the
                                        rest, return 0 */
    size_t max_connections;          /* 0: 10,000; more wait in the backlog; SIZE_MAX: no limit */
    double idle_seconds;             /* no byte either way: the handler is cancelled; 0: 120 */
    double grace_seconds;            /* 0: 30; INFINITY: as long as they take */
    ctrio_handler_failed_fn *failed; /* NULL: contain; silent for broken, slow and ended peers,
                                        logged for others, CTRIO_MISUSE ends the serve */
    uint64_t reserved[8];
};
/* Serves until cancelled or drained.  Listener, handler's `arg` and options are borrowed. */
CTRIO_ASYNC int ctrio_serve(struct ctrio_listener *listener, ctrio_handler_fn *handler, void *arg,
                            const struct ctrio_serve_options *options);
/* open_tcp_listener, ctrio_started(), serve, close: the one-line server. */
CTRIO_ASYNC int ctrio_serve_tcp(const char *host, uint16_t port, ctrio_handler_fn *handler,
                                void *arg, const struct ctrio_serve_options *options);
#ifdef __cplusplus
}
#endif
#endif
