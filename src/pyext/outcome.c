/* outcome.c - exceptions in, exceptions out.
 *
 * A stored exception is raised by PyErr_SetObject, which sets __context__ as `raise` does;
 * PyErr_SetRaisedException would leave it alone, which is what an exit wants that replaces an
 * exception by another (CPython's own `raise` inside __exit__ cannot do that without the dance in
 * Trio's Python).  Our own reference goes first, so that nobody but the error state holds it. */
#include "pyext/outcome.h"
#include "pyext/calls.h"

/* --- reasons ----------------------------------------------------------------------- */

struct py_reason {
    struct ctrio__reason reason;
    PyObject *source_task, *text; /* str; NULL: none */
};

struct ctrio__reason *ctrio__reason_new(enum ctrio__source source, PyObject *source_task,
                                        PyObject *text)
{
    struct py_reason *made = PyMem_Malloc(sizeof *made);
    if (made == NULL)
        return NULL;
    made->reason = (struct ctrio__reason){&ctrio__python, 1, source};
    made->source_task = source_task != Py_None ? Py_XNewRef(source_task) : NULL;
    made->text = text != Py_None ? Py_XNewRef(text) : NULL;
    return &made->reason;
}

static const struct py_reason *details(const struct ctrio__reason *reason)
{
    if (reason == NULL || reason->frontend != &ctrio__python)
        return NULL;
    return (const struct py_reason *)(const void *)reason;
}

void ctrio__py_reason_free(struct ctrio__reason *reason)
{
    struct py_reason *freed = (struct py_reason *)(void *)reason;
    PyObject *source_task = freed->source_task;
    PyObject *text = freed->text;
    PyMem_Free(freed);
    Py_XDECREF(source_task);
    Py_XDECREF(text);
}

PyObject *ctrio__reason_source_task(const struct ctrio__reason *reason)
{
    const struct py_reason *known = details(reason);
    return known != NULL ? known->source_task : NULL;
}

PyObject *ctrio__reason_text(const struct ctrio__reason *reason)
{
    const struct py_reason *known = details(reason);
    return known != NULL ? known->text : NULL;
}

static PyObject *source_of(const struct ctrio__state *state, const struct ctrio__reason *reason)
{
    switch (reason != NULL ? reason->source : CTRIO__BY_UNKNOWN) {
    case CTRIO__BY_DEADLINE:
        return state->names.deadline;
    case CTRIO__BY_EXPLICIT:
        return state->names.explicit;
    case CTRIO__BY_NURSERY:
        return state->names.nursery;
    case CTRIO__BY_SHUTDOWN:
        return state->names.shutdown;
    case CTRIO__BY_INTERRUPT:
        return state->names.interrupt;
    default:
        return state->names.unknown;
    }
}

static PyObject *words_for(enum ctrio__blame blame, const struct ctrio__outcome *failure)
{
    PyObject *exception = failure != NULL ? failure->value : NULL;
    switch (blame) {
    case CTRIO__CHILD_FAILED:
        if (exception == NULL)
            return Py_NewRef(Py_None);
        return PyUnicode_FromFormat("child task raised exception %R", exception);
    case CTRIO__BODY_FAILED:
        if (exception == NULL)
            return Py_NewRef(Py_None);
        return PyUnicode_FromFormat("Code block inside nursery contextmanager raised exception %R",
                                    exception);
    case CTRIO__PARENT_EXITED:
        return PyUnicode_FromString("Parent Task exited prematurely, abandoning this nursery "
                                    "without exiting it properly.");
    case CTRIO__MAIN_EXITED:
        return PyUnicode_FromString("main task done, shutting down system tasks");
    case CTRIO__SYSTEM_FINISHED:
        return PyUnicode_FromString("main task done, shutting down run_sync_soon callbacks");
    default:
        return Py_NewRef(Py_None);
    }
}

