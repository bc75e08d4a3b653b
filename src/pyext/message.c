/* message.c - the memory of messages: buffers of Python's, held while an operation uses them.
 *
 * Invariant: what the system reads or writes belongs to coro->arg2 from the first attempt to the
 * last.  Memoryviews hold it, not a Py_buffer each: the collector would have to be shown those by
 * hand.  Reading the arguments anew for each attempt, as Trio does, was refused: it finds
 * generators used up, and then sends nothing. */
#include "pyext/message.h"

/* The buffer that PyArg_Parse got says little of where to get it again: of an object with a
 * __buffer__ method (PEP 688) its `obj` is a wrapper, which has none.  So the object is asked once
 * more, and may answer otherwise. */
PyObject *ctrio__hold(PyObject *object, bool writable)
{
    if (PyBytes_CheckExact(object)) {
        CTRIO_ASSERT(!writable);
        return Py_NewRef(object);
    }
    PyObject *view = PyMemoryView_FromObject(object);
    if (view == NULL)
        return NULL;
    const Py_buffer *buffer = PyMemoryView_GET_BUFFER(view);
    if (PyBuffer_IsContiguous(buffer, 'C') && !(writable && buffer->readonly))
        return view;
    Py_DECREF(view);
    PyErr_Format(PyExc_BufferError, "the second buffer of a '%.100s' is not like its first",
                 Py_TYPE(object)->tp_name);
    return NULL;
}

struct iovec ctrio__memory_of(PyObject *piece)
{
    if (PyBytes_CheckExact(piece))
        return (struct iovec){PyBytes_AS_STRING(piece), (size_t)PyBytes_GET_SIZE(piece)};
    const Py_buffer *buffer = PyMemoryView_GET_BUFFER(piece);
    CTRIO_ASSERT(PyBuffer_IsContiguous(buffer, 'C'));
    return (struct iovec){buffer->buf, (size_t)buffer->len};
}

int ctrio__message_hold(struct ctrio__coroutine *coro, PyObject *objects, Py_ssize_t more)
{
    PyObject *tuple = objects != NULL ? PySequence_Tuple(objects) : NULL;
    Py_XDECREF(objects);
    if (tuple == NULL)
        return -1;
    CTRIO_ASSERT(PyTuple_GET_SIZE(tuple) >= more);
    ctrio__message_of(coro)->pieces = PyTuple_GET_SIZE(tuple) - more;
    ctrio__message_of(coro)->held = true;
    Py_XSETREF(coro->arg2, tuple);
    return 0;
}

int ctrio__message_hold_one(struct ctrio__coroutine *coro, PyObject *object, bool writable)
{
    PyObject *piece = ctrio__hold(object, writable);
    PyObject *tuple = piece != NULL ? PyTuple_Pack(1, piece) : NULL;
    Py_XDECREF(piece);
    return ctrio__message_hold(coro, tuple, 0);
}

static PyObject *checked(PyObject *object, int (*check)(PyObject *object, Py_buffer *buffer),
                         bool writable)
{
    Py_buffer buffer;
    if (check(object, &buffer) < 0)
        return NULL;
    PyObject *piece = ctrio__hold(object, writable);
    PyBuffer_Release(&buffer);
    return piece;
}

PyObject *ctrio__message_list(PyObject *objects, const char *method,
                              int (*check)(PyObject *object, Py_buffer *buffer), bool writable)
{
    char text[64];
    snprintf(text, sizeof text, "%s() argument 1 must be an iterable", method);
    PyObject *fast = PySequence_Fast(objects, text);
    PyObject *items = fast != NULL ? PySequence_Tuple(fast) : NULL; /* a list may change */
    Py_XDECREF(fast);
    if (items == NULL)
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    PyObject *list = NULL;
    if (count > INT_MAX)
        PyErr_Format(PyExc_OSError, "%s() argument 1 is too long", method);
    else
        list = PyList_New(0);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *piece = checked(PyTuple_GET_ITEM(items, i), check, writable);
        if (piece == NULL || PyList_Append(list, piece) < 0)
            Py_CLEAR(list);
        Py_XDECREF(piece);
    }
    Py_DECREF(items);
    return list;
}

struct iovec *ctrio__message_pieces(struct ctrio__coroutine *coro, struct iovec few[CTRIO__FEW])
{
    Py_ssize_t pieces = ctrio__message_of(coro)->pieces;
    struct iovec *list = pieces <= CTRIO__FEW ? few : PyMem_New(struct iovec, (size_t)pieces);
    CTRIO_ASSERT(ctrio__message_of(coro)->held);
    if (list == NULL)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; list != NULL && i < pieces; i++)
        list[i] = ctrio__memory_of(PyTuple_GET_ITEM(coro->arg2, i));
    return list;
}
