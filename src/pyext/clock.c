/* clock.c - the clock that a run goes by: the system's, or an object of the user's.
 *
 * The kernel reads a clock through a table of functions that cannot fail.  A clock of the user's
 * can: then whoever asked gets the exception if he is able to raise it (ctrio__clock_read), and
 * otherwise the run is over, as nothing sensible can be done without a time.
 *
 * The Python object for the system's clock is made when somebody asks for it.  It reads the time
 * through the run's `os` as the run does, so that a simulated run stays one. */
#include "os/native.h"
#include "pyext/calls.h"
#include "pyext/outcome.h"

/* --- a clock of the user's
 * ------------------------------------------------------------------------ */

static struct ctrio__py_clock *py_clock_of(struct ctrio_clock *clock)
{
    return ctrio__container(clock, struct ctrio__py_clock, clock);
}

/* Calls a method; NULL with an error.  `arg` may be NULL. */
static PyObject *call_clock(struct ctrio__py_clock *clock, PyObject *name, PyObject *arg)
{
    struct ctrio__py_runner *runner = clock->runner;
    PyObject *object = Py_XNewRef(clock->object);
    if (object == NULL) { /* taken apart by the garbage collector */
        PyErr_SetString(PyExc_RuntimeError, "this run has no clock any more");
        return NULL;
    }
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *result = arg != NULL ? PyObject_CallMethodOneArg(object, name, arg)
                                   : PyObject_CallMethodNoArgs(object, name);
    ctrio__callout_end(runner, previous);
    Py_DECREF(object);
    return result;
}

/* For methods whose value is not wanted: steals it. */
static void expect_none(struct ctrio__py_clock *clock, PyObject *result)
{
    if (result == NULL)
        ctrio__runner_fail(clock->runner);
    Py_XDECREF(result);
}

/* Steals `result`.  -1 with an error if it is none or no number. */
static int number_from(PyObject *result, double *out)
{
    if (result == NULL)
        return -1;
    *out = PyFloat_AsDouble(result);
    Py_DECREF(result);
    if (*out == -1.0 && PyErr_Occurred())
        return -1;
    if (isnan(*out)) {
        PyErr_SetString(PyExc_ValueError, "the clock says NaN");
        return -1;
    }
    return 0;
}

static void py_start(struct ctrio_clock *base, struct ctrio_run *run)
{
    struct ctrio__py_clock *clock = py_clock_of(base);
    CTRIO_ASSERT(&clock->runner->run == run);
    (void)run;
    expect_none(clock, call_clock(clock, clock->runner->state->names.start_clock, NULL));
}

/* On failure it is so early that nothing is due. */
static double py_time(struct ctrio_clock *base)
{
    struct ctrio__py_clock *clock = py_clock_of(base);
    bool asked = clock->asked;
    double now;
    clock->asked = false; /* what the clock itself asks is another question */
    if (number_from(call_clock(clock, clock->runner->state->names.current_time, NULL), &now) == 0)
        return now;
    if (!asked)
        ctrio__runner_fail(clock->runner);
    return -INFINITY;
}

static double py_sleep_time(struct ctrio_clock *base, double deadline)
{
    struct ctrio__py_clock *clock = py_clock_of(base);
    PyObject *name = clock->runner->state->names.deadline_to_sleep_time;
    PyObject *arg = PyFloat_FromDouble(deadline);
    double seconds;
    int result = -1;
    if (arg != NULL)
        result = number_from(call_clock(clock, name, arg), &seconds);
    Py_XDECREF(arg);
    if (result == 0)
        return seconds;
    ctrio__runner_fail(clock->runner);
    return 0.0;
}

static void py_autojump(struct ctrio_clock *base, double next_deadline)
{
    struct ctrio__py_clock *clock = py_clock_of(base);
    (void)next_deadline; /* the object asks the run's statistics */
    expect_none(clock, call_clock(clock, clock->runner->state->names.autojump, NULL));
}

static void use_object(struct ctrio__py_runner *runner, PyObject *object)
{
    struct ctrio__py_clock *clock = &runner->py_clock;
    clock->clock = (struct ctrio_clock){.start = py_start,
                                        .current_time = py_time,
                                        .deadline_to_sleep_time = py_sleep_time,
                                        .autojump = py_autojump,
                                        .autojump_threshold = INFINITY};
    clock->runner = runner;
    clock->asked = false;
    Py_XSETREF(clock->object, Py_NewRef(object));
    Py_XSETREF(runner->clock, Py_NewRef(object));
    runner->kernel_clock = &clock->clock;
}

int ctrio__clock_read(struct ctrio__py_runner *runner, double *out)
{
    struct ctrio__py_clock *clock = &runner->py_clock;
    clock->asked = true; /* means nothing while the system's clock is used */
    *out = ctrio__run_time(&runner->run);
    clock->asked = false;
    return *out == -INFINITY && PyErr_Occurred() ? -1 : 0;
}

/* --- the system's, as an object
 * ------------------------------------------------------------------- */

struct system_clock {
    PyObject_HEAD
    PyObject *runner; /* a weak reference: a clock may outlive its run */
    double offset;    /* to the system's monotonic clock */
    PyObject *weakrefs;
};
static struct system_clock *system_clock_of(PyObject *self)
{
    return (struct system_clock *)self;
}

