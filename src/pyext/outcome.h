/* outcome.h - between exceptions and the kernel's outcomes. */
#ifndef CTRIO_PYEXT_OUTCOME_H
#define CTRIO_PYEXT_OUTCOME_H
#include "pyext/objects.h"

/* Base of the Python class Cancelled. */
struct ctrio__cancelled {
    PyBaseExceptionObject base;
    PyObject *source, *source_task, *reason; /* str, str or None, str or None; NULL is None */
};

/* Takes the current exception (there is one) as a failure. */
struct ctrio__outcome ctrio__outcome_from_error(struct ctrio__state *state);
/* The same of an exception object; steals it. */
struct ctrio__outcome ctrio__outcome_from_exception(struct ctrio__state *state,
                                                    PyObject *exception);
/* Raises what an op ended with (code < 0), taking io->value.  Always returns NULL. */
PyObject *ctrio__raise(struct ctrio__state *state, struct ctrio__outcome *io);
/* The exception itself, new, without raising it; NULL with an error. */
PyObject *ctrio__exception_of(struct ctrio__state *state, struct ctrio__outcome *io);
/* The same of a final outcome, whose value is the exception itself, if there is one.  Never NULL:
 * what could not be made is replaced by the reason why. */
PyObject *ctrio__exception_taken(struct ctrio__state *state, struct ctrio__outcome *io);
/* Sets `exception` as the current error as `raise` does: __context__ is the one being handled.
 * Steals it. */
void ctrio__raise_object(PyObject *exception);
/* The same, but __context__ stays what it is: for exits that replace an exception. */
void ctrio__raise_saving_context(PyObject *exception);
/* Makes the current error one that was raised `from None`. */
void ctrio__hide_context(void);
/* How `with` sees the end of a block: True (swallowed), False (`original` goes on), or NULL with
 * another exception raised.  Takes io->value. */
PyObject *ctrio__exit_result(struct ctrio__state *state, struct ctrio__outcome *io,
                             PyObject *original);
/* outcome.Value / outcome.Error <-> the kernel's. */
PyObject *ctrio__outcome_to_python(struct ctrio__state *state, struct ctrio__outcome *io);
/* -1 with TypeError if it is neither. */
int ctrio__outcome_from_python(struct ctrio__state *state, PyObject *outcome,
                               struct ctrio__outcome *out);

/* A reason with details; steals nothing; NULL without memory (no error set). */
struct ctrio__reason *ctrio__reason_new(enum ctrio__source source, PyObject *source_task,
                                        PyObject *reason);
/* A new Cancelled for it. */
PyObject *ctrio__cancelled_new(struct ctrio__state *state, const struct ctrio__reason *reason);
/* The details, borrowed, NULL where there are none. */
PyObject *ctrio__reason_source_task(const struct ctrio__reason *reason);
PyObject *ctrio__reason_text(const struct ctrio__reason *reason);

/* The parts of ctrio__python that deal with outcomes. */
struct ctrio__outcome ctrio__py_group(struct ctrio__nursery *nursery);
bool ctrio__py_strip_cancelled(struct ctrio_cancel_scope *scope, struct ctrio__outcome *io);
void ctrio__py_misnested(enum ctrio__misnesting how, struct ctrio_task *task,
                         struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *inner,
                         struct ctrio__outcome *io);
struct ctrio__reason *ctrio__py_reason_make(enum ctrio__blame blame, struct ctrio_task *task,
                                            const struct ctrio__outcome *failure);
void ctrio__py_reason_free(struct ctrio__reason *reason);
void ctrio__py_outcome_drop(struct ctrio__outcome *outcome);
#endif
