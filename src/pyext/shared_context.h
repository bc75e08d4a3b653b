/* shared_context.h - the context variables of tasks, copied when they are first changed.
 *
 * Trio copies the context for each task, and hardly any task sets a variable.  So tasks that start
 * with the same variables share one context until they change it: a copy less to make, to enter
 * and to keep for each.  Nobody can see it: no name gives Python code the context it runs in, and
 * who asks for task.context is given one of the task's own. */
#ifndef CTRIO_PYEXT_SHARED_CONTEXT_H
#define CTRIO_PYEXT_SHARED_CONTEXT_H
#include "pyext/objects.h"

/* Borrowed.  The map of all variables and values: never changed, but replaced as a whole. */
static inline const void *ctrio__context_map(const struct ctrio__state *state,
                                             const PyObject *context)
{
    CTRIO_ASSERT(state->context_map != 0);
    return *(void *const *)(const void *)((const char *)context + state->context_map);
}

/* For a new task: a copy of the current context, or of the run's own (`system`).  *shared: it is
 * not the task's alone, and nobody may enter it.  New reference; NULL with an error. */
PyObject *ctrio__context_for_task(struct ctrio__py_runner *runner, bool system, bool *shared);

/* What a task's step is to enter.  Borrowed.  Without memory it is an empty one, and the task is to
 * be thrown a MemoryError; or NULL with an error. */
PyObject *ctrio__context_choose(struct ctrio__py_task *task);
static inline PyObject *ctrio__context_to_enter(struct ctrio__py_task *task)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    if (!task->shares_context)
        return task->context;
    if (task->context != runner->shared_context || runner->working_context == NULL ||
        Py_REFCNT(task->context) == 2)
        return ctrio__context_choose(task);
    runner->works_in = task;
    return runner->working_context;
}

/* The step has left something in the working context: nobody else may enter that. */
void ctrio__context_stepped(struct ctrio__py_task *task);
/* A step has left `entered`, to which the caller still holds a reference. */
static inline void ctrio__context_left(struct ctrio__py_task *task, PyObject *entered)
{
    struct ctrio__py_runner *runner = ctrio__runner_of(task);
    if (runner->works_in == NULL)
        return;
    runner->works_in = NULL;
    if (runner->working_context != entered) /* it is somebody's own by now */
        return;
    if (Py_REFCNT(entered) != 2 || /* the run's and the caller's */
        ctrio__context_map(runner->state, entered) !=
            ctrio__context_map(runner->state, runner->shared_context))
        ctrio__context_stepped(task);
}

/* task->context becomes the task's own.  -1 with MemoryError. */
int ctrio__context_own(struct ctrio__py_task *task);
/* The task has no context any more, or `context` instead (stolen). */
void ctrio__context_drop(struct ctrio__py_task *task, PyObject *context);
/* A new task will not need what it was given, after all. */
void ctrio__context_drop_unused(struct ctrio__py_runner *runner);
/* The run is over. */
void ctrio__context_share_no_more(struct ctrio__py_runner *runner);
#endif
