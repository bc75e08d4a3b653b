/* ki.c - where a KeyboardInterrupt may strike, and how it gets to the main task otherwise.
 *
 * The answer is found by walking the Python frames from the interrupted one, when it is asked for
 * and at no other time: a function is marked through its code object, by identity, in a slot of
 * the code object that dies with it.  C functions have no frame.  So that code called by our C is
 * told from code that calls it, the run remembers the frame a call-out was made from, and that
 * frame is only ever compared: holding it would cost, and nobody looks into it.
 *
 * The handler is a C function: one in Python could be interrupted itself. */
#include "pyext/calls.h"

enum mark { MARK_NONE, MARK_PROTECTED, MARK_UNPROTECTED };

/* --- call-outs ----------------------------------------------------------------------------- */

PyObject *ctrio__callout_begin(struct ctrio__py_runner *runner)
{
    if (runner == NULL)
        return NULL;
    PyObject *previous = runner->callout;
    runner->callout = (PyObject *)PyEval_GetFrame();
    return previous;
}

void ctrio__callout_end(struct ctrio__py_runner *runner, PyObject *previous)
{
    if (runner != NULL)
        runner->callout = previous;
}

/* --- the walk ------------------------------------------------------------------------------ */

static enum mark mark_of(const struct ctrio__state *state, PyCodeObject *code)
{
    void *mark = NULL;
    if (PyUnstable_Code_GetExtra((PyObject *)code, state->ki_index, &mark) < 0)
        PyErr_Clear();
    CTRIO_ASSERT((uintptr_t)mark <= MARK_UNPROTECTED);
    return (enum mark)(uintptr_t)mark;
}

/* The frame at the bottom of the task's coroutine; NULL, without an error, if it has none. */
static PyObject *bottom_frame(const struct ctrio__state *state, const struct ctrio__py_task *task)
{
    PyObject *coro = task->coro;
    if (coro == NULL || ctrio__is_coroutine(state, coro))
        return NULL; /* ours: its frame is made to be looked at, and never runs */
    Py_INCREF(coro);
    PyObject *frame = PyObject_GetAttr(coro, state->names.cr_frame);
    if (frame == NULL) {
        PyErr_Clear();
        frame = PyObject_GetAttr(coro, state->names.gi_frame);
    }
    if (frame == NULL)
        PyErr_Clear();
    Py_DECREF(coro);
    return frame;
}

/* What one frame says; MARK_NONE: ask its caller.  The frame that we were called from counts
 * before its own mark: what it was doing is us. */
static enum mark judge(const struct ctrio__state *state, PyFrameObject *frame,
                       const struct ctrio__py_task *task, PyObject *task_frame)
{
    PyObject *object = (PyObject *)frame;
    const struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    if (runner != NULL && (object == runner->callout || object == runner->frame))
        return MARK_PROTECTED;
    PyCodeObject *code = PyFrame_GetCode(frame);
    enum mark mark = mark_of(state, code);
    if (mark == MARK_NONE && PyUnicode_CompareWithASCIIString(code->co_name, "__del__") == 0)
        mark = MARK_PROTECTED;
    Py_DECREF(code);
    if (mark == MARK_NONE && object == task_frame)
        mark = task->ki_protected ? MARK_PROTECTED : MARK_UNPROTECTED;
    return mark;
}

/* `frame` may be NULL. */
static bool is_protected(const struct ctrio__state *state, PyFrameObject *frame)
{
    struct ctrio__py_task *task = ctrio__peek_task(state);
    Py_XINCREF(task);
    PyObject *task_frame = task != NULL ? bottom_frame(state, task) : NULL;
    enum mark mark = MARK_NONE;
    Py_XINCREF(frame);
    while (frame != NULL && mark == MARK_NONE) {
        mark = judge(state, frame, task, task_frame);
        Py_SETREF(frame, PyFrame_GetBack(frame));
    }
    Py_XDECREF(frame);
    Py_XDECREF(task_frame);
    Py_XDECREF(task);
    return mark != MARK_UNPROTECTED;
}

/* --- the handler --------------------------------------------------------------------------- */

static void entry_deliver(struct ctrio__entry *entry, struct ctrio_run *run)
{
    struct ctrio__py_runner *runner = ctrio__container(entry, struct ctrio__py_runner, ki_entry);
    CTRIO_ASSERT(runner->ki_queued);
    runner->ki_queued = false;
    if (run != NULL)
        ctrio__run_deliver_interrupt(run);
}

