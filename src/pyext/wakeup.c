/* wakeup.c - signals wake the loop.
 *
 * CPython's own C handler writes a byte to one descriptor of the process when a signal comes; in
 * the main thread a run lends it the bell of its backend, so that no signal can fall between the
 * last look for signals and the wait. */
#include "pyext/calls.h"

static const char *const collision =
    "It looks like Trio's signal handling code might have collided with another library you're "
    "using. If you're running Trio in guest mode, then this might mean you should set "
    "host_uses_signal_set_wakeup_fd=True. Otherwise, file a bug on Trio and we'll help you figure "
    "out what's going on.";

/* signal.set_wakeup_fd(fd): the old one, -1 for none; -2 with an error. */
static long set_wakeup_fd(long fd)
{
    PyObject *module = PyImport_ImportModule("signal");
    PyObject *setter = module != NULL ? ctrio__getattr(module, "set_wakeup_fd") : NULL;
    PyObject *args = Py_BuildValue("(l)", fd);
    PyObject *kwargs = Py_BuildValue("{s:O}", "warn_on_full_buffer", Py_False);
    PyObject *old = NULL;
    if (setter != NULL && args != NULL && kwargs != NULL)
        old = PyObject_Call(setter, args, kwargs);
    Py_XDECREF(module);
    Py_XDECREF(setter);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    long result = old != NULL ? PyLong_AsLong(old) : -2;
    Py_XDECREF(old);
    return result;
}

int ctrio__wakeup_install(struct ctrio__py_runner *runner)
{
    const struct ctrio__io_ops *ops = runner->run.io_ops;
    if (ops->bell == NULL)
        return 0;
    long old = set_wakeup_fd((long)ops->bell(runner->run.io));
    if (old == -2) { /* not the main thread: signals are somebody else's */
        if (!PyErr_ExceptionMatches(PyExc_ValueError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    runner->wakeup_installed = true;
    runner->old_wakeup_fd = old;
    if (old == -1)
        return 0;
    return PyErr_WarnEx(PyExc_RuntimeWarning, collision, 1);
}

/* Runs in greenlets may end in any order: what another one has set since stays, and a descriptor
 * that has been closed meanwhile is not put back. */
void ctrio__wakeup_remove(struct ctrio__py_runner *runner)
{
    if (!runner->wakeup_installed)
        return;
    runner->wakeup_installed = false;
    long mine = (long)runner->run.io_ops->bell(runner->run.io);
    PyObject *error = PyErr_GetRaisedException();
    long found = set_wakeup_fd(runner->old_wakeup_fd);
    if (found == -2 && PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear();
        found = set_wakeup_fd(runner->old_wakeup_fd);
    }
    if (found == -2) {
        PyErr_Clear();
        found = set_wakeup_fd(-1);
    }
    if (found != mine && found != -2)
        found = set_wakeup_fd(found);
    if (found == -2)
        PyErr_WriteUnraisable((PyObject *)runner);
    if (error != NULL)
        PyErr_SetRaisedException(error);
}
