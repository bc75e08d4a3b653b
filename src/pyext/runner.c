/* runner.c - the Runner object: a run's state as Python sees it.
 *
 * The kernel's run is a member.  Everything needed to go on sits here on the heap: greenlets may
 * suspend a run in the middle of a step, and another run may be the thread's current one
 * meanwhile. */
#include "io/native.h"
#include "pyext/calls.h"
#include "pyext/outcome.h"
#include "pyext/shared_context.h"

static struct ctrio__py_runner *runner_of(PyObject *self)
{
    return (struct ctrio__py_runner *)self;
}

struct ctrio__py_runner *ctrio__runner_new(struct ctrio__state *state,
                                           const struct ctrio__runner_options *options)
{
    PyTypeObject *type = state->types[TYPE_RUNNER];
    struct ctrio__py_runner *self = (struct ctrio__py_runner *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->state = state;
    self->strict = options->strict;
    self->ki_at_checkpoints = options->ki_at_checkpoints;
    self->os = options->os;
    self->os_lent = options->os != NULL;
    self->chooser = options->chooser;
    self->system_context = PyContext_CopyCurrent();
    self->spare_context = PyContext_New();
    self->locals = PyDict_New();
    self->idempotent = PyDict_New();
    if (self->system_context == NULL || self->spare_context == NULL || self->locals == NULL ||
        self->idempotent == NULL || ctrio__runner_open(self, options) < 0)
        Py_CLEAR(self);
    return self;
}

void ctrio__runner_fail(struct ctrio__py_runner *runner)
{
    PyObject *error = PyErr_GetRaisedException();
    CTRIO_ASSERT(error != NULL);
    if (runner->failure == NULL)
        runner->failure = error;
    else
        Py_DECREF(error);
    ctrio__run_fail(&runner->run, CTRIO_FOREIGN);
}

/* --- attributes -------------------------------------------------------------------- */

static PyObject *get_object(PyObject *self, void *closure)
{
    PyObject *value = *(PyObject **)(void *)((char *)self + (size_t)closure);
    return Py_NewRef(value != NULL ? value : Py_None);
}
#define OBJECT(name, field)                                                                        \
    {name, get_object, NULL, NULL, (void *)offsetof(struct ctrio__py_runner, field)}

static PyObject *get_clock(PyObject *self, void *Py_UNUSED(closure))
{
    return ctrio__runner_clock(runner_of(self));
}
static PyObject *get_tasks(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio_run *run = &runner_of(self)->run;
    PyObject *set = PySet_New(NULL);
    for (struct ctrio_list *at = run->tasks.next; set != NULL && at != &run->tasks; at = at->next)
        if (PySet_Add(set, (PyObject *)ctrio__py_task_from(ctrio__task_from(at, run_link))) < 0)
            Py_CLEAR(set);
    return set;
}
PyObject *ctrio__runner_token(struct ctrio__py_runner *runner)
{
    if (runner->token == NULL)
        runner->token = ctrio__token_make(runner, TYPE_TOKEN);
    return Py_XNewRef(runner->token);
}
static PyObject *get_token(PyObject *self, void *Py_UNUSED(closure))
{
    return ctrio__runner_token(runner_of(self));
}
static PyObject *get_entry_queue(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__py_runner *runner = runner_of(self);
    if (runner->entry_queue == NULL)
        runner->entry_queue = ctrio__token_make(runner, TYPE_ENTRY_QUEUE);
    return Py_XNewRef(runner->entry_queue);
}
static PyObject *get_guest(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(runner_of(self)->run.guest);
}
/* Tests of Trio's replace it by nonsense, to see the run break: so it does. */
static PyObject *get_runq(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio_run *run = &runner_of(self)->run;
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < run->ready_count; i++)
        if (PyList_Append(list, (PyObject *)ctrio__py_task_from(run->ready[i])) < 0)
            Py_CLEAR(list);
    return list;
}
static int set_runq(PyObject *self, PyObject *Py_UNUSED(value), void *Py_UNUSED(closure))
{
    if (!runner_of(self)->opened)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "somebody has replaced the queue of runnable tasks");
    ctrio__runner_fail(runner_of(self));
    return 0;
}
static PyObject *get_strict(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(runner_of(self)->strict);
}
static PyObject *get_ki_pending(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(runner_of(self)->run.interrupt_pending);
}
static PyObject *get_autojump(PyObject *self, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble(runner_of(self)->run.clock->autojump_threshold);
}
static int set_autojump(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    double threshold = value != NULL ? PyFloat_AsDouble(value) : INFINITY;
    if (threshold == -1.0 && PyErr_Occurred())
        return -1;
    runner_of(self)->run.clock->autojump_threshold = threshold;
    return 0;
}
static PyObject *get_main_outcome(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__py_runner *runner = runner_of(self);
    if (!runner->run.main_exited)
        Py_RETURN_NONE;
    struct ctrio__outcome copy = runner->run.main_outcome;
    Py_XINCREF((PyObject *)copy.value);
    return ctrio__outcome_to_python(runner->state, &copy);
}

static PyObject *runner_spawn(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    return ctrio__spawn_system(runner_of(self), args, nargs, kwnames);
}
static PyObject *runner_reschedule(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kwnames)
{
    return ctrio__reschedule(runner_of(self), args, nargs, kwnames);
}
static PyObject *runner_time(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    double now;
    return ctrio__clock_read(runner_of(self), &now) == 0 ? PyFloat_FromDouble(now) : NULL;
}
static PyObject *runner_force_tick(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    if (runner_of(self)->opened)
        ctrio__guest_force_tick(&runner_of(self)->run);
    Py_RETURN_NONE;
}
static PyObject *runner_statistics(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ctrio__runner_statistics(runner_of(self));
}

