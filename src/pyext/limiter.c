/* limiter.c - CapacityLimiter: at most so many borrowers at a time.
 *
 * A borrower is any hashable object, found by == as in a set; the current task if none is named.
 * The kernel keeps the loans; `equal` and `drop` below are its way to the borrowers, and run
 * foreign code.  Invariant: an error that == raises stays the current error from `equal` to the
 * return of the call or of the coroutine's step, as CTRIO_FOREIGN without a value. */
#include "kernel/capacity_limiter.h"
#include "pyext/calls.h"
#include "pyext/sync.h"

struct limiter {
    PyObject_HEAD
    uint64_t serial; /* its hash; see ctrio__serial_new */
    struct ctrio_capacity_limiter limiter;
    PyObject *total; /* as it was given: an int, or something that is infinite */
    PyObject *dict, *weakrefs;
};

static struct limiter *limiter_of(PyObject *self)
{
    return (struct limiter *)self;
}

static int equal(const struct ctrio_table_node *node, const void *borrower)
{
    PyObject *ours = ctrio__container(node, const struct ctrio__loan, node)->borrower;
    if (ours == borrower)
        return 1;
    /* Whose interpreter's run that is does not matter: a call-out's frame is only compared. */
    struct ctrio__py_runner *runner = (struct ctrio__py_runner *)ctrio__thread.runner;
    Py_INCREF(ours); /* == may end the loan */
    PyObject *previous = ctrio__callout_begin(runner);
    int answer = PyObject_RichCompareBool(ours, (PyObject *)(uintptr_t)borrower, Py_EQ);
    ctrio__callout_end(runner, previous);
    Py_DECREF(ours);
    return answer < 0 ? CTRIO_FOREIGN : answer;
}
static void drop(void *borrower)
{
    Py_DECREF((PyObject *)borrower);
}
static const struct ctrio__borrower_ops borrower_ops = {equal, drop};

/* None, or what the kernel's code means. */
static PyObject *result(struct ctrio__state *state, int code, struct ctrio__outcome *out)
{
    if (code != CTRIO_FOREIGN)
        return ctrio__none_or_raise(state, code, out);
    CTRIO_ASSERT(PyErr_Occurred());
    return NULL;
}

/* --- the number of tokens ---------------------------------------------------------- */

static int set_total(PyObject *self, PyObject *total, void *Py_UNUSED(closure))
{
    struct limiter *limiter = limiter_of(self);
    size_t number;
    if (total == NULL) {
        PyErr_SetString(PyExc_AttributeError, "can't delete attribute 'total_tokens'");
        return -1;
    }
    if (ctrio__parse_limit(total, "total_tokens must be an int or math.inf",
                           "total_tokens must be >= 0", &number) < 0 ||
        ctrio__may_wake(ctrio__state_of(self), ctrio__lot_first(&limiter->limiter.lot)) < 0)
        return -1;
    PyObject *old = limiter->total;
    limiter->total = Py_NewRef(total);
    ctrio__limiter_set_total(&limiter->limiter, number);
    Py_XDECREF(old);
    return 0;
}
static PyObject *get_total(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(limiter_of(self)->total);
}
static PyObject *get_borrowed(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(limiter_of(self)->limiter.borrowers.count);
}
static PyObject *get_available(PyObject *self, void *closure)
{
    PyObject *borrowed = get_borrowed(self, closure);
    PyObject *available =
        borrowed != NULL ? PyNumber_Subtract(limiter_of(self)->total, borrowed) : NULL;
    Py_XDECREF(borrowed);
    return available;
}

static PyObject *limiter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"total_tokens"};
    PyObject *total;
    if (ctrio__parse_tuple("CapacityLimiter.__init__", args, kwargs, names, 1, 1, 1, &total) < 0)
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    limiter_of(self)->serial = ctrio__serial_new(ctrio__state_of_type(type));
    ctrio__limiter_init(&limiter_of(self)->limiter, 0, &borrower_ops, NULL);
    if (set_total(self, total, NULL) < 0)
        Py_CLEAR(self);
    return self;
}

