/* condition.c - Condition: waiting, without the lock, for another task to notify.
 *
 * A task that is notified moves from our lot to the lock's and sleeps on until the lock is handed
 * to it.  So tasks that hold only us may be parked in the lock: we hold it to our own end, also
 * when the garbage collector clears us.  Invariant: lock is exactly a Lock, never NULL. */
#include "kernel/condition.h"
#include "pyext/sync.h"

_Static_assert(offsetof(struct ctrio__py_condition, condition) == sizeof(struct ctrio__lot_head),
               "the lot follows its head");

static struct ctrio__py_condition *condition_of(PyObject *self)
{
    return (struct ctrio__py_condition *)self;
}
static struct ctrio__py_lock *lock_of(PyObject *self)
{
    CTRIO_ASSERT(condition_of(self)->lock != NULL);
    CTRIO_ASSERT(condition_of(self)->condition.lock == &condition_of(self)->lock->lock);
    return condition_of(self)->lock;
}

static PyObject *condition_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"lock"};
    PyTypeObject *lock_type = ctrio__state_of_type(type)->types[TYPE_LOCK];
    PyObject *lock;
    if (ctrio__parse_tuple("Condition.__init__", args, kwargs, names, 0, 1, 1, &lock) < 0)
        return NULL;
    if (lock == NULL)
        lock = Py_None;
    if (lock != Py_None && !Py_IS_TYPE(lock, lock_type)) {
        PyErr_SetString(PyExc_TypeError, "lock must be a trio.Lock");
        return NULL;
    }
    lock = lock != Py_None ? Py_NewRef(lock) : ctrio__lock_make(lock_type);
    PyObject *self = lock != NULL ? type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        Py_XDECREF(lock);
        return NULL;
    }
    struct ctrio__py_condition *condition = condition_of(self);
    condition->lock = (struct ctrio__py_lock *)lock;
    ctrio__lot_head_init(&condition->head);
    ctrio__condition_init(&condition->condition, &condition->lock->lock, &ctrio__python);
    return self;
}

static PyObject *condition_locked(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(lock_of(self)->lock.owner != NULL);
}
static PyObject *condition_acquire_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__lock_acquire_now(ctrio__state_of(self), lock_of(self));
}
static PyObject *condition_release(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__lock_release_now(ctrio__state_of(self), lock_of(self));
}

/* `n` NULL: all. */
static PyObject *notify(PyObject *self, PyObject *n)
{
    struct ctrio__state *state = ctrio__state_of(self);
    struct ctrio_condition *condition = &condition_of(self)->condition;
    struct ctrio__py_task *task = ctrio__current_task(state);
    struct ctrio__outcome out = {0, NULL};
    size_t count = condition->lot.count;
    if (task == NULL)
        return NULL;
    bool allowed = ctrio__lock_held_by(condition->lock, &task->task);
    if (allowed && n != NULL && ctrio__parse_count(n, count, &count) < 0)
        return NULL;
    int code = ctrio__condition_notify(condition, &task->task, count, &out);
    CTRIO_ASSERT(allowed == (code == 0));
    return ctrio__none_or_raise(state, code, &out);
}

static PyObject *condition_notify(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kwnames)
{
    static const char *const names[] = {"n"};
    PyObject *n;
    if (ctrio__parse("Condition.notify", args, nargs, kwnames, names, 0, 1, &n) < 0)
        return NULL;
    PyObject *one = n == NULL ? PyLong_FromLong(1) : Py_NewRef(n);
    PyObject *result = one != NULL ? notify(self, one) : NULL;
    Py_XDECREF(one);
    return result;
}
static PyObject *condition_notify_all(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return notify(self, NULL);
}

static PyObject *condition_statistics(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__state *state = ctrio__state_of(self);
    PyObject *lock_statistics = ctrio__lock_statistics(state, lock_of(self));
    if (lock_statistics == NULL)
        return NULL;
    return ctrio__statistics_make(state, "ConditionStatistics", "{s:n,s:N}", "tasks_waiting",
                                  (Py_ssize_t)condition_of(self)->condition.lot.count,
                                  "lock_statistics", lock_statistics);
}

static int acquire_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *Py_UNUSED(task))
{
    ctrio__lock_begin(coro, lock_of(coro->self));
    return 0;
}
/* __aexit__: done at once. */
static int exit_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *Py_UNUSED(task))
{
    PyObject *none = ctrio__lock_release_now(ctrio__state_of_coro(coro), lock_of(coro->self));
    Py_XDECREF(none);
    return none != NULL ? 1 : -1;
}

static int wait_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    struct ctrio_condition *condition = &condition_of(coro->self)->condition;
    coro->op.condition = (struct ctrio__condition_wait_op){
        .op = {.kind = &ctrio__condition_wait_kind, .object = condition}};
    coro->number = condition->lot.broken;
    /* It is going to release the lock: whom does that wake? */
    if (!ctrio__lock_held_by(condition->lock, &task->task))
        return 0;
    return ctrio__may_wake(ctrio__state_of_coro(coro), ctrio__lot_first(&condition->lock->lot));
}

