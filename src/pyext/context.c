/* context.c - GLOBAL_RUN_CONTEXT: a view of what runs on this thread.
 *
 * trio-asyncio copies, clears and restores its __dict__ to interleave runs, and expects that to
 * have effect; so there is one truth, the thread-local struct, and both the attributes and the
 * __dict__ read and write it.  stackscope looks through gc.get_referents for a dict with a key
 * "runner": the object owns {run: {"runner": runner}}, changed only when a run starts or ends. */
#include "pyext/calls.h"

_Thread_local struct ctrio__thread ctrio__thread;

struct ctrio__py_task *ctrio__current_task(const struct ctrio__state *state)
{
    struct ctrio__py_task *task = ctrio__peek_task(state);
    if (task == NULL)
        PyErr_SetString(PyExc_RuntimeError, "must be called from async context");
    return task;
}

struct ctrio__py_runner *ctrio__current_runner(const struct ctrio__state *state)
{
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    if (runner == NULL)
        PyErr_SetString(PyExc_RuntimeError, "must be called from async context");
    return runner;
}

PyObject *ctrio__swap_sniffio(struct ctrio__state *state, PyObject *name)
{
    PyObject *local = ctrio__lazy(&state->sniffio_local, "sniffio", "thread_local");
    if (local == NULL)
        return NULL;
    PyObject *previous = PyObject_GetAttr(local, state->names.name);
    if (previous != NULL && PyObject_SetAttr(local, state->names.name, name) < 0)
        Py_CLEAR(previous);
    return previous;
}

void ctrio__restore_sniffio(struct ctrio__state *state, PyObject *previous)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *ours = ctrio__swap_sniffio(state, previous);
    if (ours == NULL)
        PyErr_WriteUnraisable(previous);
    Py_XDECREF(ours);
    Py_DECREF(previous);
    if (error != NULL)
        PyErr_SetRaisedException(error);
}

static PyObject **slot_named(struct ctrio__state *state, PyObject *name)
{
    if (!PyUnicode_Check(name))
        return NULL;
    if (PyUnicode_Compare(name, state->names.runner) == 0)
        return &ctrio__thread.runner;
    return PyUnicode_Compare(name, state->names.task) == 0 ? &ctrio__thread.task : NULL;
}

/* Another interpreter's values on this thread are not ours: seen as unset. */
static PyObject *read_slot(struct ctrio__state *state, PyObject **slot)
{
    return ctrio__thread.state == state ? *slot : NULL;
}

static int write_slot(struct ctrio__state *state, PyObject **slot, PyObject *value)
{
    struct ctrio__thread *thread = &ctrio__thread;
    enum ctrio__type_id wanted = slot == &thread->runner ? TYPE_RUNNER : TYPE_TASK;
    if (value != NULL && !Py_IS_TYPE(value, state->types[wanted])) {
        PyErr_Format(PyExc_TypeError, "expected a %s, not %R", state->types[wanted]->tp_name,
                     value);
        return -1;
    }
    if (thread->state != state && thread->state != NULL && value != NULL) {
        Py_CLEAR(thread->runner);
        Py_CLEAR(thread->task);
    }
    thread->state = state;
    Py_XSETREF(*slot, Py_XNewRef(value));
    return 0;
}

/* --- __dict__ ---------------------------------------------------------------------- */

struct view {
    PyObject_HEAD
    struct ctrio__state *state;
};
static struct ctrio__state *view_state(PyObject *self)
{
    return ((struct view *)self)->state;
}

static PyObject *view_copy(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__state *state = view_state(self);
    PyObject *runner = read_slot(state, &ctrio__thread.runner);
    PyObject *task = read_slot(state, &ctrio__thread.task);
    PyObject *dict = PyDict_New();
    if (dict != NULL && runner != NULL && PyDict_SetItem(dict, state->names.runner, runner) < 0)
        Py_CLEAR(dict);
    if (dict != NULL && task != NULL && PyDict_SetItem(dict, state->names.task, task) < 0)
        Py_CLEAR(dict);
    return dict;
}

