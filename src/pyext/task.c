/* task.c - Task, one step of a task, and the front-end table.
 *
 * coro and context are writable and read anew at each step (greenback replaces one, pytest-trio
 * the other).  While Python code runs, no address of a C local is reachable from the heap: the
 * run and the task are heap objects, and greenlets may switch under us. */
#include "pyext/calls.h"
#include "pyext/outcome.h"
#include "pyext/pool.h"
#include "pyext/shared_context.h"
#include "pyext/sync.h"

static struct ctrio__py_task *task_of(PyObject *self)
{
    return (struct ctrio__py_task *)self;
}

void ctrio__task_keep(struct ctrio__py_task *task, enum ctrio__kept what, PyObject *object)
{
    CTRIO_ASSERT((what == KEPT_NOTHING) == (object == NULL));
    task->what_is_kept = (uint8_t)what;
    Py_XSETREF(task->kept, object);
}

PyObject *ctrio__task_take_kept(struct ctrio__py_task *task, enum ctrio__kept what)
{
    CTRIO_ASSERT((task->kept == NULL) == (task->what_is_kept == KEPT_NOTHING));
    if (task->what_is_kept != what)
        return NULL;
    PyObject *object = task->kept;
    task->kept = NULL;
    task->what_is_kept = KEPT_NOTHING;
    return object;
}

/* --- one step ---------------------------------------------------------------------- */

PySendResult ctrio__throw_into(struct ctrio__state *state, PyObject *coro, PyObject **exception,
                               PyObject **value)
{
    PyObject *thrown = *exception;
    *exception = NULL;
    *value = PyObject_CallMethodOneArg(coro, state->names.throw_, thrown);
    Py_DECREF(thrown);
    if (*value != NULL)
        return PYGEN_NEXT;
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return PYGEN_ERROR;
    PyObject *stop = PyErr_GetRaisedException();
    *value = Py_XNewRef(((PyStopIterationObject *)stop)->value);
    Py_DECREF(stop);
    if (*value == NULL)
        *value = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

/* As PyIter_Send would: what is nearly always there has no need to be asked what it can. */
static inline PySendResult send_none(PyObject *coro, PyObject **value)
{
    if (Py_IS_TYPE(coro, &PyCoro_Type))
        return PyCoro_Type.tp_as_async->am_send(coro, Py_None, value);
    return PyIter_Send(coro, Py_None, value);
}

static PySendResult send_into(struct ctrio__py_task *task, PyObject **value)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    PyObject *coro = Py_NewRef(task->coro);
    PyObject *context = Py_XNewRef(ctrio__context_to_enter(task));
    PySendResult result = PYGEN_ERROR;
    *value = NULL;
    runner->step_coro = coro;
    runner->step_context = task->context;
    if (context != NULL && PyContext_Enter(context) == 0) {
        PyObject *thrown = ctrio__task_take_kept(task, KEPT_EXCEPTION);
        if (thrown != NULL)
            result = ctrio__throw_into(runner->state, coro, &thrown, value);
        else
            result = send_none(coro, value);
        if (PyContext_Exit(context) < 0) {
            Py_CLEAR(*value);
            result = PYGEN_ERROR;
        }
        ctrio__context_left(task, context);
    }
#if CTRIO_KEPT_STOP
    if (runner->state->result_kept)
        ctrio__forget_result(runner->state);
#endif
    Py_DECREF(coro);
    Py_XDECREF(context);
    return result;
}

static void drop_wake(struct ctrio__py_task *task)
{
    if (!task->has_wake)
        return;
    task->has_wake = false;
    if (task->task.wake.value != NULL)
        ctrio__wake_drop(&ctrio__python, &task->task.wake);
}

void ctrio__answer_foreign_yield(struct ctrio__py_task *task, PyObject *value, PyObject **answer)
{
    PyObject *text = PyUnicode_FromFormat(
        "trio.run received unrecognized yield message %R. Are you trying to use a library "
        "written for some other framework like asyncio? That won't work without some kind of "
        "compatibility shim.",
        value);
    PyObject *error = text != NULL ? PyObject_CallOneArg(PyExc_TypeError, text) : NULL;
    Py_XDECREF(text);
    if (error == NULL)
        error = PyErr_GetRaisedException();
    CTRIO_ASSERT(*answer == NULL);
    *answer = error;
    ctrio__task_yield(&task->task);
}

