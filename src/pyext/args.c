/* args.c - positional and keyword arguments, with the texts that Python functions give.
 *
 * A name with a dot in it is a method's, whose count includes self, as Python's does. */
#include "pyext/coroutine.h"

static Py_ssize_t index_of(PyObject *name, const char *const *names, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0)
            return i;
    return -1;
}

static int refuse_count(const char *function, Py_ssize_t given, Py_ssize_t required,
                        Py_ssize_t positional)
{
    Py_ssize_t self = strchr(function, '.') != NULL;
    const char *were = given + self == 1 ? "was" : "were";
    if (required < positional)
        PyErr_Format(PyExc_TypeError,
                     "%s() takes from %zd to %zd positional arguments but %zd %s given", function,
                     required + self, positional + self, given + self, were);
    else
        PyErr_Format(PyExc_TypeError, "%s() takes %zd positional argument%s but %zd %s given",
                     function, positional + self, positional + self == 1 ? "" : "s", given + self,
                     were);
    return -1;
}

static int take_keyword(const char *function, PyObject *name, PyObject *value,
                        const char *const *names, Py_ssize_t count, PyObject **out)
{
    Py_ssize_t at = index_of(name, names, count);
    if (at < 0) {
        PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function,
                     name);
        return -1;
    }
    if (out[at] != NULL) {
        PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", function, name);
        return -1;
    }
    out[at] = value;
    return 0;
}

/* 'a', 'b', and 'c' */
static PyObject *list_missing(const char *const *names, Py_ssize_t required, PyObject **out,
                              Py_ssize_t missing)
{
    PyObject *text = PyUnicode_FromString("");
    Py_ssize_t left = missing;
    for (Py_ssize_t i = 0; text != NULL && i < required; i++) {
        if (out[i] != NULL)
            continue;
        const char *joint = "";
        if (left < missing)
            joint = left > 1 ? ", " : missing > 2 ? ", and " : " and ";
        Py_SETREF(text, PyUnicode_FromFormat("%U%s'%s'", text, joint, names[i]));
        left--;
    }
    return text;
}

static int check_missing(const char *function, const char *const *names, Py_ssize_t required,
                         PyObject **out)
{
    Py_ssize_t missing = 0;
    for (Py_ssize_t i = 0; i < required; i++)
        missing += out[i] == NULL;
    if (missing == 0)
        return 0;
    PyObject *text = list_missing(names, required, out, missing);
    if (text != NULL)
        PyErr_Format(PyExc_TypeError, "%s() missing %zd required positional argument%s: %U",
                     function, missing, missing == 1 ? "" : "s", text);
    Py_XDECREF(text);
    return -1;
}

int ctrio__parse_keywords(const char *function, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames, const char *const *names, Py_ssize_t required,
                          Py_ssize_t positional, Py_ssize_t count, PyObject **out)
{
    CTRIO_ASSERT(required <= positional && positional <= count);
    if (nargs > positional)
        return refuse_count(function, nargs, required, positional);
    for (Py_ssize_t i = 0; i < count; i++)
        out[i] = i < nargs ? args[i] : NULL;
    Py_ssize_t keywords = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < keywords; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        if (take_keyword(function, name, args[nargs + i], names, count, out) < 0)
            return -1;
    }
    return check_missing(function, names, required, out);
}

int ctrio__parse(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                 const char *const *names, Py_ssize_t required, Py_ssize_t count, PyObject **out)
{
    return ctrio__parse_keywords(function, args, nargs, kwnames, names, required, count, count,
                                 out);
}

int ctrio__parse_nothing(const char *function, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    if (nargs == 0 && (kwnames == NULL || PyTuple_GET_SIZE(kwnames) == 0))
        return 0;
    return ctrio__parse(function, args, nargs, kwnames, NULL, 0, 0, NULL);
}

int ctrio__parse_tuple(const char *function, PyObject *args, PyObject *kwargs,
                       const char *const *names, Py_ssize_t required, Py_ssize_t positional,
                       Py_ssize_t count, PyObject **out)
{
    Py_ssize_t nargs = args != NULL ? PyTuple_GET_SIZE(args) : 0;
    PyObject *name, *value;
    Py_ssize_t at = 0;
    CTRIO_ASSERT(required <= positional && positional <= count);
    if (nargs > positional)
        return refuse_count(function, nargs, required, positional);
    for (Py_ssize_t i = 0; i < count; i++)
        out[i] = i < nargs ? PyTuple_GET_ITEM(args, i) : NULL;
    while (kwargs != NULL && PyDict_Next(kwargs, &at, &name, &value))
        if (take_keyword(function, name, value, names, count, out) < 0)
            return -1;
    return check_missing(function, names, required, out);
}

int ctrio__seconds(PyObject *object, double *out)
{
    *out = PyFloat_AsDouble(object);
    if (*out != -1.0 || !PyErr_Occurred())
        return 0;
    PyObject *error = PyErr_GetRaisedException();
    PyObject *zero = PyLong_FromLong(0);
    int less = zero != NULL ? PyObject_RichCompareBool(object, zero, Py_LT) : -1;
    Py_XDECREF(zero);
    if (less < 0)
        Py_DECREF(error); /* Trio compares first: its text */
    else
        PyErr_SetRaisedException(error);
    return -1;
}

PyObject *ctrio__no_constructor(PyTypeObject *type, PyObject *Py_UNUSED(args),
                                PyObject *Py_UNUSED(kwargs))
{
    PyObject *module = ctrio__getattr((PyObject *)type, "__module__");
    if (module != NULL)
        PyErr_Format(PyExc_TypeError, "%S.%s has no public constructor", module, type->tp_name);
    Py_XDECREF(module);
    return NULL;
}
