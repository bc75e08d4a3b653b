/* local.c - RunVar: a variable with one value a run, and the token that takes a set() back.
 *
 * The values are in a dict of the run, keyed by the RunVar itself, which hashes by identity: so
 * they die with the run, and looking one up runs no foreign code.  Invariant: value, default and
 * previous value are NULL where Trio has its _NoValue, which users see as a class of that name. */
#include "pyext/sync.h"

struct run_var {
    PyObject_HEAD
    PyObject *name, *default_value;
    PyObject *weakrefs;
};
struct token {
    PyObject_HEAD
    PyObject *var, *previous;
    PyObject *weakrefs;
    char redeemed;
};

static struct run_var *var_of(PyObject *self)
{
    return (struct run_var *)self;
}
static struct token *token_of(PyObject *self)
{
    return (struct token *)self;
}

/* Trio's class _NoValue, a new reference: the module has it. */
static PyObject *no_value(PyObject *self)
{
    return ctrio__getattr(PyType_GetModule(Py_TYPE(self)), "_NoValue");
}
/* The value, or _NoValue; a new reference. */
static PyObject *value_or_nothing(PyObject *self, PyObject *value)
{
    return value != NULL ? Py_NewRef(value) : no_value(self);
}
/* Given as an argument it means what leaving it out does. */
static int drop_no_value(PyObject *self, PyObject **value)
{
    if (*value == NULL || !PyType_Check(*value))
        return 0;
    PyObject *nothing = no_value(self);
    if (*value == nothing)
        *value = NULL;
    Py_XDECREF(nothing);
    return nothing != NULL ? 0 : -1;
}

/* The dict of the current run, borrowed. */
static PyObject *current_locals(PyObject *self)
{
    struct ctrio__py_runner *runner = ctrio__peek_runner(ctrio__state_of(self));
    if (runner != NULL && runner->locals != NULL)
        return runner->locals;
    PyErr_SetString(PyExc_RuntimeError, "Cannot be used outside of a run context");
    return NULL;
}

/* Its value, else the default; borrowed; NULL with an error, or without one: it has none. */
static PyObject *look_up(PyObject *self)
{
    PyObject *locals = current_locals(self);
    PyObject *value = locals != NULL ? PyDict_GetItemWithError(locals, self) : NULL;
    if (value != NULL || PyErr_Occurred())
        return value;
    return var_of(self)->default_value;
}

/* --- tokens ------------------------------------------------------------------------ */

static PyObject *token_make(PyTypeObject *type, PyObject *var, PyObject *previous)
{
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    CTRIO_ASSERT(Py_IS_TYPE(var, ctrio__state_of_type(type)->types[TYPE_RUN_VAR]));
    token_of(self)->var = Py_NewRef(var);
    token_of(self)->previous = Py_XNewRef(previous);
    return self;
}

/* _create(var, previous_value): for those who know Trio's insides. */
static PyObject *token_create(PyObject *class, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"var", "previous_value", NULL};
    struct ctrio__state *state = ctrio__state_of_type((PyTypeObject *)class);
    PyObject *var, *previous = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|O:_create", names,
                                     state->types[TYPE_RUN_VAR], &var, &previous) ||
        drop_no_value(var, &previous) < 0)
        return NULL;
    return token_make((PyTypeObject *)class, var, previous);
}
static PyObject *token_empty(PyObject *class, PyObject *var)
{
    PyObject *args = PyTuple_Pack(1, var);
    PyObject *made = args != NULL ? token_create(class, args, NULL) : NULL;
    Py_XDECREF(args);
    return made;
}

static PyObject *get_previous(PyObject *self, void *Py_UNUSED(closure))
{
    return value_or_nothing(self, token_of(self)->previous);
}

static PyObject *token_repr(PyObject *self)
{
    PyObject *previous = get_previous(self, NULL);
    PyObject *text = NULL;
    if (previous != NULL)
        text = PyUnicode_FromFormat("RunVarToken(_var=%R, previous_value=%R, redeemed=%s)",
                                    token_of(self)->var, previous,
                                    token_of(self)->redeemed ? "True" : "False");
    Py_XDECREF(previous);
    return text;
}