struct ctrio__reason *ctrio__py_reason_make(enum ctrio__blame blame, struct ctrio_task *task,
                                            const struct ctrio__outcome *failure)
{
    enum ctrio__source source = CTRIO__BY_NURSERY;
    if (blame == CTRIO__MAIN_EXITED || blame == CTRIO__SYSTEM_FINISHED)
        source = CTRIO__BY_SHUTDOWN;
    else if (blame == CTRIO__MAIN_INTERRUPTED)
        source = CTRIO__BY_INTERRUPT;
    PyObject *error = PyErr_GetRaisedException();
    struct ctrio__py_runner *runner = ctrio__py_runner_from(task->run);
    PyObject *previous = ctrio__callout_begin(runner);
    PyObject *source_task = PyObject_Repr((PyObject *)ctrio__py_task_from(task));
    PyObject *text = source_task != NULL ? words_for(blame, failure) : NULL;
    ctrio__callout_end(runner, previous);
    if (text == NULL) { /* a repr that raises loses neither the cancellation nor an interrupt */
        if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
            ctrio__ki_deliver(runner);
        PyErr_Clear();
    }
    struct ctrio__reason *reason = ctrio__reason_new(source, source_task, text);
    Py_XDECREF(source_task);
    Py_XDECREF(text);
    if (error != NULL)
        PyErr_SetRaisedException(error);
    return reason;
}

PyObject *ctrio__cancelled_new(struct ctrio__state *state, const struct ctrio__reason *reason)
{
    PyTypeObject *type = (PyTypeObject *)state->bound.Cancelled;
    PyTypeObject *base = (PyTypeObject *)PyExc_BaseException;
    PyObject *made = base->tp_new(type, state->empty_tuple, NULL);
    if (made == NULL)
        return NULL;
    struct ctrio__cancelled *cancelled = (struct ctrio__cancelled *)made;
    cancelled->source = Py_NewRef(source_of(state, reason));
    cancelled->source_task = Py_XNewRef(ctrio__reason_source_task(reason));
    if (reason == &ctrio__reason_misnesting)
        cancelled->reason = Py_NewRef(state->names.misnesting);
    else
        cancelled->reason = Py_XNewRef(ctrio__reason_text(reason));
    return made;
}

/* --- out: raising ------------------------------------------------------------------ */

void ctrio__raise_object(PyObject *exception)
{
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_DECREF(exception);
}

void ctrio__raise_saving_context(PyObject *exception)
{
    PyObject *context = PyException_GetContext(exception);
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    PyException_SetContext(exception, context);
    Py_DECREF(exception);
}

void ctrio__hide_context(void)
{
    PyObject *error = PyErr_GetRaisedException();
    CTRIO_ASSERT(error != NULL);
    PyException_SetCause(error, NULL);
    PyErr_SetRaisedException(error);
}

static PyObject *class_for(struct ctrio__state *state, int code)
{
    switch (code) {
    case CTRIO_TOO_SLOW:
        return state->bound.TooSlowError;
    case CTRIO_WOULD_BLOCK:
        return state->bound.WouldBlock;
    case CTRIO_BUSY_RESOURCE:
        return state->bound.BusyResourceError;
    case CTRIO_CLOSED_RESOURCE:
        return state->bound.ClosedResourceError;
    case CTRIO_BROKEN_RESOURCE:
        return state->bound.BrokenResourceError;
    case CTRIO_END_OF_CHANNEL:
        return state->bound.EndOfChannel;
    case CTRIO_RUN_FINISHED:
        return state->bound.RunFinishedError;
    case CTRIO_INTERRUPTED:
        return PyExc_KeyboardInterrupt;
    default:
        return NULL;
    }
}

static PyObject *os_error(int code)
{
    if (code == -ENOMEM)
        return PyObject_CallNoArgs(PyExc_MemoryError);
    return PyObject_CallFunction(PyExc_OSError, "is", -code, strerror(-code));
}

PyObject *ctrio__exception_of(struct ctrio__state *state, struct ctrio__outcome *io)
{
    CTRIO_ASSERT(io->code < 0);
    struct ctrio__outcome taken = *io;
    *io = (struct ctrio__outcome){0, NULL};
    if (taken.code == CTRIO_FOREIGN || taken.code == CTRIO_GROUP)
        return taken.value;
    if (taken.code == CTRIO_CANCELLED) {
        PyObject *made = ctrio__cancelled_new(state, taken.value);
        ctrio__reason_drop(taken.value);
        return made;
    }
    if (taken.code == CTRIO_MISUSE)
        return PyObject_CallFunction(PyExc_RuntimeError, "s",
                                     taken.value != NULL ? (const char *)taken.value : "misuse");
    PyObject *class = class_for(state, taken.code);
    return class != NULL ? PyObject_CallNoArgs(class) : os_error(taken.code);
}

