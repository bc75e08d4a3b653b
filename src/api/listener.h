/* listener.h - sockets that listen, one an address, as one listener. */
#ifndef CTRIO_API_LISTENER_H
#define CTRIO_API_LISTENER_H
#include "api/stream.h"
#include "api/tcp.h"
#include <ctrio/sync.h>

enum { CTRIO__MOST_LISTENING = 16 };
struct ctrio_listener {
    struct ctrio__socket sockets[CTRIO__MOST_LISTENING];
    size_t count;
    size_t calls;               /* inside a call now; the last one frees a closed listener */
    struct ctrio_stream *spare; /* accepted by calls that had got one already; by next */
    struct ctrio_tcp_options options;
    struct ctrio_event closed; /* servers end with it that wait for something else than sockets */
};
/* Around each call: the listener lives that long, though somebody closes it. */
void ctrio__listener_enter(struct ctrio_listener *listener);
void ctrio__listener_leave(struct ctrio_listener *listener);
/* One that the next call gets; stolen. */
void ctrio__listener_push_spare(struct ctrio_listener *listener, struct ctrio_stream *stream);
/* The next connection on sockets[i]; passing troubles are waited out. */
int ctrio__listener_accept(struct ctrio_listener *listener, size_t i, struct ctrio_stream **stream);
#endif
