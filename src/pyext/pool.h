/* pool.h - memory of objects that have gone, for the next of their type.
 *
 * For types whose objects come and go by the thousand; coroutines have lists of their own.  Kept an
 * interpreter, a few of each type.  Not where there is no GIL: each list would need a lock. */
#ifndef CTRIO_PYEXT_POOL_H
#define CTRIO_PYEXT_POOL_H
#include "pyext/state.h"

enum { CTRIO_POOL_MOST = 64 }; /* of a type */

/* As PyObject_GC_New: not tracked yet, and nothing but the head is set. */
PyObject *ctrio__pool_new(struct ctrio__state *state, enum ctrio__type_id id);
/* As PyObject_GC_Del: not tracked any more.  The type's reference is still the caller's to give
 * back. */
void ctrio__pool_free(struct ctrio__state *state, enum ctrio__type_id id, PyObject *object);
/* Gives it all back, and from now on at once. */
void ctrio__pool_drain(struct ctrio__state *state);
#endif
