/* wire.c - see wire.h. */
#include "wire.h"

int wire_listen(struct wire *wire)
{
    *wire = (struct wire){.listener = NULL};
    int result = tap_saw(ctrio_open_tcp_listener(&wire->listener, "127.0.0.1", 0, NULL));
    if (result == 0)
        result = ctrio_listener_address(wire->listener, 0, &wire->address);
    return result;
}

int wire_open(struct wire *wire)
{
    int result = wire_listen(wire);
    if (result == 0)
        result = tap_saw(ctrio_connect(&wire->here, &wire->address, NULL));
    if (result == 0)
        result = tap_saw(ctrio_accept(wire->listener, &wire->there));
    if (result < 0)
        wire_close(wire);
    return result;
}

void wire_close(struct wire *wire)
{
    ctrio_stream_abort(wire->here);
    ctrio_stream_abort(wire->there);
    ctrio_listener_close(wire->listener);
    *wire = (struct wire){.listener = NULL};
}