static enum ctrio__step suspended(struct ctrio__py_task *task, PyObject *value,
                                  struct ctrio__outcome *io)
{
    struct ctrio__state *state = ctrio__state_of_task(task);
    drop_wake(task); /* of a step that asked for nothing, or of a foreigner's */
    PyObject *outcome =
        value == state->yield_token ? ctrio__task_take_kept(task, KEPT_OUTCOME) : NULL;
    if (outcome != NULL) { /* permanently: the task is over, the coroutine goes on */
        ctrio__task_show(task);
        if (ctrio__outcome_from_python(state, outcome, io) < 0)
            *io = ctrio__outcome_from_error(state);
        else if (io->code < 0)
            *io = ctrio__outcome_from_exception(state, io->value);
        Py_DECREF(outcome);
        Py_DECREF(value);
        return CTRIO__DONE;
    }
    if (task->poisoned) {
        PyErr_SetString(PyExc_TypeError, "the task's _schedule_points are not a number");
        ctrio__runner_fail(ctrio__runner_of(task));
    }
    if (value != state->yield_token || task->task.trap == CTRIO__TRAP_NONE) {
        PyObject *answer = NULL;
        ctrio__answer_foreign_yield(task, value, &answer);
        ctrio__task_keep(task, KEPT_EXCEPTION, answer);
    }
    Py_DECREF(value);
    ctrio__task_hide_among_many(task);
    return CTRIO__PARKED;
}

/* It has failed, and stays till its nursery closes for the failure's sake.  Of ten thousand that
 * are cancelled together the collector would look at each over and over, in vain: for an exception
 * that is kept two other objects had better be gone. */
static bool nobody_looks_at(struct ctrio__py_task *task)
{
    PyObject *current = ctrio__thread.task;
    return current == (PyObject *)task && Py_REFCNT(current) == 2 && task->weakrefs == NULL &&
           !ctrio__hooks_watched(&task->task.run->hooks);
}

static enum ctrio__step resume(struct ctrio_task *task, struct ctrio__outcome *io)
{
    task->wake.code = io->code; /* by members: see ctrio__task_take_wake */
    task->wake.value = io->value;
    return ctrio__py_step(task, io);
}

enum ctrio__step ctrio__py_step(struct ctrio_task *kernel_task, struct ctrio__outcome *io)
{
    struct ctrio__py_task *task = ctrio__py_task_from(kernel_task);
    PyObject *value;
    task->has_wake = true;
    io->code = 0;
    io->value = NULL;
    ctrio__thread.state = ctrio__state_of_task(task);
    Py_XSETREF(ctrio__thread.task, Py_NewRef(task));
    ctrio__task_drop_kept(task, KEPT_ABORT_FUNC);
    if (task->custom_sleep_data != Py_None)
        Py_SETREF(task->custom_sleep_data, Py_NewRef(Py_None));
    PySendResult result = send_into(task, &value);
    switch (result) {
    case PYGEN_NEXT:
        return suspended(task, value, io);
    case PYGEN_RETURN:
        ctrio__task_show(task);
        *io = (struct ctrio__outcome){0, value};
        break;
    default:
        *io = ctrio__outcome_from_error(ctrio__state_of_task(task));
        if (nobody_looks_at(task)) {
            ctrio__task_show_parts(task);
            Py_CLEAR(task->coro);
            ctrio__context_drop(task, NULL);
        } else {
            ctrio__task_show(task);
        }
    }
    drop_wake(task);
    return CTRIO__DONE;
}

/* --- the rest of the table --------------------------------------------------------- */

static void adopt(const struct ctrio__frontend *from, struct ctrio__outcome *in)
{
    struct ctrio__thread *thread = &ctrio__thread;
    PyObject *exception = ctrio__exception_of(thread->state, in);
    (void)from;
    if (exception == NULL)
        exception = PyErr_GetRaisedException();
    *in = ctrio__outcome_from_exception(thread->state, exception);
}

static void scope_release(struct ctrio_cancel_scope *scope)
{
    ctrio__scope_let_go(ctrio__py_scope_from(scope));
}

static void task_free(struct ctrio_task *task)
{
    struct ctrio__py_task *freed = ctrio__py_task_from(task);
    if (task->state == CTRIO__TASK_EXITED) {
        CTRIO_ASSERT(!freed->has_wake);
        ctrio__task_show(freed);
        ctrio__py_outcome_drop(&task->failure.outcome);
    } else { /* left over by a run that broke down */
        ctrio__py_breakers_forget(freed);
        freed->has_wake = false;
        ctrio__task_show(freed);
        ctrio__wake_drop(&ctrio__python, &task->wake);
    }
    Py_DECREF(freed);
}

