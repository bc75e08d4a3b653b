/* spawn.c - from an async function to a running task.
 *
 * Calling a plain `async def` runs no code of the user's, so its coroutine is made without
 * entering the new context; whatever else is callable goes through the Python side's
 * coroutine_or_error, which knows all the mistakes people make. */
#include "pyext/calls.h"
#include "pyext/outcome.h"
#include "pyext/shared_context.h"

static bool is_plain(const struct ctrio__state *state, PyObject *async_fn)
{
    if (PyFunction_Check(async_fn))
        return (((PyCodeObject *)PyFunction_GET_CODE(async_fn))->co_flags & CO_COROUTINE) != 0;
    if (PyMethod_Check(async_fn))
        return is_plain(state, PyMethod_GET_FUNCTION(async_fn));
    return Py_IS_TYPE(async_fn, state->types[TYPE_ASYNC_FUNCTION]);
}

/* coroutine_or_error(async_fn, *args), in the task's context. */
static PyObject *call_carefully(struct ctrio__state *state, PyObject *async_fn,
                                PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                                PyObject *context)
{
    PyObject *function = Py_NewRef(async_fn);
    if (kwnames != NULL) { /* start()'s task_status */
        PyObject *partial = ctrio__lazy(&state->partial_type, "functools", "partial");
        Py_ssize_t keywords = PyTuple_GET_SIZE(kwnames);
        PyObject *kwargs = PyDict_New();
        for (Py_ssize_t i = 0; kwargs != NULL && i < keywords; i++)
            if (PyDict_SetItem(kwargs, PyTuple_GET_ITEM(kwnames, i), args[nargs + i]) < 0)
                Py_CLEAR(kwargs);
        PyObject *only = PyTuple_Pack(1, async_fn);
        Py_SETREF(function, partial != NULL && kwargs != NULL && only != NULL
                                ? PyObject_Call(partial, only, kwargs)
                                : NULL);
        Py_XDECREF(kwargs);
        Py_XDECREF(only);
    }
    PyObject *arguments = function != NULL ? PyTuple_New(nargs + 1) : NULL;
    if (arguments == NULL) {
        Py_XDECREF(function);
        return NULL;
    }
    PyTuple_SET_ITEM(arguments, 0, function);
    for (Py_ssize_t i = 0; i < nargs; i++)
        PyTuple_SET_ITEM(arguments, i + 1, Py_NewRef(args[i]));
    PyObject *coro = NULL;
    if (PyContext_Enter(context) == 0) {
        coro = PyObject_Call(state->bound.coroutine_or_error, arguments, NULL);
        if (PyContext_Exit(context) < 0)
            Py_CLEAR(coro);
    }
    Py_DECREF(arguments);
    return coro;
}

/* A coroutine without a frame (Cython's, agen.__anext__()) is wrapped in one that has one. */
static PyObject *with_frame(struct ctrio__state *state, PyObject *coro)
{
    if (PyCoro_CheckExact(coro) || ctrio__is_coroutine(state, coro))
        return coro;
    PyObject *frame = PyObject_GetAttr(coro, state->names.cr_frame);
    if (frame == NULL)
        PyErr_Clear();
    bool has_frame = frame != NULL && frame != Py_None;
    Py_XDECREF(frame);
    if (!has_frame)
        Py_SETREF(coro, PyObject_CallOneArg(state->bound.wrap_coroutine, coro));
    return coro;
}

/* A plain function need not be called in its context, which it does not see, but in one that the
 * caller has `given`: if that is entered already it is refused. */
static PyObject *make_coroutine(struct ctrio__state *state, PyObject *async_fn,
                                PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                                PyObject *context, bool plain, bool given)
{
    PyObject *coro = NULL;
    if (plain && !given) {
        coro = PyObject_Vectorcall(async_fn, args, (size_t)nargs, kwnames);
    } else if (plain && PyContext_Enter(context) == 0) {
        coro = PyObject_Vectorcall(async_fn, args, (size_t)nargs, kwnames);
        if (PyContext_Exit(context) < 0)
            Py_CLEAR(coro);
    } else if (!plain) {
        coro = call_carefully(state, async_fn, args, nargs, kwnames, context);
    }
    return coro != NULL ? with_frame(state, coro) : NULL;
}

static void close_coroutine(struct ctrio__state *state, PyObject *coro)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *result = PyObject_CallMethodNoArgs(coro, state->names.close);
    if (result == NULL)
        PyErr_Clear();
    Py_XDECREF(result);
    Py_DECREF(coro);
    PyErr_SetRaisedException(error);
}

/* *shared: see ctrio__context_for_task; only a plain function's may be. */
static PyObject *context_for(struct ctrio__py_runner *runner, bool system, PyObject *given,
                             bool plain, bool *shared)
{
    *shared = false;
    if (given != NULL) {
        if (PyContext_CheckExact(given))
            return Py_NewRef(given);
        PyErr_Format(PyExc_TypeError, "context must be a contextvars.Context, not %R", given);
        return NULL;
    }
    if (plain)
        return ctrio__context_for_task(runner, system, shared);
    return system ? PyContext_Copy(runner->system_context) : PyContext_CopyCurrent();
}

static int start(struct ctrio__py_runner *runner, struct ctrio__py_task *task,
                 struct ctrio__nursery *nursery)
{
    /* From here on the kernel owns one reference, given back by task_free; the task owns one to
     * its nursery, given back by its dealloc. */
    Py_INCREF(task);
    if (nursery != NULL)
        Py_INCREF(ctrio__py_nursery_from(nursery));
    int result = ctrio__task_spawn(&runner->run, &task->task, nursery);
    if (result == 0) {
        ctrio__task_hide_among_many(task);
        return 0;
    }
    if (nursery != NULL)
        Py_DECREF(ctrio__py_nursery_from(nursery));
    Py_DECREF(task);
    if (result == CTRIO_CLOSED_RESOURCE)
        PyErr_SetString(PyExc_RuntimeError, "Nursery is closed to new arrivals");
    else
        PyErr_NoMemory();
    return -1;
}

PyObject *ctrio__spawn(struct ctrio__py_runner *runner, PyObject *async_fn, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames, struct ctrio__nursery *nursery,
                       PyObject *name, bool system, PyObject *context)
{
    struct ctrio__state *state = runner->state;
    if (nursery != NULL && nursery->run != &runner->run) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this nursery belongs to another run: a task can be started only in the "
                        "run that its nursery was opened in");
        return NULL;
    }
    PyObject *given = context != Py_None ? context : NULL;
    bool shared, plain = is_plain(state, async_fn);
    PyObject *its_context = context_for(runner, system, given, plain, &shared);
    if (its_context == NULL)
        return NULL;
    struct ctrio__py_runner *protector = system ? runner : NULL; /* as all the task will be */
    PyObject *previous = ctrio__callout_begin(protector);
    PyObject *coro =
        make_coroutine(state, async_fn, args, nargs, kwnames, its_context, plain, given != NULL);
    ctrio__callout_end(protector, previous);
    struct ctrio__py_task *task = NULL;
    if (coro != NULL) {
        PyObject *named = name != NULL && name != Py_None ? name : async_fn;
        task = ctrio__task_make(runner, coro, its_context, named, system);
        if (task != NULL)
            task->shares_context = shared;
        if (task == NULL || start(runner, task, nursery) < 0) {
            Py_CLEAR(task);
            close_coroutine(state, coro);
        } else {
            Py_DECREF(coro);
        }
    }
    Py_DECREF(its_context);
    if (shared && task == NULL)
        ctrio__context_drop_unused(runner);
    return (PyObject *)task;
}
