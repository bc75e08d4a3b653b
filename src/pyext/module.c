/* module.c - ctrio._ctrio: state, types, and bind().
 *
 * Multi-phase init, heap types, nothing static: any number of interpreters may load it, each with
 * its own GIL.  Py_mod_gil is not claimed: without the GIL, objects of ours would need an owner
 * check at every entry. */
#include "base/alloc.h"
#include "pyext/calls.h"
#include "pyext/pool.h"
#include <stdatomic.h>

PyMODINIT_FUNC PyInit__ctrio(void);

struct ctrio__state *ctrio__state_by_def(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030b0000 /* 3.10 has no look-up by definition */
    PyObject *module = PyType_GetModuleByDef(type, &ctrio__module);
    return module != NULL ? PyModule_GetState(module) : NULL;
#else
    PyObject *mro = type->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if ((base->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0)
            continue;
        PyObject *module = ((PyHeapTypeObject *)base)->ht_module;
        if (module != NULL && PyModule_GetDef(module) == &ctrio__module)
            return PyModule_GetState(module);
    }
    PyErr_SetString(PyExc_TypeError, "not a type of ctrio's");
    return NULL;
#endif
}

int ctrio__add_type(PyObject *module, enum ctrio__type_id id, PyType_Spec *spec, PyTypeObject *base,
                    const char *name)
{
    struct ctrio__state *state = PyModule_GetState(module);
    PyObject *bases = base != NULL ? PyTuple_Pack(1, base) : NULL;
    if (base != NULL && bases == NULL)
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, spec, bases);
    Py_XDECREF(bases);
    if (type == NULL)
        return -1;
    /* Without the module, as a Python class has it: CPython's texts are full of it. */
    PyObject *short_name = ctrio__getattr(type, "__name__");
    int named = short_name != NULL ? PyObject_SetAttrString(type, "__name__", short_name) : -1;
    Py_XDECREF(short_name);
    if (named < 0) {
        Py_DECREF(type);
        return -1;
    }
    state->types[id] = (PyTypeObject *)type;
    return name != NULL ? PyModule_AddObjectRef(module, name, type) : 0;
}

PyObject *ctrio__lazy(PyObject **slot, const char *module, const char *name)
{
    if (*slot != NULL)
        return *slot;
    PyObject *imported = PyImport_ImportModule(module);
    if (imported == NULL)
        return NULL;
    if (name == NULL) {
        *slot = imported;
    } else {
        *slot = ctrio__getattr(imported, name);
        Py_DECREF(imported);
    }
    return *slot;
}

struct numbered {
    PyObject_HEAD
    uint64_t serial;
};

Py_hash_t ctrio__hash_by_serial(PyObject *self)
{
    struct numbered *object = (struct numbered *)self;
    if (object->serial == 0)
        object->serial = ctrio__serial_new(ctrio__state_of(self));
    if (object->serial == 0)
        object->serial = ++ctrio__state_of(self)->last_serial;
    return (Py_hash_t)object->serial;
}

/* --- bind() ------------------------------------------------------------------------ */

