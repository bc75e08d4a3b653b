/* scripted.c - a Python run on a scripted os and chooser: the proof that the seams hold.
 *
 * Private (tests/sim): a run whose every way to the machine and every scheduling decision comes
 * out of a seed, and a hash of all that happened.  CPython refuses a number that is no open
 * descriptor, so each simulated socket owns a placeholder, a duplicate of one unconnected socket:
 * a call that slips past the table fails at once instead of hanging. */
#include "io/scripted.h"
#include "pyext/calls.h"
#include "pyext/outcome.h"

struct world {
    struct ctrio__scripted scripted;
    struct ctrio__scripted_chooser chooser;
    struct ctrio__trace trace;
    PyObject *duplicate; /* callable: a new descriptor */
};

static intptr_t placeholder(void *data)
{
    struct world *world = data;
    PyObject *number = PyObject_CallNoArgs(world->duplicate);
    long handle = number != NULL ? PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    if (handle >= 0)
        return handle;
    PyErr_Clear();
    return -EMFILE;
}

static struct world *current_world(struct ctrio__state *state)
{
    struct ctrio__py_runner *runner = ctrio__current_runner(state);
    if (runner == NULL)
        return NULL;
    if (!runner->os_lent) {
        PyErr_SetString(PyExc_RuntimeError, "this run is not a scripted one");
        return NULL;
    }
    return ctrio__container(runner->os, struct world, scripted.os);
}

static PyObject *handle_or_error(struct ctrio__state *state, intptr_t handle)
{
    if (handle >= 0)
        return PyLong_FromSsize_t(handle);
    return ctrio__raise(state, &(struct ctrio__outcome){(int)handle, NULL});
}

static PyObject *scripted_socket(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__state *state = PyModule_GetState(module);
    struct world *world = current_world(state);
    if (world == NULL)
        return NULL;
    return handle_or_error(state, ctrio__scripted_socket(&world->scripted));
}

static PyObject *scripted_listener(PyObject *module, PyObject *args)
{
    struct ctrio__state *state = PyModule_GetState(module);
    unsigned short port;
    if (!PyArg_ParseTuple(args, "H:scripted_listener", &port))
        return NULL;
    struct world *world = current_world(state);
    if (world == NULL)
        return NULL;
    return handle_or_error(state, ctrio__scripted_listener(&world->scripted, port, 16));
}

static void world_init(struct world *world, unsigned long long seed, PyObject *duplicate)
{
    const struct ctrio__scripted_options options = {.seed = seed,
                                                    .buffer_size = 24,
                                                    .short_counts = true,
                                                    .new_handle = placeholder,
                                                    .data = world,
                                                    .trace = &world->trace};
    world->trace = (struct ctrio__trace){0, 0};
    world->duplicate = duplicate;
    ctrio__scripted_init(&world->scripted, &options);
    ctrio__scripted_chooser_seed(&world->chooser, seed, &world->trace);
}

/* (seed, duplicate, async_fn, *args) -> (result, hash, events, sockets left, hash of the calls) */
static PyObject *run_scripted(PyObject *module, PyObject *args)
{
    struct ctrio__state *state = PyModule_GetState(module);
    if (PyTuple_GET_SIZE(args) < 3) {
        PyErr_SetString(PyExc_TypeError, "run_scripted(seed, duplicate, async_fn, *args)");
        return NULL;
    }
    unsigned long long seed = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(args, 0));
    if (PyErr_Occurred() || ctrio__check_bound(state) < 0 || ctrio__refuse_nested(state) < 0)
        return NULL;
    struct world *world = PyMem_Malloc(sizeof *world);
    if (world == NULL)
        return PyErr_NoMemory();
    world_init(world, seed, PyTuple_GET_ITEM(args, 1));
    const struct ctrio__runner_options options = {
        .strict = true, .os = &world->scripted.os, .chooser = &world->chooser.chooser};
    PyObject *rest = PyTuple_GetSlice(args, 2, PyTuple_GET_SIZE(args));
    PyObject *result = NULL;
    if (rest != NULL)
        result = ctrio__runner_run(ctrio__runner_new(state, &options), rest);
    Py_XDECREF(rest);
    size_t left = ctrio__scripted_close(&world->scripted);
    struct ctrio__trace trace = world->trace, calls = world->scripted.calls;
    PyMem_Free(world);
    if (result == NULL)
        return NULL;
    return Py_BuildValue("NKKnK", result, (unsigned long long)trace.hash,
                         (unsigned long long)trace.count, (Py_ssize_t)left,
                         (unsigned long long)calls.hash);
}

static PyMethodDef functions[] = {
    {"run_scripted", run_scripted, METH_VARARGS, "A run on a scripted os; see tests/sim."},
    {"scripted_socket", scripted_socket, METH_NOARGS, "The number of a new simulated socket."},
    {"scripted_listener", scripted_listener, METH_VARARGS, "One that listens on this port."},
    {NULL, NULL, 0, NULL}};

int ctrio__exec_scripted(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    return PyModule_AddFunctions(module, functions);
}