/* Broken: our lot, and the lock is back; or the lock, and it is not. */
static PyObject *wait_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    struct ctrio__state *state = ctrio__state_of_coro(coro);
    struct ctrio__py_condition *condition = condition_of(coro->self);
    struct ctrio__py_task *task = ctrio__peek_task(state);
    CTRIO_ASSERT(task != NULL);
    if (io->code == CTRIO_BROKEN_RESOURCE &&
        !ctrio__lock_held_by(&condition->lock->lock, &task->task))
        return ctrio__raise_owner_exited(state, condition->lock);
    return ctrio__lot_finish(coro, &condition->head, coro->number != 0.0, io);
}

static int condition_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(condition_of(self)->lock);
    Py_VISIT(condition_of(self)->dict);
    return ctrio__lot_head_traverse(&condition_of(self)->head, visit, arg);
}

/* Not the lock: a cycle through it goes through its __dict__, too. */
static int condition_clear(PyObject *self)
{
    ctrio__lot_head_clear(&condition_of(self)->head);
    Py_CLEAR(condition_of(self)->dict);
    return 0;
}

static void condition_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (condition_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    ctrio__lot_head_close(&condition_of(self)->head);
    Py_CLEAR(condition_of(self)->dict);
    Py_CLEAR(condition_of(self)->lock);
    type->tp_free(self);
    Py_DECREF(type);
}

static const struct ctrio__async condition_async[] = {
    {.qualname = "Condition.acquire",
     .module = "trio",
     .self = TYPE_CONDITION,
     .small = true,
     .begin = acquire_begin,
     .finish = ctrio__lock_finish},
    {.qualname = "Condition.wait",
     .module = "trio",
     .self = TYPE_CONDITION,
     .begin = wait_begin,
     .finish = wait_finish},
    {.qualname = "Condition.__aenter__",
     .module = "trio",
     .self = TYPE_CONDITION,
     .small = true,
     .begin = acquire_begin,
     .finish = ctrio__lock_finish},
    {.qualname = "Condition.__aexit__",
     .module = "trio",
     .self = TYPE_CONDITION,
     .parse = ctrio__parse_exit,
     .small = true,
     .begin = exit_begin},
    {.qualname = NULL},
};
static PyMethodDef condition_methods[] = {
    {"locked", condition_locked, METH_NOARGS,
     PyDoc_STR("locked($self, /)\n--\n\nTell whether a task holds the lock.")},
    {"acquire_nowait", condition_acquire_nowait, METH_NOARGS,
     PyDoc_STR("acquire_nowait($self, /)\n--\n\n"
               "Take the lock if it is free; no checkpoint.\n\n"
               "Raises:\n    trio.WouldBlock: A task holds it.\n"
               "    RuntimeError: This task holds it already.")},
    {"release", condition_release, METH_NOARGS,
     PyDoc_STR("release($self, /)\n--\n\nRelease the lock; no checkpoint.\n\n"
               "Raises:\n    RuntimeError: This task does not hold it.")},
    {"notify", CTRIO_KEYWORDS(condition_notify),
     PyDoc_STR("notify($self, /, n=1)\n--\n\n"
               "Let tasks out of `wait`, those first that have waited longest.\n\n"
               "No checkpoint. They go on one by one, each when it has the lock.\n\n"
               "Args:\n    n: How many, at most.\n\n"
               "Raises:\n    RuntimeError: This task does not hold the lock.")},
    {"notify_all", condition_notify_all, METH_NOARGS,
     PyDoc_STR("notify_all($self, /)\n--\n\nLet every task out of `wait`.\n\n"
               "Raises:\n    RuntimeError: This task does not hold the lock.")},
    {"statistics", condition_statistics, METH_NOARGS,
     PyDoc_STR("statistics($self, /)\n--\n\nReturn a `trio.ConditionStatistics`.")},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef condition_getset[] = {
    CTRIO_GET_DICT,
    {"_lot", ctrio__get_lot, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef condition_members[] = {
    {"_lock", T_OBJECT_EX, offsetof(struct ctrio__py_condition, lock), READONLY, NULL},
    CTRIO_WEAKREFS(struct ctrio__py_condition),
    CTRIO_DICT(struct ctrio__py_condition),
    {NULL, 0, 0, 0, NULL},
};
PyDoc_STRVAR(condition_doc,
             "Condition(lock=None)\n--\n\n"
             "A lock, and a queue of tasks that wait for what it guards to change.\n\n"
             "Args:\n"
             "    lock: A `Lock`; a new one if None.\n\n"
             "Raises:\n    TypeError: It is no Lock.");
static PyType_Slot condition_slots[] = {
    {Py_tp_hash, ctrio__hash_by_serial},  {Py_tp_doc, (void *)condition_doc},
    {Py_tp_new, condition_new},           {Py_tp_methods, condition_methods},
    {Py_tp_getset, condition_getset},     {Py_tp_members, condition_members},
    {Py_tp_traverse, condition_traverse}, {Py_tp_clear, condition_clear},
    {Py_tp_dealloc, condition_dealloc},   {0, NULL},
};
static PyType_Spec condition_spec = {
    .name = "trio.Condition",
    .basicsize = sizeof(struct ctrio__py_condition),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = condition_slots,
};

int ctrio__exec_condition(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_CONDITION, &condition_spec, NULL, "Condition") < 0)
        return -1;
    return ctrio__add_methods(state, TYPE_CONDITION, condition_async);
}