const struct ctrio__frontend ctrio__python = {
    .name = "python",
    .resume = resume,
    .adopt = adopt,
    .group = ctrio__py_group,
    .strip_cancelled = ctrio__py_strip_cancelled,
    .misnested = ctrio__py_misnested,
    .reason_make = ctrio__py_reason_make,
    .reason_free = ctrio__py_reason_free,
    .outcome_drop = ctrio__py_outcome_drop,
    .nursery_release = ctrio__py_nursery_release,
    .scope_release = scope_release,
    .lot_broken = ctrio__py_lot_broken,
    .task_free = task_free,
};

/* --- attributes -------------------------------------------------------------------- */

/* The name is worked out when somebody asks: spawning only keeps the function. */
static PyObject *work_out_name(struct ctrio__state *state, PyObject *source)
{
    PyObject *partial = ctrio__lazy(&state->partial_type, "functools", "partial");
    PyObject *function = NULL, *text = NULL;
    if (partial == NULL)
        return NULL;
    if (PyObject_TypeCheck(source, (PyTypeObject *)partial))
        function = PyObject_GetAttr(source, state->names.func);
    else
        function = Py_NewRef(source);
    if (function == NULL || PyUnicode_Check(function))
        return function;
    PyObject *module = PyObject_GetAttr(function, state->names.dunder_module);
    PyObject *qualname =
        module != NULL ? PyObject_GetAttr(function, state->names.dunder_qualname) : NULL;
    if (qualname != NULL) {
        text = PyUnicode_FromFormat("%S.%S", module, qualname);
    } else if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        text = PyObject_Repr(function);
    }
    Py_XDECREF(module);
    Py_XDECREF(qualname);
    Py_DECREF(function);
    return text;
}

static PyObject *get_name(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__py_task *task = task_of(self);
    if (task->name == NULL)
        Py_RETURN_NONE;
    if (!PyUnicode_Check(task->name)) {
        PyObject *text = work_out_name(ctrio__state_of_task(task), task->name);
        if (text == NULL)
            return NULL;
        Py_SETREF(task->name, text);
    }
    return Py_NewRef(task->name);
}

static PyObject **rw_field(struct ctrio__py_task *task, const char *which)
{
    if (strcmp(which, "name") == 0)
        return &task->name;
    if (strcmp(which, "coro") == 0)
        return &task->coro;
    if (strcmp(which, "context") == 0)
        return &task->context;
    return &task->custom_sleep_data;
}
static PyObject *get_field(PyObject *self, void *closure)
{
    PyObject **field = rw_field(task_of(self), closure);
    if (field == &task_of(self)->context && ctrio__context_own(task_of(self)) < 0)
        return NULL;
    PyObject *value = *field;
    return Py_NewRef(value != NULL ? value : Py_None);
}
static int set_field(PyObject *self, PyObject *value, void *closure)
{
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError, "can't delete attribute '%s'", (const char *)closure);
        return -1;
    }
    struct ctrio__py_task *task = task_of(self);
    PyObject **field = rw_field(task, closure);
    if (field == &task->coro || field == &task->context)
        ctrio__task_show(task);
    if (field == &task->context)
        ctrio__context_drop(task, Py_NewRef(value));
    else
        Py_XSETREF(*field, Py_NewRef(value));
    return 0;
}