PyObject *ctrio__exception_taken(struct ctrio__state *state, struct ctrio__outcome *io)
{
    PyObject *exception = io->value;
    if (exception == NULL || io->code == CTRIO_MISUSE)
        exception = ctrio__exception_of(state, io);
    *io = (struct ctrio__outcome){0, NULL};
    return exception != NULL ? exception : PyErr_GetRaisedException();
}

PyObject *ctrio__raise(struct ctrio__state *state, struct ctrio__outcome *io)
{
    PyObject *exception = ctrio__exception_of(state, io);
    if (exception != NULL)
        ctrio__raise_object(exception);
    return NULL;
}

PyObject *ctrio__exit_result(struct ctrio__state *state, struct ctrio__outcome *io,
                             PyObject *original)
{
    (void)state;
    if (io->code >= 0)
        Py_RETURN_TRUE;
    PyObject *remaining = io->value;
    *io = (struct ctrio__outcome){0, NULL};
    if (remaining == original) {
        Py_DECREF(remaining);
        Py_RETURN_FALSE;
    }
    ctrio__raise_saving_context(remaining);
    return NULL;
}

/* --- in: failures ------------------------------------------------------------------ */

struct ctrio__outcome ctrio__outcome_from_exception(struct ctrio__state *state, PyObject *exception)
{
    int code = CTRIO_FOREIGN;
    if (PyObject_TypeCheck(exception, (PyTypeObject *)state->bound.Cancelled))
        code = CTRIO_CANCELLED;
    else if (PyObject_TypeCheck(exception, (PyTypeObject *)state->exception_group))
        code = CTRIO_GROUP;
    return (struct ctrio__outcome){code, exception};
}

struct ctrio__outcome ctrio__outcome_from_error(struct ctrio__state *state)
{
    PyObject *exception = PyErr_GetRaisedException();
    CTRIO_ASSERT(exception != NULL);
    return ctrio__outcome_from_exception(state, exception);
}

void ctrio__py_outcome_drop(struct ctrio__outcome *outcome)
{
    PyObject *value = outcome->value;
    *outcome = (struct ctrio__outcome){0, NULL};
    Py_XDECREF(value);
}

PyObject *ctrio__outcome_to_python(struct ctrio__state *state, struct ctrio__outcome *io)
{
    PyObject *value = io->value;
    bool success = io->code >= 0;
    *io = (struct ctrio__outcome){0, NULL};
    PyObject *class = ctrio__lazy(success ? &state->outcome_value : &state->outcome_error,
                                  "outcome", success ? "Value" : "Error");
    PyObject *made = NULL;
    if (class != NULL)
        made = PyObject_CallOneArg(class, value != NULL ? value : Py_None);
    Py_XDECREF(value);
    return made;
}

int ctrio__outcome_from_python(struct ctrio__state *state, PyObject *outcome,
                               struct ctrio__outcome *out)
{
    PyObject *value_class = ctrio__lazy(&state->outcome_value, "outcome", "Value");
    PyObject *error_class = ctrio__lazy(&state->outcome_error, "outcome", "Error");
    if (value_class == NULL || error_class == NULL)
        return -1;
    bool is_value = PyObject_TypeCheck(outcome, (PyTypeObject *)value_class);
    if (!is_value && !PyObject_TypeCheck(outcome, (PyTypeObject *)error_class)) {
        PyErr_Format(PyExc_TypeError, "expected an outcome.Value or outcome.Error, not %R",
                     outcome);
        return -1;
    }
    PyObject *inner = PyObject_GetAttr(outcome, is_value ? state->names.value : state->names.error);
    if (inner == NULL)
        return -1;
    if (is_value)
        *out = (struct ctrio__outcome){0, inner};
    else
        *out = (struct ctrio__outcome){CTRIO_FOREIGN, inner};
    return 0;
}

/* --- Cancelled's base: three fields that cost no dict ------------------------------ */

static int cancelled_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"source", "source_task", "reason"};
    struct ctrio__cancelled *cancelled = (struct ctrio__cancelled *)self;
    PyObject *out[3];
    if (ctrio__parse_tuple("Cancelled.__init__", args, kwargs, names, 0, 0, 3, out) < 0)
        return -1;
    PyObject *source_task = out[1] != NULL ? out[1] : Py_None;
    PyObject *reason = out[2] != NULL ? out[2] : Py_None;
    PyObject *word = out[0] != NULL ? Py_NewRef(out[0]) : PyUnicode_InternFromString("unknown");
    if (word == NULL)
        return -1;
    Py_XSETREF(cancelled->source, word);
    Py_XSETREF(cancelled->source_task, Py_NewRef(source_task));
    Py_XSETREF(cancelled->reason, Py_NewRef(reason));
    return 0;
}

