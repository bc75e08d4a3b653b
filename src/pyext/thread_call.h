/* thread_call.h - what a worker needs of the calls of trio.to_thread. */
#ifndef CTRIO_PYEXT_THREAD_CALL_H
#define CTRIO_PYEXT_THREAD_CALL_H
#include "pyext/state.h"

struct ctrio__outcome;

/* The ThreadPlaceholder whose bound method `deliver` is, borrowed; NULL: it is something else. */
PyObject *ctrio__thread_call_behind(const struct ctrio__state *state, PyObject *deliver);
/* [any thread that holds the GIL]  Takes the outcome to the run of the call. */
void ctrio__thread_call_deliver(PyObject *call, struct ctrio__outcome *outcome);
#endif
