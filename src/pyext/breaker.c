/* breaker.c - who answers for which lot: if a task exits that does, the lot is broken.
 *
 * The truth is the list of breakers in each living task.  A lock links one of its own there; what
 * add_parking_lot_breaker adds is a registration, which holds the lot's object until it is removed
 * or the task has exited.  GLOBAL_PARKING_LOT_BREAKER is a view of these lists in Trio's form:
 * {task: [lot, ...]}, of the run that is current where one looks.
 * Invariant: a registration is in its lot's list, and its breaker linked until the task exits. */
#include "base/alloc.h"
#include "pyext/sync.h"

struct registration {
    struct ctrio_lot_breaker breaker;
    struct ctrio_list of_lot;     /* on head->registrations */
    struct ctrio__lot_head *head; /* strong */
    struct ctrio_task *task;
};

static struct registration *find(struct ctrio__lot_head *head, const struct ctrio_task *task,
                                 bool linked)
{
    ctrio__list_each (link, &head->registrations) {
        struct registration *at = ctrio__container(link, struct registration, of_lot);
        if (at->task == task && ctrio__list_linked(&at->breaker.link) == linked)
            return at;
    }
    return NULL;
}

static void end_registration(struct registration *registration)
{
    struct ctrio__lot_head *head = registration->head;
    CTRIO_ASSERT(ctrio__list_linked(&registration->of_lot));
    CTRIO_ASSERT(registration->breaker.lot == ctrio__lot_of(head));
    ctrio__lot_breaker_remove(&registration->breaker);
    ctrio__list_unlink(&registration->of_lot);
    ctrio__free(registration);
    Py_DECREF(head);
}

/* Notes who broke it; a lock whose owner that is can name it from now on. */
static void note(struct ctrio__lot_head *head, struct ctrio_task *task)
{
    struct ctrio__py_task *object = ctrio__py_task_from(task);
    CTRIO_ASSERT(task->frontend == &ctrio__python);
    struct ctrio__py_lock *lock = (struct ctrio__py_lock *)head;
    PyObject *by = ctrio__lot_broken_by(head);
    if (by == NULL || PyList_Append(by, (PyObject *)object) < 0)
        PyErr_Clear(); /* without memory: it is broken, nobody will know by whom */
    Py_XDECREF(by);
    if (ctrio__is_lock(head) && lock->lock.owner == task &&
        !ctrio__list_linked(&lock->lock.breaker.link))
        Py_XSETREF(lock->last_owner, Py_NewRef(object));
}

void ctrio__py_lot_broken(struct ctrio_parking_lot *lot, struct ctrio_task *task)
{
    struct ctrio__lot_head *head = ctrio__lot_head_from(lot);
    CTRIO_ASSERT(lot->broken);
    PyObject *error = PyErr_GetRaisedException();
    Py_INCREF(head);
    if (task->frontend == &ctrio__python)
        note(head, task);
    struct registration *registration = find(head, task, false);
    if (registration != NULL)
        end_registration(registration);
    Py_DECREF(head);
    if (error != NULL)
        PyErr_SetRaisedException(error);
}

void ctrio__py_breakers_forget(struct ctrio__py_task *task)
{
    struct ctrio_list *link;
    while ((link = ctrio__list_pop(&task->task.breakers)) != NULL) {
        struct ctrio_parking_lot *lot = ctrio__container(link, struct ctrio_lot_breaker, link)->lot;
        lot->broken = true;
        ctrio__py_lot_broken(lot, &task->task);
    }
}

/* --- add and remove ---------------------------------------------------------------- */

/* NULL: given[0] is no task, given[1] is no lot. */
static int parse(const char *function, PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames, PyObject **given, struct ctrio__py_task **task,
                 struct ctrio__lot_head **head)
{
    static const char *const names[] = {"task", "lot"};
    struct ctrio__state *state = PyModule_GetState(module);
    *task = NULL;
    *head = NULL;
    if (ctrio__parse(function, args, nargs, kwnames, names, 2, 2, given) < 0)
        return -1;
    if (Py_IS_TYPE(given[0], state->types[TYPE_TASK]))
        *task = (struct ctrio__py_task *)given[0];
    if (Py_IS_TYPE(given[1], state->types[TYPE_LOT]))
        *head = ((struct ctrio__py_lot *)given[1])->home;
    return 0;
}

/* Trio asks a task for its coroutine first. */
static PyObject *refuse(PyObject *const *given, bool is_task)
{
    PyObject *coro = ctrio__getattr(given[0], "coro");
    if (coro != NULL && !is_task)
        PyErr_Format(PyExc_TypeError, "task must be a trio.lowlevel.Task, not %R", given[0]);
    else if (coro != NULL)
        PyErr_Format(PyExc_TypeError, "lot must be a trio.lowlevel.ParkingLot, not %R", given[1]);
    Py_XDECREF(coro);
    return NULL;
}

