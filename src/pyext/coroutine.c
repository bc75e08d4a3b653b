/* coroutine.c - one step function behind all the ways into a coroutine.
 *
 * Which slot `await` calls differs between versions (compat.h), with tracing on 3.10 and 3.11, and
 * for value results; so every entry ends in ctrio__coroutine_step.  Invariant: an op that is in
 * any queue of the kernel belongs to a coroutine in CORO_PARKED; close, throw and dealloc take it
 * out before anything else.
 *
 * There is no tp_iter: with it the object would be an abc.Generator as well, and the "wrong
 * library" tests of Trio and others would misfire. */
#include "pyext/coroutine.h"
#include "base/inline.h"
#include "kernel/checkpoint_step.h"
#include "pyext/outcome.h"

CTRIO__OUTLINED static struct ctrio__coroutine *make(struct ctrio__function *function,
                                                     PyObject *self, bool large)
{
    struct ctrio__state *state = function->state;
    PyTypeObject *type = state->types[large ? TYPE_COROUTINE : TYPE_SMALL_COROUTINE];
    struct ctrio__coroutine *coro = state->free_coroutines[large];
    if (coro != NULL) {
        state->free_coroutines[large] = (struct ctrio__coroutine *)coro->self;
        state->free_count[large]--;
        PyObject_Init((PyObject *)coro, type);
    } else {
        coro = PyObject_GC_New(struct ctrio__coroutine, type);
        if (coro == NULL)
            return NULL;
    }
    coro->function = (struct ctrio__function *)Py_NewRef(function);
    coro->self = Py_XNewRef(self);
    coro->arg = NULL;
    coro->arg2 = NULL;
    coro->task = NULL;
    coro->weakrefs = NULL;
    coro->state = CORO_FRESH;
    coro->finalized = false;
    coro->by_hand = false;
    coro->large = large;
    if (large) {
        coro->yield_value = NULL;
        coro->origin = NULL;
    }
    PyObject_GC_Track(coro);
    return coro;
}

struct ctrio__coroutine *ctrio__coroutine_new(struct ctrio__function *function, PyObject *self,
                                              bool large)
{
    struct ctrio__state *state = function->state;
    large |= !function->async->small;
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)state->spare_coroutine[large];
    if (coro == NULL)
        return make(function, self, large);
    state->spare_coroutine[large] = NULL;
    if (coro->function != function)
        Py_SETREF(coro->function, (struct ctrio__function *)Py_NewRef(function));
    coro->self = Py_XNewRef(self);
    coro->state = CORO_FRESH;
    coro->by_hand = false;
    return coro;
}

/* What not every coroutine has. */
CTRIO__OUTLINED static void release_arguments(struct ctrio__coroutine *coro)
{
    const struct ctrio__async *async = coro->function->async;
    if (async->drop != NULL)
        async->drop(coro);
    Py_CLEAR(coro->arg);
    Py_CLEAR(coro->arg2);
    if (coro->large)
        Py_CLEAR(coro->yield_value);
}

/* Gives back what the call and the op hold; the op is in no queue any more. */
CTRIO__INLINED void release(struct ctrio__coroutine *coro)
{
    if (coro->state == CORO_DONE)
        return;
    coro->state = CORO_DONE;
    if (coro->large || coro->arg != NULL || coro->arg2 != NULL ||
        coro->function->async->drop != NULL)
        release_arguments(coro);
    Py_CLEAR(coro->self);
}

/* The op will never be stepped again: out of every queue, on whichever thread we are. */
static void abandon(struct ctrio__coroutine *coro)
{
    CTRIO_ASSERT(coro->state == CORO_PARKED);
    struct ctrio__py_task *task = coro->task;
    struct ctrio_task *kernel_task = &task->task;
    coro->task = NULL;
    coro->state = CORO_RUNNING; /* until release() */
    if (task->asked_by == coro)
        ctrio__op_abandon(&coro->op.op, kernel_task);
    else
        ctrio__op_abandon_withdrawn(&coro->op.op, kernel_task);
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    if (runner->opened &&
        ctrio__peek_runner(ctrio__state_of_task(task)) != runner) /* it may sleep meanwhile */
        runner->run.io_ops->force_wakeup(runner->run.io);
    Py_DECREF(task);
}

static int refuse(struct ctrio__coroutine *coro)
{
    if (coro->state == CORO_DONE)
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    else
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    return -1;
}

