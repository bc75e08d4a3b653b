/* batch_order.c - the order in which the tasks of a batch run, as far as Python has a say in it.
 *
 * The kernel tosses its own coin, once a batch.  That ends for good when somebody seeds `_r` or
 * replaces it, or turns Trio's deterministic mode on (hypothesis, pytest-trio): from then on `_r`
 * is asked, looked up in its module for each batch as Trio does. */
#include "pyext/calls.h"

static void reverse(struct ctrio_task **batch, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct ctrio_task *swapped = batch[i];
        batch[i] = batch[count - 1 - i];
        batch[count - 1 - i] = swapped;
    }
}

static int by_spawn(const void *left, const void *right)
{
    const struct ctrio_task *const *a = left, *const *b = right;
    return ((*a)->serial > (*b)->serial) - ((*a)->serial < (*b)->serial);
}

static PyObject *list_batch(struct ctrio_task *const *batch, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        CTRIO_ASSERT(batch[i]->frontend == &ctrio__python);
        PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(ctrio__py_task_from(batch[i])));
    }
    return list;
}

/* Takes the order of the list.  -1 with RuntimeError unless it has exactly the batch's tasks. */
static int take_order(struct ctrio_run *run, PyObject *list, size_t count)
{
    PyObject *expected = NULL;
    bool same = run->batch_count == count && PyList_GET_SIZE(list) == (Py_ssize_t)count;
    if (same) {
        PyObject *before = list_batch(run->batch, count);
        expected = before != NULL ? PySet_New(before) : NULL;
        Py_XDECREF(before);
        if (expected == NULL)
            return -1;
    }
    for (size_t i = 0; same && i < count; i++)
        same = PySet_Discard(expected, PyList_GET_ITEM(list, (Py_ssize_t)i)) == 1;
    for (size_t i = 0; same && i < count; i++) {
        PyObject *item = PyList_GET_ITEM(list, (Py_ssize_t)i);
        run->batch[i] = &((struct ctrio__py_task *)item)->task;
    }
    Py_XDECREF(expected);
    if (same)
        return 0;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, "_r.shuffle() has changed more than the order");
    return -1;
}

static int shuffle(struct ctrio_run *run, PyObject *random, size_t count)
{
    qsort(run->batch, count, sizeof *run->batch, by_spawn);
    PyObject *list = list_batch(run->batch, count);
    PyObject *result = list != NULL ? ctrio__call_method1(random, "shuffle", list) : NULL;
    int failed = result != NULL ? take_order(run, list, count) : -1;
    Py_XDECREF(result);
    Py_XDECREF(list);
    return failed;
}

static int toss(struct ctrio_run *run, PyObject *random)
{
    PyObject *number = ctrio__call_method0(random, "random");
    double value = number != NULL ? PyFloat_AsDouble(number) : -1.0;
    Py_XDECREF(number);
    if (PyErr_Occurred())
        return -1;
    if (value < 0.5)
        reverse(run->batch, run->batch_count); /* read anew: Python code ran */
    return 0;
}

static int is_deterministic(const struct ctrio__state *state)
{
    PyObject *flag = ctrio__getattr(state->bound.run_module, "_ALLOW_DETERMINISTIC_SCHEDULING");
    int truth = flag != NULL ? PyObject_IsTrue(flag) : -1;
    Py_XDECREF(flag);
    return truth;
}

void ctrio__batch_order(struct ctrio_run *run, struct ctrio_task **batch, size_t count)
{
    struct ctrio__py_runner *runner = ctrio__py_runner_from(run);
    (void)batch;
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *random = ctrio__getattr(runner->state->bound.run_module, "_r");
    int deterministic = random != NULL ? is_deterministic(runner->state) : -1;
    int result = -1;
    if (deterministic >= 0)
        result = deterministic ? shuffle(run, random, count) : toss(run, random);
    Py_XDECREF(random);
    ctrio__callout_end(runner, previous);
    if (result < 0)
        ctrio__runner_fail(runner);
}

/* Whether `_r` is another one than the Python layer's, which tells us when it is seeded. */
static int is_replaced(const struct ctrio__state *state)
{
    PyObject *random = ctrio__getattr(state->bound.run_module, "_r");
    PyObject *tells = random != NULL ? ctrio__getattr(random, "_told") : NULL;
    int replaced = tells != NULL ? PyObject_Not(tells) : -1;
    if (random != NULL && tells == NULL) {
        PyErr_Clear();
        replaced = 1;
    }
    Py_XDECREF(random);
    Py_XDECREF(tells);
    return replaced;
}

int ctrio__batch_order_choose(struct ctrio__py_runner *runner)
{
    const struct ctrio__state *state = runner->state;
    int wanted = state->random_touched;
    if (!wanted)
        wanted = is_deterministic(state);
    if (!wanted)
        wanted = is_replaced(state);
    if (wanted > 0)
        runner->run.hooks.wanted |= CTRIO__HOOK_ORDER_BATCH;
    return wanted < 0 ? -1 : 0;
}

/* `_r` was seeded: from the next batch on it is asked. */
static PyObject *batch_order_touched(PyObject *module, PyObject *touched)
{
    struct ctrio__state *state = PyModule_GetState(module);
    int truth = PyObject_IsTrue(touched);
    if (truth < 0)
        return NULL;
    state->random_touched = truth != 0;
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    if (truth && runner != NULL)
        runner->run.hooks.wanted |= CTRIO__HOOK_ORDER_BATCH;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {{"batch_order_touched", batch_order_touched, METH_O, NULL},
                                  {NULL, NULL, 0, NULL}};

int ctrio__exec_batch_order(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    return PyModule_AddFunctions(module, functions);
}
