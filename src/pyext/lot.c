/* lot.c - ParkingLot: the wait queue itself, in Python's hands.
 *
 * A ParkingLot has a lot of its own, or it is a view of the lot inside a lock, a semaphore, a
 * condition (their `_lot`).  Through a view nobody can park in a way that the owner's invariants
 * exclude: that is refused with an error, as the lot of a lock that is free is never unparked.
 * Keeping an ordered dict of Task objects, as Trio does, was refused: the kernel's list is the
 * truth, `_parked` is a copy. */
#include "pyext/sync.h"

_Static_assert(offsetof(struct ctrio__py_lot, lot) == sizeof(struct ctrio__lot_head),
               "the lot follows its head");

static struct ctrio__py_lot *lot_object(PyObject *self)
{
    return (struct ctrio__py_lot *)self;
}
static struct ctrio__lot_head *home_of(PyObject *self)
{
    return lot_object(self)->home;
}
static struct ctrio_parking_lot *lot_of(PyObject *self)
{
    return ctrio__lot_of(home_of(self));
}

/* `home` NULL: one of its own. */
static PyObject *lot_make(PyTypeObject *type, struct ctrio__lot_head *home)
{
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    struct ctrio__py_lot *lot = lot_object(self);
    ctrio__lot_head_init(&lot->head);
    ctrio__lot_init(&lot->lot, &ctrio__python);
    lot->home = home != NULL ? (struct ctrio__lot_head *)Py_NewRef(home) : &lot->head;
    return self;
}

static PyObject *lot_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (ctrio__no_arguments("ParkingLot.__init__", args, kwargs) < 0)
        return NULL;
    return lot_make(type, NULL);
}

PyObject *ctrio__lot_view(struct ctrio__lot_head *head)
{
    PyTypeObject *type = ctrio__state_of(head)->types[TYPE_LOT];
    if (Py_IS_TYPE((PyObject *)head, type))
        return Py_NewRef(head);
    CTRIO_ASSERT(head->view == NULL || home_of(head->view) == head);
    if (head->view != NULL)
        return Py_NewRef(head->view);
    PyObject *view = lot_make(type, head); /* may run a collection, which may come here */
    if (view == NULL)
        return NULL;
    if (head->view == NULL)
        head->view = view;
    else
        Py_SETREF(view, Py_NewRef(head->view));
    return view;
}

PyObject *ctrio__get_lot(PyObject *self, void *Py_UNUSED(closure))
{
    return ctrio__lot_view((struct ctrio__lot_head *)self);
}

/* --- parking ----------------------------------------------------------------------- */

/* Whether the object around the lot can have tasks parked in it now. */
static bool takes_tasks(struct ctrio__lot_head *home)
{
    if (ctrio__is_lock(home))
        return ((struct ctrio__py_lock *)home)->lock.owner != NULL;
    if (Py_IS_TYPE((PyObject *)home, ctrio__state_of(home)->types[TYPE_SEMAPHORE]))
        return ((struct ctrio__py_semaphore *)home)->semaphore.value == 0;
    return true;
}

static int check_takes_tasks(struct ctrio__lot_head *home)
{
    if (takes_tasks(home))
        return 0;
    PyErr_Format(PyExc_RuntimeError,
                 "this parking lot belongs to %R, which nobody has to wait for now", home);
    return -1;
}

static int park_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *Py_UNUSED(task))
{
    struct ctrio__lot_head *home = home_of(coro->self);
    if (ctrio__lot_of(home)->broken) {
        ctrio__raise_lot_broken(ctrio__state_of_coro(coro), home, true);
        return -1;
    }
    if (check_takes_tasks(home) < 0)
        return -1;
    ctrio__op_init(&coro->op.op, &ctrio__park_kind, ctrio__lot_of(home));
    return 0;
}
static PyObject *park_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    return ctrio__lot_finish(coro, home_of(coro->self), false, io);
}

/* The first `count` tasks. */
static PyObject *first_tasks(const struct ctrio_parking_lot *lot, size_t count)
{
    PyObject *list = PyList_New(0); /* appending to it runs no foreign code */
    const struct ctrio_list *at = lot->parked.next;
    if (list == NULL)
        return NULL;
    for (size_t i = 0; i < count && at != &lot->parked; i++, at = at->next) {
        struct ctrio_task *task = ctrio__container(at, struct ctrio_task, lot_link);
        CTRIO_ASSERT(task->frontend == &ctrio__python);
        if (PyList_Append(list, (PyObject *)ctrio__py_task_from(task)) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

static PyObject *unpark(PyObject *self, size_t count)
{
    struct ctrio_parking_lot *lot = lot_of(self);
    if (ctrio__may_wake(ctrio__state_of(self), ctrio__lot_first(lot)) < 0)
        return NULL;
    PyObject *list = first_tasks(lot, count);
    if (list == NULL)
        return NULL;
    /* A wake may run an instrument, which may unpark tasks as well. */
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++)
        if (ctrio__lot_first(lot) == &((struct ctrio__py_task *)PyList_GET_ITEM(list, i))->task)
            ctrio__lot_unpark_one(lot);
    return list;
}

/* count=1, by keyword only: names[] ends with it.  Fills out[0..required-1]. */
static int parse_with_count(const char *function, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames, const char *const *names, Py_ssize_t required,
                            PyObject **out)
{
    if (nargs > required) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zd positional argument%s but %zd were given",
                     function, required + 1, required == 0 ? "" : "s", nargs + 1);
        return -1;
    }
    return ctrio__parse(function, args, nargs, kwnames, names, required, required + 1, out);
}
static int take_count(PyObject *count, size_t waiting, size_t *out)
{
    *out = 1;
    return count != NULL ? ctrio__parse_count(count, waiting, out) : 0;
}