/* The reading half of a dict's interface is the copy's. */
static PyObject *on_copy(PyObject *self, const char *method, PyObject *args)
{
    PyObject *copy = view_copy(self, NULL);
    PyObject *bound = copy != NULL ? ctrio__getattr(copy, method) : NULL;
    PyObject *result = bound != NULL ? PyObject_Call(bound, args, NULL) : NULL;
    Py_XDECREF(copy);
    Py_XDECREF(bound);
    return result;
}
static PyObject *view_get(PyObject *self, PyObject *args)
{
    return on_copy(self, "get", args);
}
static PyObject *view_items(PyObject *self, PyObject *args)
{
    return on_copy(self, "items", args);
}
static PyObject *view_keys(PyObject *self, PyObject *args)
{
    return on_copy(self, "keys", args);
}
static PyObject *view_values(PyObject *self, PyObject *args)
{
    return on_copy(self, "values", args);
}
static PyObject *view_iter(PyObject *self)
{
    PyObject *copy = view_copy(self, NULL);
    PyObject *iterator = copy != NULL ? PyObject_GetIter(copy) : NULL;
    Py_XDECREF(copy);
    return iterator;
}
static Py_ssize_t view_length(PyObject *self)
{
    struct ctrio__state *state = view_state(self);
    return (read_slot(state, &ctrio__thread.runner) != NULL) +
           (read_slot(state, &ctrio__thread.task) != NULL);
}
static PyObject *view_subscript(PyObject *self, PyObject *name)
{
    struct ctrio__state *state = view_state(self);
    PyObject **slot = slot_named(state, name);
    PyObject *value = slot != NULL ? read_slot(state, slot) : NULL;
    if (value == NULL) {
        PyErr_SetObject(PyExc_KeyError, name);
        return NULL;
    }
    return Py_NewRef(value);
}
static int view_assign(PyObject *self, PyObject *name, PyObject *value)
{
    struct ctrio__state *state = view_state(self);
    PyObject **slot = slot_named(state, name);
    if (slot == NULL || (value == NULL && read_slot(state, slot) == NULL)) {
        PyErr_SetObject(PyExc_KeyError, name);
        return -1;
    }
    return write_slot(state, slot, value);
}
static int view_contains(PyObject *self, PyObject *name)
{
    struct ctrio__state *state = view_state(self);
    PyObject **slot = slot_named(state, name);
    return slot != NULL && read_slot(state, slot) != NULL;
}
static PyObject *view_clear(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__state *state = view_state(self);
    if (ctrio__thread.state == state) {
        Py_CLEAR(ctrio__thread.task);
        Py_CLEAR(ctrio__thread.runner);
    }
    Py_RETURN_NONE;
}
static PyObject *view_update(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *dict = PyDict_New();
    PyObject *update = dict != NULL ? ctrio__getattr(dict, "update") : NULL;
    PyObject *result = update != NULL ? PyObject_Call(update, args, kwargs) : NULL;
    PyObject *name, *value;
    Py_ssize_t at = 0;
    Py_XDECREF(update);
    while (result != NULL && PyDict_Next(dict, &at, &name, &value))
        if (view_assign(self, name, value) < 0)
            Py_CLEAR(result);
    Py_XDECREF(dict);
    return result;
}
static PyObject *view_pop(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 2) {
        PyErr_Format(PyExc_TypeError, "pop expected 1 or 2 arguments, got %zd", nargs);
        return NULL;
    }
    if (!view_contains(self, args[0]) && nargs == 2)
        return Py_NewRef(args[1]);
    PyObject *value = view_subscript(self, args[0]);
    if (value != NULL && view_assign(self, args[0], NULL) < 0)
        Py_CLEAR(value);
    return value;
}
static PyObject *view_compare(PyObject *self, PyObject *other, int op)
{
    PyObject *copy = view_copy(self, NULL);
    PyObject *theirs = Py_TYPE(other) == Py_TYPE(self) ? view_copy(other, NULL) : Py_NewRef(other);
    PyObject *result =
        copy != NULL && theirs != NULL ? PyObject_RichCompare(copy, theirs, op) : NULL;
    Py_XDECREF(copy);
    Py_XDECREF(theirs);
    return result;
}
static PyObject *view_repr(PyObject *self)
{
    PyObject *copy = view_copy(self, NULL);
    PyObject *text = copy != NULL ? PyObject_Repr(copy) : NULL;
    Py_XDECREF(copy);
    return text;
}
static PyMethodDef view_methods[] = {
    {"copy", view_copy, METH_NOARGS, NULL},
    {"clear", view_clear, METH_NOARGS, NULL},
    {"update", (PyCFunction)(void (*)(void))view_update, METH_VARARGS | METH_KEYWORDS, NULL},
    {"get", view_get, METH_VARARGS, NULL},
    {"pop", (PyCFunction)(void (*)(void))view_pop, METH_FASTCALL, NULL},
    {"items", view_items, METH_VARARGS, NULL},
    {"keys", view_keys, METH_VARARGS, NULL},
    {"values", view_values, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL}};
static void plain_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}
static PyType_Slot view_slots[] = {{Py_tp_methods, view_methods},
                                   {Py_tp_iter, view_iter},
                                   {Py_tp_repr, view_repr},
                                   {Py_tp_richcompare, view_compare},
                                   {Py_tp_hash, PyObject_HashNotImplemented},
                                   {Py_mp_length, view_length},
                                   {Py_mp_subscript, view_subscript},
                                   {Py_mp_ass_subscript, view_assign},
                                   {Py_sq_contains, view_contains},
                                   {Py_tp_dealloc, plain_dealloc},
                                   {0, NULL}};
