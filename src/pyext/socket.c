/* socket.c - SocketBase: whose descriptor it is, and what a stream may assume of it.
 *
 * The descriptor belongs to `_sock`, a genuine socket.socket, so that everything of the standard
 * library works on it.  Invariant: socket.handle was the number of `sock` when it was last asked
 * for, and no call to the system uses an older one; another `_sock` starts without a registration
 * even under the same number.  Asking costs one C call: the type's own fileno is found once.
 * Reading the number out of CPython's struct was refused: its layout is nobody's promise. */
#include "pyext/sockets.h"

static struct ctrio__py_socket *socket_of(PyObject *self)
{
    return (struct ctrio__py_socket *)self;
}

/* --- the descriptor ---------------------------------------------------------------- */

/* The C function behind type(sock).fileno; NULL, without an error, if it is not plain C. */
static PyCFunction find_fileno(struct ctrio__state *state, PyObject *sock)
{
    PyObject *found = PyObject_GetAttr((PyObject *)Py_TYPE(sock), state->names.fileno);
    PyCFunction result = NULL;
    if (found == NULL) {
        PyErr_Clear();
        return NULL;
    }
    if (Py_IS_TYPE(found, &PyMethodDescr_Type) &&
        PyType_IsSubtype(Py_TYPE(sock), PyDescr_TYPE(found))) {
        const PyMethodDef *method = ((PyMethodDescrObject *)found)->d_method;
        if (method->ml_flags == METH_NOARGS)
            result = method->ml_meth;
    }
    Py_DECREF(found);
    return result;
}

/* What sock.fileno() says: -1 if closed.  -1 with an error. */
static int read_fileno(struct ctrio__py_socket *self, struct ctrio__state *state, long *out)
{
    PyObject *number;
    CTRIO_ASSERT(self->fileno == NULL || self->sock != NULL);
    if (self->sock == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_sock");
        return -1;
    }
    if (self->fileno != NULL)
        number = self->fileno(self->sock, NULL);
    else
        number = PyObject_CallMethodNoArgs(self->sock, state->names.fileno);
    if (number == NULL)
        return -1;
    *out = PyLong_AsLong(number);
    Py_DECREF(number);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

/* A number of which this run's os knows nothing yet. */
static void open_handle(struct ctrio__py_socket *self, struct ctrio__os *os, long number)
{
    intptr_t handle = -1;
    if (number >= 0 && number <= INT_MAX)
        handle = os->net->adopt(os, (int)number);
    ctrio__socket_init(&self->socket, handle >= 0 ? handle : -1);
    self->os = os;
    CTRIO_ASSERT(self->socket.epoch == 0);
}

int ctrio__socket_follow(struct ctrio__py_socket *self, struct ctrio__state *state,
                         struct ctrio_task *task)
{
    long number;
    if (read_fileno(self, state, &number) < 0)
        return -1;
    if (number != self->socket.handle || task->run->os != self->os)
        open_handle(self, task->run->os, number);
    CTRIO_ASSERT(self->socket.handle == number || self->socket.handle == -1);
    return 0;
}

int ctrio__socket_family(struct ctrio__py_socket *self)
{
    if (self->sock == NULL || self->family >= 0)
        return self->sock != NULL ? self->family : AF_UNSPEC;
    PyObject *sock = Py_NewRef(self->sock); /* a property in Python may replace it */
    PyObject *found = ctrio__getattr(sock, "family");
    long number = found != NULL ? PyLong_AsLong(found) : -1;
    Py_XDECREF(found);
    if (number < 0 && PyErr_Occurred() &&
        (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_TypeError)))
        PyErr_Clear(); /* no socket: whoever goes on with it will hear of it */
    int family = number >= 0 && number <= INT_MAX ? (int)number : AF_UNSPEC;
    if (PyErr_Occurred())
        family = -1;
    else if (sock == self->sock)
        self->family = family;
    Py_DECREF(sock);
    return family;
}

static PyObject *release_handle(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    struct ctrio__py_socket *self = socket_of(object);
    struct ctrio__state *state = ctrio__state_by_def(Py_TYPE(object));
    long number;
    if (state == NULL || read_fileno(self, state, &number) < 0)
        return NULL;
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    self->socket.handle = number;
    if (runner != NULL && runner->opened && number >= 0) {
        struct ctrio_run *run = &runner->run;
        ctrio__socket_closing(&self->socket, run);
        run->os->net->release(run->os, number);
    }
    ctrio__socket_init(&self->socket, -1);
    self->os = NULL;
    Py_RETURN_NONE;
}

/* --- what a stream asks ------------------------------------------------------------ */

