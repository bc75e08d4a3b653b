/* collector.c - where tasks are many, they are none of the garbage collector's business.
 *
 * A living task is reachable from its run, and so are its coroutine and its context: none of the
 * three can be garbage, however often the collector goes through them all.  Of a hundred thousand
 * sleepers that was four tenths of their cost.  So they leave its lists, and are back there before
 * the task ends or lets go of one of them; but one that has failed, and that nobody knows but its
 * nursery, stays hidden till that lets it go.  What they refer to is kept alive by them as by
 * anything that the collector does not know.
 *
 * Not in a guest run: its host may abandon it, and then all of it is garbage.  Coroutines of other
 * kinds (Cython's) are left alone.  Invariant: while `hidden`, task->coro and task->context hold
 * the very objects that were taken off the lists; whoever replaces one calls show first.  A context
 * that tasks share stays: it is not theirs (shared_context.c). */
#include "pyext/calls.h"

static bool may_be_hidden(PyObject *object)
{
    return object != NULL &&
           (Py_IS_TYPE(object, &PyCoro_Type) || Py_IS_TYPE(object, &PyContext_Type));
}

static void hide(PyObject *object)
{
    if (may_be_hidden(object)) /* one that another task shares may be hidden already */
        PyObject_GC_UnTrack(object);
}

static void show(PyObject *object)
{
    if (may_be_hidden(object) && !PyObject_GC_IsTracked(object))
        PyObject_GC_Track(object);
}

void ctrio__task_hide(struct ctrio__py_task *task)
{
    CTRIO_ASSERT(!task->hidden);
    if (!CTRIO_FREELISTS || task->task.run->guest)
        return;
    task->hidden = true;
    PyObject_GC_UnTrack(task);
    hide(task->coro);
    if (!task->shares_context)
        hide(task->context);
}

void ctrio__task_show_parts(struct ctrio__py_task *task)
{
    if (!task->hidden)
        return;
    show(task->coro);
    if (!task->shares_context)
        show(task->context);
}

void ctrio__task_show(struct ctrio__py_task *task)
{
    if (!task->hidden)
        return;
    ctrio__task_show_parts(task);
    task->hidden = false;
    CTRIO_ASSERT(!PyObject_GC_IsTracked((PyObject *)task));
    PyObject_GC_Track(task);
}
