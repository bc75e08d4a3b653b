/* async_function.c - the callable: fast to call, and an `async def` to inspect, mock and Sphinx.
 *
 * Whatever is asked about the function (code, defaults, annotations, signature, docstring) is
 * answered by its stub, an ordinary `async def` in ctrio._stubs whose body never runs.  The stub
 * is looked up when somebody asks: importing ctrio does not import it.
 *
 * __enter__ and __exit__ are functions of the same kind with another call behind them: packages
 * read their __code__ too, to leave their frames out of what they show.  So is __init__
 * (constructors.c). */
#include "base/inline.h"
#include "pyext/coroutine.h"

static struct ctrio__function *function_of(PyObject *self)
{
    return (struct ctrio__function *)self;
}

/* A coroutine's origin as CPython records it: (file, line, name) of the callers. */
static int record_origin(struct ctrio__coroutine *coro, int depth)
{
    PyObject *list = PyList_New(0);
    PyFrameObject *frame = list != NULL ? PyEval_GetFrame() : NULL;
    Py_XINCREF(frame);
    for (; frame != NULL && depth > 0; depth--) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        PyObject *entry =
            Py_BuildValue("OiO", code->co_filename, PyFrame_GetLineNumber(frame), code->co_name);
        Py_DECREF(code);
        int failed = entry == NULL || PyList_Append(list, entry) < 0;
        Py_XDECREF(entry);
        if (failed) {
            Py_DECREF(frame);
            Py_DECREF(list);
            return -1;
        }
        Py_SETREF(frame, PyFrame_GetBack(frame));
    }
    Py_XDECREF(frame);
    if (list == NULL)
        return -1;
    coro->origin = PyList_AsTuple(list);
    Py_DECREF(list);
    return coro->origin != NULL ? 0 : -1;
}

/* Reading the depth needs a private field on every version; sys.get_…() is a call into Python's
 * own C, made only while some tool has turned tracking on (see tracking_hint). */
static int origin_depth(void)
{
    PyThreadState *thread = PyThreadState_Get();
    return thread->coroutine_origin_tracking_depth;
}

static int check_self(struct ctrio__function *function, enum ctrio__type_id id,
                      PyObject *const *args, Py_ssize_t nargs)
{
    PyTypeObject *type = function->state->types[id];
    if (nargs < 1) {
        PyErr_Format(PyExc_TypeError, "%U() missing 1 required positional argument: 'self'",
                     function->qualname);
        return -1;
    }
    if (!PyObject_TypeCheck(args[0], type)) {
        PyErr_Format(PyExc_TypeError,
                     "descriptor '%U' for '%s' objects doesn't apply to a '%s' object",
                     function->name, type->tp_name, Py_TYPE(args[0])->tp_name);
        return -1;
    }
    return 0;
}

static PyObject *call_sync(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    struct ctrio__function *function = function_of(self);
    const struct ctrio__sync *sync = function->sync;
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (check_self(function, sync->self, args, nargs) < 0)
        return NULL;
    return sync->call(args[0], args + 1, nargs - 1, kwnames);
}

CTRIO__OUTLINED static PyObject *call_with(struct ctrio__function *function, PyObject *const *args,
                                           Py_ssize_t nargs, PyObject *kwnames)
{
    const struct ctrio__async *async = function->async;
    PyObject *subject = NULL;
    if (async->self != TYPE_NONE) {
        if (check_self(function, async->self, args, nargs) < 0)
            return NULL;
        subject = args[0];
        args++;
        nargs--;
    }
    int depth = origin_depth();
    struct ctrio__coroutine *coro = ctrio__coroutine_new(function, subject, depth > 0);
    if (coro == NULL)
        return NULL;
    int failed = 0;
    if (async->parse != NULL)
        failed = async->parse(coro, args, nargs, kwnames);
    else if (nargs != 0 || kwnames != NULL)
        failed = ctrio__parse_nothing(async->qualname, args, nargs, kwnames);
    if (failed == 0 && depth > 0)
        failed = record_origin(coro, depth);
    if (failed < 0) {
        coro->state = CORO_DONE; /* a call that failed was never a coroutine: no warning */
        Py_DECREF(coro);
        return NULL;
    }
    return (PyObject *)coro;
}

/* Most calls have no arguments and are made a million times. */
static PyObject *call_async(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    struct ctrio__function *function = function_of(self);
    const struct ctrio__async *async = function->async;
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (async->parse != NULL || kwnames != NULL || nargs != (async->self != TYPE_NONE) ||
        (nargs == 1 && !Py_IS_TYPE(args[0], function->state->types[async->self])) ||
        origin_depth() > 0)
        return call_with(function, args, nargs, kwnames);
    PyObject *subject = nargs == 1 ? args[0] : NULL;
    return (PyObject *)ctrio__coroutine_new(function, subject, false);
}

