/* channel.c - MemorySendChannel and MemoryReceiveChannel: the two kinds of ends of a channel.
 *
 * An item changes hands by its reference: the op of send() owns it until the kernel takes it, the
 * op of receive() from when the kernel has given it to when it is returned.  The ends are
 * trio.abc's channels by registration: a type with an abstract base needs that one's metaclass,
 * which C can give it from 3.12 on only.
 * Invariant: a parked op's coroutine holds its end, and the end its channel. */
#include "pyext/channel.h"

static struct ctrio__channel_end *end_of(PyObject *self)
{
    return &ctrio__end_of(self)->end;
}
static struct ctrio__channel *channel_of(PyObject *self)
{
    return end_of(self)->channel;
}

PyObject *ctrio__end_make(struct ctrio__state *state, enum ctrio__channel_side side,
                          struct ctrio__py_channel *channel)
{
    bool sends = side == CTRIO__SEND_END;
    PyTypeObject *type = state->types[sends ? TYPE_SEND_CHANNEL : TYPE_RECEIVE_CHANNEL];
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    ctrio__end_of(self)->serial = ctrio__serial_new(state);
    ctrio__end_of(self)->state = (struct ctrio__py_channel *)Py_NewRef(channel);
    ctrio__channel_end_init(end_of(self), &channel->channel, side);
    return self;
}

/* _create(state): what open_memory_channel and clone() do; for those who know Trio's insides. */
static PyObject *end_create(PyObject *class, PyObject *channel)
{
    struct ctrio__state *state = ctrio__state_of_type((PyTypeObject *)class);
    bool sends = (PyTypeObject *)class == state->types[TYPE_SEND_CHANNEL];
    if (!Py_IS_TYPE(channel, state->types[TYPE_CHANNEL_STATE])) {
        PyErr_Format(PyExc_TypeError, "state must be a MemoryChannelState, not %R", channel);
        return NULL;
    }
    return ctrio__end_make(state, sends ? CTRIO__SEND_END : CTRIO__RECEIVE_END,
                           (struct ctrio__py_channel *)channel);
}

/* open_memory_channel(max_buffer_size): a class, for the sake of `open_memory_channel[int](5)`. */
static PyObject *open_channel(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"max_buffer_size"};
    struct ctrio__state *state = ctrio__state_of_type(type);
    PyObject *max_buffer_size;
    if (ctrio__parse_tuple("open_memory_channel.__new__", args, kwargs, names, 1, 1, 1,
                           &max_buffer_size) < 0)
        return NULL;
    PyObject *made = ctrio__channel_make(state->types[TYPE_CHANNEL_STATE], max_buffer_size);
    if (made == NULL)
        return NULL;
    struct ctrio__py_channel *channel = (struct ctrio__py_channel *)made;
    PyObject *send = ctrio__end_make(state, CTRIO__SEND_END, channel);
    PyObject *receive = send != NULL ? ctrio__end_make(state, CTRIO__RECEIVE_END, channel) : NULL;
    Py_DECREF(made);
    if (receive == NULL) {
        Py_XDECREF(send);
        return NULL;
    }
    PyObject *pair = PyTuple_Pack(2, send, receive);
    Py_DECREF(send);
    Py_DECREF(receive);
    return pair;
}

/* The task that has waited longest in the queue; NULL: nobody waits. */
static struct ctrio_task *first_waiting(const struct ctrio_list *queue)
{
    if (ctrio__list_empty(queue))
        return NULL;
    return ctrio__container(queue->next, struct ctrio__channel_op, link)->task;
}

/* --- both ends --------------------------------------------------------------------- */

static int close_end(PyObject *self)
{
    struct ctrio__channel *channel = channel_of(self);
    struct ctrio__state *state = ctrio__state_of(self);
    CTRIO_ASSERT(channel == &ctrio__end_of(self)->state->channel);
    if (end_of(self)->closed)
        return 0;
    if (ctrio__may_wake(state, first_waiting(&channel->senders)) < 0 ||
        ctrio__may_wake(state, first_waiting(&channel->receivers)) < 0)
        return -1;
    ctrio__channel_end_close(end_of(self));
    return 0;
}