static bool is_ours(struct ctrio__state *state, PyTypeObject *type, PyObject *name)
{
    PyObject *found = PyObject_GetAttr((PyObject *)type, name);
    if (found == NULL) {
        PyErr_Clear();
        return false;
    }
    bool ours = Py_IS_TYPE(found, state->types[TYPE_ASYNC_FUNCTION]) &&
                ((struct ctrio__function *)found)->async->self == TYPE_SOCKET_BASE;
    Py_DECREF(found);
    return ours;
}

/* Looking the methods up is for when the type has changed: CPython gives it a new version then. */
bool ctrio__socket_is_plain(struct ctrio__state *state, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    struct ctrio__py_socket *self = socket_of(object);
    if (!PyType_IsSubtype(type, state->types[TYPE_SOCKET_BASE]) || self->patched)
        return false;
    if (self->version != 0 && self->version == type->tp_version_tag)
        return true;
    if (!is_ours(state, type, state->names.recv) || !is_ours(state, type, state->names.send))
        return false;
    CTRIO_ASSERT(!self->patched);
    self->version = type->tp_version_tag;
    return true;
}

/* Tests put their own methods on single sockets. */
static int set_attribute(PyObject *self, PyObject *name, PyObject *value)
{
    if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, "_sock") != 0 &&
        PyUnicode_CompareWithASCIIString(name, "_did_shutdown_SHUT_WR") != 0)
        socket_of(self)->patched = true;
    return PyObject_GenericSetAttr(self, name, value);
}

/* --- attributes and life ----------------------------------------------------------- */

static PyObject *get_sock(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *sock = socket_of(self)->sock;
    if (sock == NULL)
        PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute '_sock'",
                     Py_TYPE(self)->tp_name);
    return Py_XNewRef(sock);
}

static int set_sock(PyObject *object, PyObject *value, void *Py_UNUSED(closure))
{
    struct ctrio__py_socket *self = socket_of(object);
    struct ctrio__state *state = ctrio__state_by_def(Py_TYPE(object));
    if (state == NULL)
        return -1;
    PyCFunction fileno = value != NULL ? find_fileno(state, value) : NULL;
    PyObject *before = self->sock;
    ctrio__socket_init(&self->socket, -1);
    self->os = NULL;
    self->family = -1;
    self->sock = Py_XNewRef(value);
    self->fileno = fileno;
    CTRIO_ASSERT(self->socket.epoch == 0);
    Py_XDECREF(before);
    return 0;
}

static PyObject *socket_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                            PyObject *Py_UNUSED(kwargs))
{
    PyObject *self = type->tp_alloc(type, 0);
    if (self != NULL)
        ctrio__socket_init(&socket_of(self)->socket, -1);
    return self;
}
static int socket_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(socket_of(self)->sock);
    return 0;
}
static int socket_clear(PyObject *self)
{
    socket_of(self)->fileno = NULL;
    Py_CLEAR(socket_of(self)->sock);
    return 0;
}
/* Whoever waits on it holds it, so nobody does; and what is registered, the system forgets when
 * the descriptor is closed. */
static void socket_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    socket_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef socket_methods[] = {
    {"_release", release_handle, METH_NOARGS,
     "_release($self, /)\n--\n\n"
     "Tell that the descriptor is about to be closed or given away: who waits for it is woken."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef socket_getset[] = {
    {"_sock", get_sock, set_sock, "The standard library's socket, which owns the descriptor.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef socket_members[] = {
    {"_did_shutdown_SHUT_WR", T_BOOL, offsetof(struct ctrio__py_socket, shut_down_write), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot socket_slots[] = {
    {Py_tp_new, socket_new},
    {Py_tp_setattro, set_attribute},
    {Py_tp_methods, socket_methods},
    {Py_tp_getset, socket_getset},
    {Py_tp_members, socket_members},
    {Py_tp_traverse, socket_traverse},
    {Py_tp_clear, socket_clear},
    {Py_tp_dealloc, socket_dealloc},
    {0, NULL},
};
static PyType_Spec socket_spec = {.name = "trio.socket.SocketBase",
                                  .basicsize = sizeof(struct ctrio__py_socket),
                                  .flags =
                                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                  .slots = socket_slots};

int ctrio__exec_socket(PyObject *module, struct ctrio__state *state)
{
    static_assert(sizeof(bool) == sizeof(char), "T_BOOL is a char");
    if (ctrio__add_type(module, TYPE_SOCKET_BASE, &socket_spec, NULL, "SocketBase") < 0 ||
        ctrio__add_methods(state, TYPE_SOCKET_BASE, ctrio__transfer_methods) < 0 ||
        ctrio__add_methods(state, TYPE_SOCKET_BASE, ctrio__recvmsg_methods) < 0 ||
        ctrio__add_methods(state, TYPE_SOCKET_BASE, ctrio__sendmsg_methods) < 0 ||
        ctrio__add_methods(state, TYPE_SOCKET_BASE, ctrio__connection_methods) < 0)
        return -1;
    return ctrio__exec_stream(module, state);
}
