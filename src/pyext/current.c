/* current.c - what a task may ask about its run. */
#include "pyext/calls.h"
#include "pyext/outcome.h"

static PyObject *current_task(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return Py_XNewRef(ctrio__current_task(PyModule_GetState(module)));
}
static PyObject *current_time(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__py_runner *runner = ctrio__current_runner(PyModule_GetState(module));
    if (runner == NULL)
        return NULL;
    double now;
    return ctrio__clock_read(runner, &now) == 0 ? PyFloat_FromDouble(now) : NULL;
}
static PyObject *current_clock(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__py_runner *runner = ctrio__current_runner(PyModule_GetState(module));
    return runner != NULL ? ctrio__runner_clock(runner) : NULL;
}
static PyObject *current_root_task(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__py_runner *runner = ctrio__current_runner(PyModule_GetState(module));
    if (runner == NULL)
        return NULL;
    return Py_NewRef(runner->init_task != NULL ? runner->init_task : Py_None);
}
static PyObject *current_trio_token(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__py_runner *runner = ctrio__current_runner(PyModule_GetState(module));
    return runner != NULL ? ctrio__runner_token(runner) : NULL;
}
static PyObject *current_effective_deadline(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__py_task *task = ctrio__current_task(PyModule_GetState(module));
    if (task == NULL)
        return NULL;
    return PyFloat_FromDouble(ctrio__scope_effective_deadline(task->task.scope));
}
static PyObject *in_trio_run(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(ctrio__peek_runner(PyModule_GetState(module)) != NULL);
}
static PyObject *in_trio_task(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(ctrio__peek_task(PyModule_GetState(module)) != NULL);
}

/* --- statistics -------------------------------------------------------------------- */

static PyObject *io_statistics(struct ctrio__py_runner *runner)
{
    struct ctrio__io_statistics io = {0, 0};
    PyObject *slot = NULL;
    runner->run.io_ops->statistics(runner->run.io, &io);
    if (runner->run.entries.task != NULL)
        io.tasks_waiting_read++; /* it waits for the backend's bell; in Trio, for a socket */
    PyObject *class = ctrio__lazy(&slot, "ctrio._statistics", "_EpollStatistics");
    PyObject *result = NULL;
    if (class != NULL)
        result = PyObject_CallFunction(class, "nn", (Py_ssize_t)io.tasks_waiting_read,
                                       (Py_ssize_t)io.tasks_waiting_write);
    Py_XDECREF(slot);
    return result;
}

PyObject *ctrio__runner_statistics(struct ctrio__py_runner *runner)
{
    struct ctrio_run *run = &runner->run;
    if (!runner->opened) {
        PyErr_SetString(PyExc_RuntimeError, "this run is over");
        return NULL;
    }
    double now;
    if (ctrio__clock_read(runner, &now) < 0)
        return NULL;
    double left = ctrio__run_next_deadline(run) - now;
    PyObject *io = io_statistics(runner);
    PyObject *slot = NULL;
    PyObject *class = io != NULL ? ctrio__lazy(&slot, "ctrio._statistics", "RunStatistics") : NULL;
    PyObject *result = NULL;
    if (class != NULL)
        result = PyObject_CallFunction(
            class, "nndOn", (Py_ssize_t)run->tasks_living, (Py_ssize_t)run->ready_count, left, io,
            (Py_ssize_t)atomic_load_explicit(&run->entries.size, memory_order_relaxed));
    Py_XDECREF(slot);
    Py_XDECREF(io);
    return result;
}

static PyObject *current_statistics(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__py_runner *runner = ctrio__current_runner(PyModule_GetState(module));
    return runner != NULL ? ctrio__runner_statistics(runner) : NULL;
}

/* --- system tasks ------------------------------------------------------------------ */

