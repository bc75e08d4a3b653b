/* thread.c - Cell: the one thing in which Python threads of ours sleep.
 *
 * It is a cell of the os that the run has, so that a simulator sees who sleeps; outside of a run,
 * of the machine's.  Invariant: between two posts at most one wait succeeds.  A cell does not say
 * when a signal has come, so a wait looks up now and then to run its handler: more and more
 * rarely, since most who wait are workers, and only the main thread has handlers to run. */
#include "pyext/coroutine.h"
#include "pyext/gil.h"
#include "pyext/thread_cell.h"

/* Seconds of the first and of the longest sleep without looking up. */
#define FIRST_NAP 0.01
#define LONGEST_NAP 0.25

struct cell {
    PyObject_HEAD
    struct ctrio__cell cell;
    struct ctrio__py_runner *runner; /* strong: whose os it is, while open; NULL: the machine's */
};

static struct cell *cell_of(PyObject *self)
{
    return (struct cell *)self;
}

static bool is_machine(const struct ctrio__os *os)
{
    return os->threads->wait == ctrio__native_threads.wait;
}

/* NULL: the machine, whose cells need no os; so it is, too, once the run is over. */
static struct ctrio__os *os_of(const struct cell *self)
{
    return self->runner != NULL && self->runner->opened ? self->runner->os : NULL;
}
static const struct ctrio__thread_ops *threads_of(const struct ctrio__os *os)
{
    CTRIO_ASSERT(os == NULL || !is_machine(os));
    return os != NULL ? os->threads : &ctrio__native_threads;
}

static PyObject *cell_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Cell", names))
        return NULL;
    struct ctrio__py_runner *runner = ctrio__peek_runner(ctrio__state_of_type(type));
    struct cell *self = (struct cell *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (runner != NULL && runner->opened &&
        !is_machine(runner->os)) /* else a cell would keep its run alive */
        self->runner = (struct ctrio__py_runner *)Py_NewRef(runner);
    CTRIO_ASSERT(atomic_load(&self->cell.posted) == 0);
    return (PyObject *)self;
}

static bool is_posted(const void *arg)
{
    const struct ctrio__cell *cell = arg;
    return atomic_load_explicit(&cell->posted, memory_order_relaxed) == 1;
}

/* A stretch of sleep without the GIL, after some looking if there is a place to learn from it. */
static bool sleep_in(struct ctrio__os *os, struct ctrio__cell *cell, double seconds,
                     struct ctrio__spin *event_spin, struct ctrio__spin *gil_spin)
{
    const struct ctrio__thread_ops *threads = threads_of(os);
    PyThreadState *thread = ctrio__gil_leave();
    bool seen = event_spin != NULL && threads->spin != NULL && !ctrio__spin_held() &&
                threads->spin(os, event_spin, CTRIO__SPIN_FOR_JOB, is_posted, cell);
    bool posted = threads->wait(os, cell, seconds);
    ctrio__gil_enter(thread, threads, seen ? gil_spin : NULL);
    return posted;
}

/* 1: posted, 0: the time is over, -1: a signal handler has raised. */
static int wait_for(struct cell *self, double seconds)
{
    static _Thread_local struct ctrio__spin event_spin, gil_spin;
    struct ctrio__spin *look = &event_spin; /* before the first nap */
    double nap = FIRST_NAP;
    struct ctrio__os *os = os_of(self);
    if (threads_of(os)->wait(os, &self->cell, 0))
        return 1;
    while (seconds > 0) {
        nap = nap < seconds ? nap : seconds;
        if (sleep_in(os, &self->cell, nap, look, &gil_spin))
            return 1;
        if (PyErr_CheckSignals() < 0)
            return -1;
        seconds -= nap;
        nap = nap * 2 < LONGEST_NAP ? nap * 2 : LONGEST_NAP;
        look = NULL;
        os = os_of(self); /* the run may have ended */
    }
    return 0;
}

bool ctrio__cell_sleep(struct ctrio__cell *cell, double seconds, struct ctrio__spin *event_spin,
                       struct ctrio__spin *gil_spin)
{
    return sleep_in(NULL, cell, seconds, event_spin, gil_spin);
}

void ctrio__cell_post_here(const struct ctrio__state *state, struct ctrio__cell *cell)
{
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    ctrio__native_threads.post(NULL, cell);
    if (runner != NULL)
        runner->thread_due = true;
}

struct ctrio__cell *ctrio__machine_cell(const struct ctrio__state *state, PyObject *object)
{
    if (!Py_IS_TYPE(object, state->types[TYPE_CELL]) || cell_of(object)->runner != NULL)
        return NULL;
    return &cell_of(object)->cell;
}

static PyObject *cell_wait(PyObject *object, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames)
{
    static const char *const names[] = {"timeout"};
    PyObject *timeout;
    double seconds = INFINITY;
    if (ctrio__parse("Cell.wait", args, nargs, kwnames, names, 0, 1, &timeout) < 0)
        return NULL;
    if (timeout != NULL && timeout != Py_None) {
        seconds = PyFloat_AsDouble(timeout);
        if (seconds == -1.0 && PyErr_Occurred())
            return NULL;
    }
    if (isnan(seconds)) {
        PyErr_SetString(PyExc_ValueError, "timeout must not be NaN");
        return NULL;
    }
    int answer = wait_for(cell_of(object), seconds);
    return answer < 0 ? NULL : PyBool_FromLong(answer);
}

static PyObject *cell_post(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    struct cell *self = cell_of(object);
    struct ctrio__os *os = os_of(self);
    struct ctrio__py_runner *runner = ctrio__peek_runner(ctrio__state_of(object));
    threads_of(os)->post(os, &self->cell);
    if (runner != NULL)
        runner->thread_due = true;
    Py_RETURN_NONE;
}

static int cell_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)cell_of(self)->runner);
    return 0;
}
/* No tp_clear: whoever waits needs the os, and a run that is over refers to no cell. */
static void cell_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)cell_of(self)->runner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef cell_methods[] = {
    {"wait", (PyCFunction)(void (*)(void))cell_wait, METH_FASTCALL | METH_KEYWORDS,
     "wait($self, /, timeout=None)\n--\n\n"
     "Sleep until somebody posts; tell whether that came to pass in time.\n\n"
     "Args:\n    timeout: At most so many seconds; None for no limit."},
    {"post", cell_post, METH_NOARGS,
     "post($self, /)\n--\n\n"
     "Wake who waits, or else the next one who will. Posts are not counted."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot cell_slots[] = {
    {Py_tp_new, cell_new},
    {Py_tp_methods, cell_methods},
    {Py_tp_traverse, cell_traverse},
    {Py_tp_dealloc, cell_dealloc},
    {0, NULL},
};
static PyType_Spec cell_spec = {.name = "ctrio._ctrio.Cell",
                                .basicsize = sizeof(struct cell),
                                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                .slots = cell_slots};

int ctrio__exec_thread(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    return ctrio__add_type(module, TYPE_CELL, &cell_spec, NULL, "Cell");
}
