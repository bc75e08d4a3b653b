/* failure.c - groups of exceptions, and the words for closing things out of order.
 *
 * The kernel decides when failures are folded, filtered and complained about; what that means in
 * Python is here.  Cancelled leaves are taken out by the group's own public split(), so that
 * users' subclasses with derive() count.  All of it is a call-out: an interrupt that struck in
 * there would take the place of the failures that are being folded. */
#include "pyext/calls.h"
#include "pyext/outcome.h"

static int append_failure(PyObject *list, struct ctrio__failure *failure)
{
    PyObject *exception = failure->outcome.value;
    failure->outcome.value = NULL;
    if (exception == NULL) { /* an interrupt kept while the parent waited, a failed allocation */
        exception =
            PyObject_CallNoArgs(failure->outcome.code == CTRIO_INTERRUPTED ? PyExc_KeyboardInterrupt
                                                                           : PyExc_MemoryError);
        if (exception == NULL)
            return -1;
    }
    int result = PyList_Append(list, exception);
    Py_DECREF(exception);
    return result;
}

static PyObject *build_group(struct ctrio__state *state, PyObject *list, bool strict)
{
    if (!strict && PyList_GET_SIZE(list) == 1)
        return Py_NewRef(PyList_GET_ITEM(list, 0));
    PyObject *group =
        PyObject_CallFunction(state->exception_group, "sO", "Exceptions from Trio nursery", list);
    if (group == NULL || strict)
        return group;
    PyObject *result = PyObject_CallMethodOneArg(group, state->names.add_note,
                                                 state->bound.NONSTRICT_EXCEPTIONGROUP_NOTE);
    if (result == NULL)
        Py_CLEAR(group);
    Py_XDECREF(result);
    return group;
}

struct ctrio__outcome ctrio__py_group(struct ctrio__nursery *nursery)
{
    struct ctrio__state *state = ctrio__state_of(ctrio__py_nursery_from(nursery));
    bool strict = ctrio__py_nursery_from(nursery)->strict;
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *list = PyList_New(0);
    int failed = list == NULL;
    struct ctrio_list *at = nursery->failures.next;
    for (; !failed && at != &nursery->failures; at = at->next)
        failed = append_failure(list, ctrio__container(at, struct ctrio__failure, link)) < 0;
    PyObject *group = failed ? NULL : build_group(state, list, strict);
    ctrio__callout_end(runner, previous);
    Py_XDECREF(list);
    if (group == NULL)
        return ctrio__outcome_from_error(state);
    return ctrio__outcome_from_exception(state, group);
}

/* --- loose groups ------------------------------------------------------------------ */

static bool is_loose(struct ctrio__state *state, PyObject *group)
{
    PyObject *notes = PyObject_GetAttr(group, state->names.dunder_notes);
    if (notes == NULL) {
        PyErr_Clear();
        return false;
    }
    int found = PySequence_Contains(notes, state->bound.NONSTRICT_EXCEPTIONGROUP_NOTE);
    Py_DECREF(notes);
    if (found < 0)
        PyErr_Clear();
    return found > 0;
}

static PyObject *join_tracebacks(struct ctrio__state *state, PyObject *outer, PyObject *inner)
{
    PyObject *head = PyException_GetTraceback(outer);
    PyObject *tail = PyException_GetTraceback(inner);
    PyObject *joined = PyObject_CallFunctionObjArgs(
        state->bound.concat_tb, head != NULL ? head : Py_None, tail != NULL ? tail : Py_None, NULL);
    Py_XDECREF(head);
    Py_XDECREF(tail);
    if (joined == NULL)
        return NULL;
    int failed = PyException_SetTraceback(inner, joined);
    Py_DECREF(joined);
    return failed < 0 ? NULL : inner;
}

/* A loose group of one becomes that one, at every depth.  New reference; steals `group`. */
static PyObject *collapse(struct ctrio__state *state, PyObject *group)
{
    PyObject *members = PyObject_GetAttr(group, state->names.exceptions);
    PyObject *list = members != NULL ? PySequence_List(members) : NULL;
    bool modified = false;
    Py_XDECREF(members);
    if (list == NULL)
        goto failed;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *member = PyList_GET_ITEM(list, i);
        if (!PyObject_TypeCheck(member, (PyTypeObject *)state->exception_group))
            continue;
        if (Py_EnterRecursiveCall(" while collapsing an exception group"))
            goto failed;
        PyObject *collapsed = collapse(state, Py_NewRef(member));
        Py_LeaveRecursiveCall();
        if (collapsed == NULL)
            goto failed;
        modified = modified || collapsed != member;
        PyList_SetItem(list, i, collapsed);
    }
    if (PyList_GET_SIZE(list) == 1 && is_loose(state, group)) {
        PyObject *only = Py_NewRef(PyList_GET_ITEM(list, 0));
        PyObject *joined = join_tracebacks(state, group, only);
        Py_DECREF(list);
        Py_DECREF(group);
        if (joined == NULL)
            Py_CLEAR(only);
        return only;
    }
    if (modified)
        Py_SETREF(group, PyObject_CallMethodOneArg(group, state->names.derive, list));
    Py_DECREF(list);
    return group;
