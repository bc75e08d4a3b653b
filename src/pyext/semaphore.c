/* semaphore.c - Semaphore: a number that acquire() never takes below zero.
 *
 * The kernel counts in size_t, which no program will reach; a Python integer beyond it is refused
 * with OverflowError.  Invariant (the kernel's): somebody waits => the value is 0. */
#include "kernel/semaphore.h"
#include "pyext/sync.h"

_Static_assert(offsetof(struct ctrio__py_semaphore, semaphore) == sizeof(struct ctrio__lot_head),
               "the lot follows its head");

static struct ctrio__py_semaphore *semaphore_of(PyObject *self)
{
    return (struct ctrio__py_semaphore *)self;
}

/* Both numbers, checked; SIZE_MAX for no maximum. */
static int parse_numbers(PyObject *initial, PyObject *max, size_t *value, size_t *max_value)
{
    if (!PyLong_Check(initial)) {
        PyErr_SetString(PyExc_TypeError, "initial_value must be an int");
        return -1;
    }
    if (ctrio__parse_limit(initial, "", "initial value must be >= 0", value) < 0)
        return -1;
    if (max != Py_None && !PyLong_Check(max)) {
        PyErr_SetString(PyExc_TypeError, "max_value must be None or an int");
        return -1;
    }
    int smaller = max == Py_None ? 0 : PyObject_RichCompareBool(max, initial, Py_LT);
    if (smaller > 0)
        PyErr_SetString(PyExc_ValueError, "max_values must be >= initial_value");
    if (smaller != 0)
        return -1;
    *value = PyLong_AsSize_t(initial);
    if (*value == (size_t)-1 && PyErr_Occurred())
        return -1;
    *max_value = max == Py_None ? SIZE_MAX : PyLong_AsSize_t(max);
    return *max_value == (size_t)-1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *semaphore_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"initial_value", "max_value"};
    PyObject *given[2];
    size_t value, max_value;
    if (ctrio__parse_tuple("Semaphore.__init__", args, kwargs, names, 1, 1, 2, given) < 0)
        return NULL;
    PyObject *max = given[1] != NULL ? given[1] : Py_None;
    if (parse_numbers(given[0], max, &value, &max_value) < 0)
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    ctrio__lot_head_init(&semaphore_of(self)->head);
    ctrio__semaphore_init(&semaphore_of(self)->semaphore, value, max_value, &ctrio__python);
    return self;
}

static PyObject *semaphore_repr(PyObject *self)
{
    const struct ctrio_semaphore *semaphore = &semaphore_of(self)->semaphore;
    if (semaphore->max_value == SIZE_MAX)
        return PyUnicode_FromFormat("<trio.Semaphore(%zu) at %p>", semaphore->value, self);
    return PyUnicode_FromFormat("<trio.Semaphore(%zu, max_value=%zu) at %p>", semaphore->value,
                                semaphore->max_value, self);
}

static PyObject *get_value(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(semaphore_of(self)->semaphore.value);
}
static PyObject *get_max_value(PyObject *self, void *Py_UNUSED(closure))
{
    size_t max_value = semaphore_of(self)->semaphore.max_value;
    if (max_value == SIZE_MAX)
        Py_RETURN_NONE;
    return PyLong_FromSize_t(max_value);
}

static PyObject *semaphore_acquire_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    int code = ctrio__semaphore_acquire_nowait(&semaphore_of(self)->semaphore);
    if (code < 0)
        return ctrio__raise_code(ctrio__state_of(self), code, NULL);
    Py_RETURN_NONE;
}

static int release(PyObject *self)
{
    struct ctrio_semaphore *semaphore = &semaphore_of(self)->semaphore;
    if (ctrio__may_wake(ctrio__state_of(self), ctrio__lot_first(&semaphore->lot)) < 0)
        return -1;
    if (ctrio__semaphore_release(semaphore) == 0)
        return 0;
    PyErr_SetString(PyExc_ValueError, "semaphore released too many times");
    return -1;
}
static PyObject *semaphore_release(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    if (release(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *semaphore_statistics(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__statistics_make(ctrio__state_of(self), "ParkingLotStatistics", "{s:n}",
                                  "tasks_waiting",
                                  (Py_ssize_t)semaphore_of(self)->semaphore.lot.count);
}

static int acquire_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *Py_UNUSED(task))
{
    coro->op.primitive =
        (struct ctrio__primitive){.op = {.kind = &ctrio__semaphore_acquire_kind,
                                         .object = &semaphore_of(coro->self)->semaphore}};
    return 0;
}
static PyObject *acquire_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    bool parked = coro->op.op.stage == CTRIO__STAGE_WAITING;
    return ctrio__lot_finish(coro, &semaphore_of(coro->self)->head, !parked, io);
}
/* __aexit__: done at once. */
static int exit_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *Py_UNUSED(task))
{
    return release(coro->self) < 0 ? -1 : 1;
}

