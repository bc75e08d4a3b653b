/* lock.c - Lock and StrictFIFOLock: one implementation under two names, as in Trio.
 *
 * The kernel's lock points at its owner without holding it: a living task is alive, and an owner
 * that exits breaks the lock, at which moment last_owner takes a reference, so that the error can
 * name it.  Invariant: breaker linked => owner is a living task. */
#include "kernel/lock.h"
#include "pyext/sync.h"

_Static_assert(offsetof(struct ctrio__py_lock, lock) == sizeof(struct ctrio__lot_head),
               "the lot follows its head");

static struct ctrio__py_lock *lock_of(PyObject *self)
{
    return (struct ctrio__py_lock *)self;
}

PyObject *ctrio__lock_make(PyTypeObject *type)
{
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    ctrio__lot_head_init(&lock_of(self)->head);
    ctrio__lock_init(&lock_of(self)->lock, &ctrio__python);
    return self;
}

bool ctrio__is_lock(struct ctrio__lot_head *head)
{
    struct ctrio__state *state = ctrio__state_of(head);
    return Py_IS_TYPE((PyObject *)head, state->types[TYPE_LOCK]) ||
           Py_IS_TYPE((PyObject *)head, state->types[TYPE_STRICT_FIFO_LOCK]);
}

static PyObject *lock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (ctrio__no_arguments("_LockImpl.__init__", args, kwargs) < 0) /* Trio's base class */
        return NULL;
    return ctrio__lock_make(type);
}

PyObject *ctrio__lock_owner(const struct ctrio__py_lock *lock)
{
    struct ctrio_task *owner = lock->lock.owner;
    if (owner == NULL)
        return NULL;
    if (!ctrio__list_linked(&lock->lock.breaker.link))
        return lock->last_owner;
    CTRIO_ASSERT(owner->state != CTRIO__TASK_EXITED);
    return (PyObject *)ctrio__py_task_from(owner);
}

static PyObject *owner_or_none(const struct ctrio__py_lock *lock)
{
    PyObject *owner = ctrio__lock_owner(lock);
    return owner != NULL ? owner : Py_None;
}

PyObject *ctrio__raise_owner_exited(struct ctrio__state *state, const struct ctrio__py_lock *lock)
{
    PyErr_Format(state->bound.BrokenResourceError,
                 "Owner of this lock exited without releasing: %S", owner_or_none(lock));
    ctrio__hide_context();
    return NULL;
}

PyObject *ctrio__lock_acquire_now(struct ctrio__state *state, struct ctrio__py_lock *lock)
{
    struct ctrio__py_task *task = ctrio__current_task(state);
    struct ctrio__outcome out = {0, NULL};
    CTRIO_ASSERT(ctrio__is_lock(&lock->head));
    if (task == NULL)
        return NULL;
    int code = ctrio__lock_acquire_nowait(&lock->lock, &task->task, &out);
    return ctrio__none_or_raise(state, code, &out);
}

PyObject *ctrio__lock_release_now(struct ctrio__state *state, struct ctrio__py_lock *lock)
{
    struct ctrio__py_task *task = ctrio__current_task(state);
    struct ctrio__outcome out = {0, NULL};
    CTRIO_ASSERT(ctrio__is_lock(&lock->head));
    if (task == NULL || ctrio__may_wake(state, ctrio__lot_first(&lock->lock.lot)) < 0)
        return NULL;
    int code = ctrio__lock_release(&lock->lock, &task->task, &out);
    return ctrio__none_or_raise(state, code, &out);
}

PyObject *ctrio__lock_statistics(struct ctrio__state *state, struct ctrio__py_lock *lock)
{
    return ctrio__statistics_make(state, "LockStatistics", "{s:O,s:O,s:n}", "locked",
                                  lock->lock.owner != NULL ? Py_True : Py_False, "owner",
                                  owner_or_none(lock), "tasks_waiting",
                                  (Py_ssize_t)lock->lock.lot.count);
}

void ctrio__lock_begin(struct ctrio__coroutine *coro, struct ctrio__py_lock *lock)
{
    coro->op.primitive =
        (struct ctrio__primitive){.op = {.kind = &ctrio__lock_acquire_kind, .object = &lock->lock}};
}

PyObject *ctrio__lock_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    struct ctrio__state *state = ctrio__state_of_coro(coro);
    if (io->code >= 0)
        Py_RETURN_NONE;
    if (io->code != CTRIO_BROKEN_RESOURCE)
        return ctrio__raise(state, io);
    struct ctrio__py_lock *lock = ctrio__container(coro->op.op.object, struct ctrio__py_lock, lock);
    CTRIO_ASSERT(ctrio__is_lock(&lock->head));
    CTRIO_ASSERT(lock->lock.lot.broken);
    return ctrio__raise_owner_exited(state, lock);
}

/* --- the types --------------------------------------------------------------------- */

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

static PyObject *lock_locked(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(lock_of(self)->lock.owner != NULL);
}
static PyObject *lock_acquire_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__lock_acquire_now(ctrio__state_of(self), lock_of(self));
}
static PyObject *lock_release(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__lock_release_now(ctrio__state_of(self), lock_of(self));
}
static PyObject *lock_statistics(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__lock_statistics(ctrio__state_of(self), lock_of(self));
}
static PyObject *get_owner(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(owner_or_none(lock_of(self)));
}

static PyObject *lock_repr(PyObject *self)
{
    const char *name = Py_TYPE(self)->tp_name;
    if (lock_of(self)->lock.owner == NULL)
        return PyUnicode_FromFormat("<unlocked %s object at %p>", name, self);
    return PyUnicode_FromFormat("<locked %s object at %p with %zu waiters>", name, self,
                                lock_of(self)->lock.lot.count);
}

