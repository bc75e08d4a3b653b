/* ki_code.c - where a KeyboardInterrupt would lose something, and so waits for the next place.
 *
 * CPython looks for signals when a call of C code has returned, before the instruction that does
 * something with the result.  A call of Python code has no such gap: there it looks when the call
 * begins (3.10 afterwards too).  So what callers know of functions in Python is made true of ours,
 * by looking at the bytecode of the interrupted call, when a signal has come and at no other time.
 *
 * Only calls count that are sure not to wait for anything.  The handler cannot see whether it runs
 * after a call or in the middle of one that a signal has woken, like `input()`; that one would go
 * on waiting, and Ctrl-C be without effect.  So a call is recognised by the name of its method, and
 * not, which would cover more, by a `try:` behind it.
 *
 * Refused: a flag set by our functions that take something.  It costs a store each, and nobody
 * takes it back, so that it delays an interrupt that has to do with something else. */
#include <opcode.h>
#include <string.h>

#include "pyext/calls.h"

/* A code object's instructions, as the compiler made them: two bytes each, and after some of them
 * room for the interpreter's notes, in which all is 0. */
struct text {
    PyObject *bytes;
    const unsigned char *units;
    Py_ssize_t count;
};
enum { NOTES = 0, BYTES_A_UNIT = 2, BITS_OF_ARGUMENT = 8 };

static struct text text_of(PyCodeObject *code)
{
#if PY_VERSION_HEX < 0x030b0000
    struct text text = {.bytes = Py_NewRef(code->co_code)};
#else
    struct text text = {.bytes = PyCode_GetCode(code)};
#endif
    if (text.bytes == NULL) {
        PyErr_Clear(); /* no memory to look closer */
        return text;
    }
    text.units = (const unsigned char *)PyBytes_AS_STRING(text.bytes);
    text.count = PyBytes_GET_SIZE(text.bytes) / BYTES_A_UNIT;
    return text;
}

/* Which instruction the frame is in; negative: none as yet. */
static Py_ssize_t position(PyFrameObject *frame)
{
#if PY_VERSION_HEX < 0x030b0000
    return frame->f_lasti;
#else
    int offset = PyFrame_GetLasti(frame);
    return offset < 0 ? -1 : offset / BYTES_A_UNIT;
#endif
}

static int opcode_at(const struct text *text, Py_ssize_t at)
{
    CTRIO_ASSERT(at >= 0 && at < text->count);
    return text->units[at * BYTES_A_UNIT];
}

static Py_ssize_t argument_at(const struct text *text, Py_ssize_t at)
{
    Py_ssize_t argument = text->units[at * BYTES_A_UNIT + 1];
    for (int shift = BITS_OF_ARGUMENT; shift <= 3 * BITS_OF_ARGUMENT; shift += BITS_OF_ARGUMENT) {
        if (--at < 0 || opcode_at(text, at) != EXTENDED_ARG)
            break;
        argument |= (Py_ssize_t)text->units[at * BYTES_A_UNIT + 1] << shift;
    }
    return argument;
}

/* --- what an instruction is ---------------------------------------------------------------- */

static bool is_call(int opcode)
{
    switch (opcode) {
#if PY_VERSION_HEX < 0x030b0000
    case CALL_FUNCTION:
    case CALL_FUNCTION_KW:
    case CALL_METHOD:
#else
    case CALL:
#endif
#if PY_VERSION_HEX >= 0x030d0000
    case CALL_KW:
#endif
    case CALL_FUNCTION_EX:
        return true;
    default:
        return false;
    }
}

/* 3.11 prepares a call by an instruction of its own, and once it knows what is called, does the
 * whole call there. */
static bool is_first_half_of_call(int opcode)
{
#if PY_VERSION_HEX >= 0x030b0000 && PY_VERSION_HEX < 0x030c0000
    return opcode == PRECALL;
#else
    (void)opcode;
    return false;
#endif
}

