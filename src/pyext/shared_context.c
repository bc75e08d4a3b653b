/* shared_context.c - which tasks share a context, and when they stop.
 *
 * A run has at most one pair: `shared_context`, which nobody enters, has the variables as the tasks
 * got them; `working_context` is its copy, in which they run, one at a time.  After each step it is
 * looked at.  If its variables are not those of the shared one any more, or somebody has kept it (a
 * Token, a greenlet), it becomes the context of the task that has run in it, and the others get a
 * new one.  A task that starts with other variables begins the next pair; those of the former get a
 * copy each when they next run, as all do in Trio.
 *
 * The pair keeps variables alive, so it goes with the last task that needs it; but not if the run's
 * own context has the same: that keeps them anyway. */
#include "pyext/shared_context.h"
#include <string.h>

/* --- where a context has its map --------------------------------------------------- */

enum { MOST_WORDS = 16 };

/* Which word of a context changes when a variable is set?  CPython does not say, so it is tried: it
 * has to be one, and a copy has to have the same.  *offset is 0 otherwise, and nothing is shared.
 */
static int set_variable(PyObject *context, PyObject *variable)
{
    if (PyContext_Enter(context) < 0)
        return -1;
    PyObject *token = PyContextVar_Set(variable, Py_None);
    Py_XDECREF(token);
    return PyContext_Exit(context) < 0 || token == NULL ? -1 : 0;
}

static size_t changed_word(const char *before, const char *after, size_t size)
{
    size_t found = 0;
    for (size_t at = sizeof(PyObject); at + sizeof(void *) <= size; at += sizeof(void *)) {
        if (memcmp(before + at, after + at, sizeof(void *)) == 0)
            continue;
        if (found != 0)
            return 0;
        found = at;
    }
    return found;
}

int ctrio__exec_shared_context(PyObject *Py_UNUSED(module), struct ctrio__state *state)
{
    char before[MOST_WORDS * sizeof(void *)];
    size_t size = (size_t)PyContext_Type.tp_basicsize;
    state->context_map = 0;
    if (!CTRIO_FREELISTS || size > sizeof before)
        return 0;
    PyObject *context = PyContext_New();
    PyObject *variable = PyContextVar_New("ctrio", NULL);
    PyObject *copy = NULL;
    if (context != NULL && variable != NULL) {
        memcpy(before, context, size);
        if (set_variable(context, variable) == 0)
            copy = PyContext_Copy(context);
    }
    if (copy != NULL) {
        size_t found = changed_word(before, (char *)context, size);
        if (found != 0 &&
            memcmp((char *)context + found, (char *)copy + found, sizeof(void *)) == 0)
            state->context_map = found;
    }
    int result = copy != NULL ? 0 : -1;
    Py_XDECREF(context);
    Py_XDECREF(variable);
    Py_XDECREF(copy);
    return result;
}

/* --- the pair ---------------------------------------------------------------------- */

static bool same_map(const struct ctrio__py_runner *runner, const PyObject *one,
                     const PyObject *other)
{
    return ctrio__context_map(runner->state, one) == ctrio__context_map(runner->state, other);
}

/* Takes both away first: what dies with them may run anything. */
static void replace_pair(struct ctrio__py_runner *runner, PyObject *shared)
{
    PyObject *old_shared = runner->shared_context, *old_working = runner->working_context;
    runner->shared_context = shared;
    runner->working_context = NULL;
    Py_XDECREF(old_working);
    Py_XDECREF(old_shared);
}

void ctrio__context_share_no_more(struct ctrio__py_runner *runner)
{
    replace_pair(runner, NULL);
}

void ctrio__context_drop_unused(struct ctrio__py_runner *runner)
{
    PyObject *shared = runner->shared_context;
    if (shared != NULL && Py_REFCNT(shared) == 1 &&
        !same_map(runner, shared, runner->system_context))
        replace_pair(runner, NULL);
}

/* --- tasks ------------------------------------------------------------------------- */

/* A task that the collector does not look at has a context of its own: see collector.c. */
static void hide_with_task(const struct ctrio__py_task *task)
{
    CTRIO_ASSERT(!task->shares_context);
    if (task->hidden && task->context != NULL && PyContext_CheckExact(task->context))
        PyObject_GC_UnTrack(task->context);
}

