/* channel_state.c - MemoryChannelState: what the ends of a channel share, and a look at it.
 *
 * The kernel's channel lives in this object; every end holds it.  Its attributes are copies in
 * Trio's form: nothing that is done to them changes the channel.  Invariant: the channel owns a
 * reference to each buffered item, a parked op of send() to the one it brings. */
#include "pyext/channel.h"

static struct ctrio__py_channel *channel_of(PyObject *self)
{
    return (struct ctrio__py_channel *)self;
}

static void drop_item(struct ctrio__channel *channel, void *item)
{
    (void)channel;
    Py_DECREF(*(PyObject **)item);
}

PyObject *ctrio__channel_make(PyTypeObject *type, PyObject *max_buffer_size)
{
    size_t number;
    if (ctrio__parse_limit(max_buffer_size, "max_buffer_size must be an integer or math.inf",
                           "max_buffer_size must be >= 0", &number) < 0)
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    ctrio__channel_init(&channel_of(self)->channel, sizeof(PyObject *), number, drop_item);
    channel_of(self)->max_buffer_size = Py_NewRef(max_buffer_size);
    return self;
}

static PyObject *channel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"max_buffer_size"};
    PyObject *max_buffer_size;
    if (ctrio__parse_tuple("MemoryChannelState.__init__", args, kwargs, names, 1, 1, 1,
                           &max_buffer_size) < 0)
        return NULL;
    return ctrio__channel_make(type, max_buffer_size);
}

PyObject *ctrio__channel_statistics(PyObject *self)
{
    const struct ctrio__channel *channel = &channel_of(self)->channel;
    return ctrio__statistics_make(
        ctrio__state_of(self), "MemoryChannelStatistics", "{s:n,s:O,s:n,s:n,s:n,s:n,s:n}",
        "current_buffer_used", (Py_ssize_t)channel->count, "max_buffer_size",
        channel_of(self)->max_buffer_size, "open_send_channels", (Py_ssize_t)channel->open_send,
        "open_receive_channels", (Py_ssize_t)channel->open_receive, "tasks_waiting_send",
        (Py_ssize_t)channel->senders_count, "tasks_waiting_receive",
        (Py_ssize_t)channel->receivers_count, "peak_buffer_used", (Py_ssize_t)channel->peak);
}
static PyObject *channel_statistics(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__channel_statistics(self);
}

/* The n-th item of the ring, borrowed. */
static PyObject *item_at(const struct ctrio__channel *channel, size_t n)
{
    return *(PyObject **)ctrio__channel_peek(channel, n);
}

static PyObject *get_data(PyObject *self, void *Py_UNUSED(closure))
{
    const struct ctrio__channel *channel = &channel_of(self)->channel;
    PyObject *list = PyList_New(0); /* appending to it runs no foreign code */
    for (size_t i = 0; list != NULL && i < channel->count; i++)
        if (PyList_Append(list, item_at(channel, i)) < 0)
            Py_CLEAR(list);
    PyObject *module = list != NULL ? PyImport_ImportModule("collections") : NULL;
    PyObject *deque = module != NULL ? ctrio__call_method1(module, "deque", list) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(list);
    return deque;
}

int ctrio__channel_waiting(PyObject *dict, const struct ctrio_list *queue, bool items)
{
    for (const struct ctrio_list *at = queue->next; at != queue; at = at->next) {
        struct ctrio__channel_op *op = ctrio__container(at, struct ctrio__channel_op, link);
        CTRIO_ASSERT(op->task->frontend == &ctrio__python);
        PyObject *task = (PyObject *)ctrio__py_task_from(op->task);
        if (PyODict_SetItem(dict, task, items ? *(PyObject **)op->item : Py_None) < 0)
            return -1;
    }
    return 0;
}
static PyObject *get_tasks(PyObject *self, void *closure)
{
    const struct ctrio__channel *channel = &channel_of(self)->channel;
    bool send = closure != NULL;
    PyObject *dict = PyODict_New();
    const struct ctrio_list *queue = send ? &channel->senders : &channel->receivers;
    if (dict != NULL && ctrio__channel_waiting(dict, queue, send) < 0)
        Py_CLEAR(dict);
    return dict;
}

#define GET_SIZE(field)                                                                            \
    static PyObject *get_##field(PyObject *self, void *Py_UNUSED(closure))                         \
    {                                                                                              \
        return PyLong_FromSize_t(channel_of(self)->channel.field);                                 \
    }
