/* run_options.c - what run() and start_guest_run() are told, by keywords and by the environment. */
#include "os/os.h"
#include "pyext/calls.h"

static int warn_about_loose(struct ctrio__state *state, const char *function)
{
    PyObject *what = PyUnicode_FromFormat("trio.%s(..., strict_exception_groups=False)", function);
    PyObject *result =
        what != NULL ? PyObject_CallOneArg(state->bound.warn_deprecated, what) : NULL;
    Py_XDECREF(what);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int ctrio__read_run_options(struct ctrio__state *state, const char *function,
                            PyObject *const *given, struct ctrio__runner_options *options)
{
    int restricted = given[2] != NULL ? PyObject_IsTrue(given[2]) : 0;
    int strict = given[3] != NULL ? PyObject_IsTrue(given[3]) : 1;
    if (restricted < 0 || strict < 0 || ctrio__check_bound(state) < 0 ||
        (strict == 0 && warn_about_loose(state, function) < 0) || ctrio__refuse_nested(state) < 0)
        return -1;
    *options = (struct ctrio__runner_options){.clock = given[0] != NULL ? given[0] : Py_None,
                                              .instruments = given[1],
                                              .strict = strict != 0,
                                              .ki_at_checkpoints = restricted != 0};
    return 0;
}

int ctrio__read_run_environment(struct ctrio_run *run)
{
    if (run->os->setting == NULL)
        return 0;
    const char *strict = run->os->setting("CTRIO_STRICT_CHECKPOINTS");
    const char *budget = run->os->setting("CTRIO_POLL_BUDGET");
    if (strict != NULL && strcmp(strict, "") != 0 && strcmp(strict, "0") != 0)
        run->strict = true;
    if (budget == NULL)
        return 0;
    double seconds = PyOS_string_to_double(budget, NULL, NULL);
    if (!PyErr_Occurred() && seconds >= 0 && seconds <= 3600) {
        run->poll_budget = (uint64_t)(seconds * 1e9);
        return 0;
    }
    PyErr_Format(PyExc_ValueError,
                 "the environment variable CTRIO_POLL_BUDGET must be a number of seconds from 0 to "
                 "3600, not '%s'",
                 budget);
    return -1;
}