static PyObject **bound_slot(struct ctrio__state *state, PyObject *name)
{
#define X(identifier)                                                                              \
    if (PyUnicode_CompareWithASCIIString(name, #identifier) == 0)                                  \
        return &state->bound.identifier;
    CTRIO_BOUND(X)
#undef X
    return NULL;
}

int ctrio__check_bound(struct ctrio__state *state)
{
#define X(identifier)                                                                              \
    if (state->bound.identifier == NULL) {                                                         \
        PyErr_SetString(PyExc_RuntimeError, "ctrio._ctrio: bind() was not given " #identifier);    \
        return -1;                                                                                 \
    }
    CTRIO_BOUND(X)
#undef X
    return 0;
}

static int learn_abort(struct ctrio__state *state)
{
    Py_XSETREF(state->abort_succeeded, ctrio__getattr(state->bound.Abort, "SUCCEEDED"));
    Py_XSETREF(state->abort_failed, ctrio__getattr(state->bound.Abort, "FAILED"));
    return state->abort_succeeded != NULL && state->abort_failed != NULL ? 0 : -1;
}

static PyObject *bind(PyObject *module, PyObject *args, PyObject *kwargs)
{
    struct ctrio__state *state = PyModule_GetState(module);
    PyObject *name, *value;
    Py_ssize_t at = 0;
    if (PyTuple_GET_SIZE(args) != 0) {
        PyErr_SetString(PyExc_TypeError, "bind() takes keyword arguments only");
        return NULL;
    }
    while (kwargs != NULL && PyDict_Next(kwargs, &at, &name, &value)) {
        PyObject **slot = bound_slot(state, name);
        if (slot == NULL) {
            PyErr_Format(PyExc_TypeError, "bind() does not know '%U'", name);
            return NULL;
        }
        Py_XSETREF(*slot, Py_NewRef(value));
    }
    if (state->bound.Abort != NULL && learn_abort(state) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {{"bind", (PyCFunction)(void (*)(void))bind,
                                   METH_VARARGS | METH_KEYWORDS,
                                   "Hand the core what it needs of the Python side."},
                                  {NULL, NULL, 0, NULL}};

/* --- life -------------------------------------------------------------------------- */

static int learn_names(struct ctrio__state *state)
{
#define X(identifier, text)                                                                        \
    state->names.identifier = PyUnicode_InternFromString(text);                                    \
    if (state->names.identifier == NULL)                                                           \
        return -1;
    CTRIO_NAMES(X)
#undef X
    PyObject *builtins = PyEval_GetBuiltins();
    PyObject *group = PyDict_GetItemString(builtins, "BaseExceptionGroup");
    if (group != NULL) {
        state->exception_group = Py_NewRef(group);
        return 0;
    }
    return ctrio__lazy(&state->exception_group, "exceptiongroup", "BaseExceptionGroup") != NULL
               ? 0
               : -1;
}

/* The kernel's memory is CPython's raw one: what counts it, traces it or makes it fail sees all. */
static void *raw_resize(void *Py_UNUSED(self), void *old, size_t size)
{
    if (size != 0)
        return PyMem_RawRealloc(old, size);
    PyMem_RawFree(old);
    return NULL;
}

/* Once for all interpreters: another may be in the middle of a run. */
static void lend_memory(void)
{
    static const struct ctrio__allocator raw = {raw_resize, NULL};
    static atomic_flag lent = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&lent))
        ctrio__set_allocator(&raw);
}

static int module_exec(PyObject *module)
{
    typedef int exec_function(PyObject *, struct ctrio__state *);
    static exec_function *const parts[] = {
        ctrio__exec_async_function,
        ctrio__exec_coroutine,
        ctrio__exec_outcome,
        ctrio__exec_context,
        ctrio__exec_shared_context,
        ctrio__exec_scope,
        ctrio__exec_timeouts,
        ctrio__exec_nursery,
        ctrio__exec_start,
        ctrio__exec_task,
        ctrio__exec_runner,
        ctrio__exec_run,
        ctrio__exec_guest,
        ctrio__exec_current,
        ctrio__exec_clock,
        ctrio__exec_checkpoint,
        ctrio__exec_traps,
        ctrio__exec_token,
        ctrio__exec_ki,
        ctrio__exec_instrument,
        ctrio__exec_local,
        ctrio__exec_lot,
        ctrio__exec_sync,
        ctrio__exec_limiter,
        ctrio__exec_channel,
        ctrio__exec_io,
        ctrio__exec_socket,
        ctrio__exec_thread,
        ctrio__exec_thread_call,
        ctrio__exec_worker,
        ctrio__exec_scripted,
        ctrio__exec_constructors,
    };
    struct ctrio__state *state = PyModule_GetState(module);
    lend_memory();
    if (learn_names(state) < 0 || PyModule_AddFunctions(module, functions) < 0)
        return -1;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i](module, state) < 0)
            return -1;
    return 0;
}

static PyObject **loose_objects(struct ctrio__state *state, size_t *count)
{
    *count =
        (size_t)((char *)&state->last_serial - (char *)&state->run_context) / sizeof(PyObject *);
    return &state->run_context;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct ctrio__state *state = PyModule_GetState(module);
    size_t count;
    for (int i = 0; i < TYPE_COUNT; i++)
        Py_VISIT(state->types[i]);
#define X(identifier) Py_VISIT(state->bound.identifier);
    CTRIO_BOUND(X)
#undef X
    PyObject **loose = loose_objects(state, &count);
    for (size_t i = 0; i < count; i++)
        Py_VISIT(loose[i]);
    return 0;
}

/* Before the types go: freeing an object asks its type for the size of its head. */
static void drain_free_lists(struct ctrio__state *state)
{
    for (int large = 0; large < 2; large++) {
        while (state->free_coroutines[large] != NULL) {
            struct ctrio__coroutine *coro = state->free_coroutines[large];
            state->free_coroutines[large] = (struct ctrio__coroutine *)coro->self;
            PyObject_GC_Del(coro);
        }
        state->free_count[large] = CTRIO_FREE_COROUTINES + 1; /* nothing is kept any more */
    }
    ctrio__pool_drain(state);
}

static int module_clear(PyObject *module)
{
    struct ctrio__state *state = PyModule_GetState(module);
    size_t count;
    drain_free_lists(state);
#define X(identifier) Py_CLEAR(state->bound.identifier);
    CTRIO_BOUND(X)
#undef X
    PyObject **loose = loose_objects(state, &count);
    for (size_t i = 0; i < count; i++)
        Py_CLEAR(loose[i]);
    for (int i = 0; i < TYPE_COUNT; i++)
        Py_CLEAR(state->types[i]);
    return 0;
}

static void module_free(void *module)
{
    struct ctrio__state *state = PyModule_GetState(module);
    module_clear(module);
#define X(identifier, text) Py_CLEAR(state->names.identifier);
    CTRIO_NAMES(X)
#undef X
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030c0000 /* own-GIL interpreters begin here */
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL}};

struct PyModuleDef ctrio__module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "ctrio._ctrio",
    .m_doc = "The core of ctrio: Trio's run loop, tasks, scopes and primitives, in C.",
    .m_size = sizeof(struct ctrio__state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__ctrio(void)
{
    return PyModuleDef_Init(&ctrio__module);
}