static PyObject *add_breaker(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *kwnames)
{
    PyObject *given[2];
    struct ctrio__py_task *task;
    struct ctrio__lot_head *head;
    if (parse("add_parking_lot_breaker", module, args, nargs, kwnames, given, &task, &head) < 0)
        return NULL;
    if (task == NULL || head == NULL)
        return refuse(given, task != NULL);
    if (task->task.serial == 0 || task->task.state == CTRIO__TASK_EXITED) {
        PyErr_SetString(ctrio__state_of_task(task)->bound.BrokenResourceError,
                        "Attempted to add already exited task as lot breaker.");
        return NULL;
    }
    struct registration *made = ctrio__alloc(sizeof *made);
    if (made == NULL)
        return PyErr_NoMemory();
    made->task = &task->task;
    made->head = (struct ctrio__lot_head *)Py_NewRef(head);
    ctrio__list_init(&made->breaker.link);
    ctrio__list_init(&made->of_lot);
    ctrio__lot_breaker_add(&made->breaker, ctrio__lot_of(head), &task->task);
    ctrio__list_append(&head->registrations, &made->of_lot);
    Py_RETURN_NONE;
}

static PyObject *remove_breaker(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames)
{
    PyObject *given[2];
    struct ctrio__py_task *task;
    struct ctrio__lot_head *head;
    struct registration *registration = NULL;
    if (parse("remove_parking_lot_breaker", module, args, nargs, kwnames, given, &task, &head) < 0)
        return NULL;
    if (task != NULL && head != NULL)
        registration = find(head, &task->task, true);
    if (registration == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Attempted to remove task as breaker for a lot it is not registered for");
        ctrio__hide_context();
        return NULL;
    }
    end_registration(registration);
    Py_RETURN_NONE;
}

/* --- the view ---------------------------------------------------------------------- */

/* The lots of a task, as ParkingLots. */
static PyObject *lots_of(struct ctrio__py_task *task)
{
    PyObject *list = PyList_New(0);
    const struct ctrio_list *breakers = &task->task.breakers;
    /* First their objects: making a view may run a collection, in which the list may change. */
    for (const struct ctrio_list *at = breakers->next; list != NULL && at != breakers;
         at = at->next) {
        struct ctrio_lot_breaker *breaker = ctrio__container(at, struct ctrio_lot_breaker, link);
        if (PyList_Append(list, (PyObject *)ctrio__lot_head_from(breaker->lot)) < 0)
            Py_CLEAR(list);
    }
    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *view = ctrio__lot_view((struct ctrio__lot_head *)PyList_GET_ITEM(list, i));
        if (view == NULL || PyList_SetItem(list, i, view) < 0)
            Py_CLEAR(list);
    }
    return list;
}

