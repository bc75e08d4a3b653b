/* start.c - nursery.start(): a child that runs under the caller until it says started().
 *
 * The kernel's start op and the inner nursery live in the task status, which both sides share:
 * the coroutine of start() steps it, the child ends it.  Children hold a reference to their
 * nursery; started() moves these references with the children. */
#include "pyext/calls.h"
#include "pyext/outcome.h"

/* task_status: shared by the coroutine of start() and the child; holds the op. */
struct task_status {
    PyObject_HEAD
    struct ctrio__start_op op;
    struct ctrio__py_nursery *target, *old; /* strong */
    PyObject *async_fn, *args, *name;       /* until the child is spawned */
    PyObject *value;                        /* given to started() */
    PyObject *weakrefs;
};
static struct task_status *status_of(PyObject *self)
{
    return (struct task_status *)self;
}

/* Children and their references to the nursery move together: the new ones are taken before, the
 * old ones given back afterwards, so that a collection on the way finds none missing. */
static PyObject *status_started(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames)
{
    static const char *const names[] = {"value"};
    struct task_status *status = status_of(self);
    PyObject *value;
    if (ctrio__parse("_TaskStatus.started", args, nargs, kwnames, names, 0, 1, &value) < 0)
        return NULL;
    if (status->op.started) {
        PyErr_SetString(PyExc_RuntimeError, "called 'started' twice on the same task status");
        return NULL;
    }
    Py_XSETREF(status->value, Py_NewRef(value != NULL ? value : Py_None));
    Py_INCREF(self);
    struct ctrio__py_nursery *old = status->old;
    struct ctrio__py_nursery *target = status->target;
    size_t moving = status->op.entered ? old->nursery.child_count : 0;
    for (size_t i = 0; i < moving; i++)
        Py_INCREF(target);
    int moved = ctrio__start_op_started(&status->op);
    struct ctrio__py_nursery *left = moved > 0 ? old : target;
    for (size_t i = 0; i < moving; i++)
        Py_DECREF(left);
    Py_DECREF(self);
    Py_RETURN_NONE;
}

static PyObject *status_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<Task status object at %p>", self);
}

/* Calls async_fn(*args, task_status=status) in the child's context and starts it. */
static void start_spawn(struct ctrio__start_op *op, struct ctrio_task *task,
                        struct ctrio__outcome *io)
{
    struct task_status *status = ctrio__container(op, struct task_status, op);
    struct ctrio__py_task *parent = ctrio__py_task_from(task);
    struct ctrio__state *state = ctrio__state_of_task(parent);
    Py_ssize_t count = PyTuple_GET_SIZE(status->args);
    PyObject *kwnames = PyTuple_Pack(1, state->names.task_status);
    PyObject **stack = PyMem_New(PyObject *, (size_t)count + 1);
    PyObject *child = NULL;
    if (kwnames != NULL && stack != NULL) {
        for (Py_ssize_t i = 0; i < count; i++)
            stack[i] = PyTuple_GET_ITEM(status->args, i);
        stack[count] = (PyObject *)status;
        child = ctrio__spawn(ctrio__runner_of(parent), status->async_fn, stack, count, kwnames,
                             &status->old->nursery, status->name, false, NULL);
    } else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    PyMem_Free(stack);
    Py_XDECREF(kwnames);
    if (child == NULL)
        *io = ctrio__outcome_from_error(state);
    Py_XDECREF(child);
    Py_CLEAR(status->async_fn);
    Py_CLEAR(status->args);
    Py_CLEAR(status->name);
}

/* The inner nursery is always strict, so its group holds the child's failure alone. */
static void start_unwrap(struct ctrio__start_op *op, struct ctrio__outcome *io)
{
    struct task_status *status = ctrio__container(op, struct task_status, op);
    struct ctrio__state *state = ctrio__state_of(status);
    PyObject *group = io->value;
    PyObject *members = PyObject_GetAttr(group, state->names.exceptions);
    PyObject *error = NULL;
    *io = (struct ctrio__outcome){0, NULL};
    if (members != NULL && PyTuple_Check(members) && PyTuple_GET_SIZE(members) == 1) {
        error = Py_NewRef(PyTuple_GET_ITEM(members, 0));
    } else if (members != NULL) {
        error = PyObject_CallFunction(
            state->bound.TrioInternalError, "s",
            "Internal nursery should not have multiple tasks. This can be caused by the user "
            "managing to access the \"old\" nursery in `task_status` and spawning tasks in it.");
        if (error != NULL) {
            PyException_SetCause(error, Py_NewRef(group));
            PyException_SetContext(error, Py_NewRef(group));
        }
    }
    Py_XDECREF(members);
    Py_DECREF(group);
    if (error == NULL)
        error = PyErr_GetRaisedException();
    *io = ctrio__outcome_from_exception(state, error);
}

