/* stream.h - a TCP stream of the C front end. */
#ifndef CTRIO_API_STREAM_H
#define CTRIO_API_STREAM_H
#include "api/run.h"
#include "io/socket_ops.h"
#include <ctrio/stream.h>

struct ctrio_stream {
    struct ctrio__socket socket;
    uint32_t magic;              /* CTRIO__STREAM_MAGIC till it is freed */
    struct ctrio_stream *next;   /* of a listener's spare ones */
    const struct ctrio_run *run; /* whose tasks may use it */
    uint64_t bytes_received, bytes_sent;
    double progress;    /* the run's clock, as last read, when a byte last went either way */
    size_t calls;       /* inside a call now: the last one frees a closed stream */
    uint32_t receivers; /* at most one */
    bool sending;       /* likewise: a task is sending */
    bool send_broken;   /* a send was cut off in the middle, or the end has been sent */
    bool closed;
    bool drained; /* the last receive got less than there was room for */
};
enum { CTRIO__STREAM_MAGIC = 0x57ea3000 };
/* Takes the handle over; NULL: no memory, the handle is still the caller's. */
struct ctrio_stream *ctrio__stream_new(intptr_t handle);
/* A result of a socket call in the front end's words: what breaks a connection is one condition. */
int ctrio__stream_result(int result);
#endif
