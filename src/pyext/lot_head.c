/* lot_head.c - what the objects have in common that have a lot: who broke it, who looks at it,
 * and where its tasks have gone.
 *
 * A parked task holds, by its coroutine, the object whose method it has called, and nothing else.
 * When Python code moves it to another object's lot, the first object must therefore hold the
 * second: that is `moved`.  Invariant: a lot in which tasks are parked is reachable from their
 * coroutines, through `self` and `moved`; tp_clear leaves those links alone. */
#include "pyext/sync.h"

void ctrio__lot_head_init(struct ctrio__lot_head *head)
{
    CTRIO_ASSERT(head->view == NULL);
    head->serial = ctrio__serial_new(ctrio__state_of(head));
    ctrio__list_init(&head->registrations);
}

int ctrio__lot_head_traverse(struct ctrio__lot_head *head, visitproc visit, void *arg)
{
    Py_VISIT(head->broken_by);
    for (Py_ssize_t i = 0; head->moved != NULL && i < PyList_GET_SIZE(head->moved); i++)
        Py_VISIT(PyList_GET_ITEM(head->moved, i));
    return 0;
}

/* Nobody is parked in it, nor anywhere that only it leads to. */
static bool is_empty(PyObject *object)
{
    struct ctrio__lot_head *head = (struct ctrio__lot_head *)object;
    if (ctrio__lot_of(head)->count != 0)
        return false;
    return head->moved == NULL || PyList_GET_SIZE(head->moved) == 0;
}

static void forget_empty(struct ctrio__lot_head *head)
{
    if (head->moved == NULL)
        return;
    for (Py_ssize_t i = PyList_GET_SIZE(head->moved); i-- > 0;) {
        if (i >= PyList_GET_SIZE(head->moved) || !is_empty(PyList_GET_ITEM(head->moved, i)))
            continue;
        PyObject *forgotten = Py_NewRef(PyList_GET_ITEM(head->moved, i));
        if (PyList_SetSlice(head->moved, i, i + 1, NULL) < 0)
            PyErr_Clear(); /* it stays a little longer */
        Py_DECREF(forgotten);
    }
}

void ctrio__lot_head_clear(struct ctrio__lot_head *head)
{
    Py_CLEAR(head->broken_by);
    forget_empty(head);
}

void ctrio__lot_head_close(struct ctrio__lot_head *head)
{
    CTRIO_ASSERT(ctrio__lot_of(head)->count == 0);
    CTRIO_ASSERT(head->view == NULL);
    CTRIO_ASSERT(!ctrio__list_linked(&head->registrations));
    Py_CLEAR(head->broken_by);
    Py_CLEAR(head->moved);
}

int ctrio__lot_moving(struct ctrio__lot_head *from, struct ctrio__lot_head *to)
{
    CTRIO_ASSERT(ctrio__lot_of(from)->frontend == &ctrio__python);
    CTRIO_ASSERT(ctrio__lot_of(to)->frontend == &ctrio__python);
    if (from == to)
        return 0;
    forget_empty(from);
    if (from->moved == NULL) {
        PyObject *list = PyList_New(0); /* may run a collection, which may come here */
        if (list == NULL)
            return -1;
        PyObject_GC_UnTrack(list); /* or the collector might clear it before the coroutines */
        Py_XSETREF(from->moved, list);
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(from->moved); i++)
        if (PyList_GET_ITEM(from->moved, i) == (PyObject *)to)
            return 0;
    return PyList_Append(from->moved, (PyObject *)to);
}

/* --- broken ------------------------------------------------------------------------ */

PyObject *ctrio__lot_broken_by(struct ctrio__lot_head *head)
{
    if (head->broken_by == NULL) {
        PyObject *list = PyList_New(0);
        if (list == NULL)
            return NULL;
        Py_XSETREF(head->broken_by, list);
    }
    return Py_NewRef(head->broken_by);
}

/* The broken one among those where our tasks have gone, however far; NULL: none.  If `left` is
 * given only that one will do. */
static struct ctrio__lot_head *find_broken(struct ctrio__lot_head *head,
                                           const struct ctrio_parking_lot *left, int depth)
{
    const struct ctrio_parking_lot *lot = ctrio__lot_of(head);
    if (lot->broken && (left == NULL || left == lot))
        return head;
    Py_ssize_t count = head->moved != NULL && depth > 0 ? PyList_GET_SIZE(head->moved) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        struct ctrio__lot_head *next = (struct ctrio__lot_head *)PyList_GET_ITEM(head->moved, i);
        struct ctrio__lot_head *found = find_broken(next, left, depth - 1);
        if (found != NULL)
            return found;
    }
    return NULL;
}

PyObject *ctrio__raise_lot_broken(struct ctrio__state *state, struct ctrio__lot_head *head,
                                  bool attempted)
{
    const struct ctrio__py_task *task = attempted ? NULL : ctrio__peek_task(state);
    struct ctrio__lot_head *broken = NULL;
    if (task != NULL) /* where it was when it was woken; compared only, it may be gone */
        broken = find_broken(head, task->task.lot, 8);
    if (broken == NULL)
        broken = find_broken(head, NULL, 8);
    PyObject *by = ctrio__lot_broken_by(broken != NULL ? broken : head);
    if (by == NULL)
        return NULL;
    if (attempted)
        PyErr_Format(state->bound.BrokenResourceError,
                     "Attempted to park in parking lot broken by %S", by);
    else
        PyErr_Format(state->bound.BrokenResourceError, "Parking lot broken by %S",
                     PyList_GET_SIZE(by) > 0 ? PyList_GET_ITEM(by, 0) : Py_None);
    Py_DECREF(by);
    return NULL;
}

PyObject *ctrio__lot_finish(struct ctrio__coroutine *coro, struct ctrio__lot_head *head,
                            bool attempted, struct ctrio__outcome *io)
{
    struct ctrio__state *state = ctrio__state_of_coro(coro);
    if (io->code >= 0)
        Py_RETURN_NONE;
    if (io->code != CTRIO_BROKEN_RESOURCE)
        return ctrio__raise(state, io);
    return ctrio__raise_lot_broken(state, head, attempted);
}
