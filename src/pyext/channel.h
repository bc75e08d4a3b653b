/* channel.h - memory channels: the state that all ends of a channel share, and the ends. */
#ifndef CTRIO_PYEXT_CHANNEL_H
#define CTRIO_PYEXT_CHANNEL_H
#include "kernel/channel.h"
#include "pyext/sync.h"

struct ctrio__py_channel { /* MemoryChannelState */
    PyObject_HEAD
    struct ctrio__channel channel;
    PyObject *max_buffer_size; /* as it was given: an int, or something that is infinite */
    PyObject *weakrefs;
};
struct ctrio__py_end { /* MemorySendChannel, MemoryReceiveChannel */
    PyObject_HEAD
    uint64_t serial; /* its hash; see ctrio__serial_new */
    struct ctrio__channel_end end;
    struct ctrio__py_channel *state; /* strong, to the end: tasks of ours may be parked in it */
    PyObject *dict, *weakrefs;
};

static inline struct ctrio__py_end *ctrio__end_of(PyObject *self)
{
    return (struct ctrio__py_end *)self;
}
PyObject *ctrio__channel_make(PyTypeObject *type, PyObject *max_buffer_size);
PyObject *ctrio__channel_statistics(PyObject *channel);
/* Another end of the channel. */
PyObject *ctrio__end_make(struct ctrio__state *state, enum ctrio__channel_side side,
                          struct ctrio__py_channel *channel);
/* What waits in `queue`, by `link`: its tasks as keys; as values None, or the items if wanted. */
int ctrio__channel_waiting(PyObject *dict, const struct ctrio_list *queue, bool items);
int ctrio__exec_channel_state(PyObject *module, struct ctrio__state *state);
#endif