static PyObject *status_make(struct ctrio__state *state, struct ctrio__py_nursery *target)
{
    struct task_status *self = PyObject_GC_New(struct task_status, state->types[TYPE_TASK_STATUS]);
    if (self == NULL)
        return NULL;
    ctrio__start_op_init(&self->op, &target->nursery);
    self->op.unstarted = "child exited without calling task_status.started()";
    self->op.spawn = start_spawn;
    self->op.unwrap = start_unwrap;
    self->target = (struct ctrio__py_nursery *)Py_NewRef(target);
    self->old = ctrio__nursery_make(state, true);
    self->async_fn = NULL;
    self->args = NULL;
    self->name = NULL;
    self->value = NULL;
    self->weakrefs = NULL;
    PyObject_GC_Track(self);
    if (self->old == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int start_parse(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    PyObject *name;
    if (ctrio__take_name("Nursery.start", args, nargs, kwnames, &name) < 0)
        return -1;
    PyObject *status =
        status_make(ctrio__state_of_coro(coro), (struct ctrio__py_nursery *)coro->self);
    if (status == NULL)
        return -1;
    coro->arg = status;
    status_of(status)->async_fn = Py_NewRef(args[0]);
    status_of(status)->name = Py_NewRef(name);
    status_of(status)->args = PyTuple_New(nargs - 1);
    if (status_of(status)->args == NULL)
        return -1;
    for (Py_ssize_t i = 1; i < nargs; i++)
        PyTuple_SET_ITEM(status_of(status)->args, i - 1, Py_NewRef(args[i]));
    return 0;
}

/* The op lives in the task status; the coroutine's own is a relay to it. */
static enum ctrio__step relay_step(struct ctrio__op *op, struct ctrio_task *task,
                                   struct ctrio__outcome *io)
{
    struct task_status *status = op->object;
    return status->op.op.kind->step(&status->op.op, task, io);
}
static void relay_abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    struct task_status *status = op->object;
    status->op.op.kind->abandon(&status->op.op, task);
}
static const struct ctrio__op_kind relay_kind = {
    .verb = "start", .step = relay_step, .abandon = relay_abandon};

static int start_begin(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    struct task_status *status = status_of(coro->arg);
    if (ctrio__nursery_refuse_closed(status->target) < 0)
        return -1;
    status->op.old = &status->old->nursery;
    status->op.old_scope = &((struct ctrio__py_scope *)status->old->scope)->scope;
    status->old->parent_task = Py_NewRef(task);
    Py_INCREF(status->old); /* the task's, while it is open */
    ctrio__scope_hold((struct ctrio__py_scope *)status->old->scope); /* the op enters it */
    ctrio__op_init(&coro->op.op, &relay_kind, status);
    return 0;
}

static PyObject *start_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    struct task_status *status = status_of(coro->arg);
    struct ctrio__state *state = ctrio__state_of_coro(coro);
    ctrio__scope_let_go((struct ctrio__py_scope *)status->old->scope);
    if (io->code == 0)
        return Py_NewRef(status->value);
    if (io->code == CTRIO_FOREIGN || io->code == CTRIO_GROUP || io->code == CTRIO_CANCELLED) {
        PyObject *exception = io->value;
        *io = (struct ctrio__outcome){0, NULL};
        ctrio__raise_saving_context(exception);
        return NULL;
    }
    return ctrio__raise(state, io);
}

static int status_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct task_status *status = status_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(status->target);
    Py_VISIT(status->old);
    Py_VISIT(status->async_fn);
    Py_VISIT(status->args);
    Py_VISIT(status->name);
    Py_VISIT(status->value);
    return 0;
}
static int status_clear(PyObject *self)
{
    struct task_status *status = status_of(self);
    Py_CLEAR(status->async_fn);
    Py_CLEAR(status->args);
    Py_CLEAR(status->name);
    Py_CLEAR(status->value);
    return 0;
}
static void status_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (status_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    status_clear(self);
    Py_XDECREF(status_of(self)->target);
    Py_XDECREF(status_of(self)->old);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}
static PyMethodDef status_methods[] = {
    {"started", (PyCFunction)(void (*)(void))status_started, METH_FASTCALL | METH_KEYWORDS,
     "started($self, /, value=None)\n--\n\n"
     "Tell the start() that waits that this task is ready; ``value`` is its result."},
    {NULL, NULL, 0, NULL}};
static PyMemberDef status_members[] = {
    {"_old_nursery", T_OBJECT, offsetof(struct task_status, old), READONLY, NULL},
    {"_new_nursery", T_OBJECT, offsetof(struct task_status, target), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct task_status, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot status_slots[] = {{Py_tp_methods, status_methods},
                                     {Py_tp_members, status_members},
                                     {Py_tp_repr, status_repr},
                                     {Py_tp_traverse, status_traverse},
                                     {Py_tp_clear, status_clear},
                                     {Py_tp_dealloc, status_dealloc},
                                     {0, NULL}};
static PyType_Spec status_spec = {.name = "trio._core._run._TaskStatus",
                                  .basicsize = sizeof(struct task_status),
                                  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                           Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  .slots = status_slots};
static const struct ctrio__async nursery_async[] = {{.qualname = "Nursery.start",
                                                     .module = "trio",
                                                     .self = TYPE_NURSERY,
                                                     .parse = start_parse,
                                                     .begin = start_begin,
                                                     .finish = start_finish},
                                                    {.qualname = NULL}};

int ctrio__exec_start(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_TASK_STATUS, &status_spec, NULL, "_TaskStatus") < 0)
        return -1;
    return ctrio__add_methods(state, TYPE_NURSERY, nursery_async);
}