static PyObject *limiter_repr(PyObject *self)
{
    struct limiter *limiter = limiter_of(self);
    return PyUnicode_FromFormat("<trio.CapacityLimiter at %p, %zu/%S with %zu waiting>", self,
                                limiter->limiter.borrowers.count, limiter->total,
                                limiter->limiter.lot.count);
}

/* --- at once ----------------------------------------------------------------------- */

/* Its hash, as the kernel wants it.  A task's, the usual one, is no call-out. */
static int hash_of(struct ctrio__state *state, PyObject *borrower, uint64_t *hash)
{
    struct ctrio__py_runner *runner = NULL;
    if (!Py_IS_TYPE(borrower, state->types[TYPE_TASK]))
        runner = ctrio__peek_runner(state);
    PyObject *previous = ctrio__callout_begin(runner);
    Py_hash_t number = PyObject_Hash(borrower);
    ctrio__callout_end(runner, previous);
    *hash = (uint64_t)number;
    return number == -1 ? -1 : 0;
}

static PyObject *acquire_for(PyObject *self, PyObject *borrower)
{
    struct ctrio__outcome out = {0, NULL};
    uint64_t hash;
    if (borrower == NULL || hash_of(ctrio__state_of(self), borrower, &hash) < 0)
        return NULL;
    int code =
        ctrio__limiter_acquire_nowait(&limiter_of(self)->limiter, Py_NewRef(borrower), hash, &out);
    if (code < 0)
        Py_DECREF(borrower);
    return result(ctrio__state_of(self), code, &out);
}

static PyObject *release_for(PyObject *self, PyObject *borrower)
{
    struct ctrio_capacity_limiter *limiter = &limiter_of(self)->limiter;
    struct ctrio__outcome out = {0, NULL};
    uint64_t hash;
    if (borrower == NULL || hash_of(ctrio__state_of(self), borrower, &hash) < 0 ||
        ctrio__may_wake(ctrio__state_of(self), ctrio__lot_first(&limiter->lot)) < 0)
        return NULL;
    int code = ctrio__limiter_release(limiter, borrower, hash, &out);
    return result(ctrio__state_of(self), code, &out);
}

static PyObject *current_task(PyObject *self)
{
    return (PyObject *)ctrio__current_task(ctrio__state_of(self));
}

static PyObject *limiter_acquire_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return acquire_for(self, current_task(self));
}
static PyObject *limiter_release(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return release_for(self, current_task(self));
}
static PyObject *limiter_acquire_for_nowait(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                            PyObject *kwnames)
{
    return acquire_for(self, ctrio__parse_one("CapacityLimiter.acquire_on_behalf_of_nowait",
                                              "borrower", args, nargs, kwnames));
}
static PyObject *limiter_release_for(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *kwnames)
{
    return release_for(self, ctrio__parse_one("CapacityLimiter.release_on_behalf_of", "borrower",
                                              args, nargs, kwnames));
}

/* --- waiting ----------------------------------------------------------------------- */

static int acquire_parse(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t count,
                         PyObject *names)
{
    PyObject *borrower =
        ctrio__parse_one("CapacityLimiter.acquire_on_behalf_of", "borrower", args, count, names);
    coro->arg = Py_XNewRef(borrower);
    return borrower != NULL ? 0 : -1;
}

static int acquire_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    struct ctrio_capacity_limiter *limiter = &limiter_of(coro->self)->limiter;
    uint64_t hash;
    PyObject *borrower = coro->arg != NULL ? coro->arg : (PyObject *)task;
    if (hash_of(ctrio__state_of_task(task), borrower, &hash) < 0)
        return -1;
    ctrio__limiter_op_init(&coro->op.limiter, limiter, Py_NewRef(borrower), hash);
    return 0;
}

static PyObject *acquire_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    struct ctrio__state *state = ctrio__state_of_coro(coro);
    CTRIO_ASSERT(coro->op.limiter.borrower == NULL);
    CTRIO_ASSERT(coro->op.limiter.loan == NULL);
    if (io->code >= 0)
        Py_RETURN_NONE;
    if (io->code == CTRIO_FOREIGN && io->value == NULL)
        return result(state, io->code, io);
    return ctrio__raise(state, io);
}