/* Whoever ends the run looks at interrupt_pending when it is too late for a checkpoint. */
void ctrio__ki_deliver(struct ctrio__py_runner *runner)
{
    runner->run.interrupt_pending = true;
    if (runner->ki_queued)
        return;
    runner->ki_queued = true;
    runner->ki_entry.fn = entry_deliver;
    if (ctrio__entry_queue_push(&runner->run, &runner->ki_entry) < 0)
        runner->ki_queued = false;
}

static PyObject *handle_interrupt(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    struct ctrio__py_runner *runner = (struct ctrio__py_runner *)self;
    if (nargs != 2 || (args[1] != Py_None && !PyFrame_Check(args[1]))) {
        PyErr_SetString(PyExc_TypeError, "a signal handler takes a number and a frame");
        return NULL;
    }
    PyFrameObject *frame = args[1] != Py_None ? (PyFrameObject *)args[1] : NULL;
    if (runner->ki_at_checkpoints || is_protected(runner->state, frame)) {
        ctrio__ki_deliver(runner);
        Py_RETURN_NONE;
    }
    if (frame != NULL && ctrio__ki_would_lose(frame)) {
        PyErr_SetInterrupt(); /* to where CPython looks next, as it does in every loop */
        Py_RETURN_NONE;
    }
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return NULL;
}
static PyMethodDef handler = {"handle_interrupt", (PyCFunction)(void (*)(void))handle_interrupt,
                              METH_FASTCALL, "The run's handler of SIGINT."};

static bool is_handler_of(const struct ctrio__py_runner *runner, PyObject *object)
{
    return PyCFunction_CheckExact(object) && ((PyCFunctionObject *)object)->m_ml == &handler &&
           PyCFunction_GET_SELF(object) == (const PyObject *)runner;
}

/* What we need of `_signal` (`signal` only adds enums to it), looked up when a run begins: its end
 * may have no memory for names, and the handler has to go all the same. */
enum { GETSIGNAL, SIGNAL, SIGINT_NUMBER, STANDARD, PARTS };

static PyObject *parts_of_signal(void)
{
    static const char *const names[PARTS] = {"getsignal", "signal", "SIGINT",
                                             "default_int_handler"};
    PyObject *signals = PyImport_ImportModule("_signal");
    PyObject *parts = signals != NULL ? PyTuple_New(PARTS) : NULL;
    for (int i = 0; parts != NULL && i < PARTS; i++) {
        PyObject *part = ctrio__getattr(signals, names[i]);
        if (part != NULL)
            PyTuple_SET_ITEM(parts, i, part);
        else
            Py_CLEAR(parts);
    }
    Py_XDECREF(signals);
    return parts;
}

