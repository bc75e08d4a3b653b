/* nursery.c - Nursery and open_nursery's manager.
 *
 * The kernel's nursery is a member of Nursery; its scope is a CancelScope of its own, because
 * users hold on to nursery.cancel_scope.  A child holds a reference to its nursery. */
#include "pyext/calls.h"
#include "pyext/outcome.h"
#include "pyext/pool.h"

static struct ctrio__py_nursery *nursery_of(PyObject *self)
{
    return (struct ctrio__py_nursery *)self;
}

struct ctrio__py_nursery *ctrio__nursery_make(struct ctrio__state *state, bool strict)
{
    struct ctrio__py_nursery *self = nursery_of(ctrio__pool_new(state, TYPE_NURSERY));
    if (self == NULL)
        return NULL;
    self->serial = ctrio__serial_new(state);
    self->parent_task = NULL;
    self->dict = NULL;
    self->weakrefs = NULL;
    self->strict = strict;
    self->nursery.run = NULL;
    self->scope = ctrio__scope_make(state);
    PyObject_GC_Track(self);
    if (self->scope == NULL)
        Py_CLEAR(self);
    return self;
}

int ctrio__nursery_enter(struct ctrio__py_nursery *self, struct ctrio__py_task *task)
{
    struct ctrio__py_scope *scope = (struct ctrio__py_scope *)self->scope;
    if (ctrio__scope_enter(scope, task) < 0)
        return -1;
    ctrio__nursery_open(&self->nursery, &task->task, &scope->scope);
    self->parent_task = Py_NewRef(task);
    Py_INCREF(self); /* the task's, until ctrio__py_nursery_release */
    return 0;
}

void ctrio__py_nursery_release(struct ctrio__nursery *nursery)
{
    Py_DECREF(ctrio__py_nursery_from(nursery));
}

/* --- Nursery ----------------------------------------------------------------------- */

int ctrio__nursery_refuse_closed(const struct ctrio__py_nursery *self)
{
    if (self->nursery.run != NULL && !self->nursery.closed)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "Nursery is closed to new arrivals");
    return -1;
}

/* Splits name= off the keywords: only it is ours.  -1 with TypeError. */
int ctrio__take_name(const char *function, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames, PyObject **name)
{
    Py_ssize_t count = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    *name = Py_None;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *keyword = PyTuple_GET_ITEM(kwnames, i);
        if (PyUnicode_CompareWithASCIIString(keyword, "name") != 0) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function,
                         keyword);
            return -1;
        }
        *name = args[nargs + i];
    }
    if (nargs < 1) {
        PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: 'async_fn'",
                     function);
        return -1;
    }
    return 0;
}

/* Borrowed.  Outside of a run Trio's nurseries say this, unlike everything else. */
static struct ctrio__py_runner *runner_here(struct ctrio__state *state)
{
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    if (runner == NULL)
        PyErr_SetString(PyExc_AttributeError, "'RunContext' object has no attribute 'runner'");
    return runner;
}

static PyObject *nursery_start_soon(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                    PyObject *kwnames)
{
    PyObject *name;
    if (ctrio__take_name("Nursery.start_soon", args, nargs, kwnames, &name) < 0)
        return NULL;
    struct ctrio__py_runner *runner = runner_here(ctrio__state_of(self));
    if (runner == NULL || ctrio__nursery_refuse_closed(nursery_of(self)) < 0)
        return NULL;
    PyObject *task = ctrio__spawn(runner, args[0], args + 1, nargs - 1, NULL,
                                  &nursery_of(self)->nursery, name, false, NULL);
    if (task == NULL)
        return NULL;
    Py_DECREF(task);
    Py_RETURN_NONE;
}

static PyObject *get_child_tasks(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__nursery *nursery = &nursery_of(self)->nursery;
    PyObject *list = PyList_New(0);
    if (list == NULL || nursery->run == NULL)
        goto done;
    for (struct ctrio_list *at = nursery->children.next; at != &nursery->children; at = at->next) {
        PyObject *child = (PyObject *)ctrio__py_task_from(ctrio__task_from(at, nursery_link));
        if (PyList_Append(list, child) < 0)
            Py_CLEAR(list);
        if (list == NULL)
            return NULL;
    }
done:
    if (list != NULL)
        Py_SETREF(list, PyFrozenSet_New(list));
    return list;
}
static PyObject *get_parent_task(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *task = nursery_of(self)->parent_task;
    return Py_NewRef(task != NULL ? task : Py_None);
}
static PyObject *get_cancel_scope(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *scope = nursery_of(self)->scope;
    return Py_NewRef(scope != NULL ? scope : Py_None);
}
static PyObject *get_closed(PyObject *self, void *Py_UNUSED(closure))
{
    const struct ctrio__nursery *nursery = &nursery_of(self)->nursery;
    return PyBool_FromLong(nursery->run == NULL || nursery->closed);
}