static PyObject *find_stub(struct ctrio__function *function)
{
    if (function->stub != NULL)
        return function->stub;
    if (ctrio__lazy(&function->state->stubs, "ctrio._stubs", NULL) == NULL)
        return NULL;
    PyObject *at = Py_NewRef(function->state->stubs);
    PyObject *parts = PyUnicode_Split(function->qualname, NULL, -1);
    PyObject *dot = PyUnicode_FromString(".");
    if (parts != NULL && dot != NULL)
        Py_SETREF(parts, PyUnicode_Split(function->qualname, dot, -1));
    Py_XDECREF(dot);
    for (Py_ssize_t i = 0; parts != NULL && at != NULL && i < PyList_GET_SIZE(parts); i++)
        Py_SETREF(at, PyObject_GetAttr(at, PyList_GET_ITEM(parts, i)));
    if (parts == NULL)
        Py_CLEAR(at);
    Py_XDECREF(parts);
    function->stub = at;
    return at;
}

static PyObject *get_from_stub(PyObject *self, void *closure)
{
    PyObject *stub = find_stub(function_of(self));
    return stub != NULL ? ctrio__getattr(stub, closure) : NULL;
}
static int set_on_stub(PyObject *self, PyObject *value, void *closure)
{
    PyObject *stub = find_stub(function_of(self));
    if (stub == NULL)
        return -1;
    return value != NULL ? PyObject_SetAttrString(stub, closure, value)
                         : PyObject_DelAttrString(stub, closure);
}

static PyObject **own_field(PyObject *self, const char *which)
{
    struct ctrio__function *function = function_of(self);
    switch (which[2]) {
    case 'n':
        return &function->name;
    case 'q':
        return &function->qualname;
    default:
        return &function->module;
    }
}
static PyObject *get_own(PyObject *self, void *closure)
{
    return Py_NewRef(*own_field(self, closure));
}
static int set_own(PyObject *self, PyObject *value, void *closure)
{
    if (value == NULL || (!PyUnicode_Check(value) && strcmp(closure, "__module__") != 0)) {
        PyErr_Format(PyExc_TypeError, "%s must be set to a string object", (const char *)closure);
        return -1;
    }
    Py_XSETREF(*own_field(self, closure), Py_NewRef(value));
    return 0;
}

/* inspect.unwrap, getsource and Sphinx follow __wrapped__ to the stub. */
static PyObject *get_dict(PyObject *self, void *Py_UNUSED(closure))
{
    struct ctrio__function *function = function_of(self);
    if (function->dict == NULL) {
        PyObject *stub = find_stub(function);
        function->dict = stub != NULL ? PyDict_New() : NULL;
        if (function->dict == NULL ||
            PyDict_SetItem(function->dict, function->state->names.dunder_wrapped, stub) < 0)
            return NULL;
    }
    return Py_NewRef(function->dict);
}

static PyObject *function_getattro(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(self, name);
    if (found != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return found;
    struct ctrio__function *function = function_of(self);
    if (function->dict != NULL || PyUnicode_CompareWithASCIIString(name, "__wrapped__") != 0)
        return NULL;
    PyErr_Clear();
    PyObject *dict = get_dict(self, NULL);
    Py_XDECREF(dict);
    return dict != NULL ? PyObject_GenericGetAttr(self, name) : NULL;
}

static PyObject *function_descr_get(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    if (object == NULL || object == Py_None)
        return Py_NewRef(self);
    return PyMethod_New(self, object);
}

static PyObject *function_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<function %U at %p>", function_of(self)->qualname, self);
}
static PyObject *function_reduce(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(function_of(self)->qualname);
}