static int token_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(token_of(self)->var);
    Py_VISIT(token_of(self)->previous);
    return 0;
}
/* A cycle goes through the previous value, or through the variable's default. */
static int token_clear(PyObject *self)
{
    Py_CLEAR(token_of(self)->previous);
    return 0;
}
static void token_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (token_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    Py_CLEAR(token_of(self)->var);
    Py_CLEAR(token_of(self)->previous);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- variables --------------------------------------------------------------------- */

static PyObject *var_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"name", "default"};
    PyObject *given[2];
    if (ctrio__parse_tuple("RunVar.__init__", args, kwargs, names, 1, 2, 2, given) < 0)
        return NULL;
    PyObject *default_value = given[1];
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    var_of(self)->name = Py_NewRef(given[0]);
    if (drop_no_value(self, &default_value) < 0)
        Py_CLEAR(self);
    else
        var_of(self)->default_value = Py_XNewRef(default_value);
    return self;
}

static PyObject *var_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"default"};
    PyObject *default_value;
    if (ctrio__parse("RunVar.get", args, nargs, kwnames, names, 0, 1, &default_value) < 0 ||
        drop_no_value(self, &default_value) < 0)
        return NULL;
    PyObject *locals = current_locals(self);
    PyObject *value = locals != NULL ? PyDict_GetItemWithError(locals, self) : NULL;
    if (value == NULL && PyErr_Occurred())
        return NULL;
    if (value == NULL)
        value = default_value != NULL ? default_value : var_of(self)->default_value;
    if (value == NULL)
        PyErr_SetObject(PyExc_LookupError, self);
    return Py_XNewRef(value);
}

static PyObject *var_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    struct ctrio__state *state = ctrio__state_of(self);
    PyObject *value = ctrio__parse_one("RunVar.set", "value", args, nargs, kwnames);
    if (value == NULL)
        return NULL;
    PyObject *previous = look_up(self); /* the default counts as a previous value, as in Trio */
    if (previous == NULL && PyErr_Occurred())
        return NULL;
    PyObject *token = token_make(state->types[TYPE_RUN_VAR_TOKEN], self, previous);
    PyObject *locals = token != NULL ? current_locals(self) : NULL;
    if (locals == NULL || PyDict_SetItem(locals, self, value) < 0)
        Py_CLEAR(token);
    return token;
}

/* A token that can still be redeemed for this variable; -1 with Trio's errors. */
static int check_token(PyObject *self, PyObject *token)
{
    if (token == Py_None) {
        PyErr_SetString(PyExc_TypeError, "token must not be none");
        return -1;
    }
    if (!Py_IS_TYPE(token, ctrio__state_of(self)->types[TYPE_RUN_VAR_TOKEN])) {
        PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute 'redeemed'",
                     Py_TYPE(token)->tp_name);
        return -1;
    }
    if (token_of(token)->redeemed)
        PyErr_SetString(PyExc_ValueError, "token has already been used");
    else if (token_of(token)->var != self)
        PyErr_SetString(PyExc_ValueError, "token is not for us");
    else
        return 0;
    return -1;
}

static PyObject *var_reset(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames)
{
    PyObject *token = ctrio__parse_one("RunVar.reset", "token", args, nargs, kwnames);
    if (token == NULL || check_token(self, token) < 0)
        return NULL;
    PyObject *locals = current_locals(self);
    PyObject *previous = token_of(token)->previous;
    if (locals == NULL || (previous != NULL ? PyDict_SetItem(locals, self, previous)
                                            : PyDict_DelItem(locals, self)) < 0)
        return NULL;
    token_of(token)->redeemed = 1;
    Py_RETURN_NONE;
}

static PyObject *get_default(PyObject *self, void *Py_UNUSED(closure))
{
    return value_or_nothing(self, var_of(self)->default_value);
}

static PyObject *var_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<RunVar name=%R>", var_of(self)->name);
}