static PyObject *lot_unpark(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    static const char *const names[] = {"count"};
    PyObject *given;
    size_t count;
    if (parse_with_count("ParkingLot.unpark", args, nargs, kwnames, names, 0, &given) < 0 ||
        take_count(given, lot_of(self)->count, &count) < 0)
        return NULL;
    return unpark(self, count);
}
static PyObject *lot_unpark_all(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return unpark(self, lot_of(self)->count);
}

static PyObject *repark(PyObject *self, PyObject *new_lot, size_t count)
{
    struct ctrio__lot_head *from = home_of(self);
    struct ctrio__lot_head *to = home_of(new_lot);
    if (count > 0 && ctrio__lot_of(from)->count > 0 &&
        (check_takes_tasks(to) < 0 || ctrio__lot_moving(from, to) < 0))
        return NULL;
    ctrio__lot_repark(ctrio__lot_of(from), ctrio__lot_of(to), count);
    Py_RETURN_NONE;
}

static int check_new_lot(PyObject *self, PyObject *new_lot)
{
    if (Py_IS_TYPE(new_lot, Py_TYPE(self)))
        return 0;
    PyErr_SetString(PyExc_TypeError, "new_lot must be a ParkingLot");
    return -1;
}

static PyObject *lot_repark(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    static const char *const names[] = {"new_lot", "count"};
    PyObject *given[2];
    size_t count;
    if (parse_with_count("ParkingLot.repark", args, nargs, kwnames, names, 1, given) < 0 ||
        check_new_lot(self, given[0]) < 0 || take_count(given[1], lot_of(self)->count, &count) < 0)
        return NULL;
    return repark(self, given[0], count);
}
static PyObject *lot_repark_all(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames)
{
    PyObject *new_lot = ctrio__parse_one("ParkingLot.repark_all", "new_lot", args, nargs, kwnames);
    if (new_lot == NULL || check_new_lot(self, new_lot) < 0)
        return NULL;
    return repark(self, new_lot, lot_of(self)->count);
}

static PyObject *lot_break_lot(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *kwnames)
{
    static const char *const names[] = {"task"};
    struct ctrio__state *state = ctrio__state_of(self);
    PyObject *task;
    if (ctrio__parse("ParkingLot.break_lot", args, nargs, kwnames, names, 0, 1, &task) < 0)
        return NULL;
    if (task == NULL || task == Py_None)
        task = (PyObject *)ctrio__current_task(state);
    if (task == NULL)
        return NULL;
    if (!Py_IS_TYPE(task, state->types[TYPE_TASK])) {
        PyErr_Format(PyExc_TypeError, "task must be a trio.lowlevel.Task, not %R", task);
        return NULL;
    }
    if (ctrio__may_wake(state, ctrio__lot_first(lot_of(self))) < 0)
        return NULL;
    ctrio__lot_break(lot_of(self), &((struct ctrio__py_task *)task)->task);
    Py_RETURN_NONE;
}

/* --- looking ----------------------------------------------------------------------- */

static Py_ssize_t lot_length(PyObject *self)
{
    return (Py_ssize_t)lot_of(self)->count;
}
static int lot_bool(PyObject *self)
{
    return lot_of(self)->count != 0;
}
static PyObject *lot_statistics(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__statistics_make(ctrio__state_of(self), "ParkingLotStatistics", "{s:n}",
                                  "tasks_waiting", (Py_ssize_t)lot_of(self)->count);
}
static PyObject *get_broken_by(PyObject *self, void *Py_UNUSED(closure))
{
    return ctrio__lot_broken_by(home_of(self));
}

/* A copy, in Trio's form: an OrderedDict from tasks to None. */
static PyObject *get_parked(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *parked = PyODict_New();
    PyObject *tasks = parked != NULL ? first_tasks(lot_of(self), lot_of(self)->count) : NULL;
    for (Py_ssize_t i = 0; tasks != NULL && i < PyList_GET_SIZE(tasks); i++)
        if (PyODict_SetItem(parked, PyList_GET_ITEM(tasks, i), Py_None) < 0)
            Py_CLEAR(tasks);
    if (tasks == NULL)
        Py_CLEAR(parked);
    Py_XDECREF(tasks);
    return parked;
}