/* The living tasks of the current run that answer for some lot, in the order of their birth. */
static PyObject *answering_tasks(struct ctrio__state *state)
{
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    PyObject *list = PyList_New(0);
    if (list == NULL || runner == NULL)
        return list;
    ctrio__list_each (link, &runner->run.tasks) {
        struct ctrio_task *task = ctrio__task_from(link, run_link);
        if (task->frontend != &ctrio__python || ctrio__list_empty(&task->breakers))
            continue;
        if (PyList_Append(list, (PyObject *)ctrio__py_task_from(task)) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

static PyObject *snapshot(PyObject *self)
{
    PyObject *dict = PyDict_New();
    PyObject *tasks = dict != NULL ? answering_tasks(ctrio__state_of(self)) : NULL;
    for (Py_ssize_t i = 0; tasks != NULL && i < PyList_GET_SIZE(tasks); i++) {
        PyObject *task = PyList_GET_ITEM(tasks, i);
        PyObject *lots = lots_of((struct ctrio__py_task *)task);
        if (lots == NULL || PyDict_SetItem(dict, task, lots) < 0)
            Py_CLEAR(tasks);
        Py_XDECREF(lots);
    }
    if (tasks == NULL)
        Py_CLEAR(dict);
    Py_XDECREF(tasks);
    return dict;
}

static Py_ssize_t view_length(PyObject *self)
{
    PyObject *tasks = answering_tasks(ctrio__state_of(self));
    Py_ssize_t length = tasks != NULL ? PyList_GET_SIZE(tasks) : -1;
    Py_XDECREF(tasks);
    return length;
}

static PyObject *view_getitem(PyObject *self, PyObject *key)
{
    if (Py_IS_TYPE(key, ctrio__state_of(self)->types[TYPE_TASK]) &&
        !ctrio__list_empty(&((struct ctrio__py_task *)key)->task.breakers))
        return lots_of((struct ctrio__py_task *)key);
    PyErr_SetObject(PyExc_KeyError, key);
    return NULL;
}

static int view_contains(PyObject *self, PyObject *key)
{
    return Py_IS_TYPE(key, ctrio__state_of(self)->types[TYPE_TASK]) &&
           !ctrio__list_empty(&((struct ctrio__py_task *)key)->task.breakers);
}

static PyObject *view_iter(PyObject *self)
{
    PyObject *tasks = answering_tasks(ctrio__state_of(self));
    PyObject *iterator = tasks != NULL ? PyObject_GetIter(tasks) : NULL;
    Py_XDECREF(tasks);
    return iterator;
}

static PyObject *view_richcompare(PyObject *self, PyObject *other, int op)
{
    PyObject *dict = snapshot(self);
    if (dict == NULL)
        return NULL;
    PyObject *theirs = Py_IS_TYPE(other, Py_TYPE(self)) ? snapshot(other) : Py_NewRef(other);
    PyObject *answer = theirs != NULL ? PyObject_RichCompare(dict, theirs, op) : NULL;
    Py_DECREF(dict);
    Py_XDECREF(theirs);
    return answer;
}

static PyObject *view_repr(PyObject *self)
{
    PyObject *dict = snapshot(self);
    PyObject *text = dict != NULL ? PyObject_Repr(dict) : NULL;
    Py_XDECREF(dict);
    return text;
}

static PyObject *view_copy(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return snapshot(self);
}

/* The dict's method of the same name, on a copy. */
static PyObject *call_on_copy(PyObject *self, const char *method, PyObject *args)
{
    PyObject *dict = snapshot(self);
    PyObject *bound = dict != NULL ? ctrio__getattr(dict, method) : NULL;
    PyObject *result = bound != NULL ? PyObject_Call(bound, args, NULL) : NULL;
    Py_XDECREF(bound);
    Py_XDECREF(dict);
    return result;
}
static PyObject *view_get(PyObject *self, PyObject *args)
{
    return call_on_copy(self, "get", args);
}
static PyObject *view_keys(PyObject *self, PyObject *args)
{
    return call_on_copy(self, "keys", args);
}
static PyObject *view_values(PyObject *self, PyObject *args)
{
    return call_on_copy(self, "values", args);
}
static PyObject *view_items(PyObject *self, PyObject *args)
{
    return call_on_copy(self, "items", args);
}

static int view_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void view_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef view_methods[] = {
    {"copy", view_copy, METH_NOARGS, NULL},    {"get", view_get, METH_VARARGS, NULL},
    {"keys", view_keys, METH_VARARGS, NULL},   {"values", view_values, METH_VARARGS, NULL},
    {"items", view_items, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL},
};
static PyType_Slot view_slots[] = {
    {Py_tp_repr, view_repr},
    {Py_tp_iter, view_iter},
    {Py_tp_richcompare, view_richcompare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_methods, view_methods},
    {Py_mp_length, view_length},
    {Py_mp_subscript, view_getitem},
    {Py_sq_contains, view_contains},
    {Py_tp_traverse, view_traverse},
    {Py_tp_dealloc, view_dealloc},
    {0, NULL},
};
static PyType_Spec view_spec = {
    .name = "ctrio._ctrio.breaker_view",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = view_slots,
};
static PyMethodDef functions[] = {
    {"add_parking_lot_breaker", CTRIO_KEYWORDS(add_breaker),
     PyDoc_STR("add_parking_lot_breaker($module, /, task, lot)\n--\n\n"
               "Make a task answer for a parking lot: if it exits, the lot is broken.\n\n"
               "May be done several times, and has to be undone as often.\n\n"
               "Args:\n    task: The task.\n    lot: The parking lot.\n\n"
               "Raises:\n    trio.BrokenResourceError: The task has exited already.")},
    {"remove_parking_lot_breaker", CTRIO_KEYWORDS(remove_breaker),
     PyDoc_STR("remove_parking_lot_breaker($module, /, task, lot)\n--\n\n"
               "Undo one `add_parking_lot_breaker`.\n\n"
               "Args:\n    task: The task.\n    lot: The parking lot.\n\n"
               "Raises:\n    RuntimeError: The task does not answer for the lot.")},
    {NULL, NULL, 0, NULL},
};

int ctrio__exec_breaker(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_BREAKER_VIEW, &view_spec, NULL, NULL) < 0)
        return -1;
    PyTypeObject *type = state->types[TYPE_BREAKER_VIEW];
    state->breaker_view = type->tp_alloc(type, 0);
    if (state->breaker_view == NULL ||
        PyModule_AddObjectRef(module, "GLOBAL_PARKING_LOT_BREAKER", state->breaker_view) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