static int nursery_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct ctrio__py_nursery *object = nursery_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(object->scope);
    Py_VISIT(object->parent_task);
    Py_VISIT(object->dict);
    if (object->nursery.run == NULL)
        return 0;
    struct ctrio_list *at = object->nursery.failures.next;
    for (; at != &object->nursery.failures; at = at->next) {
        struct ctrio__failure *failure = ctrio__container(at, struct ctrio__failure, link);
        Py_VISIT((PyObject *)failure->outcome.value);
        if (failure->task == NULL)
            continue;
        struct ctrio__py_task *task = ctrio__py_task_from(failure->task);
        int result = task->hidden ? ctrio__task_traverse((PyObject *)task, visit, arg)
                                  : visit((PyObject *)task, arg);
        if (result != 0)
            return result;
    }
    return 0;
}

static int nursery_clear(PyObject *self)
{
    struct ctrio__py_nursery *object = nursery_of(self);
    if (object->nursery.run != NULL) {
        object->nursery.parent_waiting = false; /* its coroutine is garbage, too */
        ctrio__nursery_forget(&object->nursery);
    }
    Py_CLEAR(object->parent_task);
    Py_CLEAR(object->dict);
    return 0;
}

static void nursery_free(PyObject *self)
{
    struct ctrio__py_nursery *object = nursery_of(self);
    PyTypeObject *type = Py_TYPE(self);
    if (object->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    nursery_clear(self);
    Py_CLEAR(object->scope);
    ctrio__pool_free(ctrio__state_of_type(type), TYPE_NURSERY, self);
    Py_DECREF(type);
}

/* A nursery holds its task, which holds the nursery that it is in, and so on to the root: where
 * only the innermost is left to hold them all, one frame each on the C stack would be too many. */
static void nursery_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, nursery_dealloc);
    nursery_free(self);
    Py_TRASHCAN_END;
}

static PyMethodDef nursery_methods[] = {
    {"start_soon", (PyCFunction)(void (*)(void))nursery_start_soon, METH_FASTCALL | METH_KEYWORDS,
     "start_soon($self, /, async_fn, *args, name=None)\n--\n\n"
     "Start a child task that runs ``await async_fn(*args)``.\n\n"
     "No checkpoint: the task first runs a little later. What it returns is dropped; what it\n"
     "raises cancels the nursery, and comes out where the nursery's block ends.\n\n"
     "Args:\n    async_fn: An async function, not called yet.\n"
     "    args: Its positional arguments; `functools.partial` for others.\n"
     "    name: What the task is called, for debugging; by default as the function.\n\n"
     "Raises:\n    RuntimeError: The nursery is closed.\n"
     "    TypeError: It is no async function."},
    {NULL, NULL, 0, NULL}};