static PyObject *present_handler(PyObject *parts)
{
    return PyObject_CallOneArg(PyTuple_GET_ITEM(parts, GETSIGNAL),
                               PyTuple_GET_ITEM(parts, SIGINT_NUMBER));
}
static int set_handler(PyObject *parts, PyObject *to)
{
    PyObject *args[] = {PyTuple_GET_ITEM(parts, SIGINT_NUMBER), to};
    PyObject *result = PyObject_Vectorcall(PyTuple_GET_ITEM(parts, SIGNAL), args, 2, NULL);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* In place of Python's own handler; somebody else's is left alone. */
static int install(struct ctrio__py_runner *runner, PyObject *parts)
{
    PyObject *present = present_handler(parts);
    int result = present != NULL ? 0 : -1;
    if (present != NULL && present == PyTuple_GET_ITEM(parts, STANDARD)) {
        PyObject *ours = PyCFunction_New(&handler, (PyObject *)runner);
        result = ours != NULL ? set_handler(parts, ours) : -1;
        Py_XDECREF(ours);
        if (result == 0) {
            runner->ki_undo = Py_NewRef(parts);
        } else if (PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear(); /* not the main thread: no signal arrives here */
            result = 0;
        }
    }
    Py_XDECREF(present);
    return result;
}

static int put_back(struct ctrio__py_runner *runner)
{
    PyObject *parts = runner->ki_undo;
    PyObject *present = present_handler(parts);
    int result = present != NULL ? 0 : -1;
    if (present != NULL && is_handler_of(runner, present))
        result = set_handler(parts, PyTuple_GET_ITEM(parts, STANDARD));
    Py_XDECREF(present);
    return result;
}

bool ctrio__ki_install(struct ctrio__py_runner *runner)
{
    CTRIO_ASSERT(runner->ki_undo == NULL);
    runner->frame = (PyObject *)PyEval_GetFrame();
    PyObject *parts = parts_of_signal();
    int result = parts != NULL ? install(runner, parts) : -1;
    Py_XDECREF(parts);
    return result == 0;
}

/* Changing a handler first runs those of signals that have arrived.  Ours defers; one of the
 * user's may raise, and then nothing was changed: once more. */
void ctrio__ki_remove(struct ctrio__py_runner *runner)
{
    if (runner->ki_undo != NULL) {
        PyObject *error = PyErr_GetRaisedException();
        PyObject *previous = ctrio__callout_begin(runner);
        if (put_back(runner) < 0) {
            ctrio__runner_fail(runner);
            if (put_back(runner) < 0)
                PyErr_Clear();
        }
        ctrio__callout_end(runner, previous);
        Py_CLEAR(runner->ki_undo);
        if (error != NULL)
            PyErr_SetRaisedException(error);
    }
    runner->frame = NULL;
}

/* --- for Python ---------------------------------------------------------------------------- */

/* async_generator's functions (the package) keep the real one in __wrapped__, and say so by an
 * attribute that is their own id. */
static PyObject *function_to_mark(PyObject *function)
{
    PyObject *id = ctrio__getattr(function, "_async_gen_function");
    bool wraps = id != NULL && PyLong_Check(id) && PyLong_AsVoidPtr(id) == function;
    Py_XDECREF(id);
    PyErr_Clear();
    return wraps ? ctrio__getattr(function, "__wrapped__") : Py_NewRef(function);
}

/* Our own functions are C: no frame of theirs is ever met. */
static bool is_ours(const struct ctrio__state *state, PyObject *function)
{
    if (PyMethod_Check(function))
        function = PyMethod_GET_FUNCTION(function);
    return Py_IS_TYPE(function, state->types[TYPE_ASYNC_FUNCTION]) ||
           Py_IS_TYPE(function, state->types[TYPE_SYNC_FUNCTION]);
}

static PyObject *put_mark(PyObject *module, PyObject *function, enum mark mark)
{
    struct ctrio__state *state = PyModule_GetState(module);
    if (is_ours(state, function))
        return Py_NewRef(function);
    PyObject *marked = function_to_mark(function);
    PyObject *code = marked != NULL ? PyObject_GetAttr(marked, state->names.dunder_code) : NULL;
    int result = -1;
    if (code != NULL && PyCode_Check(code))
        result = PyUnstable_Code_SetExtra(code, state->ki_index, (void *)(uintptr_t)mark);
    else if (code != NULL)
        PyErr_Format(PyExc_TypeError, "%R has no code object that could be marked", function);
    Py_XDECREF(code);
    Py_XDECREF(marked);
    return result == 0 ? Py_NewRef(function) : NULL;
}
static PyObject *enable_ki_protection(PyObject *module, PyObject *function)
{
    return put_mark(module, function, MARK_PROTECTED);
}
static PyObject *disable_ki_protection(PyObject *module, PyObject *function)
{
    return put_mark(module, function, MARK_UNPROTECTED);
}
static PyObject *currently_ki_protected(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(is_protected(PyModule_GetState(module), PyEval_GetFrame()));
}

static PyMethodDef functions[] = {
    {"enable_ki_protection", enable_ki_protection, METH_O,
     "enable_ki_protection($module, f, /)\n--\n\n"
     "Decorate a function in which no KeyboardInterrupt is to be raised.\n\n"
     "Nor is one in what it calls. It is raised in the main task instead, at a checkpoint.\n\n"
     "Args:\n    f: A function of any kind: async, generators, ...\n\n"
     "Returns:\n    The same function, which is marked."},
    {"disable_ki_protection", disable_ki_protection, METH_O,
     "disable_ki_protection($module, f, /)\n--\n\n"
     "Decorate a function in which a KeyboardInterrupt may be raised anywhere.\n\n"
     "Also when it is called by a function that is protected.\n\n"
     "Args:\n    f: A function of any kind: async, generators, ...\n\n"
     "Returns:\n    The same function, which is marked."},
    {"currently_ki_protected", currently_ki_protected, METH_NOARGS,
     "currently_ki_protected($module, /)\n--\n\n"
     "Tell whether a KeyboardInterrupt would have to wait if it came now."},
    {NULL, NULL, 0, NULL}};

int ctrio__exec_ki(PyObject *module, struct ctrio__state *state)
{
    state->ki_index = PyUnstable_Eval_RequestCodeExtraIndex(NULL);
    if (state->ki_index < 0) {
        PyErr_SetString(PyExc_ImportError,
                        "other modules have taken all the room that code objects have for marks");
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
