/* compat.h - differences between CPython versions, each with the version that ends it. */
#ifndef CTRIO_PYEXT_COMPAT_H
#define CTRIO_PYEXT_COMPAT_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h> /* PyFrame_*: until 3.11 they are declared only here */
#include <stdbool.h>
#include <structmember.h>

#if PY_VERSION_HEX < 0x030c0000 /* 3.12 keeps one exception object */
static inline PyObject *PyErr_GetRaisedException(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL)
        return NULL;
    if (value == NULL || (PyObject *)Py_TYPE(value) != type) /* else it is; asking an ABC is slow */
        PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
    Py_DECREF(type);
    return value;
}
static inline void PyErr_SetRaisedException(PyObject *exception)
{
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception,
                  PyException_GetTraceback(exception));
}
#endif

#if PY_VERSION_HEX < 0x030c0000 /* 3.12 made them public */
#define PyUnstable_Eval_RequestCodeExtraIndex _PyEval_RequestCodeExtraIndex
#define PyUnstable_Code_GetExtra _PyCode_GetExtra
#define PyUnstable_Code_SetExtra _PyCode_SetExtra
#endif

#if PY_VERSION_HEX < 0x030d0000 /* 3.13 has the strong forms */
static inline PyObject *PyList_GetItemRef(PyObject *list, Py_ssize_t index)
{
    return Py_XNewRef(PyList_GetItem(list, index));
}
static inline int PyWeakref_GetRef(PyObject *ref, PyObject **out)
{
    PyObject *object = PyWeakref_GetObject(ref);
    *out = object != NULL && object != Py_None ? Py_NewRef(object) : NULL;
    return object == NULL ? -1 : *out != NULL;
}
#endif

/* `await` resumes by am_send on 3.10, 3.11 and from 3.15; in between by tp_iternext, where a value
 * costs a StopIteration. */
#define CTRIO_AWAIT_BY_ITERNEXT (PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030f0000)

/* Whether this thread has a sys.settrace() function. */
static inline bool ctrio__is_traced(void)
{
    return PyThreadState_Get()->c_tracefunc != NULL;
}

#if PY_VERSION_HEX >= 0x030e0000 /* `with` calls like any code */
/* Whether the signal whose handler runs was noticed inside a call of C code, and not between two
 * instructions: there CPython takes back its flag for signals before it runs handlers. */
static inline bool ctrio__noticed_in_call(void)
{
    enum { SIGNALS_PENDING = 2 };
    return (PyThreadState_Get()->eval_breaker & SIGNALS_PENDING) != 0;
}
#endif

#ifndef Py_TPFLAGS_IMMUTABLETYPE
#define Py_TPFLAGS_IMMUTABLETYPE 0
#endif
#ifdef Py_GIL_DISABLED
#define CTRIO_FREELISTS 0 /* they would need a lock each */
#else
#define CTRIO_FREELISTS 1
#endif

/* One StopIteration for many results is a free list of one. */
#define CTRIO_KEPT_STOP (CTRIO_AWAIT_BY_ITERNEXT && CTRIO_FREELISTS)
#endif