/* The op owns its borrower, then its loan, until the loan is made. */
static int acquire_traverse(struct ctrio__coroutine *coro, visitproc visit, void *arg)
{
    if (coro->state != CORO_PARKED)
        return 0;
    struct ctrio__limiter_op *op = &coro->op.limiter;
    Py_VISIT((PyObject *)op->borrower);
    if (op->loan != NULL && !ctrio__list_linked(&op->loan->node.order))
        Py_VISIT((PyObject *)op->loan->borrower);
    return 0;
}

/* __aexit__: done at once. */
static int exit_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    PyObject *none = release_for(coro->self, (PyObject *)task);
    Py_XDECREF(none);
    return none != NULL ? 1 : -1;
}

/* --- looking ----------------------------------------------------------------------- */

static PyObject *borrowers(struct limiter *limiter)
{
    PyObject *list = PyList_New(0); /* appending to it runs no foreign code */
    const struct ctrio_list *order = &limiter->limiter.borrowers.order;
    for (const struct ctrio_list *at = order->next; list != NULL && at != order; at = at->next) {
        const struct ctrio__loan *loan = ctrio__container(at, const struct ctrio__loan, node.order);
        if (PyList_Append(list, loan->borrower) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *limiter_statistics(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct limiter *limiter = limiter_of(self);
    PyObject *list = borrowers(limiter);
    if (list == NULL)
        return NULL;
    return ctrio__statistics_make(
        ctrio__state_of(self), "CapacityLimiterStatistics", "{s:n,s:O,s:N,s:n}", "borrowed_tokens",
        (Py_ssize_t)limiter->limiter.borrowers.count, "total_tokens", limiter->total, "borrowers",
        list, "tasks_waiting", (Py_ssize_t)limiter->limiter.lot.count);
}

static PyObject *get_pending(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio_parking_lot *lot = &limiter_of(self)->limiter.lot;
    PyObject *dict = PyDict_New();
    const struct ctrio_list *at = lot->parked.next;
    for (; dict != NULL && at != &lot->parked; at = at->next) {
        struct ctrio_task *task = ctrio__container(at, struct ctrio_task, lot_link);
        struct ctrio__limiter_op *op = task->park_data;
        CTRIO_ASSERT(task->frontend == &ctrio__python);
        CTRIO_ASSERT(op->loan != NULL && op->loan->op == op);
        if (PyDict_SetItem(dict, (PyObject *)ctrio__py_task_from(task), op->loan->borrower) < 0)
            Py_CLEAR(dict);
    }
    return dict;
}

static int limiter_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct limiter *limiter = limiter_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(limiter->total);
    Py_VISIT(limiter->dict);
    const struct ctrio_list *order = &limiter->limiter.borrowers.order;
    for (const struct ctrio_list *at = order->next; at != NULL && at != order; at = at->next)
        Py_VISIT((PyObject *)ctrio__container(at, const struct ctrio__loan, node.order)->borrower);
    return 0;
}

/* While somebody waits, a token that came back would be lent again: the waiters go first, and the
 * next collection takes the rest. */
static int limiter_clear(PyObject *self)
{
    struct limiter *limiter = limiter_of(self);
    Py_CLEAR(limiter->dict);
    if (limiter->limiter.lot.count == 0)
        ctrio__limiter_close(&limiter->limiter);
    return 0;
}

static void limiter_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    struct limiter *limiter = limiter_of(self);
    PyObject_GC_UnTrack(self);
    if (limiter->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    CTRIO_ASSERT(limiter->limiter.lot.count == 0);
    ctrio__limiter_close(&limiter->limiter);
    Py_CLEAR(limiter->dict);
    Py_CLEAR(limiter->total);
    type->tp_free(self);
    Py_DECREF(type);
}

#define ACQUIRE(name, parser)                                                                      \
    {.qualname = name,                                                                             \
     .module = "trio",                                                                             \
     .self = TYPE_LIMITER,                                                                         \
     .parse = parser,                                                                              \
     .begin = acquire_begin,                                                                       \
     .finish = acquire_finish,                                                                     \
     .traverse = acquire_traverse}
static const struct ctrio__async limiter_async[] = {
    ACQUIRE("CapacityLimiter.acquire", NULL),
    ACQUIRE("CapacityLimiter.acquire_on_behalf_of", acquire_parse),
    ACQUIRE("CapacityLimiter.__aenter__", NULL),
    {.qualname = "CapacityLimiter.__aexit__",
     .module = "trio",
     .self = TYPE_LIMITER,
     .parse = ctrio__parse_exit,
     .small = true,
     .begin = exit_begin},
    {.qualname = NULL},
};
static PyMethodDef limiter_methods[] = {
    {"acquire_nowait", limiter_acquire_nowait, METH_NOARGS,
     PyDoc_STR("acquire_nowait($self, /)\n--\n\n"
               "Borrow a token for this task if one is free; no checkpoint.\n\n"
               "Raises:\n    trio.WouldBlock: None is free, or others wait for one.\n"
               "    RuntimeError: The task has one already.")},
    {"acquire_on_behalf_of_nowait", CTRIO_KEYWORDS(limiter_acquire_for_nowait),
     PyDoc_STR("acquire_on_behalf_of_nowait($self, /, borrower)\n--\n\n"
               "Borrow a token for something else than this task, if one is free.\n\n"
               "Args:\n    borrower: Whose token it is: a task, or any hashable object.\n\n"
               "Raises:\n    trio.WouldBlock: None is free, or others wait for one.\n"
               "    RuntimeError: The borrower has one already.")},
    {"release", limiter_release, METH_NOARGS,
     PyDoc_STR("release($self, /)\n--\n\nGive back the token of this task.\n\n"
               "No checkpoint.\n\n"
               "Raises:\n    RuntimeError: It has none.")},
    {"release_on_behalf_of", CTRIO_KEYWORDS(limiter_release_for),
     PyDoc_STR("release_on_behalf_of($self, /, borrower)\n--\n\n"
               "Give back the token of a borrower.\n\n"
               "No checkpoint; any task may do it.\n\n"
               "Args:\n    borrower: Who was given to `acquire_on_behalf_of`.\n\n"
               "Raises:\n    RuntimeError: It has none.")},
    {"statistics", limiter_statistics, METH_NOARGS,
     PyDoc_STR("statistics($self, /)\n--\n\nReturn a `trio.CapacityLimiterStatistics`.")},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef limiter_getset[] = {
    CTRIO_GET_DICT,
    {"total_tokens", get_total, set_total,
     PyDoc_STR("How many tokens there are. May be changed.\n\n"
               "More are lent at once to tasks that wait; fewer are in effect when enough have\n"
               "come back."),
     NULL},
    {"borrowed_tokens", get_borrowed, NULL, PyDoc_STR("How many of them are lent."), NULL},
    {"available_tokens", get_available, NULL, PyDoc_STR("How many are left to lend."), NULL},
    {"_pending_borrowers", get_pending, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef limiter_members[] = {
    CTRIO_WEAKREFS(struct limiter),
    CTRIO_DICT(struct limiter),
    {NULL, 0, 0, 0, NULL},
};
PyDoc_STRVAR(limiter_doc,
             "CapacityLimiter(total_tokens)\n--\n\n"
             "A number of tokens that tasks borrow while they use something scarce.\n\n"
             "It remembers who has one: nobody gets two, nor gives back another's.\n\n"
             "Args:\n    total_tokens: How many; math.inf for no limit.");
static PyType_Slot limiter_slots[] = {
    {Py_tp_hash, ctrio__hash_by_serial},
    {Py_tp_doc, (void *)limiter_doc},
    {Py_tp_new, limiter_new},
    {Py_tp_repr, limiter_repr},
    {Py_tp_methods, limiter_methods},
    {Py_tp_getset, limiter_getset},
    {Py_tp_members, limiter_members},
    {Py_tp_traverse, limiter_traverse},
    {Py_tp_clear, limiter_clear},
    {Py_tp_dealloc, limiter_dealloc},
    {0, NULL},
};
static PyType_Spec limiter_spec = {
    .name = "trio.CapacityLimiter",
    .basicsize = sizeof(struct limiter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = limiter_slots,
};

int ctrio__exec_limiter(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_LIMITER, &limiter_spec, NULL, "CapacityLimiter") < 0)
        return -1;
    return ctrio__add_methods(state, TYPE_LIMITER, limiter_async);
}