static int semaphore_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(semaphore_of(self)->dict);
    return ctrio__lot_head_traverse(&semaphore_of(self)->head, visit, arg);
}

static int semaphore_clear(PyObject *self)
{
    ctrio__lot_head_clear(&semaphore_of(self)->head);
    Py_CLEAR(semaphore_of(self)->dict);
    return 0;
}

static void semaphore_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (semaphore_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    ctrio__lot_head_close(&semaphore_of(self)->head);
    Py_CLEAR(semaphore_of(self)->dict);
    type->tp_free(self);
    Py_DECREF(type);
}

static const struct ctrio__async semaphore_async[] = {
    {.qualname = "Semaphore.acquire",
     .module = "trio",
     .self = TYPE_SEMAPHORE,
     .small = true,
     .begin = acquire_begin,
     .finish = acquire_finish},
    {.qualname = "Semaphore.__aenter__",
     .module = "trio",
     .self = TYPE_SEMAPHORE,
     .small = true,
     .begin = acquire_begin,
     .finish = acquire_finish},
    {.qualname = "Semaphore.__aexit__",
     .module = "trio",
     .self = TYPE_SEMAPHORE,
     .parse = ctrio__parse_exit,
     .small = true,
     .begin = exit_begin},
    {.qualname = NULL},
};
static PyMethodDef semaphore_methods[] = {
    {"acquire_nowait", semaphore_acquire_nowait, METH_NOARGS,
     PyDoc_STR("acquire_nowait($self, /)\n--\n\n"
               "Count down if the number is above zero; no checkpoint.\n\n"
               "Raises:\n    trio.WouldBlock: It is zero.")},
    {"release", semaphore_release, METH_NOARGS,
     PyDoc_STR("release($self, /)\n--\n\n"
               "Wake the task that has waited longest, or count up.\n\n"
               "No checkpoint.\n\n"
               "Raises:\n    ValueError: The value would exceed max_value.")},
    {"statistics", semaphore_statistics, METH_NOARGS,
     PyDoc_STR("statistics($self, /)\n--\n\nReturn a `trio.lowlevel.ParkingLotStatistics`.")},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef semaphore_getset[] = {
    CTRIO_GET_DICT,
    {"_lot", ctrio__get_lot, NULL, NULL, NULL},
    {"value", get_value, NULL, PyDoc_STR("The number: how many acquires will not wait."), NULL},
    {"max_value", get_max_value, NULL, PyDoc_STR("What it may not exceed, or None."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef semaphore_members[] = {
    CTRIO_WEAKREFS(struct ctrio__py_semaphore),
    CTRIO_DICT(struct ctrio__py_semaphore),
    {NULL, 0, 0, 0, NULL},
};
PyDoc_STRVAR(semaphore_doc,
             "Semaphore(initial_value, *, max_value=None)\n--\n\n"
             "A number that release() counts up and acquire() counts down, waiting at zero.\n\n"
             "Args:\n"
             "    initial_value: The number at first.\n"
             "    max_value: What it may not exceed, if anything.\n\n"
             "Raises:\n    TypeError: One of them is no int.\n"
             "    ValueError: The number is negative, or exceeds the maximum.");
static PyType_Slot semaphore_slots[] = {
    {Py_tp_hash, ctrio__hash_by_serial},
    {Py_tp_doc, (void *)semaphore_doc},
    {Py_tp_new, semaphore_new},
    {Py_tp_repr, semaphore_repr},
    {Py_tp_methods, semaphore_methods},
    {Py_tp_getset, semaphore_getset},
    {Py_tp_members, semaphore_members},
    {Py_tp_traverse, semaphore_traverse},
    {Py_tp_clear, semaphore_clear},
    {Py_tp_dealloc, semaphore_dealloc},
    {0, NULL},
};
static PyType_Spec semaphore_spec = {
    .name = "trio.Semaphore",
    .basicsize = sizeof(struct ctrio__py_semaphore),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = semaphore_slots,
};

int ctrio__exec_semaphore(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_SEMAPHORE, &semaphore_spec, NULL, "Semaphore") < 0)
        return -1;
    return ctrio__add_methods(state, TYPE_SEMAPHORE, semaphore_async);
}