void ctrio__context_drop(struct ctrio__py_task *task, PyObject *context)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    PyObject *old = task->context;
    bool shared = task->shares_context;
    if (shared && runner->step_context == old) /* nobody holds it for as long as it is compared */
        runner->step_context = NULL;
    task->context = context;
    task->shares_context = false;
    hide_with_task(task);
    Py_XDECREF(old);
    if (shared)
        ctrio__context_drop_unused(runner);
}

void ctrio__context_stepped(struct ctrio__py_task *task)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    PyObject *working = runner->working_context;
    CTRIO_ASSERT(working != NULL && runner->shared_context != NULL);
    runner->working_context = NULL;
    if (!task->shares_context) { /* it was given another one on the way */
        Py_DECREF(working);
        return;
    }
    CTRIO_ASSERT(task->context == runner->shared_context);
    if (runner->step_context == task->context)
        runner->step_context = working;
    ctrio__context_drop(task, working);
}

/* The task whose step is in the working context has it to itself from now on. */
static void hand_over_working(struct ctrio__py_runner *runner)
{
    struct ctrio__py_task *task = runner->works_in;
    runner->works_in = NULL;
    if (task != NULL && runner->working_context != NULL)
        ctrio__context_stepped(task);
}

PyObject *ctrio__context_for_task(struct ctrio__py_runner *runner, bool system, bool *shared)
{
    PyObject *from = system ? runner->system_context : PyThreadState_Get()->context;
    *shared = false;
    if (runner->state->context_map == 0 || from == NULL)
        return system ? PyContext_Copy(from) : PyContext_CopyCurrent();
    if (runner->shared_context == NULL || !same_map(runner, runner->shared_context, from)) {
        PyObject *made = PyContext_Copy(from);
        if (made == NULL)
            return NULL;
        *shared = true;
        hand_over_working(runner);
        replace_pair(runner, Py_NewRef(made));
        return made;
    }
    *shared = true;
    return Py_NewRef(runner->shared_context);
}

/* A copy of what the task shares.  Making one may run the collector, and that anything: NULL
 * without an error if the task does not share that any more. */
static PyObject *copy_shared(const struct ctrio__py_task *task)
{
    PyObject *shared = Py_NewRef(task->context);
    PyObject *copy = PyContext_Copy(shared);
    if (copy != NULL && !(task->shares_context && task->context == shared))
        Py_CLEAR(copy);
    Py_DECREF(shared);
    return copy;
}

int ctrio__context_own(struct ctrio__py_task *task)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    if (task->shares_context && runner->works_in == task)
        hand_over_working(runner);
    if (!task->shares_context)
        return 0;
    PyObject *copy = copy_shared(task);
    if (copy != NULL)
        ctrio__context_drop(task, copy);
    return copy != NULL || PyErr_Occurred() == NULL ? 0 : -1;
}

/* The only task of its pair needs no other. */
static void keep_shared(struct ctrio__py_task *task)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    task->shares_context = false;
    hide_with_task(task);
    if (task->context == runner->shared_context)
        replace_pair(runner, NULL);
}

static PyObject *no_context(struct ctrio__py_task *task)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    PyObject *spare = runner->spare_context;
    if (spare == NULL) /* twice: it fails without a word to its coroutine */
        return NULL;
    PyObject *error = PyErr_GetRaisedException();
    runner->spare_context = NULL;
    ctrio__context_drop(task, spare);
    ctrio__task_keep(task, KEPT_EXCEPTION, error);
    return spare;
}

PyObject *ctrio__context_choose(struct ctrio__py_task *task)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    while (task->shares_context) {
        bool current = task->context == runner->shared_context;
        if (Py_REFCNT(task->context) == (current ? 2 : 1)) {
            keep_shared(task);
            break;
        }
        if (current && runner->working_context != NULL) {
            runner->works_in = task;
            return runner->working_context;
        }
        PyObject *copy = copy_shared(task);
        if (copy == NULL && PyErr_Occurred() != NULL)
            return no_context(task);
        if (copy == NULL)
            continue;
        if (task->context != runner->shared_context)
            ctrio__context_drop(task, copy);
        else if (runner->working_context == NULL)
            runner->working_context = copy;
        else
            Py_DECREF(copy);
    }
    return task->context;
}
