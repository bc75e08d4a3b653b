/* stop_iteration.c - the result of an `await` where CPython wants it as a StopIteration.
 *
 * That is so on 3.12 to 3.14 (compat.h).  The object is made by hand: half the price of the usual
 * way, and right for tuples and exceptions too, which the usual way would unpack.  Its `args` are
 * empty: nobody looks at it but CPython.  (While sys.settrace() is on somebody does, and
 * coroutine.c makes a whole one.)  For a value that refers to nothing the one of the last
 * time is used again, which saves two thirds of the rest.
 *
 * Invariant: kept_stop has a value only until the end of the step that put it there, and is used
 * again only if nobody else has it and nobody has left anything on it. */
#include "base/inline.h"
#include "pyext/coroutine.h"

#if CTRIO_KEPT_STOP
static bool is_clean(const struct ctrio__state *state, PyObject *object)
{
    const PyStopIterationObject *stop = (PyStopIterationObject *)object;
    return Py_REFCNT(object) == 1 && stop->traceback == NULL && stop->context == NULL &&
           stop->cause == NULL && stop->dict == NULL && stop->notes == NULL &&
           stop->args == state->empty_tuple;
}

void ctrio__forget_result(struct ctrio__state *state)
{
    CTRIO_ASSERT(state->result_kept && state->kept_stop != NULL);
    state->result_kept = false;
    if (is_clean(state, state->kept_stop))
        Py_CLEAR(((PyStopIterationObject *)state->kept_stop)->value);
    else
        Py_CLEAR(state->kept_stop);
}

static bool may_keep(PyObject *value)
{
    return PyBytes_CheckExact(value) || PyLong_CheckExact(value) || PyUnicode_CheckExact(value) ||
           PyBool_Check(value) || PyFloat_CheckExact(value);
}
#else
static bool is_clean(const struct ctrio__state *Py_UNUSED(state), PyObject *Py_UNUSED(object))
{
    return false;
}
static bool may_keep(PyObject *Py_UNUSED(value))
{
    return false;
}
#endif

/* Inlined it makes every step slower, those without a value too. */
CTRIO__OUTLINED void ctrio__stop_iteration(struct ctrio__state *state, PyObject *value)
{
    PyTypeObject *type = (PyTypeObject *)PyExc_StopIteration;
    bool keep = may_keep(value);
    PyObject *stop;
    if (keep && state->kept_stop != NULL && is_clean(state, state->kept_stop)) {
        stop = Py_NewRef(state->kept_stop);
    } else {
        stop = type->tp_new(type, state->empty_tuple, NULL);
        if (stop == NULL) {
            Py_DECREF(value);
            return;
        }
        if (keep)
            Py_XSETREF(state->kept_stop, Py_NewRef(stop));
    }
    if (keep)
        state->result_kept = true;
    Py_XSETREF(((PyStopIterationObject *)stop)->value, value);
    PyErr_SetRaisedException(stop);
}
