/* delegate.c - awaiting something of Python's inside an operation of ours.
 *
 * A stream over a foreign socket, or a wait that somebody has replaced, cannot be done in C: the
 * coroutine then hands every step on.  Invariant: while delegating, coro->arg2 is the iterator
 * that is awaited and the op is in no queue of the kernel; whatever it waits for is its own.  The
 * wake goes back to the task before the inner step, where the op that waits takes it.  A Python
 * coroutine around all our streams was refused: it would cost each receive a frame. */
#include "pyext/outcome.h"
#include "pyext/sockets.h"

/* What `await` would drive.  Steals. */
static PyObject *iterator_of(PyObject *awaitable)
{
    if (awaitable == NULL || PyCoro_CheckExact(awaitable))
        return awaitable;
    PyAsyncMethods *async = Py_TYPE(awaitable)->tp_as_async;
    PyObject *iterator = NULL;
    if (async != NULL && async->am_await != NULL)
        iterator = async->am_await(awaitable);
    else
        PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression",
                     Py_TYPE(awaitable)->tp_name);
    Py_DECREF(awaitable);
    return iterator;
}

static enum ctrio__step inner_step(struct ctrio__coroutine *coro, struct ctrio__py_task *task,
                                   struct ctrio__outcome *io)
{
    PyObject *value = NULL;
    PyObject *inner = Py_NewRef(coro->arg2);
    PySendResult result = PyIter_Send(inner, Py_None, &value);
    Py_DECREF(inner);
    if (result == PYGEN_NEXT) {
        CTRIO_ASSERT(coro->yield_value == NULL);
        coro->yield_value = value;
        coro->op.op.object = (void *)(uintptr_t)task->asked_by;
        return CTRIO__PARKED;
    }
    if (result == PYGEN_RETURN)
        *io = (struct ctrio__outcome){0, value};
    else
        *io = (struct ctrio__outcome){CTRIO_FOREIGN, PyErr_GetRaisedException()};
    return CTRIO__DONE;
}

static enum ctrio__step delegate_step(struct ctrio__op *op, struct ctrio_task *kernel_task,
                                      struct ctrio__outcome *io)
{
    struct ctrio__py_task *task = ctrio__py_task_from(kernel_task);
    if (op->stage != CTRIO__STAGE_START) {
        CTRIO_ASSERT(!task->has_wake);
        task->task.wake = *io;
        task->has_wake = true;
        task->asked_by = op->object;
    }
    op->stage = CTRIO__STAGE_OWN;
    *io = (struct ctrio__outcome){0, NULL};
    return inner_step(ctrio__coroutine_of(op), task, io);
}

/* Whatever the inner one waits for, it leaves: it is closed as an abandoned coroutine is. */
static void delegate_abandon(struct ctrio__op *op, struct ctrio_task *task)
{
    struct ctrio__coroutine *coro = ctrio__coroutine_of(op);
    PyObject *error = PyErr_GetRaisedException();
    CTRIO_ASSERT(coro->arg2 != NULL);
    if (op->stage != CTRIO__STAGE_WITHDRAWN)
        ctrio__py_task_from(task)->asked_by = op->object;
    PyObject *close = PyObject_GetAttr(coro->arg2, ctrio__state_of_coro(coro)->names.close);
    PyObject *result = close != NULL ? PyObject_CallNoArgs(close) : NULL;
    if (result == NULL && close == NULL)
        PyErr_Clear(); /* an iterator has none */
    else if (result == NULL)
        PyErr_WriteUnraisable(coro->arg2);
    Py_XDECREF(result);
    Py_XDECREF(close);
    if (error != NULL)
        PyErr_SetRaisedException(error);
}

const struct ctrio__op_kind ctrio__delegate_kind = {
    .verb = "await", .step = delegate_step, .abandon = delegate_abandon, .bare = true};

int ctrio__delegate(struct ctrio__coroutine *coro, PyObject *awaitable)
{
    PyObject *iterator = iterator_of(awaitable);
    if (iterator == NULL)
        return -1;
    Py_XSETREF(coro->arg2, iterator);
    ctrio__op_init(&coro->op.op, &ctrio__delegate_kind, NULL);
    return 0;
}

PyObject *ctrio__delegate_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io)
{
    (void)coro;
    CTRIO_ASSERT(ctrio__delegated(coro));
    PyObject *value = io->value;
    bool raised = io->code < 0;
    *io = (struct ctrio__outcome){0, NULL};
    if (!raised)
        return value;
    PyErr_SetRaisedException(value); /* it passes through: nothing is raised anew */
    return NULL;
}
