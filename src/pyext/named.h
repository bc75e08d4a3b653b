/* named.h - attributes and methods by their C names.
 *
 * PyObject_GetAttrString makes a new string each time, and CPython's cache of types keeps the last
 * 4096 of them alive, which looks like a leak.  An interned one is the same each time. */
#ifndef CTRIO_PYEXT_NAMED_H
#define CTRIO_PYEXT_NAMED_H
#include <Python.h>

static inline PyObject *ctrio__getattr(PyObject *object, const char *name)
{
    PyObject *interned = PyUnicode_InternFromString(name);
    PyObject *value = interned != NULL ? PyObject_GetAttr(object, interned) : NULL;
    Py_XDECREF(interned);
    return value;
}
static inline PyObject *ctrio__call_method0(PyObject *object, const char *name)
{
    PyObject *interned = PyUnicode_InternFromString(name);
    PyObject *result = interned != NULL ? PyObject_CallMethodNoArgs(object, interned) : NULL;
    Py_XDECREF(interned);
    return result;
}
static inline PyObject *ctrio__call_method1(PyObject *object, const char *name, PyObject *arg)
{
    PyObject *interned = PyUnicode_InternFromString(name);
    PyObject *result = interned != NULL ? PyObject_CallMethodOneArg(object, interned, arg) : NULL;
    Py_XDECREF(interned);
    return result;
}
#endif