static PyObject *end_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    if (close_end(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}
static PyObject *end_clone(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__state *state = ctrio__state_of(self);
    if (end_of(self)->closed)
        return ctrio__raise_code(state, CTRIO_CLOSED_RESOURCE, NULL);
    return ctrio__end_make(state, end_of(self)->side, ctrio__end_of(self)->state);
}
static PyObject *end_statistics(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__channel_statistics((PyObject *)ctrio__end_of(self)->state);
}
static PyObject *end_enter(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames)
{
    bool sends = end_of(self)->side == CTRIO__SEND_END;
    const char *function = sends ? "MemorySendChannel.__enter__" : "MemoryReceiveChannel.__enter__";
    return ctrio__parse_nothing(function, args, nargs, kwnames) < 0 ? NULL : Py_NewRef(self);
}
static PyObject *end_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames)
{
    static const char *const names[] = {"exc_type", "exc_value", "traceback"};
    PyObject *ignored[3];
    bool sends = end_of(self)->side == CTRIO__SEND_END;
    const char *function = sends ? "MemorySendChannel.__exit__" : "MemoryReceiveChannel.__exit__";
    if (ctrio__parse(function, args, nargs, kwnames, names, 3, 3, ignored) < 0)
        return NULL;
    return end_close(self, NULL);
}

static int aclose_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *Py_UNUSED(task))
{
    if (close_end(coro->self) < 0)
        return -1;
    ctrio__op_init(&coro->op.op, &ctrio__checkpoint_kind, NULL);
    return 0;
}
/* __aenter__: at once, and no checkpoint. */
static int aenter_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)coro;
    (void)task;
    return 1;
}
static PyObject *aenter_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    CTRIO_ASSERT(io->code == 0);
    (void)io;
    return Py_NewRef(coro->self);
}

static PyObject *get_closed(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(end_of(self)->closed);
}
/* A copy: the tasks that wait on this very end. */
static PyObject *get_tasks(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *set = PySet_New(NULL); /* adding to it runs no foreign code: tasks hash by identity */
    const struct ctrio_list *waiting = &end_of(self)->waiting;
    for (const struct ctrio_list *at = waiting->next; set != NULL && at != waiting; at = at->next) {
        struct ctrio__channel_op *op = ctrio__container(at, struct ctrio__channel_op, end_link);
        if (PySet_Add(set, (PyObject *)ctrio__py_task_from(op->task)) < 0)
            Py_CLEAR(set);
    }
    return set;
}

static PyObject *end_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<%s channel at %p, using buffer at %p>",
                                end_of(self)->side == CTRIO__SEND_END ? "send" : "receive", self,
                                ctrio__end_of(self)->state);
}

static int end_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(ctrio__end_of(self)->state);
    Py_VISIT(ctrio__end_of(self)->dict);
    return 0;
}
/* Not the state: a cycle through it goes through its buffer, too. */
static int end_clear(PyObject *self)
{
    Py_CLEAR(ctrio__end_of(self)->dict);
    return 0;
}
/* As in Trio, an end that nobody has closed counts as open for ever. */
static void end_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (ctrio__end_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    CTRIO_ASSERT(!ctrio__list_linked(&end_of(self)->waiting));
    Py_CLEAR(ctrio__end_of(self)->dict);
    Py_CLEAR(ctrio__end_of(self)->state);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- sending ----------------------------------------------------------------------- */

static PyObject *send_nowait(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *kwnames)
{
    struct ctrio__state *state = ctrio__state_of(self);
    PyObject *value =
        ctrio__parse_one("MemorySendChannel.send_nowait", "value", args, nargs, kwnames);
    if (value == NULL || ctrio__may_wake(state, first_waiting(&channel_of(self)->receivers)) < 0)
        return NULL;
    PyObject *item = Py_NewRef(value);
    int code = ctrio__channel_send_nowait(end_of(self), &item);
    if (code >= 0)
        Py_RETURN_NONE;
    Py_DECREF(item);
    return ctrio__raise_code(state, code, NULL);
}

static int send_parse(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t count,
                      PyObject *kwnames)
{
    PyObject *value = ctrio__parse_one("MemorySendChannel.send", "value", args, count, kwnames);
    coro->arg = Py_XNewRef(value);
    return value != NULL ? 0 : -1;
}
/* The reference of the call becomes the op's. */
static int send_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *Py_UNUSED(task))
{
    CTRIO_ASSERT(coro->arg != NULL);
    struct ctrio__channel_op *op = &coro->op.channel;
    ctrio__channel_send_op_init(op, end_of(coro->self), &op->slot);
    op->slot = coro->arg;
    op->owned = true;
    coro->arg = NULL;
    return 0;
}
/* The item that an op holds: not sent yet; or received, and not returned yet.  While the op is
 * stepped it may be on its way between two owners: nobody names it then, and it stays alive. */
static int op_traverse(struct ctrio__coroutine *coro, visitproc visit, void *arg)
{
    if (coro->state == CORO_PARKED && coro->op.channel.holds)
        Py_VISIT((PyObject *)coro->op.channel.slot);
    return 0;
}

/* --- receiving --------------------------------------------------------------------- */

static PyObject *receive_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__state *state = ctrio__state_of(self);
    PyObject *item = NULL;
    if (ctrio__may_wake(state, first_waiting(&channel_of(self)->senders)) < 0)
        return NULL;
    int code = ctrio__channel_receive_nowait(end_of(self), &item);
    if (code < 0)
        return ctrio__raise_code(state, code, NULL);
    CTRIO_ASSERT(item != NULL);
    return item;
}

