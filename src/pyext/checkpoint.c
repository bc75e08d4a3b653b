/* checkpoint.c - checkpoints, sleeping, waiting until all is quiet. */
#include "pyext/calls.h"
#include "pyext/outcome.h"

static int begin_simple(struct ctrio__coroutine *coro, const struct ctrio__op_kind *kind)
{
    ctrio__op_init(&coro->op.op, kind, NULL);
    return 0;
}
static int begin_checkpoint(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_simple(coro, &ctrio__checkpoint_kind);
}
static int begin_shielded(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_simple(coro, &ctrio__cancel_shielded_checkpoint_kind);
}
static int begin_if_cancelled(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_simple(coro, &ctrio__checkpoint_if_cancelled_kind);
}
static int begin_forever(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    (void)task;
    return begin_simple(coro, &ctrio__sleep_forever_kind);
}

static int parse_number(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames, const char *function, const char *name,
                        Py_ssize_t required)
{
    const char *const names[] = {name};
    PyObject *out;
    if (ctrio__parse(function, args, nargs, kwnames, names, required, 1, &out) < 0)
        return -1;
    coro->arg = Py_XNewRef(out);
    return 0;
}
static int parse_sleep(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    return parse_number(coro, args, nargs, kwnames, "sleep", "seconds", 1);
}
static int parse_sleep_until(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *kwnames)
{
    return parse_number(coro, args, nargs, kwnames, "sleep_until", "deadline", 1);
}
static int parse_idle(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    return parse_number(coro, args, nargs, kwnames, "wait_all_tasks_blocked", "cushion", 0);
}

/* The value as Trio's comparisons would see it: any number, at the await. */
static int number_of(struct ctrio__coroutine *coro, double *out)
{
    *out = PyFloat_AsDouble(coro->arg);
    return *out == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* The number has been read.  Where many sleep, the collector would look at each of them in each of
 * its rounds, and a float of the user's that nobody has touched for long is a cache miss. */
static int begin_sleeping(struct ctrio__coroutine *coro, double deadline)
{
    Py_CLEAR(coro->arg);
    ctrio__sleep_op_init(&coro->op.sleep, deadline);
    return 0;
}

static int begin_sleep(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    double seconds;
    if (ctrio__seconds(coro->arg, &seconds) < 0)
        return -1;
    if (seconds < 0) {
        PyErr_SetString(PyExc_ValueError, "`seconds` must be non-negative");
        return -1;
    }
    if (seconds == 0)
        return begin_simple(coro, &ctrio__checkpoint_kind);
    if (isnan(seconds)) {
        PyErr_SetString(PyExc_ValueError, "deadline must not be NaN");
        return -1;
    }
    double now;
    if (ctrio__clock_read(ctrio__runner_of(task), &now) < 0)
        return -1;
    return begin_sleeping(coro, now + seconds);
}

static int begin_sleep_until(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    double deadline;
    (void)task;
    if (number_of(coro, &deadline) < 0)
        return -1;
    if (isnan(deadline)) {
        PyErr_SetString(PyExc_ValueError, "deadline must not be NaN");
        return -1;
    }
    return begin_sleeping(coro, deadline);
}

static int begin_idle(struct ctrio__coroutine *coro, struct ctrio__py_task *task)
{
    double cushion = 0.0;
    (void)task;
    if (coro->arg != NULL && number_of(coro, &cushion) < 0)
        return -1;
    ctrio__idle_op_init(&coro->op.idle, cushion);
    return 0;
}

static const struct ctrio__async functions[] = {
    {.qualname = "checkpoint",
     .module = "trio.lowlevel",
     .self = TYPE_NONE,
     .small = true,
     .begin = begin_checkpoint},
    {.qualname = "cancel_shielded_checkpoint",
     .module = "trio.lowlevel",
     .self = TYPE_NONE,
     .small = true,
     .begin = begin_shielded},
    {.qualname = "checkpoint_if_cancelled",
     .module = "trio.lowlevel",
     .self = TYPE_NONE,
     .small = true,
     .begin = begin_if_cancelled},
    {.qualname = "sleep_forever",
     .module = "trio",
     .self = TYPE_NONE,
     .small = true,
     .begin = begin_forever},
    {.qualname = "sleep",
     .module = "trio",
     .self = TYPE_NONE,
     .parse = parse_sleep,
     .begin = begin_sleep},
    {.qualname = "sleep_until",
     .module = "trio",
     .self = TYPE_NONE,
     .parse = parse_sleep_until,
     .begin = begin_sleep_until},
    {.qualname = "wait_all_tasks_blocked",
     .module = "trio.testing",
     .self = TYPE_NONE,
     .parse = parse_idle,
     .begin = begin_idle},
    {.qualname = NULL},
};

int ctrio__exec_checkpoint(PyObject *module, struct ctrio__state *state)
{
    return ctrio__add_functions(module, state, functions);
}