/* (async_fn, *args, name=None, context=None) */
PyObject *ctrio__spawn_system(struct ctrio__py_runner *runner, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *name = Py_None, *context = Py_None;
    Py_ssize_t keywords = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < keywords; i++) {
        PyObject *keyword = PyTuple_GET_ITEM(kwnames, i);
        if (PyUnicode_CompareWithASCIIString(keyword, "name") == 0) {
            name = args[nargs + i];
        } else if (PyUnicode_CompareWithASCIIString(keyword, "context") == 0) {
            context = args[nargs + i];
        } else {
            PyErr_Format(PyExc_TypeError,
                         "spawn_system_task() got an unexpected keyword argument '%U'", keyword);
            return NULL;
        }
    }
    if (nargs < 1) {
        PyErr_SetString(PyExc_TypeError,
                        "spawn_system_task() missing 1 required positional argument: 'async_fn'");
        return NULL;
    }
    struct ctrio__nursery *nursery = runner->run.system.system_nursery;
    if (!runner->opened || nursery == NULL || nursery->run == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Nursery is closed to new arrivals");
        return NULL;
    }
    return ctrio__spawn(runner, args[0], args + 1, nargs - 1, NULL, nursery, name, true, context);
}

static PyObject *spawn_system_task(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kwnames)
{
    struct ctrio__py_runner *runner = ctrio__current_runner(PyModule_GetState(module));
    return runner != NULL ? ctrio__spawn_system(runner, args, nargs, kwnames) : NULL;
}

/* fn(*args), in which every checkpoint takes a turn of the loop (kernel/loop.h). */
static PyObject *without_shortcuts(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    struct ctrio__py_runner *runner = ctrio__peek_runner(PyModule_GetState(module));
    if (nargs < 1) {
        PyErr_SetString(PyExc_TypeError, "without_shortcuts() needs a callable");
        return NULL;
    }
    if (runner == NULL)
        return PyObject_Vectorcall(args[0], args + 1, (size_t)nargs - 1, NULL);
    bool strict = runner->run.strict;
    Py_INCREF(runner);
    runner->run.strict = true;
    PyObject *result = PyObject_Vectorcall(args[0], args + 1, (size_t)nargs - 1, NULL);
    runner->run.strict = strict;
    Py_DECREF(runner);
    return result;
}

#define ASK(name, doc) {#name, name, METH_NOARGS, #name "($module, /)\n--\n\n" doc}
static PyMethodDef functions[] = {
    ASK(current_task, "Return the task that calls."),
    ASK(current_time, "Return the time on the run's clock, in seconds.\n\n"
                      "Where it begins is up to the clock."),
    ASK(current_clock, "Return the `trio.abc.Clock` of this run."),
    ASK(current_root_task, "Return the task that all others descend from."),
    ASK(current_trio_token, "Return the `TrioToken` of this run, for other threads."),
    ASK(current_effective_deadline,
        "Return when the task that calls will be cancelled.\n\n"
        "A time on the run's clock: the earliest deadline that reaches\n"
        "the task. -inf if it is cancelled already, inf if never."),
    ASK(in_trio_run, "Tell whether this thread is inside a run."),
    ASK(in_trio_task, "Tell whether this thread is inside a task."),
    ASK(current_statistics, "Return figures about the run, a `RunStatistics`."),
    {"without_shortcuts", (PyCFunction)(void (*)(void))without_shortcuts, METH_FASTCALL,
     "Call fn(*args) with every checkpoint in it taking a turn of the loop."},
    {"spawn_system_task", (PyCFunction)(void (*)(void))spawn_system_task,
     METH_FASTCALL | METH_KEYWORDS,
     "spawn_system_task($module, /, async_fn, *args, name=None, context=None)\n--\n\n"
     "Start a task of the run itself.\n\n"
     "It is cancelled when the main task has ended, and an error of it breaks the run. It is\n"
     "protected from KeyboardInterrupt. No checkpoint.\n\n"
     "Args:\n    async_fn: An async function, not called yet.\n    args: Its arguments.\n"
     "    name: What the task is called; by default as the function.\n"
     "    context: Its context variables; by default those that the run began with.\n\n"
     "Returns:\n    The new task."},
    {NULL, NULL, 0, NULL}};

int ctrio__exec_current(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    return PyModule_AddFunctions(module, functions);
}