static PyObject *nursery_or_none(const struct ctrio__nursery *nursery)
{
    if (nursery == NULL)
        Py_RETURN_NONE;
    return Py_NewRef(ctrio__container(nursery, struct ctrio__py_nursery, nursery));
}
static PyObject *get_parent_nursery(PyObject *self, void *Py_UNUSED(closure))
{
    return nursery_or_none(task_of(self)->task.nursery);
}
static PyObject *get_eventual_nursery(PyObject *self, void *Py_UNUSED(closure))
{
    const struct ctrio_task *task = &task_of(self)->task;
    return nursery_or_none(task->state == CTRIO__TASK_EXITED ? NULL
                                                             : ctrio__eventual_nursery(task));
}
static PyObject *get_child_nurseries(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio_task *task = &task_of(self)->task;
    PyObject *list = PyList_New(0);
    for (struct ctrio_list *at = task->nurseries.next; list != NULL && at != &task->nurseries;
         at = at->next) {
        struct ctrio__nursery *nursery = ctrio__container(at, struct ctrio__nursery, sibling);
        if (PyList_Append(list, (PyObject *)ctrio__py_nursery_from(nursery)) < 0)
            Py_CLEAR(list);
    }
    return list;
}
static PyObject *get_scope(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio_cancel_scope *scope = task_of(self)->task.scope;
    if (scope == NULL || scope->frontend != &ctrio__python)
        Py_RETURN_NONE;
    return Py_NewRef(ctrio__py_scope_from(scope));
}
static PyObject *get_runner(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(ctrio__runner_of(task_of(self)));
}
static PyObject *get_serial(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(task_of(self)->task.serial);
}
static PyObject *get_protected(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(task_of(self)->ki_protected);
}
static uint32_t *counter(struct ctrio__py_task *task, const char *which)
{
    return which[1] == 's' ? &task->task.schedule_points : &task->task.cancel_points;
}
static PyObject *get_counter(PyObject *self, void *closure)
{
    return PyLong_FromUnsignedLong(*counter(task_of(self), closure));
}
static int set_counter(PyObject *self, PyObject *value, void *closure)
{
    if (value == NULL || !PyLong_Check(value)) { /* adding one to it will fail: Trio's does */
        task_of(self)->poisoned = true;
        return 0;
    }
    unsigned long number = PyLong_AsUnsignedLong(value);
    if (PyErr_Occurred())
        return -1;
    *counter(task_of(self), closure) = (uint32_t)number;
    return 0;
}

static PyObject *iter_await_frames(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyObject_CallOneArg(ctrio__state_of_task(task_of(self))->bound.iter_await_frames, self);
}

static PyObject *task_repr(PyObject *self)
{
    PyObject *name = get_name(self, NULL);
    PyObject *text = name != NULL ? PyUnicode_FromFormat("<Task %R at %p>", name, self) : NULL;
    Py_XDECREF(name);
    return text;
}
/* By creation, not by address: sets of tasks have the same order in every run. */
static Py_hash_t task_hash(PyObject *self)
{
    return (Py_hash_t)(task_of(self)->task.serial & (uint64_t)PY_SSIZE_T_MAX);
}

/* --- life -------------------------------------------------------------------------- */

