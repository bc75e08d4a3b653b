/* ancillary.c - ancillary data of messages, between the system's block and Python's list.
 *
 * A block is a row of headers, each with its data, each padded to the next one's alignment.
 * Invariant: nothing is read beyond the length that the block has, whatever its headers say.
 * <sys/socket.h> has macros for the walk; they call into the C library, and what they do with a
 * header that lies has changed over its versions. */
#include "pyext/message.h"
#include <string.h>

/* --- in ---------------------------------------------------------------------------- */

struct walk {
    const char *at; /* the next header */
    size_t left;
};
struct item {
    int level, type;
    const char *data;
    size_t size;
    bool cut; /* its data does not end within the block */
};

static struct walk walk_of(const struct msghdr *message)
{
    CTRIO_ASSERT(message->msg_control != NULL || message->msg_controllen == 0);
    return (struct walk){message->msg_control, message->msg_controllen};
}

/* 1: there is one more; 0: there is none; -1: what follows is no header. */
static int next_item(struct walk *walk, struct item *item)
{
    struct cmsghdr head;
    if (walk->left == 0)
        return 0;
    if (walk->left < CMSG_LEN(0))
        return -1;
    memcpy(&head, walk->at, sizeof head);
    if (head.cmsg_len < CMSG_LEN(0))
        return -1;
    bool cut = head.cmsg_len > walk->left;
    size_t length = cut ? walk->left : head.cmsg_len, space = CMSG_ALIGN(length);
    *item = (struct item){.level = head.cmsg_level,
                          .type = head.cmsg_type,
                          .data = walk->at + CMSG_LEN(0),
                          .size = length - CMSG_LEN(0),
                          .cut = cut};
    walk->left = space < walk->left ? walk->left - space : 0;
    walk->at += walk->left != 0 ? space : 0;
    return 1;
}

static int warn_malformed(void)
{
    return PyErr_WarnEx(PyExc_RuntimeWarning,
                        "received malformed or improperly-truncated ancillary data", 1);
}

static int append(PyObject *list, const struct item *item)
{
    PyObject *tuple =
        Py_BuildValue("iiy#", item->level, item->type, item->data, (Py_ssize_t)item->size);
    int result = tuple != NULL ? PyList_Append(list, tuple) : -1;
    Py_XDECREF(tuple);
    return result;
}

PyObject *ctrio__ancillary_to_python(const struct msghdr *message)
{
    struct walk walk = walk_of(message);
    struct item item = {.cut = false};
    PyObject *list = PyList_New(0);
    while (list != NULL && !item.cut) {
        int found = next_item(&walk, &item);
        if (found == 0)
            break;
        bool failed = (found < 0 || item.cut) && warn_malformed() < 0;
        if (!failed && found > 0)
            failed = append(list, &item) < 0;
        if (failed)
            Py_CLEAR(list);
        if (found < 0)
            break;
    }
    return list;
}

/* --- descriptors that nobody will hear of ------------------------------------------ */

static void close_all(struct ctrio__os *os, int level, int type, const char *data, size_t size)
{
    int number;
    if (level != SOL_SOCKET || type != SCM_RIGHTS)
        return;
    for (; size >= sizeof number; data += sizeof number, size -= sizeof number) {
        memcpy(&number, data, sizeof number);
        os->net->close(os, number);
    }
}

void ctrio__ancillary_close(struct ctrio__os *os, const struct msghdr *message)
{
    struct walk walk = walk_of(message);
    struct item item;
    while (next_item(&walk, &item) > 0)
        close_all(os, item.level, item.type, item.data, item.size);
}

void ctrio__ancillary_close_listed(struct ctrio__os *os, PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *tuple = PyList_GET_ITEM(list, i), *data = PyTuple_GET_ITEM(tuple, 2);
        long level = PyLong_AsLong(PyTuple_GET_ITEM(tuple, 0));
        long type = PyLong_AsLong(PyTuple_GET_ITEM(tuple, 1));
        CTRIO_ASSERT(PyTuple_GET_SIZE(tuple) == 3 && PyBytes_Check(data));
        close_all(os, (int)level, (int)type, PyBytes_AS_STRING(data),
                  (size_t)PyBytes_GET_SIZE(data));
    }
}

/* --- out --------------------------------------------------------------------------- */

static int refuse(const char *text)
{
    PyErr_SetString(PyExc_OSError, text);
    return -1;
}

/* Adds one more at the end, zeros behind it. */
static int write_item(PyObject *block, int level, int type, const Py_buffer *data)
{
    size_t before = (size_t)PyByteArray_GET_SIZE(block), size = (size_t)data->len;
    if (size > INT_MAX - CMSG_SPACE(1)) /* lengths are ints on some systems */
        return refuse("ancillary data item too large");
    size_t space = CMSG_SPACE(size);
    if (before + space > INT_MAX)
        return refuse("too much ancillary data");
    if (PyByteArray_Resize(block, (Py_ssize_t)(before + space)) < 0)
        return -1;
    const struct cmsghdr head = {
        .cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
    char *at = PyByteArray_AS_STRING(block) + before;
    memset(at, 0, space);
    memcpy(at, &head, sizeof head);
    if (size != 0)
        memcpy(at + CMSG_LEN(0), data->buf, size);
    return 0;
}

static int read_item(PyObject *block, PyObject *item)
{
    int level, type;
    Py_buffer data;
    if (!PyArg_Parse(item, "(iiy*):[sendmsg() ancillary data items]", &level, &type, &data))
        return -1;
    int result = write_item(block, level, type, &data);
    PyBuffer_Release(&data);
    return result;
}

PyObject *ctrio__ancillary_from_python(PyObject *items)
{
    PyObject *fast = PySequence_Fast(items, "sendmsg() argument 2 must be an iterable");
    PyObject *block = fast != NULL ? PyByteArray_FromStringAndSize(NULL, 0) : NULL;
    for (Py_ssize_t i = 0; block != NULL && i < PySequence_Fast_GET_SIZE(fast); i++) {
        PyObject *item =
            Py_NewRef(PySequence_Fast_GET_ITEM(fast, i)); /* its __index__ may drop it */
        if (read_item(block, item) < 0)
            Py_CLEAR(block);
        Py_DECREF(item);
    }
    Py_XDECREF(fast);
    return block;
}