/* DONE: result or error. */
CTRIO__INLINED PySendResult finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io,
                                   PyObject **result)
{
    const struct ctrio__async *async = coro->function->async;
    struct ctrio__state *state = coro->function->state;
    if (async->finish != NULL)
        *result = async->finish(coro, io);
    else
        *result = io->code >= 0 ? Py_NewRef(Py_None) : ctrio__raise(state, io);
    CTRIO_ASSERT(*result != NULL || PyErr_Occurred() != NULL);
    release(coro);
    return *result != NULL ? PYGEN_RETURN : PYGEN_ERROR;
}

/* Somebody who assigns task.coro or task.context wants the next step to see it (greenback,
 * pytest-trio), and who sends by hand waits for what is yielded: no checkpoint may go on without a
 * step then.  Where others can run none may in any case. */
CTRIO__INLINED uint32_t allow_shortcuts(struct ctrio__py_task *task,
                                        const struct ctrio__coroutine *coro)
{
    if (task == NULL)
        return 0;
    const struct ctrio__py_runner *runner = ctrio__runner_of(task);
    bool alone = runner->run.ready_count + runner->run.batch_count == 0;
    task->task.may_continue = alone && task->coro == runner->step_coro &&
                              task->context == runner->step_context && !task->poisoned &&
                              !coro->by_hand;
    return task->task.schedule_points;
}

static PyObject *what_to_yield(struct ctrio__coroutine *coro, struct ctrio__state *state)
{
    if (!coro->large || coro->yield_value == NULL)
        return Py_NewRef(state->yield_token);
    PyObject *value = coro->yield_value;
    coro->yield_value = NULL;
    return value;
}

CTRIO__INLINED PySendResult step(struct ctrio__coroutine *coro, struct ctrio__py_task *task,
                                 struct ctrio__outcome *io, PyObject **result)
{
    coro->state = CORO_RUNNING;
    uint32_t before = allow_shortcuts(task, coro);
    CTRIO_ASSERT(ctrio__op_is_told(&coro->op.op));
    const struct ctrio__op_kind *kind = coro->op.op.kind;
    enum ctrio__step answer;
    if (kind == &ctrio__checkpoint_kind) /* no other is made as often: it is inlined here */
        answer = ctrio__checkpoint_step(&coro->op.op, &task->task, io);
    else
        answer = kind->step(&coro->op.op, &task->task, io);
    if (answer == CTRIO__DONE) {
        if (task != NULL && task->task.schedule_points != before) /* gone on without a turn */
            Py_SETREF(task->custom_sleep_data, Py_NewRef(Py_None));
        return finish(coro, io, result);
    }
    coro->state = CORO_PARKED;
    if (coro->task == NULL)
        coro->task = (struct ctrio__py_task *)Py_NewRef(task);
    coro->task->asked_by = coro;
    *result = what_to_yield(coro, ctrio__state_of_task(task));
    return PYGEN_NEXT;
}

/* Only the task whose step this is can wait; GLOBAL_RUN_CONTEXT may say otherwise.  A wake that
 * nobody took is not for the new op, and who waits anew is not detached. */
static bool can_wait(struct ctrio__py_task *task)
{
    if (task->task.run->current != &task->task) {
        PyErr_SetString(PyExc_RuntimeError, "must be called from async context");
        return false;
    }
    if (task->has_wake) {
        task->has_wake = false;
        ctrio__wake_drop(&ctrio__python, &task->task.wake);
    }
    ctrio__task_drop_kept(task, KEPT_OUTCOME);
    return true;
}

static PySendResult first_step(struct ctrio__coroutine *coro, PyObject *sent, PyObject **result)
{
    const struct ctrio__async *async = coro->function->async;
    struct ctrio__outcome io = {0, NULL};
    if (sent != NULL && sent != Py_None) {
        PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
        return PYGEN_ERROR;
    }
    struct ctrio__py_task *task = async->outside_task ? ctrio__peek_task(coro->function->state)
                                                      : ctrio__current_task(coro->function->state);
    int begun = -1;
    coro->state = CORO_RUNNING;
    if (async->outside_task || (task != NULL && can_wait(task)))
        begun = async->begin(coro, task);
    if (begun < 0) {
        release(coro);
        return PYGEN_ERROR;
    }
    if (begun > 0)
        return finish(coro, &io, result);
    return step(coro, task, &io, result);
}