static int system_time(PyObject *self, double *out)
{
    PyObject *object;
    uint64_t now;
    if (PyWeakref_GetRef(system_clock_of(self)->runner, &object) < 0)
        return -1;
    struct ctrio__py_runner *runner = (struct ctrio__py_runner *)object;
    if (runner != NULL && runner->os != NULL)
        now = runner->os->now(runner->os, CTRIO__MONOTONIC);
    else
        now = ctrio__native_now(NULL, CTRIO__MONOTONIC);
    Py_XDECREF(object);
    *out = system_clock_of(self)->offset + (double)now * 1e-9;
    return 0;
}

static PyObject *system_start_clock(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    Py_RETURN_NONE; /* it is always running */
}
static PyObject *system_current_time(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    double now;
    return system_time(self, &now) == 0 ? PyFloat_FromDouble(now) : NULL;
}
static PyObject *system_sleep_time(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kwnames)
{
    static const char *const names[] = {"deadline"};
    PyObject *out;
    double now;
    if (ctrio__parse("SystemClock.deadline_to_sleep_time", args, nargs, kwnames, names, 1, 1,
                     &out) < 0)
        return NULL;
    double deadline = PyFloat_AsDouble(out);
    if ((deadline == -1.0 && PyErr_Occurred()) || system_time(self, &now) < 0)
        return NULL;
    return PyFloat_FromDouble(deadline - now);
}

static PyObject *system_repr(PyObject *self)
{
    char *number = PyOS_double_to_string(system_clock_of(self)->offset, 'r', 0, 0, NULL);
    if (number == NULL)
        return PyErr_NoMemory();
    PyObject *text = PyUnicode_FromFormat("SystemClock(offset=%s)", number);
    PyMem_Free(number);
    return text;
}
static void system_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (system_clock_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    Py_CLEAR(system_clock_of(self)->runner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef system_methods[] = {
    {"start_clock", system_start_clock, METH_NOARGS,
     "start_clock($self, /)\n--\n\nNothing to do: it is always running."},
    {"current_time", system_current_time, METH_NOARGS,
     "current_time($self, /)\n--\n\nThe time, in seconds."},
    {"deadline_to_sleep_time", (PyCFunction)(void (*)(void))system_sleep_time,
     METH_FASTCALL | METH_KEYWORDS,
     "deadline_to_sleep_time($self, /, deadline)\n--\n\nHow many seconds it is until a deadline."},
    {NULL, NULL, 0, NULL}};
static PyMemberDef system_members[] = {
    {"offset", T_DOUBLE, offsetof(struct system_clock, offset), READONLY,
     "To the system's monotonic clock; large, and another in each run."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct system_clock, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot system_slots[] = {{Py_tp_methods, system_methods},
                                     {Py_tp_members, system_members},
                                     {Py_tp_repr, system_repr},
                                     {Py_tp_dealloc, system_dealloc},
                                     {0, NULL}};
static PyType_Spec system_spec = {.name = "trio._core._run.SystemClock",
                                  .basicsize = sizeof(struct system_clock),
                                  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  .slots = system_slots};

static PyObject *system_clock_new(struct ctrio__py_runner *runner)
{
    PyTypeObject *type = runner->state->types[TYPE_SYSTEM_CLOCK];
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    system_clock_of(self)->offset = runner->system_clock.offset;
    system_clock_of(self)->runner = PyWeakref_NewRef((PyObject *)runner, NULL);
    if (system_clock_of(self)->runner == NULL)
        Py_CLEAR(self);
    return self;
}

PyObject *ctrio__runner_clock(struct ctrio__py_runner *runner)
{
    if (runner->clock == NULL)
        runner->clock = system_clock_new(runner);
    return Py_XNewRef(runner->clock);
}

/* --- the choice
 * ----------------------------------------------------------------------------------- */

/* Large and different each time, so that nobody mixes up two clocks for long. */
static int draw_offset(struct ctrio__py_runner *runner, double *out)
{
    static const double least = 10000.0, most = 200000.0; /* seconds */
    uint64_t bits;
    int result = runner->os->random(runner->os, &bits, sizeof bits);
    if (result < 0) {
        ctrio__raise(runner->state, &(struct ctrio__outcome){result, NULL});
        return -1;
    }
    *out = least + (most - least) * (double)(bits >> 11) * 0x1p-53;
    return 0;
}

int ctrio__clock_setup(struct ctrio__py_runner *runner, PyObject *clock)
{
    double offset;
    CTRIO_ASSERT(runner->os != NULL);
    if (clock != NULL && clock != Py_None) {
        use_object(runner, clock);
        return 0;
    }
    if (draw_offset(runner, &offset) < 0)
        return -1;
    ctrio__system_clock_init(&runner->system_clock, runner->os, runner->os->now, offset);
    runner->kernel_clock = &runner->system_clock.clock;
    return 0;
}

int ctrio__exec_clock(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    ctrio__ticks_start();
    return ctrio__add_type(module, TYPE_SYSTEM_CLOCK, &system_spec, NULL, "SystemClock");
}
