/* wire.h - connections on loopback, for tests of the C front end's streams. */
#ifndef CTRIO_TESTS_WIRE_H
#define CTRIO_TESTS_WIRE_H
#include "front.h"
#include <ctrio/resolver.h>
#include <ctrio/serve.h>
#include <ctrio/stream.h>
#include <ctrio/tcp.h>

struct wire {
    struct ctrio_listener *listener;
    struct ctrio_address address; /* that it listens on: 127.0.0.1 and some port */
    struct ctrio_stream *here, *there;
};
/* Two connected streams in one task; < 0: neither, and the test is excused. */
int wire_open(struct wire *wire);
/* Only the listener. */
int wire_listen(struct wire *wire);
/* What is not NULL. */
void wire_close(struct wire *wire);
#endif
