/* sync.c - helpers of the primitives: texts, numbers, statistics.
 *
 * The primitives themselves are the kernel's.  What is left for this side is to check arguments,
 * to hand operations out as coroutines, and to say what a code means.  Invariant: whoever wakes a
 * task is in that task's run; Trio raises when there is no run at all, and so do we. */
#include "pyext/sync.h"

PyObject *ctrio__raise_code(struct ctrio__state *state, int code, void *text)
{
    struct ctrio__outcome io = {code, text};
    CTRIO_ASSERT(code < 0);
    return ctrio__raise(state, &io);
}

PyObject *ctrio__none_or_raise(struct ctrio__state *state, int code, struct ctrio__outcome *out)
{
    if (code >= 0)
        Py_RETURN_NONE;
    return ctrio__raise_code(state, code, out->value);
}

int ctrio__may_wake(const struct ctrio__state *state, const struct ctrio_task *first)
{
    if (first == NULL)
        return 0;
    CTRIO_ASSERT(ctrio__task_waits(first));
    struct ctrio__py_runner *runner = ctrio__current_runner(state);
    if (runner == NULL)
        return -1;
    if (first->run == &runner->run)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "the task that waits here belongs to another run; use "
                                        "trio.from_thread or a TrioToken to get there");
    return -1;
}

PyObject *ctrio__statistics_make(struct ctrio__state *state, const char *class_name,
                                 const char *format, ...)
{
    va_list values;
    va_start(values, format);
    PyObject *fields = Py_VaBuildValue(format, values);
    va_end(values);
    if (fields == NULL)
        return NULL;
    PyObject *module = ctrio__lazy(&state->statistics, "ctrio._statistics", NULL);
    PyObject *class = module != NULL ? ctrio__getattr(module, class_name) : NULL;
    PyObject *made = class != NULL ? PyObject_Call(class, state->empty_tuple, fields) : NULL;
    Py_XDECREF(class);
    Py_DECREF(fields);
    return made;
}

/* Trio compares the count with how many there are: what cannot be is refused in those words. */
static int refuse_order(PyObject *count, size_t waiting)
{
    PyObject *number = PyLong_FromSize_t(waiting);
    int answer = number != NULL ? PyObject_RichCompareBool(number, count, Py_LT) : -1;
    Py_XDECREF(number);
    return answer < 0 ? -1 : 0;
}

int ctrio__parse_count(PyObject *count, size_t waiting, size_t *out)
{
    if (PyFloat_Check(count)) {
        if (!isinf(PyFloat_AS_DOUBLE(count))) {
            PyErr_SetString(PyExc_ValueError, "Cannot pop a non-integer number of tasks.");
            return -1;
        }
        *out = waiting;
        return 0;
    }
    if (!PyLong_Check(count) && refuse_order(count, waiting) < 0)
        return -1;
    Py_ssize_t number = PyNumber_AsSsize_t(count, NULL); /* clips */
    if (number == -1 && PyErr_Occurred())
        return -1;
    *out = number < 0 ? 0 : (size_t)number;
    if (*out > waiting)
        *out = waiting;
    CTRIO_ASSERT(*out <= waiting);
    return 0;
}

static int is_infinity(PyObject *value)
{
    PyObject *infinity = PyFloat_FromDouble(INFINITY);
    if (infinity == NULL)
        return -1;
    int answer = PyObject_RichCompareBool(value, infinity, Py_EQ);
    Py_DECREF(infinity);
    return answer;
}

int ctrio__parse_limit(PyObject *value, const char *wrong_type, const char *negative, size_t *out)
{
    *out = SIZE_MAX;
    if (!PyLong_Check(value)) {
        int answer = is_infinity(value);
        if (answer == 0)
            PyErr_SetString(PyExc_TypeError, wrong_type);
        return answer > 0 ? 0 : -1;
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow < 0 || (overflow == 0 && number < 0)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, negative);
        return -1;
    }
    if (overflow == 0 && (unsigned long long)number < SIZE_MAX)
        *out = (size_t)number;
    return 0;
}

PyObject *ctrio__parse_one(const char *function, const char *name, PyObject *const *args,
                           Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *value;
    if (nargs == 1 && kwnames == NULL)
        return args[0];
    return ctrio__parse(function, args, nargs, kwnames, &name, 1, 1, &value) < 0 ? NULL : value;
}

int ctrio__parse_exit(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t count,
                      PyObject *names)
{
    static const char *const expected[] = {"exc_type", "exc_value", "traceback"};
    PyObject *ignored[3];
    return ctrio__parse(coro->function->async->qualname, args, count, names, expected, 3, 3,
                        ignored);
}

int ctrio__no_arguments(const char *function, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) == 0 && kwargs == NULL)
        return 0;
    return ctrio__parse_tuple(function, args, kwargs, NULL, 0, 0, 0, NULL);
}

int ctrio__exec_sync(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__exec_event(module, state) < 0 || ctrio__exec_lock(module, state) < 0 ||
        ctrio__exec_semaphore(module, state) < 0)
        return -1;
    return ctrio__exec_condition(module, state);
}