static PySendResult later_step(struct ctrio__coroutine *coro, PyObject *sent, PyObject **result)
{
    struct ctrio__py_task *task = coro->task;
    if (coro->function->async->raw) { /* another coroutine runner drives us now */
        coro->task = NULL;
        *result = Py_NewRef(sent != NULL ? sent : Py_None);
        release(coro);
        Py_DECREF(task);
        return PYGEN_RETURN;
    }
    if (!task->has_wake || task->asked_by != coro ||
        ctrio__peek_task(ctrio__state_of_task(task)) != task) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this coroutine was resumed by somebody else than the Trio scheduler, "
                        "while it was waiting for something to happen");
        return PYGEN_ERROR;
    }
    struct ctrio__outcome io;
    ctrio__task_take_wake(&task->task, &io);
    task->has_wake = false;
    coro->task = NULL;
    PySendResult answer = step(coro, task, &io, result);
    Py_DECREF(task);
    return answer;
}

static PySendResult coroutine_send(PyObject *self, PyObject *sent, PyObject **result)
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    *result = NULL;
    if (coro->state == CORO_FRESH)
        return first_step(coro, sent, result);
    if (coro->state == CORO_PARKED)
        return later_step(coro, sent, result);
    refuse(coro);
    return PYGEN_ERROR;
}

/* A result as Python code may see it: complete, and nobody else's.  Steals it. */
static void raise_result(PyObject *result)
{
    PyObject *args = result == Py_None ? PyTuple_New(0) : PyTuple_Pack(1, result);
    PyObject *stop = args != NULL ? PyObject_Call(PyExc_StopIteration, args, NULL) : NULL;
    Py_XDECREF(args);
    Py_DECREF(result);
    if (stop != NULL)
        PyErr_SetRaisedException(stop);
}

/* A tracer is shown the end of every `await`, also of one without a result: pdb stops there. */
static PyObject *coroutine_iternext(PyObject *self)
{
    PyObject *result;
    switch (coroutine_send(self, Py_None, &result)) {
    case PYGEN_NEXT:
        return result;
    case PYGEN_RETURN:
        if (ctrio__is_traced())
            raise_result(result);
        else if (result == Py_None)
            Py_DECREF(result); /* NULL without an error says the same for nothing */
        else
            ctrio__stop_iteration(ctrio__state_of_coro((struct ctrio__coroutine *)self), result);
        return NULL;
    default:
        return NULL;
    }
}

static PyObject *coroutine_send_method(PyObject *self, PyObject *value)
{
    PyObject *result;
    ((struct ctrio__coroutine *)self)->by_hand = true; /* `await` takes the slots */
    switch (coroutine_send(self, value, &result)) {
    case PYGEN_NEXT:
        return result;
    case PYGEN_RETURN:
        raise_result(result);
        return NULL;
    default:
        return NULL;
    }
}

static PyObject *coroutine_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    if (coro->state == CORO_RUNNING) {
        refuse(coro);
        return NULL;
    }
    if (coro->state == CORO_PARKED)
        abandon(coro);
    release(coro);
    Py_RETURN_NONE;
}

/* throw(exception) or throw(type, value, traceback), as on every version. */
static PyObject *thrown_exception(PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *type = args[0];
    PyObject *value = nargs > 1 && args[1] != Py_None ? args[1] : NULL;
    PyObject *traceback = nargs > 2 && args[2] != Py_None ? args[2] : NULL;
    PyObject *exception;
    if (PyExceptionInstance_Check(type)) {
        exception = Py_NewRef(type);
    } else if (PyExceptionClass_Check(type)) {
        if (value != NULL && PyObject_IsInstance(value, type) > 0)
            exception = Py_NewRef(value);
        else
            exception =
                value != NULL ? PyObject_CallOneArg(type, value) : PyObject_CallNoArgs(type);
    } else {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must be classes or instances deriving from BaseException, not %s",
                     Py_TYPE(type)->tp_name);
        return NULL;
    }
    if (exception != NULL && traceback != NULL &&
        PyException_SetTraceback(exception, traceback) < 0)
        Py_CLEAR(exception);
    return exception;
}