static int lock_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(lock_of(self)->last_owner);
    Py_VISIT(lock_of(self)->dict);
    return ctrio__lot_head_traverse(&lock_of(self)->head, visit, arg);
}

static int lock_clear(PyObject *self)
{
    ctrio__lot_head_clear(&lock_of(self)->head);
    Py_CLEAR(lock_of(self)->last_owner);
    Py_CLEAR(lock_of(self)->dict);
    return 0;
}

static void lock_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    struct ctrio__py_lock *lock = lock_of(self);
    PyObject_GC_UnTrack(self);
    if (lock->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    ctrio__lot_breaker_remove(&lock->lock.breaker); /* its owner, if any, is rid of it */
    ctrio__lot_head_close(&lock->head);
    Py_CLEAR(lock->last_owner);
    Py_CLEAR(lock->dict);
    type->tp_free(self);
    Py_DECREF(type);
}

#define ASYNC_METHODS(name, type)                                                                  \
    {                                                                                              \
        {.qualname = name ".acquire",                                                              \
         .module = "trio",                                                                         \
         .self = type,                                                                             \
         .small = true,                                                                            \
         .begin = acquire_begin,                                                                   \
         .finish = ctrio__lock_finish},                                                            \
            {.qualname = name ".__aenter__",                                                       \
             .module = "trio",                                                                     \
             .self = type,                                                                         \
             .small = true,                                                                        \
             .begin = acquire_begin,                                                               \
             .finish = ctrio__lock_finish},                                                        \
            {.qualname = name ".__aexit__",                                                        \
             .module = "trio",                                                                     \
             .self = type,                                                                         \
             .parse = ctrio__parse_exit,                                                           \
             .small = true,                                                                        \
             .begin = exit_begin},                                                                 \
        {                                                                                          \
            .qualname = NULL                                                                       \
        }                                                                                          \
    }
static const struct ctrio__async lock_async[] = ASYNC_METHODS("Lock", TYPE_LOCK);
static const struct ctrio__async strict_async[] =
    ASYNC_METHODS("StrictFIFOLock", TYPE_STRICT_FIFO_LOCK);

static PyMethodDef lock_methods[] = {
    {"locked", lock_locked, METH_NOARGS,
     PyDoc_STR("locked($self, /)\n--\n\nTell whether a task holds it.")},
    {"acquire_nowait", lock_acquire_nowait, METH_NOARGS,
     PyDoc_STR("acquire_nowait($self, /)\n--\n\n"
               "Take the lock if it is free; no checkpoint.\n\n"
               "Raises:\n    trio.WouldBlock: A task holds it.\n"
               "    RuntimeError: This task holds it already.")},
    {"release", lock_release, METH_NOARGS,
     PyDoc_STR("release($self, /)\n--\n\nHand the lock to the task that has waited longest.\n\n"
               "No checkpoint. That task has it from now on, before it runs.\n\n"
               "Raises:\n    RuntimeError: This task does not hold it.")},
    {"statistics", lock_statistics, METH_NOARGS,
     PyDoc_STR("statistics($self, /)\n--\n\nReturn a `trio.LockStatistics`.")},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef lock_getset[] = {
    CTRIO_GET_DICT,
    {"_lot", ctrio__get_lot, NULL, NULL, NULL},
    {"_owner", get_owner, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef lock_members[] = {
    CTRIO_WEAKREFS(struct ctrio__py_lock),
    CTRIO_DICT(struct ctrio__py_lock),
    {NULL, 0, 0, 0, NULL},
};
#define LOCK_SLOTS(doc)                                                                            \
    {                                                                                              \
        {Py_tp_doc, (void *)doc}, {Py_tp_hash, ctrio__hash_by_serial}, {Py_tp_new, lock_new},      \
            {Py_tp_repr, lock_repr}, {Py_tp_methods, lock_methods}, {Py_tp_getset, lock_getset},   \
            {Py_tp_members, lock_members}, {Py_tp_traverse, lock_traverse},                        \
            {Py_tp_clear, lock_clear}, {Py_tp_dealloc, lock_dealloc},                              \
        {                                                                                          \
            0, NULL                                                                                \
        }                                                                                          \
    }
PyDoc_STRVAR(lock_doc, "Lock()\n--\n\n"
                       "A mutex that belongs to the task that has acquired it.\n\n"
                       "A task cannot acquire it twice, and no other task can release it.");
PyDoc_STRVAR(strict_doc, "StrictFIFOLock()\n--\n\n"
                         "A Lock that tasks get in the order in which they ask.\n\n"
                         "So does a Lock; the name says that a program depends on it.");
static PyType_Slot lock_slots[] = LOCK_SLOTS(lock_doc);
static PyType_Slot strict_slots[] = LOCK_SLOTS(strict_doc);
static PyType_Spec lock_spec = {
    .name = "trio.Lock",
    .basicsize = sizeof(struct ctrio__py_lock),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = lock_slots,
};
static PyType_Spec strict_spec = {
    .name = "trio.StrictFIFOLock",
    .basicsize = sizeof(struct ctrio__py_lock),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = strict_slots,
};

int ctrio__exec_lock(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_LOCK, &lock_spec, NULL, "Lock") < 0 ||
        ctrio__add_type(module, TYPE_STRICT_FIFO_LOCK, &strict_spec, NULL, "StrictFIFOLock") < 0 ||
        ctrio__add_methods(state, TYPE_LOCK, lock_async) < 0)
        return -1;
    return ctrio__add_methods(state, TYPE_STRICT_FIFO_LOCK, strict_async);
}
