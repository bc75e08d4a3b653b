/* event.c - Event: a flag that tasks wait for.
 *
 * Invariant: a task that is parked in the event holds it, by its coroutine: the event outlives
 * them.  Its lot has no head: nothing breaks it and nobody sees it. */
#include "kernel/event.h"
#include "pyext/pool.h"
#include "pyext/sync.h"

struct event {
    PyObject_HEAD
    uint64_t serial; /* its hash; see ctrio__serial_new */
    struct ctrio_event event;
    PyObject *weakrefs;
};

static struct event *event_of(PyObject *self)
{
    return (struct event *)self;
}

static PyObject *event_make(PyTypeObject *type)
{
    struct ctrio__state *state = ctrio__state_of_type(type);
    struct event *self = event_of(ctrio__pool_new(state, TYPE_EVENT));
    if (self == NULL)
        return NULL;
    self->serial = ctrio__serial_new(state);
    self->weakrefs = NULL;
    ctrio__event_init(&self->event, NULL);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static PyObject *event_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return ctrio__no_arguments("Event.__init__", args, kwargs) < 0 ? NULL : event_make(type);
}

/* What Event() comes to: without a tuple, and without asking __new__ and __init__. */
static PyObject *event_call(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (ctrio__parse_nothing("Event.__init__", args, nargs, kwnames) < 0)
        return NULL;
    return event_make((PyTypeObject *)type);
}

static PyObject *event_is_set(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(event_of(self)->event.is_set);
}

static PyObject *event_set(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct ctrio_event *event = &event_of(self)->event;
    if (ctrio__may_wake(ctrio__state_of(self), ctrio__lot_first(&event->lot)) < 0)
        return NULL;
    ctrio__event_set(event);
    Py_RETURN_NONE;
}

static PyObject *event_statistics(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__statistics_make(ctrio__state_of(self), "EventStatistics", "{s:n}",
                                  "tasks_waiting", (Py_ssize_t)event_of(self)->event.lot.count);
}

static int event_bool(PyObject *Py_UNUSED(self))
{
    PyErr_SetString(PyExc_NotImplementedError, "Trio events cannot be treated as bools; consider "
                                               "using `event.is_set()` instead.");
    return -1;
}

static int wait_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *Py_UNUSED(task))
{
    ctrio__op_init(&coro->op.op, &ctrio__event_wait_kind, &event_of(coro->self)->event);
    return 0;
}

static int event_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void event_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    CTRIO_ASSERT(event_of(self)->event.lot.count == 0);
    if (event_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    ctrio__pool_free(ctrio__state_of_type(type), TYPE_EVENT, self);
    Py_DECREF(type);
}

static const struct ctrio__async event_async[] = {
    {.qualname = "Event.wait",
     .module = "trio",
     .self = TYPE_EVENT,
     .small = true,
     .begin = wait_begin},
    {.qualname = NULL},
};
static PyMethodDef event_methods[] = {
    {"is_set", event_is_set, METH_NOARGS,
     PyDoc_STR("is_set($self, /)\n--\n\nTell whether the event has happened.")},
    {"set", event_set, METH_NOARGS,
     PyDoc_STR("set($self, /)\n--\n\nMake it happen: wake every task that waits.\n\n"
               "No checkpoint. Doing it again does nothing.")},
    {"statistics", event_statistics, METH_NOARGS,
     PyDoc_STR("statistics($self, /)\n--\n\nReturn a `trio.EventStatistics`.")},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef event_members[] = {
    CTRIO_WEAKREFS(struct event),
    {NULL, 0, 0, 0, NULL},
};
PyDoc_STRVAR(event_doc, "Event()\n--\n\n"
                        "Something that happens once, and that tasks can wait for.\n\n"
                        "It cannot un-happen: make a new one instead.");
static PyType_Slot event_slots[] = {
    {Py_tp_hash, ctrio__hash_by_serial}, {Py_tp_doc, (void *)event_doc}, {Py_tp_new, event_new},
    {Py_tp_methods, event_methods},      {Py_tp_members, event_members}, {Py_nb_bool, event_bool},
    {Py_tp_traverse, event_traverse},    {Py_tp_dealloc, event_dealloc}, {0, NULL},
};
static PyType_Spec event_spec = {
    .name = "trio.Event",
    .basicsize = sizeof(struct event),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = event_slots,
};

int ctrio__exec_event(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_EVENT, &event_spec, NULL, "Event") < 0)
        return -1;
    state->types[TYPE_EVENT]->tp_vectorcall = event_call;
    return ctrio__add_methods(state, TYPE_EVENT, event_async);
}