static int receive_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *Py_UNUSED(task))
{
    struct ctrio__channel_op *op = &coro->op.channel;
    ctrio__channel_receive_op_init(op, end_of(coro->self), &op->slot);
    return 0;
}
static PyObject *receive_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    CTRIO_ASSERT(io->code < 0 || coro->op.channel.slot != NULL);
    if (io->code >= 0)
        return coro->op.channel.slot;
    return ctrio__raise(ctrio__state_of_coro(coro), io);
}
static PyObject *anext_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    if (io->code != CTRIO_END_OF_CHANNEL)
        return receive_finish(coro, io);
    PyErr_SetNone(PyExc_StopAsyncIteration);
    return NULL;
}

/* --- the types --------------------------------------------------------------------- */

#define END_ASYNC(name, type)                                                                      \
    {.qualname = name ".aclose", .module = "trio", .self = type, .begin = aclose_begin},           \
        {.qualname = name ".__aenter__",                                                           \
         .module = "trio",                                                                         \
         .self = type,                                                                             \
         .begin = aenter_begin,                                                                    \
         .finish = aenter_finish,                                                                  \
         .outside_task = true},                                                                    \
        {.qualname = name ".__aexit__",                                                            \
         .module = "trio",                                                                         \
         .self = type,                                                                             \
         .parse = ctrio__parse_exit,                                                               \
         .begin = aclose_begin},                                                                   \
    {                                                                                              \
        .qualname = NULL                                                                           \
    }
static const struct ctrio__async send_async[] = {
    {.qualname = "MemorySendChannel.send",
     .module = "trio",
     .self = TYPE_SEND_CHANNEL,
     .parse = send_parse,
     .begin = send_begin,
     .traverse = op_traverse},
    END_ASYNC("MemorySendChannel", TYPE_SEND_CHANNEL),
};
static const struct ctrio__async receive_async[] = {
    {.qualname = "MemoryReceiveChannel.receive",
     .module = "trio",
     .self = TYPE_RECEIVE_CHANNEL,
     .begin = receive_begin,
     .finish = receive_finish,
     .traverse = op_traverse},
    {.qualname = "MemoryReceiveChannel.__anext__",
     .module = "trio",
     .self = TYPE_RECEIVE_CHANNEL,
     .begin = receive_begin,
     .finish = anext_finish,
     .traverse = op_traverse},
    END_ASYNC("MemoryReceiveChannel", TYPE_RECEIVE_CHANNEL),
};

#define END_METHODS                                                                                \
    {"clone", end_clone, METH_NOARGS,                                                              \
     PyDoc_STR("clone($self, /)\n--\n\n"                                                           \
               "Return another end of the same channel, on the same side.\n\n"                     \
               "The side is closed when every end on it is: so each task may close its own.\n\n"   \
               "Raises:\n    trio.ClosedResourceError: This end is closed.")},                     \
        {"close", end_close, METH_NOARGS,                                                          \
         PyDoc_STR("close($self, /)\n--\n\nClose this end: `aclose`, but not a checkpoint.\n\n"    \
                   "Tasks that wait at this end get `trio.ClosedResourceError`.")},                \
        {"statistics", end_statistics, METH_NOARGS,                                                \
         PyDoc_STR("statistics($self, /)\n--\n\nReturn a `trio.MemoryChannelStatistics`.")},       \
        {"_create", end_create, METH_O | METH_CLASS, NULL},                                        \
        {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},                         \
    {                                                                                              \
        NULL, NULL, 0, NULL                                                                        \
    }