static PyGetSetDef nursery_getset[] = {
    {"child_tasks", get_child_tasks, NULL, "The children that are still running, as a frozenset.",
     NULL},
    {"parent_task", get_parent_task, NULL, "The task that opened the nursery.", NULL},
    {"cancel_scope", get_cancel_scope, NULL,
     "The cancel scope around the block and all the children.", NULL},
    {"_closed", get_closed, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef nursery_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct ctrio__py_nursery, weakrefs), READONLY,
     NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(struct ctrio__py_nursery, dict), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static const char nursery_doc[] =
    "Nursery(*args, **kwargs)\n--\n\n"
    "What child tasks are started in; `open_nursery` makes it.\n\n"
    "It may be handed to others, who then start tasks in it. It is closed when its block has\n"
    "ended and the last child has gone.";
static PyType_Slot nursery_slots[] = {
    {Py_tp_doc, (void *)nursery_doc},   {Py_tp_hash, ctrio__hash_by_serial},
    {Py_tp_new, ctrio__no_constructor}, {Py_tp_methods, nursery_methods},
    {Py_tp_getset, nursery_getset},     {Py_tp_members, nursery_members},
    {Py_tp_traverse, nursery_traverse}, {Py_tp_clear, nursery_clear},
    {Py_tp_dealloc, nursery_dealloc},   {0, NULL}};
static PyType_Spec nursery_spec = {.name = "trio.Nursery",
                                   .basicsize = sizeof(struct ctrio__py_nursery),
                                   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                   .slots = nursery_slots};

/* --- the manager ------------------------------------------------------------------- */

struct manager {
    PyObject_HEAD
    PyObject *nursery; /* NULL before __aenter__ */
    PyObject *weakrefs;
    bool strict;
};
static struct manager *manager_of(PyObject *self)
{
    return (struct manager *)self;
}

static PyObject *manager_make(struct ctrio__state *state, bool strict)
{
    struct manager *self = manager_of(ctrio__pool_new(state, TYPE_NURSERY_MANAGER));
    if (self == NULL)
        return NULL;
    self->nursery = NULL;
    self->weakrefs = NULL;
    self->strict = strict;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static PyObject *open_nursery(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    static const char *const names[] = {"strict_exception_groups"};
    struct ctrio__state *state = PyModule_GetState(module);
    PyObject *strict;
    if (ctrio__parse("open_nursery", args, nargs, kwnames, names, 0, 1, &strict) < 0)
        return NULL;
    if (strict != NULL && strict != Py_None) {
        int truth = PyObject_IsTrue(strict);
        if (truth == 0) {
            PyObject *warned = PyObject_CallFunction(state->bound.warn_deprecated, "s",
                                                     "open_nursery(strict_exception_groups=False)");
            Py_XDECREF(warned);
            if (warned == NULL)
                return NULL;
        }
        return truth < 0 ? NULL : manager_make(state, truth != 0);
    }
    struct ctrio__py_runner *runner = runner_here(state);
    return runner != NULL ? manager_make(state, runner->strict) : NULL;
}

static int enter_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    struct manager *self = manager_of(coro->self);
    struct ctrio__py_nursery *nursery =
        ctrio__nursery_make(ctrio__state_of_task(task), self->strict);
    if (nursery == NULL || ctrio__nursery_enter(nursery, task) < 0) {
        Py_XDECREF(nursery);
        return -1;
    }
    Py_XSETREF(self->nursery, (PyObject *)nursery);
    return 1;
}
static PyObject *enter_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    (void)io;
    return Py_NewRef(manager_of(coro->self)->nursery);
}

static int exit_parse(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    static const char *const names[] = {"etype", "exc", "tb"};
    PyObject *out[3];
    if (ctrio__parse("NurseryManager.__aexit__", args, nargs, kwnames, names, 3, 3, out) < 0)
        return -1;
    coro->arg = Py_NewRef(out[1]);
    return 0;
}

/* Holds the nursery, as the manager may be cleared by the garbage collector before us.  The body's
 * failure is added here: the op's first *io is always empty. */
static int exit_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    struct manager *self = manager_of(coro->self);
    if (self->nursery == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        "'NurseryManager' object has no attribute '_nursery'");
        return -1;
    }
    coro->arg2 = Py_NewRef(self->nursery);
    struct ctrio__nursery *nursery = &nursery_of(coro->arg2)->nursery;
    ctrio__nursery_close_op_init(&coro->op.nursery_close, nursery);
    if (coro->arg != Py_None) {
        struct ctrio__outcome failure =
            ctrio__outcome_from_exception(ctrio__state_of_task(task), Py_NewRef(coro->arg));
        if (nursery->results_lost || ctrio__list_linked(&nursery->body.link))
            ctrio__py_outcome_drop(&failure);
        else
            ctrio__nursery_add_failure(nursery, &nursery->body, &failure, CTRIO__BODY_FAILED,
                                       &task->task);
    }
    return 0;
}

static PyObject *exit_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    PyObject *original = coro->arg;
    coro->arg = NULL;
    ctrio__scope_let_go((struct ctrio__py_scope *)nursery_of(coro->arg2)->scope);
    PyObject *result = ctrio__exit_result(ctrio__state_of_coro(coro), io, original);
    Py_DECREF(original);
    return result;
}