int ctrio__task_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct ctrio__py_task *task = task_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)ctrio__runner_of(task));
    Py_VISIT(task->coro);
    Py_VISIT(task->context);
    Py_VISIT(task->name);
    Py_VISIT(task->custom_sleep_data);
    Py_VISIT(task->kept);
    if (task->task.nursery != NULL)
        Py_VISIT((PyObject *)ctrio__py_nursery_from(task->task.nursery));
    for (struct ctrio_list *at = task->task.nurseries.next; at != &task->task.nurseries;
         at = at->next)
        Py_VISIT((PyObject *)ctrio__py_nursery_from(
            ctrio__container(at, struct ctrio__nursery, sibling)));
    const struct ctrio__outcome *wake = &task->task.wake;
    if (task->has_wake && (wake->code == 0 || wake->code == CTRIO_FOREIGN))
        Py_VISIT((PyObject *)wake->value);
    return 0;
}
static int task_clear(PyObject *self)
{
    struct ctrio__py_task *task = task_of(self);
    Py_CLEAR(task->coro);
    ctrio__context_drop(task, NULL);
    Py_CLEAR(task->name);
    Py_CLEAR(task->custom_sleep_data);
    ctrio__task_keep(task, KEPT_NOTHING, NULL);
    return 0;
}
static void task_dealloc(PyObject *self)
{
    struct ctrio__py_task *task = task_of(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (task->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    CTRIO_ASSERT(!ctrio__list_linked(&task->task.run_link));
    CTRIO_ASSERT(!ctrio__list_linked(&task->task.scope_link));
    CTRIO_ASSERT(!task->has_wake && !task->hidden);
    task_clear(self);
    struct ctrio__nursery *nursery = task->task.nursery;
    task->task.nursery = NULL;
    if (nursery != NULL)
        Py_DECREF(ctrio__py_nursery_from(nursery));
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    struct ctrio__state *state = runner->state;
    ctrio__pool_free(state, TYPE_TASK, self);
    Py_DECREF(runner);
    Py_DECREF(type);
}
static PyObject *task_new(PyTypeObject *Py_UNUSED(type), PyObject *Py_UNUSED(args),
                          PyObject *Py_UNUSED(kwargs))
{
    PyErr_SetString(PyExc_TypeError, "trio.lowlevel.Task has no public constructor");
    return NULL;
}

struct ctrio__py_task *ctrio__task_make(struct ctrio__py_runner *runner, PyObject *coro,
                                        PyObject *context, PyObject *name, bool system)
{
    struct ctrio__py_task *task = task_of(ctrio__pool_new(runner->state, TYPE_TASK));
    if (task == NULL)
        return NULL;
    ctrio__task_init(&task->task, &ctrio__python);
    task->task.run = &((struct ctrio__py_runner *)Py_NewRef(runner))->run;
    task->coro = Py_NewRef(coro);
    task->context = Py_NewRef(context);
    task->name = Py_NewRef(name);
    task->custom_sleep_data = Py_NewRef(Py_None);
    task->kept = NULL;
    task->what_is_kept = KEPT_NOTHING;
    task->weakrefs = NULL;
    task->asked_by = NULL;
    task->has_wake = false;
    task->poisoned = false;
    task->ki_protected = system;
    task->hidden = false;
    task->shares_context = false;
    task->task.system = system;
    PyObject_GC_Track(task);
    return task;
}

static PyMethodDef task_methods[] = {
    {"iter_await_frames", iter_await_frames, METH_NOARGS,
     "iter_await_frames($self, /)\n--\n\n"
     "Go down the chain of what the task is waiting in.\n\n"
     "Yields:\n    Each frame and its current line, outermost first."},
    {NULL, NULL, 0, NULL}};
#define FIELD(name, doc) {name, get_field, set_field, doc, (void *)name}
static PyGetSetDef task_getset[] = {
    {"name", get_name, set_field, "The name of the task, for people. May be changed.",
     (void *)"name"},
    FIELD("coro", "The coroutine that the task runs."),
    FIELD("context", "The context variables that the task runs with."),
    FIELD("custom_sleep_data", "Free to be used by whoever lets the task sleep; else None."),
    {"parent_nursery", get_parent_nursery, NULL, "The nursery the task is in, or None.", NULL},
    {"_parent_nursery", get_parent_nursery, NULL, NULL, NULL},
    {"eventual_parent_nursery", get_eventual_nursery, NULL,
     "The nursery the task will be in once it has called `started`, or None.", NULL},
    {"child_nurseries", get_child_nurseries, NULL, "Its open nurseries, outermost first.", NULL},
    {"_child_nurseries", get_child_nurseries, NULL, NULL, NULL},
    {"_cancel_status", get_scope, NULL, NULL, NULL},
    {"_runner", get_runner, NULL, NULL, NULL},
    {"_counter", get_serial, NULL, NULL, NULL},
    {"_ki_protected", get_protected, NULL, NULL, NULL},
    {"_schedule_points", get_counter, set_counter, NULL, (void *)"_schedule_points"},
    {"_cancel_points", get_counter, set_counter, NULL, (void *)"_cancel_points"},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef task_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct ctrio__py_task, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static const char task_doc[] =
    "Task(*args, **kwargs)\n--\n\n"
    "A concurrent strand of a run: a coroutine, and what the run knows of it.\n\n"
    "Tasks are made by starting something in a nursery. Whoever has one can look at it; there\n"
    "is no way to cancel or to join a single task.";
static PyType_Slot task_slots[] = {{Py_tp_doc, (void *)task_doc},
                                   {Py_tp_new, task_new},
                                   {Py_tp_methods, task_methods},
                                   {Py_tp_getset, task_getset},
                                   {Py_tp_members, task_members},
                                   {Py_tp_repr, task_repr},
                                   {Py_tp_hash, task_hash},
                                   {Py_tp_traverse, ctrio__task_traverse},
                                   {Py_tp_clear, task_clear},
                                   {Py_tp_dealloc, task_dealloc},
                                   {0, NULL}};
static PyType_Spec task_spec = {.name = "trio.lowlevel.Task",
                                .basicsize = sizeof(struct ctrio__py_task),
                                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                .slots = task_slots};

int ctrio__exec_task(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    return ctrio__add_type(module, TYPE_TASK, &task_spec, NULL, "Task");
}