/* --- life -------------------------------------------------------------------------- */

static int runner_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct ctrio__py_runner *runner = runner_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(runner->clock);
    Py_VISIT(runner->py_clock.object);
    Py_VISIT(runner->async_fn);
    Py_VISIT(runner->args);
    Py_VISIT(runner->init_task);
    Py_VISIT(runner->entry_coro);
    Py_VISIT(runner->main_task);
    for (int i = 0; i < 3; i++)
        Py_VISIT(runner->nurseries[i]);
    Py_VISIT(runner->system_nursery);
    Py_VISIT(runner->system_context);
    Py_VISIT(runner->shared_context);
    Py_VISIT(runner->working_context);
    Py_VISIT(runner->spare_context);
    Py_VISIT(runner->instruments);
    Py_VISIT(runner->locals);
    Py_VISIT(runner->asyncgens);
    Py_VISIT(runner->asyncgens_undo);
    Py_VISIT(runner->ki_undo);
    Py_VISIT(runner->finalizer);
    Py_VISIT(runner->finalizer_throws);
    Py_VISIT(runner->token);
    Py_VISIT(runner->entry_queue);
    Py_VISIT(runner->idempotent);
    Py_VISIT(runner->failure);
    if (!runner->opened)
        return 0;
    struct ctrio_list *at = runner->run.tasks.next;
    for (; at != &runner->run.tasks; at = at->next) /* each living task is owned once, by the run */
        Py_VISIT((PyObject *)ctrio__py_task_from(ctrio__task_from(at, run_link)));
    return 0;
}
static int runner_clear(PyObject *self)
{
    struct ctrio__py_runner *runner = runner_of(self);
    Py_CLEAR(runner->clock);
    Py_CLEAR(runner->py_clock.object);
    Py_CLEAR(runner->async_fn);
    Py_CLEAR(runner->args);
    Py_CLEAR(runner->init_task);
    Py_CLEAR(runner->entry_coro);
    Py_CLEAR(runner->main_task);
    Py_CLEAR(runner->system_nursery);
    ctrio__context_share_no_more(runner);
    Py_CLEAR(runner->system_context);
    Py_CLEAR(runner->spare_context);
    Py_CLEAR(runner->instruments);
    Py_CLEAR(runner->locals);
    Py_CLEAR(runner->asyncgens);
    Py_CLEAR(runner->asyncgens_undo);
    Py_CLEAR(runner->ki_undo);
    Py_CLEAR(runner->context_key);
    Py_CLEAR(runner->finalizer);
    Py_CLEAR(runner->finalizer_throws);
    Py_CLEAR(runner->token);
    Py_CLEAR(runner->entry_queue);
    Py_CLEAR(runner->idempotent);
    Py_CLEAR(runner->failure);
    return 0;
}
static void runner_dealloc(PyObject *self)
{
    struct ctrio__py_runner *runner = runner_of(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (runner->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    ctrio__runner_close(runner);
    if (runner->os != NULL) /* till now: what is left of the tasks may have connections to close */
        ctrio__native_os_drop(ctrio__container(runner->os, struct ctrio__native_os, os));
    PyMem_Free(runner->scratch);
    runner_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef runner_methods[] = {
    {"spawn_system_task", (PyCFunction)(void (*)(void))runner_spawn, METH_FASTCALL | METH_KEYWORDS,
     NULL},
    {"reschedule", (PyCFunction)(void (*)(void))runner_reschedule, METH_FASTCALL | METH_KEYWORDS,
     NULL},
    {"current_time", runner_time, METH_NOARGS, NULL},
    {"current_statistics", runner_statistics, METH_NOARGS, NULL},
    {"force_guest_tick_asap", runner_force_tick, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL}};
static PyGetSetDef runner_getset[] = {
    {"clock", get_clock, NULL, NULL, NULL},
    {"tasks", get_tasks, NULL, NULL, NULL},
    {"trio_token", get_token, NULL, NULL, NULL},
    {"entry_queue", get_entry_queue, NULL, NULL, NULL},
    {"is_guest", get_guest, NULL, NULL, NULL},
    {"runq", get_runq, set_runq, NULL, NULL},
    {"strict_exception_groups", get_strict, NULL, NULL, NULL},
    {"ki_pending", get_ki_pending, NULL, NULL, NULL},
    {"clock_autojump_threshold", get_autojump, set_autojump, NULL, NULL},
    {"main_task_outcome", get_main_outcome, NULL, NULL, NULL},
    OBJECT("init_task", init_task),
    OBJECT("main_task", main_task),
    OBJECT("system_nursery", system_nursery),
    OBJECT("system_context", system_context),
    OBJECT("instruments", instruments),
    OBJECT("_locals", locals),
    OBJECT("asyncgens", asyncgens),
    {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef runner_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct ctrio__py_runner, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot runner_slots[] = {{Py_tp_methods, runner_methods},
                                     {Py_tp_getset, runner_getset},
                                     {Py_tp_members, runner_members},
                                     {Py_tp_traverse, runner_traverse},
                                     {Py_tp_clear, runner_clear},
                                     {Py_tp_dealloc, runner_dealloc},
                                     {0, NULL}};
static PyType_Spec runner_spec = {.name = "trio._core._run.Runner",
                                  .basicsize = sizeof(struct ctrio__py_runner),
                                  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                           Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  .slots = runner_slots};

int ctrio__exec_runner(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    return ctrio__add_type(module, TYPE_RUNNER, &runner_spec, NULL, "Runner");
}