static PyObject *sync_enter(PyObject *Py_UNUSED(self), PyObject *const *Py_UNUSED(args),
                            Py_ssize_t Py_UNUSED(nargs), PyObject *Py_UNUSED(kwnames))
{
    PyErr_SetString(PyExc_RuntimeError,
                    "use 'async with open_nursery(...)', not 'with open_nursery(...)'");
    return NULL;
}
static PyObject *sync_exit(PyObject *Py_UNUSED(self), PyObject *const *Py_UNUSED(args),
                           Py_ssize_t Py_UNUSED(nargs), PyObject *Py_UNUSED(kwnames))
{
    PyErr_SetString(PyExc_AssertionError, "Never called, but should be defined");
    return NULL;
}
static PyObject *get_strict(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(manager_of(self)->strict);
}
static int manager_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(manager_of(self)->nursery);
    return 0;
}
static int manager_clear(PyObject *self)
{
    Py_CLEAR(manager_of(self)->nursery);
    return 0;
}
static void manager_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (manager_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    manager_clear(self);
    ctrio__pool_free(ctrio__state_of_type(type), TYPE_NURSERY_MANAGER, self);
    Py_DECREF(type);
}
static PyGetSetDef manager_getset[] = {{"strict_exception_groups", get_strict, NULL, NULL, NULL},
                                       {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef manager_members[] = {
    {"_nursery", T_OBJECT_EX, offsetof(struct manager, nursery), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct manager, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyObject *manager_repr(PyObject *self)
{
    return PyUnicode_FromFormat("NurseryManager(strict_exception_groups=%s)",
                                manager_of(self)->strict ? "True" : "False");
}
static PyType_Slot manager_slots[] = {{Py_tp_repr, manager_repr},
                                      {Py_tp_getset, manager_getset},
                                      {Py_tp_members, manager_members},
                                      {Py_tp_traverse, manager_traverse},
                                      {Py_tp_clear, manager_clear},
                                      {Py_tp_dealloc, manager_dealloc},
                                      {0, NULL}};
static PyType_Spec manager_spec = {.name = "trio._core._run.NurseryManager",
                                   .basicsize = sizeof(struct manager),
                                   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                            Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                   .slots = manager_slots};
static const struct ctrio__async manager_async[] = {{.qualname = "NurseryManager.__aenter__",
                                                     .module = "trio._core._run",
                                                     .self = TYPE_NURSERY_MANAGER,
                                                     .small = true,
                                                     .begin = enter_begin,
                                                     .finish = enter_finish},
                                                    {.qualname = "NurseryManager.__aexit__",
                                                     .module = "trio._core._run",
                                                     .self = TYPE_NURSERY_MANAGER,
                                                     .parse = exit_parse,
                                                     .small = true,
                                                     .begin = exit_begin,
                                                     .finish = exit_finish},
                                                    {.qualname = NULL}};
static const struct ctrio__sync manager_sync[] = {
    {"NurseryManager.__enter__", "trio._core._run", TYPE_NURSERY_MANAGER, sync_enter},
    {"NurseryManager.__exit__", "trio._core._run", TYPE_NURSERY_MANAGER, sync_exit},
    {NULL, NULL, TYPE_NONE, NULL}};

static PyMethodDef functions[] = {
    {"open_nursery", (PyCFunction)(void (*)(void))open_nursery, METH_FASTCALL | METH_KEYWORDS,
     "open_nursery($module, /, strict_exception_groups=None)\n--\n\n"
     "Return an async context manager whose block may start child tasks.\n\n"
     "``async with open_nursery() as nursery:`` gives a `Nursery`. Leaving the block waits for\n"
     "all children; the first failure, of the block or a child, cancels all the others, and all\n"
     "failures come out as one exception group. Entering is no checkpoint; leaving lets other\n"
     "tasks run.\n\n"
     "Args:\n    strict_exception_groups: False lets a single failure come out bare\n"
     "        (deprecated); None is what `run` was told."},
    {NULL, NULL, 0, NULL}};

int ctrio__exec_nursery(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_NURSERY, &nursery_spec, NULL, "Nursery") < 0 ||
        ctrio__add_type(module, TYPE_NURSERY_MANAGER, &manager_spec, NULL, "NurseryManager") < 0 ||
        ctrio__add_methods(state, TYPE_NURSERY_MANAGER, manager_async) < 0 ||
        ctrio__add_sync_methods(state, TYPE_NURSERY_MANAGER, manager_sync) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