static PyType_Spec view_spec = {.name = "ctrio._ctrio.run_context_dict",
                                .basicsize = sizeof(struct view),
                                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                .slots = view_slots};

/* --- the object -------------------------------------------------------------------- */

struct run_context {
    PyObject_HEAD
    struct ctrio__state *state;
    PyObject *runs; /* {address of the runner: {"runner": runner}} */
};
static struct run_context *context_of(PyObject *self)
{
    return (struct run_context *)self;
}
static PyObject *context_getattro(PyObject *self, PyObject *name)
{
    struct ctrio__state *state = context_of(self)->state;
    PyObject **slot = slot_named(state, name);
    if (slot == NULL)
        return PyObject_GenericGetAttr(self, name);
    PyObject *value = read_slot(state, slot);
    if (value == NULL)
        PyErr_Format(PyExc_AttributeError, "'RunContext' object has no attribute '%U'", name);
    return Py_XNewRef(value);
}
static int context_setattro(PyObject *self, PyObject *name, PyObject *value)
{
    struct ctrio__state *state = context_of(self)->state;
    PyObject **slot = slot_named(state, name);
    if (slot == NULL) {
        PyErr_Format(PyExc_AttributeError, "'RunContext' object has no attribute '%U'", name);
        return -1;
    }
    if (value == NULL && read_slot(state, slot) == NULL) {
        PyErr_SetObject(PyExc_AttributeError, name);
        return -1;
    }
    return write_slot(state, slot, value);
}
static PyObject *get_dict(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__state *state = context_of(self)->state;
    struct view *made = PyObject_New(struct view, state->types[TYPE_CONTEXT_DICT]);
    if (made != NULL)
        made->state = state;
    return (PyObject *)made;
}
static int context_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(context_of(self)->runs);
    return 0;
}
static int context_clear(PyObject *self)
{
    Py_CLEAR(context_of(self)->runs);
    return 0;
}
static void context_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    context_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}
static PyGetSetDef context_getset[] = {{"__dict__", get_dict, NULL, NULL, NULL},
                                       {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot context_slots[] = {{Py_tp_getattro, context_getattro},
                                      {Py_tp_setattro, context_setattro},
                                      {Py_tp_getset, context_getset},
                                      {Py_tp_traverse, context_traverse},
                                      {Py_tp_clear, context_clear},
                                      {Py_tp_dealloc, context_dealloc},
                                      {0, NULL}};
static PyType_Spec context_spec = {.name = "trio._core._run_context.RunContext",
                                   .basicsize = sizeof(struct run_context),
                                   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                            Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                   .slots = context_slots};

int ctrio__context_note(struct ctrio__py_runner *runner)
{
    struct ctrio__state *state = runner->state;
    PyObject *runs = context_of(state->run_context)->runs;
    PyObject *entry = Py_BuildValue("{O:O}", state->names.runner, (PyObject *)runner);
    CTRIO_ASSERT(runner->context_key == NULL);
    runner->context_key = PyLong_FromVoidPtr(runner);
    int failed = entry == NULL || runner->context_key == NULL ||
                 PyDict_SetItem(runs, runner->context_key, entry) < 0;
    Py_XDECREF(entry);
    return failed ? -1 : 0;
}

int ctrio__context_forget(struct ctrio__py_runner *runner)
{
    PyObject *runs = context_of(runner->state->run_context)->runs;
    PyObject *key = runner->context_key;
    runner->context_key = NULL;
    int present = key != NULL ? PyDict_Contains(runs, key) : 0;
    if (present > 0)
        present = PyDict_DelItem(runs, key);
    Py_XDECREF(key);
    return present < 0 ? -1 : 0;
}

int ctrio__exec_context(PyObject *module, struct ctrio__state *state)
{
    if (ctrio__add_type(module, TYPE_CONTEXT_DICT, &view_spec, NULL, NULL) < 0 ||
        ctrio__add_type(module, TYPE_RUN_CONTEXT, &context_spec, NULL, "RunContext") < 0)
        return -1;
    struct run_context *made = PyObject_GC_New(struct run_context, state->types[TYPE_RUN_CONTEXT]);
    if (made == NULL)
        return -1;
    made->state = state;
    made->runs = PyDict_New();
    PyObject_GC_Track(made);
    state->run_context = (PyObject *)made;
    if (made->runs == NULL)
        return -1;
    return PyModule_AddObjectRef(module, "GLOBAL_RUN_CONTEXT", state->run_context);
}