static PyMethodDef send_methods[] = {
    {"send_nowait", CTRIO_KEYWORDS(send_nowait),
     PyDoc_STR("send_nowait($self, /, value)\n--\n\n"
               "Send an object if there is room or somebody waits for it; no checkpoint.\n\n"
               "Args:\n    value: The object; None is one as well.\n\n"
               "Raises:\n    trio.WouldBlock: There is no room.\n"
               "    trio.BrokenResourceError: All receiving ends are closed.\n"
               "    trio.ClosedResourceError: This end is closed.")},
    END_METHODS,
};
static PyMethodDef receive_methods[] = {
    {"receive_nowait", receive_nowait, METH_NOARGS,
     PyDoc_STR("receive_nowait($self, /)\n--\n\n"
               "Return the next object if there is one; no checkpoint.\n\n"
               "Raises:\n    trio.WouldBlock: There is none.\n"
               "    trio.EndOfChannel: All sending ends are closed, nothing is left.\n"
               "    trio.ClosedResourceError: This end is closed.")},
    END_METHODS,
};
static PyGetSetDef end_getset[] = {
    CTRIO_GET_DICT,
    {"_closed", get_closed, NULL, NULL, NULL},
    {"_tasks", get_tasks, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef end_members[] = {
    {"_state", T_OBJECT_EX, offsetof(struct ctrio__py_end, state), READONLY, NULL},
    CTRIO_WEAKREFS(struct ctrio__py_end),
    CTRIO_DICT(struct ctrio__py_end),
    {NULL, 0, 0, 0, NULL},
};
#define END_SLOTS(doc, methods)                                                                    \
    {Py_tp_doc, (void *)doc}, {Py_tp_new, ctrio__no_constructor}, {Py_tp_repr, end_repr},          \
        {Py_tp_methods, methods}, {Py_tp_getset, end_getset}, {Py_tp_members, end_members},        \
        {Py_tp_traverse, end_traverse}, {Py_tp_clear, end_clear},                                  \
    {                                                                                              \
        Py_tp_dealloc, end_dealloc                                                                 \
    }
PyDoc_STRVAR(send_doc, "MemorySendChannel(*args, **kwargs)\n--\n\n"
                       "The end of a memory channel where objects go in.\n\n"
                       "open_memory_channel() makes it, and clone().");
PyDoc_STRVAR(receive_doc, "MemoryReceiveChannel(*args, **kwargs)\n--\n\n"
                          "The end of a memory channel where objects come out.\n\n"
                          "open_memory_channel() makes it, and clone().  `async for` receives\n"
                          "until every sending end is closed and nothing is left.");
static PyType_Slot send_slots[] = {
    {Py_tp_hash, ctrio__hash_by_serial},
    END_SLOTS(send_doc, send_methods),
    {0, NULL},
};
static PyType_Slot receive_slots[] = {
    {Py_tp_hash, ctrio__hash_by_serial},
    END_SLOTS(receive_doc, receive_methods),
    {Py_am_aiter, PyObject_SelfIter},
    {0, NULL},
};
static PyType_Spec send_spec = {
    .name = "trio.MemorySendChannel",
    .basicsize = sizeof(struct ctrio__py_end),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = send_slots,
};
static PyType_Spec receive_spec = {
    .name = "trio.MemoryReceiveChannel",
    .basicsize = sizeof(struct ctrio__py_end),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = receive_slots,
};
PyDoc_STRVAR(open_doc,
             "open_memory_channel(max_buffer_size)\n--\n\n"
             "Open a channel between tasks: what goes in at one end comes out at the other.\n\n"
             "Args:\n    max_buffer_size: How many objects may be on the way before a sender has "
             "to\n        wait: 0 for hand to hand, `math.inf` for any number.\n\n"
             "Returns:\n    The sending end and the receiving end.");
static PyType_Slot open_slots[] = {
    {Py_tp_doc, (void *)open_doc},
    {Py_tp_new, open_channel},
    {0, NULL},
};
/* Trio's is a tuple by name, too: type checkers want that.  What it makes is a plain one. */
static PyType_Spec open_spec = {
    .name = "trio.open_memory_channel",
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = open_slots,
};

static const struct ctrio__sync send_sync[] = {
    {"MemorySendChannel.__enter__", "trio", TYPE_SEND_CHANNEL, end_enter},
    {"MemorySendChannel.__exit__", "trio", TYPE_SEND_CHANNEL, end_exit},
    {NULL, NULL, TYPE_NONE, NULL},
};
static const struct ctrio__sync receive_sync[] = {
    {"MemoryReceiveChannel.__enter__", "trio", TYPE_RECEIVE_CHANNEL, end_enter},
    {"MemoryReceiveChannel.__exit__", "trio", TYPE_RECEIVE_CHANNEL, end_exit},
    {NULL, NULL, TYPE_NONE, NULL},
};

int ctrio__exec_channel(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__exec_channel_state(module, state) < 0 ||
        ctrio__add_type(module, TYPE_SEND_CHANNEL, &send_spec, NULL, "MemorySendChannel") < 0 ||
        ctrio__add_type(module, TYPE_RECEIVE_CHANNEL, &receive_spec, NULL, "MemoryReceiveChannel") <
            0 ||
        ctrio__add_methods(state, TYPE_SEND_CHANNEL, send_async) < 0 ||
        ctrio__add_methods(state, TYPE_RECEIVE_CHANNEL, receive_async) < 0 ||
        ctrio__add_sync_methods(state, TYPE_SEND_CHANNEL, send_sync) < 0 ||
        ctrio__add_sync_methods(state, TYPE_RECEIVE_CHANNEL, receive_sync) < 0)
        return -1;
    return ctrio__add_type(module, TYPE_OPEN_CHANNEL, &open_spec, &PyTuple_Type,
                           "open_memory_channel");
}
