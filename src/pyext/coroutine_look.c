/* coroutine_look.c - what people look at in a coroutine: its name, its code, a frame; and what
 * they are told if they never awaited it.
 *
 * Nothing is paid for any of it until somebody looks. */
#include "pyext/coroutine.h"

static PyObject *get_name(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(((struct ctrio__coroutine *)self)->function->name);
}
static PyObject *get_qualname(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(((struct ctrio__coroutine *)self)->function->qualname);
}
static PyObject *get_code(PyObject *self, void *Py_UNUSED(closure))
{
    return ctrio__getattr((PyObject *)((struct ctrio__coroutine *)self)->function, "__code__");
}
/* A frame made on demand, with the stub's file, name and line: nothing is paid until somebody
 * looks. */
static PyObject *get_frame(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    if (coro->state == CORO_DONE)
        Py_RETURN_NONE;
    PyObject *code = get_code(self, NULL);
    if (code == NULL)
        return NULL;
    PyCodeObject *stub = (PyCodeObject *)code;
    const char *file = PyUnicode_AsUTF8(stub->co_filename); /* NULL: a path that is not Unicode */
    const char *name = file != NULL ? PyUnicode_AsUTF8(stub->co_name) : NULL;
    PyCodeObject *empty = name != NULL ? PyCode_NewEmpty(file, name, stub->co_firstlineno) : NULL;
    Py_DECREF(code);
    if (empty == NULL)
        return NULL;
    PyObject *globals = PyDict_New();
    PyFrameObject *frame =
        globals != NULL ? PyFrame_New(PyThreadState_Get(), empty, globals, NULL) : NULL;
    Py_XDECREF(globals);
    Py_DECREF(empty);
#if PY_VERSION_HEX < 0x030b0000 /* 3.11 leaves f_back empty, and inspect asks us for the state */
    if (frame != NULL) {
        Py_CLEAR(frame->f_back);
        if (coro->state != CORO_FRESH)
            frame->f_lasti = 0;
    }
#endif
    return (PyObject *)frame;
}
static PyObject *get_await(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    Py_RETURN_NONE;
}
static PyObject *get_running(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((struct ctrio__coroutine *)self)->state == CORO_RUNNING);
}
static PyObject *get_suspended(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((struct ctrio__coroutine *)self)->state == CORO_PARKED);
}
static PyObject *get_origin(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__coroutine *coro = (struct ctrio__coroutine *)self;
    PyObject *origin = coro->large ? coro->origin : NULL;
    return Py_NewRef(origin != NULL ? origin : Py_None);
}
static PyObject *get_state(PyObject *self, void *Py_UNUSED(closure))
{
    static const char *const texts[] = {"CORO_CREATED", "CORO_SUSPENDED", "CORO_RUNNING",
                                        "CORO_CLOSED"};
    return PyUnicode_FromString(texts[((struct ctrio__coroutine *)self)->state]);
}
PyObject *ctrio__coroutine_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<coroutine object %U at %p>",
                                ((struct ctrio__coroutine *)self)->function->qualname, self);
}

/* When an interpreter ends nothing can be imported; CPython then warns without the origin. */
static int warn_plainly(PyObject *self)
{
    PyErr_Clear();
    return PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%U' was never awaited",
                            ((struct ctrio__coroutine *)self)->function->qualname);
}

void ctrio__coroutine_warn(PyObject *self)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *module = PyImport_ImportModule("warnings");
    PyObject *result =
        module != NULL ? ctrio__call_method1(module, "_warn_unawaited_coroutine", self) : NULL;
    if (result == NULL && (module != NULL || warn_plainly(self) < 0))
        PyErr_WriteUnraisable(self);
    Py_XDECREF(module);
    Py_XDECREF(result);
    if (error != NULL)
        PyErr_SetRaisedException(error);
}

PyGetSetDef ctrio__coroutine_getset[] = {{"__name__", get_name, NULL, NULL, NULL},
                                         {"__qualname__", get_qualname, NULL, NULL, NULL},
                                         {"cr_code", get_code, NULL, NULL, NULL},
                                         {"cr_frame", get_frame, NULL, NULL, NULL},
                                         {"cr_await", get_await, NULL, NULL, NULL},
                                         {"cr_running", get_running, NULL, NULL, NULL},
                                         {"cr_suspended", get_suspended, NULL, NULL, NULL},
                                         {"cr_origin", get_origin, NULL, NULL, NULL},
                                         {"cr_state", get_state, NULL, NULL, NULL},
                                         {NULL, NULL, NULL, NULL, NULL}};