static int var_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(var_of(self)->name);
    Py_VISIT(var_of(self)->default_value);
    return 0;
}
static int var_clear(PyObject *self)
{
    Py_CLEAR(var_of(self)->default_value);
    return 0;
}
static void var_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (var_of(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    Py_CLEAR(var_of(self)->name);
    Py_CLEAR(var_of(self)->default_value);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- the types --------------------------------------------------------------------- */

static PyMethodDef token_methods[] = {
    {"_create", (PyCFunction)(void (*)(void))token_create,
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, NULL},
    {"_empty", token_empty, METH_O | METH_CLASS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef token_getset[] = {
    {"previous_value", get_previous, NULL, PyDoc_STR("What reset() puts back."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef token_members[] = {
    {"_var", T_OBJECT_EX, offsetof(struct token, var), READONLY, NULL},
    {"redeemed", T_BOOL, offsetof(struct token, redeemed), READONLY,
     PyDoc_STR("Whether reset() has used it.")},
    CTRIO_WEAKREFS(struct token),
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot token_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("RunVarToken(*args, **kwargs)\n--\n\n"
                                  "What RunVar.set() returns, for RunVar.reset().")},
    {Py_tp_new, ctrio__no_constructor},
    {Py_tp_repr, token_repr},
    {Py_tp_methods, token_methods},
    {Py_tp_getset, token_getset},
    {Py_tp_members, token_members},
    {Py_tp_traverse, token_traverse},
    {Py_tp_clear, token_clear},
    {Py_tp_dealloc, token_dealloc},
    {0, NULL},
};
static PyType_Spec token_spec = {
    .name = "trio.lowlevel.RunVarToken",
    .basicsize = sizeof(struct token),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = token_slots,
};

static PyMethodDef var_methods[] = {
    {"get", CTRIO_KEYWORDS(var_get),
     PyDoc_STR("get($self, /, default=...)\n--\n\n"
               "Return its value in this run.\n\n"
               "Args:\n    default: What to return if it has none, instead of its own default.\n\n"
               "Raises:\n    LookupError: There is neither value nor default.")},
    {"set", CTRIO_KEYWORDS(var_set),
     PyDoc_STR("set($self, /, value)\n--\n\n"
               "Give it a value in this run.\n\n"
               "Args:\n    value: The value.\n\n"
               "Returns:\n    A token, for `reset`.")},
    {"reset", CTRIO_KEYWORDS(var_reset),
     PyDoc_STR("reset($self, /, token)\n--\n\n"
               "Take a `set` back: the value is again what it was before.\n\n"
               "Args:\n    token: What that `set` has returned.\n\n"
               "Raises:\n    ValueError: It is another variable's, or was used already.")},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef var_getset[] = {
    {"_default", get_default, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef var_members[] = {
    {"_name", T_OBJECT_EX, offsetof(struct run_var, name), READONLY, NULL},
    CTRIO_WEAKREFS(struct run_var),
    {NULL, 0, 0, 0, NULL},
};
PyDoc_STRVAR(var_doc, "RunVar(name, default=...)\n--\n\n"
                      "A variable that all tasks of a run share, and no other run.\n\n"
                      "Args:\n"
                      "    name: For debugging.\n"
                      "    default: Its value in a run where nobody has set it.");
static PyType_Slot var_slots[] = {
    {Py_tp_doc, (void *)var_doc},   {Py_tp_new, var_new},
    {Py_tp_repr, var_repr},         {Py_tp_methods, var_methods},
    {Py_tp_getset, var_getset},     {Py_tp_members, var_members},
    {Py_tp_traverse, var_traverse}, {Py_tp_clear, var_clear},
    {Py_tp_dealloc, var_dealloc},   {0, NULL},
};
static PyType_Spec var_spec = {
    .name = "trio.lowlevel.RunVar",
    .basicsize = sizeof(struct run_var),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = var_slots,
};
static PyType_Slot no_value_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The value of what has none.")},
    {0, NULL},
};
static PyType_Spec no_value_spec = {
    .name = "trio._core._local._NoValue",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = no_value_slots,
};

int ctrio__exec_local(PyObject *module, struct ctrio__state *state)
{
    (void)state;
    PyObject *nothing = PyType_FromModuleAndSpec(module, &no_value_spec, NULL);
    int failed = nothing == NULL || PyModule_AddObjectRef(module, "_NoValue", nothing) < 0;
    Py_XDECREF(nothing);
    if (failed || ctrio__add_type(module, TYPE_RUN_VAR, &var_spec, NULL, "RunVar") < 0)
        return -1;
    return ctrio__add_type(module, TYPE_RUN_VAR_TOKEN, &token_spec, NULL, "RunVarToken");
}