static int function_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(function_of(self)->stub);
    Py_VISIT(function_of(self)->dict);
    Py_VISIT(function_of(self)->module);
    return 0;
}
static int function_clear(PyObject *self)
{
    Py_CLEAR(function_of(self)->stub);
    Py_CLEAR(function_of(self)->dict);
    return 0;
}
static void function_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    struct ctrio__function *function = function_of(self);
    PyObject_GC_UnTrack(self);
    if (function->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    function_clear(self);
    Py_XDECREF(function->name);
    Py_XDECREF(function->qualname);
    Py_XDECREF(function->module);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef function_methods[] = {{"__reduce__", function_reduce, METH_NOARGS, NULL},
                                         {NULL, NULL, 0, NULL}};
#define FROM_STUB(name) {name, get_from_stub, set_on_stub, NULL, (void *)name}
static PyGetSetDef function_getset[] = {{"__name__", get_own, set_own, NULL, "__name__"},
                                        {"__qualname__", get_own, set_own, NULL, "__qualname__"},
                                        {"__module__", get_own, set_own, NULL, "__module__"},
                                        {"__dict__", get_dict, NULL, NULL, NULL},
                                        FROM_STUB("__doc__"),
                                        FROM_STUB("__code__"),
                                        FROM_STUB("__defaults__"),
                                        FROM_STUB("__kwdefaults__"),
                                        FROM_STUB("__annotations__"),
                                        FROM_STUB("__globals__"),
#if PY_VERSION_HEX >= 0x030c0000 /* PEP 695 */
                                        FROM_STUB("__type_params__"),
#endif
#if PY_VERSION_HEX >= 0x030e0000 /* PEP 649 */
                                        FROM_STUB("__annotate__"),
#endif
                                        {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef function_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct ctrio__function, vectorcall), READONLY,
     NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(struct ctrio__function, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct ctrio__function, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot function_slots[] = {{Py_tp_call, PyVectorcall_Call},
                                       {Py_tp_descr_get, function_descr_get},
                                       {Py_tp_getattro, function_getattro},
                                       {Py_tp_repr, function_repr},
                                       {Py_tp_methods, function_methods},
                                       {Py_tp_getset, function_getset},
                                       {Py_tp_members, function_members},
                                       {Py_tp_traverse, function_traverse},
                                       {Py_tp_clear, function_clear},
                                       {Py_tp_dealloc, function_dealloc},
                                       {0, NULL}};
#define FUNCTION_SPEC(type_name)                                                                   \
    {.name = type_name,                                                                            \
     .basicsize = sizeof(struct ctrio__function),                                                  \
     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |               \
              Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION,                    \
     .slots = function_slots}
static PyType_Spec async_spec = FUNCTION_SPEC("ctrio._ctrio.async_function");
static PyType_Spec sync_spec = FUNCTION_SPEC("ctrio._ctrio.sync_function");

static PyObject *function_new(struct ctrio__state *state, enum ctrio__type_id type,
                              const char *qualname, const char *module)
{
    struct ctrio__function *function = PyObject_GC_New(struct ctrio__function, state->types[type]);
    if (function == NULL)
        return NULL;
    const char *dot = strrchr(qualname, '.');
    function->vectorcall = type == TYPE_ASYNC_FUNCTION ? call_async : call_sync;
    function->async = NULL;
    function->sync = NULL;
    function->state = state;
    function->name = PyUnicode_InternFromString(dot != NULL ? dot + 1 : qualname);
    function->qualname = PyUnicode_InternFromString(qualname);
    function->module = PyUnicode_InternFromString(module);
    function->stub = NULL;
    function->dict = NULL;
    function->weakrefs = NULL;
    PyObject_GC_Track(function);
    if (function->name == NULL || function->qualname == NULL || function->module == NULL)
        Py_CLEAR(function);
    return (PyObject *)function;
}

PyObject *ctrio__function_new(struct ctrio__state *state, const struct ctrio__async *async)
{
    PyObject *made = function_new(state, TYPE_ASYNC_FUNCTION, async->qualname, async->module);
    if (made != NULL)
        function_of(made)->async = async;
    return made;
}

PyObject *ctrio__sync_function_new(struct ctrio__state *state, const struct ctrio__sync *sync)
{
    PyObject *made = function_new(state, TYPE_SYNC_FUNCTION, sync->qualname, sync->module);
    if (made != NULL)
        function_of(made)->sync = sync;
    return made;
}

int ctrio__add_functions(PyObject *module, struct ctrio__state *state,
                         const struct ctrio__async *functions)
{
    for (; functions->qualname != NULL; functions++) {
        PyObject *made = ctrio__function_new(state, functions);
        int failed = made == NULL || PyModule_AddObjectRef(module, functions->qualname, made) < 0;
        Py_XDECREF(made);
        if (failed)
            return -1;
    }
    return 0;
}

/* Steals the method, which may be NULL with an error. */
static int add_method(PyTypeObject *type, PyObject *made)
{
    if (made == NULL)
        return -1;
    int result = PyObject_SetAttr((PyObject *)type, function_of(made)->name, made);
    Py_DECREF(made);
    return result;
}

int ctrio__add_methods(struct ctrio__state *state, enum ctrio__type_id type,
                       const struct ctrio__async *methods)
{
    for (; methods->qualname != NULL; methods++)
        if (add_method(state->types[type], ctrio__function_new(state, methods)) < 0)
            return -1;
    return 0;
}

int ctrio__add_sync_methods(struct ctrio__state *state, enum ctrio__type_id type,
                            const struct ctrio__sync *methods)
{
    for (; methods->qualname != NULL; methods++)
        if (add_method(state->types[type], ctrio__sync_function_new(state, methods)) < 0)
            return -1;
    return 0;
}

int ctrio__exec_async_function(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    if (ctrio__add_type(module, TYPE_SYNC_FUNCTION, &sync_spec, NULL, "sync_function") < 0)
        return -1;
    return ctrio__add_type(module, TYPE_ASYNC_FUNCTION, &async_spec, NULL, "async_function");
}