static PyObject *lot_repr(PyObject *self)
{
    PyObject *parked = get_parked(self, NULL);
    PyObject *by = parked != NULL ? get_broken_by(self, NULL) : NULL;
    PyObject *text = NULL;
    if (by != NULL)
        text = PyUnicode_FromFormat("ParkingLot(_parked=%R, broken_by=%R)", parked, by);
    Py_XDECREF(parked);
    Py_XDECREF(by);
    return text;
}

static int lot_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct ctrio__py_lot *lot = lot_object(self);
    Py_VISIT(Py_TYPE(self));
    if (lot->home != &lot->head)
        Py_VISIT(lot->home);
    return ctrio__lot_head_traverse(&lot->head, visit, arg);
}

/* Not the home: a cycle through it goes through its __dict__, too. */
static int lot_clear(PyObject *self)
{
    ctrio__lot_head_clear(&lot_object(self)->head);
    return 0;
}

static void lot_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    struct ctrio__py_lot *lot = lot_object(self);
    PyObject_GC_UnTrack(self);
    if (lot->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    ctrio__lot_head_close(&lot->head);
    if (lot->home != &lot->head) {
        if (lot->home->view == self)
            lot->home->view = NULL;
        Py_DECREF(lot->home);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

static const struct ctrio__async lot_async[] = {
    {.qualname = "ParkingLot.park",
     .module = "trio.lowlevel",
     .self = TYPE_LOT,
     .small = true,
     .begin = park_begin,
     .finish = park_finish},
    {.qualname = NULL},
};
static PyMethodDef lot_methods[] = {
    {"unpark", CTRIO_KEYWORDS(lot_unpark),
     PyDoc_STR("unpark($self, /, *, count=1)\n--\n\n"
               "Wake the tasks that have waited longest, and return them.\n\n"
               "No checkpoint. They are out of the lot at once, and run a little later.\n\n"
               "Args:\n    count: How many, at most; `math.inf` for all.")},
    {"unpark_all", lot_unpark_all, METH_NOARGS,
     PyDoc_STR("unpark_all($self, /)\n--\n\nWake every task, and return them in order.")},
    {"repark", CTRIO_KEYWORDS(lot_repark),
     PyDoc_STR(
         "repark($self, /, new_lot, *, count=1)\n--\n\n"
         "Let tasks wait in another lot from now on, behind those that do already.\n\n"
         "Those that have waited longest are moved first; none of them runs.\n\n"
         "Args:\n    new_lot: The other lot.\n    count: How many, at most; `math.inf` for all.")},
    {"repark_all", CTRIO_KEYWORDS(lot_repark_all),
     PyDoc_STR("repark_all($self, /, new_lot)\n--\n\n"
               "Let every task wait in another lot from now on.\n\n"
               "Args:\n    new_lot: The other lot.")},
    {"break_lot", CTRIO_KEYWORDS(lot_break_lot),
     PyDoc_STR("break_lot($self, /, task=None)\n--\n\n"
               "Have everybody's `park` raise an error, now and in future.\n\n"
               "The error is a `trio.BrokenResourceError` that names the task.\n\n"
               "Args:\n    task: In whose name; the current task's if None.")},
    {"statistics", lot_statistics, METH_NOARGS,
     PyDoc_STR("statistics($self, /)\n--\n\nReturn a `trio.lowlevel.ParkingLotStatistics`.")},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef lot_getset[] = {
    {"broken_by", get_broken_by, NULL, PyDoc_STR("The tasks that broke it, the first first."),
     NULL},
    {"_parked", get_parked, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef lot_members[] = {
    CTRIO_WEAKREFS(struct ctrio__py_lot),
    {NULL, 0, 0, 0, NULL},
};
PyDoc_STRVAR(lot_doc,
             "ParkingLot()\n--\n\n"
             "A queue in which tasks sleep until they are woken, first come first served.\n\n"
             "What locks and the like are made of. Its length is how many are in it.");
static PyType_Slot lot_slots[] = {
    {Py_tp_hash, ctrio__hash_by_serial},
    {Py_tp_doc, (void *)lot_doc},
    {Py_tp_new, lot_new},
    {Py_tp_repr, lot_repr},
    {Py_tp_methods, lot_methods},
    {Py_tp_getset, lot_getset},
    {Py_tp_members, lot_members},
    {Py_sq_length, lot_length},
    {Py_nb_bool, lot_bool},
    {Py_tp_traverse, lot_traverse},
    {Py_tp_clear, lot_clear},
    {Py_tp_dealloc, lot_dealloc},
    {0, NULL},
};
static PyType_Spec lot_spec = {
    .name = "trio.lowlevel.ParkingLot",
    .basicsize = sizeof(struct ctrio__py_lot),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = lot_slots,
};

int ctrio__exec_lot(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_LOT, &lot_spec, NULL, "ParkingLot") < 0 ||
        ctrio__add_methods(state, TYPE_LOT, lot_async) < 0)
        return -1;
    return ctrio__exec_breaker(module, state);
}