static PyObject *cancelled_str(PyObject *self)
{
    struct ctrio__cancelled *cancelled = (struct ctrio__cancelled *)self;
    PyObject *text = PyUnicode_FromFormat("cancelled due to %S",
                                          cancelled->source != NULL ? cancelled->source : Py_None);
    if (text != NULL && cancelled->reason != NULL && cancelled->reason != Py_None)
        Py_SETREF(text, PyUnicode_FromFormat("%U with reason %R", text, cancelled->reason));
    if (text != NULL && cancelled->source_task != NULL && cancelled->source_task != Py_None)
        Py_SETREF(text, PyUnicode_FromFormat("%U from task %S", text, cancelled->source_task));
    return text;
}

static PyObject *or_none(PyObject *field)
{
    return field != NULL ? field : Py_None;
}
static PyObject *cancelled_repr(PyObject *self)
{
    struct ctrio__cancelled *cancelled = (struct ctrio__cancelled *)self;
    return PyUnicode_FromFormat("Cancelled(source=%R, source_task=%R, reason=%R)",
                                or_none(cancelled->source), or_none(cancelled->source_task),
                                or_none(cancelled->reason));
}
/* The fields, unless somebody has assigned others. */
static PyObject *get_args(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__cancelled *cancelled = (struct ctrio__cancelled *)self;
    PyObject *args = cancelled->base.args;
    if (args != NULL && PyTuple_GET_SIZE(args) != 0)
        return Py_NewRef(args);
    return PyTuple_Pack(3, or_none(cancelled->source), or_none(cancelled->source_task),
                        or_none(cancelled->reason));
}
static int set_args(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    PyObject *args = value != NULL ? PySequence_Tuple(value) : NULL;
    if (value == NULL)
        PyErr_SetString(PyExc_TypeError, "args may not be deleted");
    if (args == NULL)
        return -1;
    Py_XSETREF(((struct ctrio__cancelled *)self)->base.args, args);
    return 0;
}

static int cancelled_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct ctrio__cancelled *cancelled = (struct ctrio__cancelled *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(cancelled->source);
    Py_VISIT(cancelled->source_task);
    Py_VISIT(cancelled->reason);
    return ((PyTypeObject *)PyExc_BaseException)->tp_traverse(self, visit, arg);
}
static int cancelled_clear(PyObject *self)
{
    struct ctrio__cancelled *cancelled = (struct ctrio__cancelled *)self;
    Py_CLEAR(cancelled->source);
    Py_CLEAR(cancelled->source_task);
    Py_CLEAR(cancelled->reason);
    return ((PyTypeObject *)PyExc_BaseException)->tp_clear(self);
}
static void cancelled_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    cancelled_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}
static PyMemberDef cancelled_members[] = {
    {"source", T_OBJECT, offsetof(struct ctrio__cancelled, source), 0, NULL},
    {"source_task", T_OBJECT, offsetof(struct ctrio__cancelled, source_task), 0, NULL},
    {"reason", T_OBJECT, offsetof(struct ctrio__cancelled, reason), 0, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyGetSetDef cancelled_getset[] = {{"args", get_args, set_args, NULL, NULL},
                                         {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot cancelled_slots[] = {{Py_tp_init, cancelled_init},
                                        {Py_tp_repr, cancelled_repr},
                                        {Py_tp_getset, cancelled_getset},
                                        {Py_tp_str, cancelled_str},
                                        {Py_tp_members, cancelled_members},
                                        {Py_tp_traverse, cancelled_traverse},
                                        {Py_tp_clear, cancelled_clear},
                                        {Py_tp_dealloc, cancelled_dealloc},
                                        {0, NULL}};
static PyType_Spec cancelled_spec = {.name = "ctrio._ctrio.CancelledBase",
                                     .basicsize = sizeof(struct ctrio__cancelled),
                                     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                              Py_TPFLAGS_BASETYPE,
                                     .slots = cancelled_slots};

int ctrio__exec_outcome(PyObject *module, struct ctrio__state *state)
{
    state->empty_tuple = PyTuple_New(0);
    if (state->empty_tuple == NULL)
        return -1;
    return ctrio__add_type(module, TYPE_CANCELLED_BASE, &cancelled_spec,
                           (PyTypeObject *)PyExc_BaseException, "CancelledBase");
}