/* Loads of what a call is going to call, which pair up with the calls like parentheses. */
static bool loads_function(int opcode, Py_ssize_t argument)
{
#if PY_VERSION_HEX < 0x030b0000
    (void)opcode, (void)argument;
    return false; /* they look like others, but only methods are called by CALL_METHOD */
#else
    bool for_call = (argument & 1) != 0;
#if PY_VERSION_HEX >= 0x030c0000
    if (opcode == LOAD_SUPER_ATTR && for_call)
        return true;
#endif
    return opcode == PUSH_NULL || (opcode == LOAD_GLOBAL && for_call);
#endif
}

/* The index of the method's name; -1: loads no method. */
static Py_ssize_t loads_method(int opcode, Py_ssize_t argument)
{
#if PY_VERSION_HEX < 0x030c0000
    return opcode == LOAD_METHOD ? argument : -1;
#else
    return opcode == LOAD_ATTR && (argument & 1) != 0 ? argument >> 1 : -1;
#endif
}

static bool can_call_method(int opcode)
{
#if PY_VERSION_HEX < 0x030b0000
    return opcode == CALL_METHOD;
#else
    return opcode != CALL_FUNCTION_EX;
#endif
}

/* --- what a call is ------------------------------------------------------------------------ */

/* `await f()`, and the end of `async with`: without its await the call was in vain. */
static bool is_awaited(const struct text *text, Py_ssize_t call)
{
    bool in_half = is_first_half_of_call(opcode_at(text, call));
    for (Py_ssize_t at = call + 1; at < text->count; at++) {
        int opcode = opcode_at(text, at);
        if (in_half && is_call(opcode))
            in_half = false;
        else if (opcode != NOTES && opcode != EXTENDED_ARG)
            return opcode == GET_AWAITABLE;
    }
    return false;
}

/* `with`, where it calls `__enter__` by an instruction like any other, so that `__exit__` could be
 * lost.  That may be the `__enter__` of a lock in which the signal has just woken us. */
static bool is_enter(const struct text *text, Py_ssize_t call)
{
#if PY_VERSION_HEX < 0x030e0000
    (void)text, (void)call;
    return false;
#else
    return call > 0 && opcode_at(text, call - 1) == LOAD_SPECIAL && !ctrio__noticed_in_call();
#endif
}

/* The name of the method that is called: the load nearest before the call, if there is no other
 * call in between.  Borrowed; NULL, without an error: none, or not to be told. */
static PyObject *name_of_method(const struct text *text, Py_ssize_t call, PyObject *names)
{
    if (!can_call_method(opcode_at(text, call)))
        return NULL;
    for (Py_ssize_t at = call - 1; at >= 0; at--) {
        int opcode = opcode_at(text, at);
        Py_ssize_t argument = argument_at(text, at);
        Py_ssize_t index = loads_method(opcode, argument);
        if (index >= 0)
            return index < PyTuple_GET_SIZE(names) ? PyTuple_GET_ITEM(names, index) : NULL;
        if (is_call(opcode) || loads_function(opcode, argument))
            return NULL;
    }
    return NULL;
}

/* What it took or made is known to nobody yet, and by their names they do not wait. */
static bool takes_something(PyObject *name)
{
    static const char suffix[] = "_nowait";
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(name, &length);
    if (text == NULL) {
        PyErr_Clear();
        return false;
    }
    Py_ssize_t tail = (Py_ssize_t)sizeof(suffix) - 1;
    return (length > tail && memcmp(text + length - tail, suffix, (size_t)tail) == 0) ||
           strcmp(text, "clone") == 0;
}

bool ctrio__ki_would_lose(PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    struct text text = text_of(code);
    Py_ssize_t at = position(frame);
    bool result = false;
    if (at >= 0 && at < text.count) {
        int opcode = opcode_at(&text, at);
        if (is_call(opcode) || is_first_half_of_call(opcode)) {
            PyObject *name = name_of_method(&text, at, code->co_names);
            result = is_awaited(&text, at) || is_enter(&text, at) ||
                     (name != NULL && takes_something(name));
        }
    }
    Py_XDECREF(text.bytes);
    Py_DECREF(code);
    return result;
}
