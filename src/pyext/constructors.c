/* constructors.c - the `__init__` of the public classes, for who looks at it.
 *
 * An object of ours is complete when tp_new has made it: tp_init has nothing to do, and
 * type.__call__ finds object's there.  In Trio each class has an `__init__` written in Python;
 * packages and `inspect.signature` read its module, its names, its annotations.  So one of our
 * functions, with a stub, lies in the class's dictionary.  It lies there beside the slot: setting
 * it as an attribute would have every construction call it, which was refused.  CPython before 3.11
 * reads the signature out of the class's docstring. */
#include "pyext/coroutine.h"

static PyObject *made_already(PyObject *Py_UNUSED(self), PyObject *const *Py_UNUSED(args),
                              Py_ssize_t Py_UNUSED(nargs), PyObject *Py_UNUSED(kwnames))
{
    Py_RETURN_NONE;
}

static const struct ctrio__sync constructors[] = {
    {"CancelScope.__init__", "trio", TYPE_SCOPE, made_already},
    {"Nursery.__init__", "trio", TYPE_NURSERY, made_already},
    {"Event.__init__", "trio", TYPE_EVENT, made_already},
    {"Lock.__init__", "trio", TYPE_LOCK, made_already},
    {"StrictFIFOLock.__init__", "trio", TYPE_STRICT_FIFO_LOCK, made_already},
    {"Semaphore.__init__", "trio", TYPE_SEMAPHORE, made_already},
    {"Condition.__init__", "trio", TYPE_CONDITION, made_already},
    {"CapacityLimiter.__init__", "trio", TYPE_LIMITER, made_already},
    {"MemorySendChannel.__init__", "trio", TYPE_SEND_CHANNEL, made_already},
    {"MemoryReceiveChannel.__init__", "trio", TYPE_RECEIVE_CHANNEL, made_already},
    {"ParkingLot.__init__", "trio.lowlevel", TYPE_LOT, made_already},
    {"RunVar.__init__", "trio.lowlevel", TYPE_RUN_VAR, made_already},
    {"RunVarToken.__init__", "trio.lowlevel", TYPE_RUN_VAR_TOKEN, made_already},
    {"Task.__init__", "trio.lowlevel", TYPE_TASK, made_already},
    {"TrioToken.__init__", "trio.lowlevel", TYPE_TOKEN, made_already},
};

int ctrio__exec_constructors(PyObject *Py_UNUSED(module), struct ctrio__state *state)
{
    for (size_t i = 0; i < sizeof constructors / sizeof constructors[0]; i++) {
        PyTypeObject *type = state->types[constructors[i].self];
        initproc before = type->tp_init;
        PyObject *function = ctrio__sync_function_new(state, &constructors[i]);
        int failed =
            function == NULL || PyDict_SetItemString(type->tp_dict, "__init__", function) < 0;
        Py_XDECREF(function);
        if (failed)
            return -1;
        PyType_Modified(type);
        CTRIO_ASSERT(type->tp_init == before && before == PyBaseObject_Type.tp_init);
        (void)before;
    }
    return 0;
}