static PyObject *coroutine_throw(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    if (nargs < 1 || nargs > 3) {
        PyErr_Format(PyExc_TypeError, "throw expected at %s argument%s, got %zd",
                     nargs < 1 ? "least 1" : "most 3", nargs < 1 ? "" : "s", nargs);
        return NULL;
    }
    if (coro->state == CORO_RUNNING || coro->state == CORO_DONE) {
        refuse(coro);
        return NULL;
    }
    PyObject *exception = thrown_exception(args, nargs);
    if (exception == NULL)
        return NULL;
    if (coro->state == CORO_PARKED)
        abandon(coro);
    release(coro);
    PyErr_SetRaisedException(exception); /* as a coroutine's throw(): no __context__ is added */
    return NULL;
}

static PyObject *coroutine_await(PyObject *self)
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    if (coro->state == CORO_PARKED || coro->state == CORO_RUNNING) {
        PyErr_SetString(PyExc_RuntimeError, "coroutine is being awaited already");
        return NULL;
    }
    return Py_NewRef(self);
}

/* --- the wrapper that x.__await__() gives, with what a generator-like must have ---- */

struct wrapper {
    PyObject_HEAD
    PyObject *coroutine;
};

static PyObject *coroutine_await_method(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *awaited = coroutine_await(self);
    if (awaited == NULL)
        return NULL;
    PyTypeObject *type =
        ((struct ctrio__coroutine *)self)->function->state->types[TYPE_COROUTINE_WRAPPER];
    struct wrapper *made = PyObject_GC_New(struct wrapper, type);
    if (made == NULL) {
        Py_DECREF(awaited);
        return NULL;
    }
    made->coroutine = awaited;
    PyObject_GC_Track(made);
    return (PyObject *)made;
}
static PyObject *wrapper_next(PyObject *self)
{
    return coroutine_send_method(((struct wrapper *)self)->coroutine, Py_None);
}
static PyObject *wrapper_send(PyObject *self, PyObject *value)
{
    return coroutine_send_method(((struct wrapper *)self)->coroutine, value);
}
static PyObject *wrapper_throw(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    return coroutine_throw(((struct wrapper *)self)->coroutine, args, nargs);
}
static PyObject *wrapper_close(PyObject *self, PyObject *ignored)
{
    return coroutine_close(((struct wrapper *)self)->coroutine, ignored);
}
static int wrapper_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct wrapper *)self)->coroutine);
    return 0;
}
static void wrapper_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((struct wrapper *)self)->coroutine);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}
static PyMethodDef wrapper_methods[] = {
    {"send", wrapper_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))wrapper_throw, METH_FASTCALL, NULL},
    {"close", wrapper_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL}};
static PyType_Slot wrapper_slots[] = {
    {Py_tp_methods, wrapper_methods}, {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, wrapper_next},   {Py_tp_traverse, wrapper_traverse},
    {Py_tp_dealloc, wrapper_dealloc}, {0, NULL}};
static PyType_Spec wrapper_spec = {.name = "ctrio._ctrio.coroutine_wrapper",
                                   .basicsize = sizeof(struct wrapper),
                                   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                            Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                   .slots = wrapper_slots};

/* --- life -------------------------------------------------------------------------- */

static int coroutine_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(coro->function);
    Py_VISIT(coro->self);
    Py_VISIT(coro->arg);
    Py_VISIT(coro->arg2);
    Py_VISIT(coro->task);
    if (coro->large)
        Py_VISIT(coro->origin);
    const struct ctrio__async *async = coro->function->async;
    if (async->traverse != NULL && coro->state != CORO_DONE)
        return async->traverse(coro, visit, arg);
    return 0;
}

static int coroutine_clear(PyObject *self)
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    if (coro->state == CORO_PARKED)
        abandon(coro);
    release(coro);
    if (coro->large)
        Py_CLEAR(coro->origin);
    return 0;
}

static void coroutine_finalize(PyObject *self)
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    coro->finalized = true;
    if (coro->state == CORO_FRESH)
        ctrio__coroutine_warn(self);
}

/* Nothing is left that its end could give back. */
static bool is_bare(const struct ctrio__coroutine *coro)
{
    return coro->self == NULL && coro->arg == NULL && coro->arg2 == NULL &&
           coro->weakrefs == NULL && !(coro->large && coro->origin != NULL);
}

/* The last one that was done stays as it is, alive and tracked, for the next call: mostly the same
 * task's.  Only where nothing is left to be given back, since that may run any code, of which the
 * collector's would meet an object without references. */
