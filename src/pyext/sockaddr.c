/* sockaddr.c - between Python's addresses and the system's: INET, INET6, UNIX.
 *
 * Out: what the standard library gives, for any address.  In: only what is unambiguous, numbers
 * and paths of the right types and ranges; whatever else there may be, mistakes above all, is left
 * to the standard library, so that there is one source of error texts.  Nothing is looked up. */
#include "pyext/sockets.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

/* --- in ---------------------------------------------------------------------------- */

static bool read_port(PyObject *object, uint32_t *out)
{
    int overflow;
    if (!PyLong_Check(object))
        return false;
    long value = PyLong_AsLongAndOverflow(object, &overflow);
    *out = (uint32_t)value;
    return overflow == 0 && value >= 0 && value <= 0xffff;
}

/* As an unsigned int in C: the rest is cut off, without a word. */
static bool read_cut(PyObject *object, uint32_t *out)
{
    if (!PyLong_Check(object))
        return false;
    *out = (uint32_t)PyLong_AsUnsignedLongMask(object);
    return true;
}

static bool read_host(int family, PyObject *object, void *out)
{
    if (!PyUnicode_Check(object))
        return false;
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(object, &length);
    if (text == NULL) {
        PyErr_Clear();
        return false;
    }
    return (size_t)length == strlen(text) && inet_pton(family, text, out) == 1;
}

static bool from_inet(PyObject *address, struct sockaddr_in *out)
{
    uint32_t port;
    *out = (struct sockaddr_in){.sin_family = AF_INET};
    if (PyTuple_GET_SIZE(address) != 2 ||
        !read_host(AF_INET, PyTuple_GET_ITEM(address, 0), &out->sin_addr) ||
        !read_port(PyTuple_GET_ITEM(address, 1), &port))
        return false;
    out->sin_port = htons((uint16_t)port);
    return true;
}

static bool from_inet6(PyObject *address, struct sockaddr_in6 *out)
{
    Py_ssize_t count = PyTuple_GET_SIZE(address);
    uint32_t port, flow = 0, scope = 0;
    *out = (struct sockaddr_in6){.sin6_family = AF_INET6};
    if (count < 2 || count > 4 ||
        !read_host(AF_INET6, PyTuple_GET_ITEM(address, 0), &out->sin6_addr) ||
        !read_port(PyTuple_GET_ITEM(address, 1), &port) ||
        (count > 2 && !read_cut(PyTuple_GET_ITEM(address, 2), &flow)) || flow > 0xfffff ||
        (count > 3 && !read_cut(PyTuple_GET_ITEM(address, 3), &scope)))
        return false;
    out->sin6_port = htons((uint16_t)port);
    out->sin6_flowinfo = htonl(flow);
    out->sin6_scope_id = scope;
    return true;
}

/* A path in the file system, or what lives outside of it: a name that starts with NUL, or none. */
static bool from_unix(PyObject *address, struct sockaddr_un *out, uint32_t *size)
{
    PyObject *path = NULL;
    if (PyUnicode_Check(address))
        path = PyUnicode_EncodeFSDefault(address);
    else if (PyBytes_Check(address))
        path = Py_NewRef(address);
    if (path == NULL) {
        PyErr_Clear();
        return false;
    }
    size_t length = (size_t)PyBytes_GET_SIZE(path);
    bool is_path = length > 0 && PyBytes_AS_STRING(path)[0] != '\0';
    size_t whole = length + (is_path ? 1 : 0);
    bool fits = whole <= sizeof out->sun_path;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (fits)
        memcpy(out->sun_path, PyBytes_AS_STRING(path), length);
    *size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + whole);
    Py_DECREF(path);
    return fits;
}

bool ctrio__sockaddr_from_python(int family, PyObject *address, struct sockaddr_storage *out,
                                 uint32_t *size)
{
    CTRIO_ASSERT(!PyErr_Occurred());
    switch (family) {
    case AF_INET:
        *size = sizeof(struct sockaddr_in);
        return PyTuple_Check(address) && from_inet(address, (struct sockaddr_in *)out);
    case AF_INET6:
        *size = sizeof(struct sockaddr_in6);
        return PyTuple_Check(address) && from_inet6(address, (struct sockaddr_in6 *)out);
    case AF_UNIX:
        return from_unix(address, (struct sockaddr_un *)out, size);
    default:
        return false;
    }
}

/* --- out --------------------------------------------------------------------------- */

static PyObject *to_inet(const struct sockaddr_in *address)
{
    char host[INET_ADDRSTRLEN];
    if (inet_ntop(AF_INET, &address->sin_addr, host, sizeof host) == NULL)
        return PyErr_SetFromErrno(PyExc_OSError);
    return Py_BuildValue("si", host, ntohs(address->sin_port));
}

static PyObject *to_inet6(const struct sockaddr_in6 *address)
{
    char host[INET6_ADDRSTRLEN];
    if (inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof host) == NULL)
        return PyErr_SetFromErrno(PyExc_OSError);
    return Py_BuildValue("siII", host, ntohs(address->sin6_port), ntohl(address->sin6_flowinfo),
                         address->sin6_scope_id);
}

static PyObject *to_unix(const struct sockaddr_un *address, size_t length)
{
    if (length > sizeof address->sun_path)
        length = sizeof address->sun_path; /* cut short by the system */
    if (length > 0 && address->sun_path[0] == '\0')
        return PyBytes_FromStringAndSize(address->sun_path, (Py_ssize_t)length);
    size_t end = strnlen(address->sun_path, length);
    return PyUnicode_DecodeFSDefaultAndSize(address->sun_path, (Py_ssize_t)end);
}

PyObject *ctrio__sockaddr_to_python(const struct sockaddr_storage *address, uint32_t size)
{
    const struct sockaddr *any = (const struct sockaddr *)address;
    if (size == 0)
        Py_RETURN_NONE;
    CTRIO_ASSERT(size >= offsetof(struct sockaddr, sa_data));
    switch (any->sa_family) {
    case AF_INET:
        return to_inet((const struct sockaddr_in *)address);
    case AF_INET6:
        return to_inet6((const struct sockaddr_in6 *)address);
    case AF_UNIX:
        return to_unix((const struct sockaddr_un *)address,
                       size - offsetof(struct sockaddr_un, sun_path));
    default:
        return Py_BuildValue("iy#", any->sa_family, any->sa_data, (Py_ssize_t)sizeof any->sa_data);
    }
}