GET_SIZE(open_send)
GET_SIZE(open_receive)
GET_SIZE(peak)

static PyObject *channel_repr(PyObject *self)
{
    struct ctrio__py_channel *object = channel_of(self);
    const struct ctrio__channel *channel = &object->channel;
    PyObject *data = get_data(self, NULL);
    PyObject *senders = data != NULL ? get_tasks(self, "send") : NULL;
    PyObject *receivers = senders != NULL ? get_tasks(self, NULL) : NULL;
    PyObject *text = NULL;
    if (receivers != NULL && Py_ReprEnter(self) == 0) {
        text = PyUnicode_FromFormat("MemoryChannelState(max_buffer_size=%R, data=%R, "
                                    "open_send_channels=%zu, open_receive_channels=%zu, "
                                    "send_tasks=%R, receive_tasks=%R, peak_buffer_used=%zu)",
                                    object->max_buffer_size, data, channel->open_send,
                                    channel->open_receive, senders, receivers, channel->peak);
        Py_ReprLeave(self);
    } else if (receivers != NULL && !PyErr_Occurred()) {
        text = PyUnicode_FromString("MemoryChannelState(...)");
    }
    Py_XDECREF(data);
    Py_XDECREF(senders);
    Py_XDECREF(receivers);
    return text;
}

static int channel_traverse(PyObject *self, visitproc visit, void *arg)
{
    const struct ctrio__channel *channel = &channel_of(self)->channel;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(channel_of(self)->max_buffer_size);
    for (size_t i = 0; i < channel->count; i++)
        Py_VISIT(item_at(channel, i));
    return 0;
}

/* While tasks wait to send, the next collection does it: these go first, by themselves. */
static int channel_clear(PyObject *self)
{
    struct ctrio__channel *channel = &channel_of(self)->channel;
    if (ctrio__list_empty(&channel->senders) && ctrio__list_empty(&channel->receivers))
        ctrio__channel_clear(channel);
    return 0;
}

static void channel_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (channel_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    ctrio__channel_clear(&channel_of(self)->channel);
    Py_CLEAR(channel_of(self)->max_buffer_size);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef channel_methods[] = {
    {"statistics", channel_statistics, METH_NOARGS,
     PyDoc_STR("statistics($self, /)\n--\n\nReturn a MemoryChannelStatistics.")},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef channel_getset[] = {
    {"data", get_data, NULL, PyDoc_STR("A deque of what is in the buffer."), NULL},
    {"open_send_channels", get_open_send, NULL, PyDoc_STR("How many sending ends are open."), NULL},
    {"open_receive_channels", get_open_receive, NULL,
     PyDoc_STR("How many receiving ends are open."), NULL},
    {"send_tasks", get_tasks, NULL, PyDoc_STR("Who waits to send what."), "send"},
    {"receive_tasks", get_tasks, NULL, PyDoc_STR("Who waits to receive."), NULL},
    {"peak_buffer_used", get_peak, NULL,
     PyDoc_STR("The most objects that were ever in the buffer."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef channel_members[] = {
    {"max_buffer_size", T_OBJECT_EX, offsetof(struct ctrio__py_channel, max_buffer_size), READONLY,
     PyDoc_STR("How many objects the buffer takes.")},
    CTRIO_WEAKREFS(struct ctrio__py_channel),
    {NULL, 0, 0, 0, NULL},
};
PyDoc_STRVAR(channel_doc, "MemoryChannelState(max_buffer_size)\n--\n\n"
                          "What the ends of a memory channel share.");
static PyType_Slot channel_slots[] = {
    {Py_tp_doc, (void *)channel_doc},   {Py_tp_new, channel_new},
    {Py_tp_repr, channel_repr},         {Py_tp_methods, channel_methods},
    {Py_tp_getset, channel_getset},     {Py_tp_members, channel_members},
    {Py_tp_traverse, channel_traverse}, {Py_tp_clear, channel_clear},
    {Py_tp_dealloc, channel_dealloc},   {0, NULL},
};
static PyType_Spec channel_spec = {
    .name = "trio._channel.MemoryChannelState",
    .basicsize = sizeof(struct ctrio__py_channel),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = channel_slots,
};

int ctrio__exec_channel_state(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    return ctrio__add_type(module, TYPE_CHANNEL_STATE, &channel_spec, NULL, "MemoryChannelState");
}