static bool keep(struct ctrio__coroutine *coro)
{
    struct ctrio__state *state = coro->function->state;
    bool large = coro->large;
    if (!CTRIO_FREELISTS || coro->state != CORO_DONE || state->spare_coroutine[large] != NULL ||
        !is_bare(coro) || coro->finalized || state->free_count[large] > CTRIO_FREE_COROUTINES)
        return false;
    CTRIO_ASSERT(coro->task == NULL && (!large || coro->yield_value == NULL));
#if defined(Py_REF_DEBUG) || defined(Py_TRACE_REFS) /* they keep books */
    _Py_NewReference((PyObject *)coro);
#else
    Py_SET_REFCNT((PyObject *)coro, 1);
#endif
    state->spare_coroutine[large] = (PyObject *)coro;
    return true;
}

CTRIO__OUTLINED static void dispose(PyObject *self)
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    if (coro->state == CORO_FRESH && PyObject_CallFinalizerFromDealloc(self) < 0)
        return; /* the warning has brought it back */
    PyTypeObject *type = Py_TYPE(self);
    struct ctrio__state *state = coro->function->state;
    PyObject_GC_UnTrack(self);
    if (coro->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    if (coro->state == CORO_PARKED)
        abandon(coro);
    release(coro);
    Py_CLEAR(coro->self); /* of a call whose arguments were refused */
    Py_CLEAR(coro->arg);
    Py_CLEAR(coro->arg2);
    bool large = coro->large;
    if (large)
        Py_CLEAR(coro->origin);
    Py_CLEAR(coro->function);
    /* The collector's "finalised" bit stays in a recycled header: an object that has warned would
     * never warn again. */
    if (CTRIO_FREELISTS && !coro->finalized && state->free_count[large] < CTRIO_FREE_COROUTINES) {
        coro->self = (PyObject *)state->free_coroutines[large];
        state->free_coroutines[large] = coro;
        state->free_count[large]++;
    } else {
        PyObject_GC_Del(self);
    }
    Py_DECREF(type);
}

static void coroutine_dealloc(PyObject *self)
{
    if (!keep((struct ctrio__coroutine *)self))
        dispose(self);
}

static PyMethodDef coroutine_methods[] = {
    {"send", coroutine_send_method, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))coroutine_throw, METH_FASTCALL, NULL},
    {"close", coroutine_close, METH_NOARGS, NULL},
    {"__await__", coroutine_await_method, METH_NOARGS | METH_COEXIST, NULL},
    {NULL, NULL, 0, NULL}};
static PyMemberDef coroutine_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct ctrio__coroutine, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot coroutine_slots[] = {
    {Py_tp_methods, coroutine_methods},   {Py_tp_getset, ctrio__coroutine_getset},
    {Py_tp_members, coroutine_members},   {Py_tp_repr, ctrio__coroutine_repr},
    {Py_tp_iternext, coroutine_iternext}, {Py_am_await, coroutine_await},
    {Py_am_send, coroutine_send},         {Py_tp_traverse, coroutine_traverse},
    {Py_tp_clear, coroutine_clear},       {Py_tp_finalize, coroutine_finalize},
    {Py_tp_dealloc, coroutine_dealloc},   {0, NULL}};
#define COROUTINE_SPEC(size)                                                                       \
    {.name = "ctrio._ctrio.coroutine",                                                             \
     .basicsize = size,                                                                            \
     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,         \
     .slots = coroutine_slots}
static PyType_Spec coroutine_spec = COROUTINE_SPEC(sizeof(struct ctrio__coroutine));
static PyType_Spec small_spec =
    COROUTINE_SPEC(offsetof(struct ctrio__coroutine, op) + CTRIO_SMALL_OP);

int ctrio__exec_coroutine(PyObject *module, struct ctrio__state *state)
{
    state->yield_token = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
    if (state->yield_token == NULL ||
        ctrio__add_type(module, TYPE_COROUTINE, &coroutine_spec, NULL, "coroutine") < 0 ||
        ctrio__add_type(module, TYPE_SMALL_COROUTINE, &small_spec, NULL, NULL) < 0)
        return -1;
    PyObject *types = PyTuple_Pack(2, (PyObject *)state->types[TYPE_COROUTINE],
                                   (PyObject *)state->types[TYPE_SMALL_COROUTINE]);
    if (PyModule_AddObjectRef(module, "coroutine_types", types) < 0) {
        Py_XDECREF(types);
        return -1;
    }
    Py_DECREF(types);
    return ctrio__add_type(module, TYPE_COROUTINE_WRAPPER, &wrapper_spec, NULL, NULL);
}
