/* listener.h - sockets that listen, one an address, as one listener. */
#ifndef CTRIO_API_LISTENER_H
#define CTRIO_API_LISTENER_H
#include "api/stream.h"
#include "api/tcp.h"

enum { CTRIO__MOST_LISTENING = 16 };
struct ctrio_listener {
    struct ctrio__socket sockets[CTRIO__MOST_LISTENING];
    size_t count;
    size_t calls;               /* inside a call now; the last one frees a closed listener */
    struct ctrio_stream *spare; /* accepted by calls that had got one already; by next */
    struct ctrio_tcp_options options;
    bool closed;
};
/* The next connection on sockets[i]; passing troubles are waited out. */
int ctrio__listener_accept(struct ctrio_listener *listener, size_t i, struct ctrio_stream **stream);
#endif
