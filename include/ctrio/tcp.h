/* tcp.h - TCP streams and listeners. */
#ifndef CTRIO_TCP_H
#define CTRIO_TCP_H
#include <ctrio/types.h>
#ifdef __cplusplus
extern "C" {
#endif
struct ctrio_tcp_options {
    const struct ctrio_address *bind_to; /* connect from here */
    double happy_eyeballs_seconds;       /* head start of each attempt; 0: 0.25 */
    double keepalive_seconds;            /* 0: off */
    int backlog;                         /* 0: the system's maximum */
    bool delay;                          /* Nagle's; off unless asked for */
    bool reuse_port, defer_accept;       /* listeners; ignored where unknown */
    uint64_t reserved[6];
};
/* Connects with happy eyeballs (RFC 8305); *stream is owned.  Total failure: the last attempt's
 * -errno, the story lists all.  Cancelled: nothing is left open. */
CTRIO_ASYNC int ctrio_open_tcp_stream(struct ctrio_stream **stream, const char *host, uint16_t port,
                                      const struct ctrio_tcp_options *options);
/* Connects to one address, of any family. */
CTRIO_ASYNC int ctrio_connect(struct ctrio_stream **stream, const struct ctrio_address *address,
                              const struct ctrio_tcp_options *options);
/* Binds and listens on every address of `host` (NULL: all); one owned listener for them all.  Port
 * 0: one free port for all. */
CTRIO_ASYNC int ctrio_open_tcp_listener(struct ctrio_listener **listener, const char *host,
                                        uint16_t port, const struct ctrio_tcp_options *options);
#ifdef __cplusplus
}
#endif
#endif