failed:
    Py_XDECREF(list);
    Py_DECREF(group);
    return NULL;
}

/* What is left of the group: NULL without an error if nothing is.  Steals it. */
static PyObject *without_cancelled(struct ctrio__state *state, PyObject *group, bool *caught)
{
    PyObject *parts = PyObject_CallMethodOneArg(group, state->names.split, state->bound.Cancelled);
    if (parts != NULL && (!PyTuple_Check(parts) || PyTuple_GET_SIZE(parts) != 2)) {
        PyErr_SetString(PyExc_TypeError, "split() of an exception group must give a pair");
        Py_CLEAR(parts);
    }
    Py_DECREF(group);
    if (parts == NULL)
        return NULL;
    *caught = PyTuple_GET_ITEM(parts, 0) != Py_None;
    PyObject *rest = Py_NewRef(PyTuple_GET_ITEM(parts, 1));
    Py_DECREF(parts);
    if (PyObject_TypeCheck(rest, (PyTypeObject *)state->exception_group))
        rest = collapse(state, rest);
    if (rest == Py_None)
        Py_CLEAR(rest);
    return rest;
}

bool ctrio__py_strip_cancelled(struct ctrio_cancel_scope *scope, struct ctrio__outcome *io)
{
    struct ctrio__state *state = ctrio__state_of(ctrio__py_scope_from(scope));
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    PyObject *group = io->value;
    bool caught = false;
    *io = (struct ctrio__outcome){0, NULL};
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *rest = without_cancelled(state, group, &caught);
    ctrio__callout_end(runner, previous);
    if (rest != NULL)
        *io = ctrio__outcome_from_exception(state, rest);
    else if (PyErr_Occurred())
        *io = ctrio__outcome_from_error(state);
    return caught;
}

/* --- misnesting -------------------------------------------------------------------- */

static PyObject *object_of(struct ctrio_cancel_scope *scope)
{
    if (scope == NULL || scope->frontend != &ctrio__python)
        return Py_None;
    return (PyObject *)ctrio__py_scope_from(scope);
}

static PyObject *misnesting_text(enum ctrio__misnesting how, struct ctrio__py_task *task,
                                 struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *inner)
{
    PyObject *advice = ctrio__state_of_task(task)->bound.MISNESTING_ADVICE;
    switch (how) {
    case CTRIO__SCOPE_EXITED_TWICE:
        return PyUnicode_FromFormat("Cancel scope stack corrupted: attempted to exit %R "
                                    "which had already been exited",
                                    object_of(scope));
    case CTRIO__SCOPE_OF_UNRELATED_TASK:
        return PyUnicode_FromFormat("Cancel scope stack corrupted: attempted to exit %R "
                                    "from unrelated %R\n%U",
                                    object_of(scope), task, advice);
    case CTRIO__SCOPE_WITHIN_CHILD:
        return PyUnicode_FromFormat("Cancel scope stack corrupted: attempted to exit %R "
                                    "in %R that's still within its child %R\n%U",
                                    object_of(scope), task, object_of(inner), advice);
    case CTRIO__SCOPE_CLOSED_BEFORE_TASK:
        return PyUnicode_FromFormat("Cancel scope stack corrupted: Cancel scope surrounding "
                                    "%R was closed before the task exited\n%U",
                                    task, advice);
    case CTRIO__NURSERY_CLOSED_BEFORE_TASK:
        return PyUnicode_FromFormat("Nursery stack corrupted: Nursery surrounding "
                                    "%R was closed before the task exited\n%U",
                                    task, advice);
    default:
        return PyUnicode_FromString("Nursery misnesting detected!");
    }
}

void ctrio__py_misnested(enum ctrio__misnesting how, struct ctrio_task *task,
                         struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *inner,
                         struct ctrio__outcome *io)
{
    struct ctrio__py_task *object = ctrio__py_task_from(task);
    struct ctrio__state *state = ctrio__state_of_task(object);
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    PyObject *context = io->code < 0 ? io->value : NULL;
    if (io->code >= 0)
        Py_XDECREF((PyObject *)io->value);
    *io = (struct ctrio__outcome){0, NULL};
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *text = misnesting_text(how, object, scope, inner);
    ctrio__callout_end(runner, previous);
    PyObject *class =
        how == CTRIO__NURSERY_OUT_OF_ORDER ? PyExc_AssertionError : PyExc_RuntimeError;
    PyObject *error = text != NULL ? PyObject_CallOneArg(class, text) : NULL;
    Py_XDECREF(text);
    if (error == NULL)
        error = PyErr_GetRaisedException();
    if (context != NULL)
        PyException_SetContext(error, context);
    *io = ctrio__outcome_from_exception(state, error);
}
