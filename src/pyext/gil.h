/* gil.h - giving the GIL to another thread of ours, and getting it back, without sleeping.
 *
 * Whoever is handed something by a thread that still has the GIL would find it taken, and sleep. So
 * threads of ours note that they have it, and one that needs it spins until that one has let go. */
#ifndef CTRIO_PYEXT_GIL_H
#define CTRIO_PYEXT_GIL_H
#include <Python.h>
#include "os/os.h"

/* The GIL is free for others.  What leave gives, enter takes.  `spin` NULL: nobody is expected to
 * let go soon. */
PyThreadState *ctrio__gil_leave(void);
void ctrio__gil_enter(PyThreadState *thread, const struct ctrio__thread_ops *threads,
                      struct ctrio__spin *spin);
/* A run that goes by another clock or on another machine than the real one holds spinning back in
 * the whole process while it is open. */
void ctrio__spin_hold(bool hold);
bool ctrio__spin_held(void);
#endif
