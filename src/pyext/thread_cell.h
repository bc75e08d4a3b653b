/* thread_cell.h - what a worker needs of the Cell: to sleep in one without going through Python. */
#ifndef CTRIO_PYEXT_THREAD_CELL_H
#define CTRIO_PYEXT_THREAD_CELL_H
#include "os/native.h"
#include "pyext/state.h"

/* The cell in a Cell that is the machine's; NULL: it is another thing, or another world's. */
struct ctrio__cell *ctrio__machine_cell(const struct ctrio__state *state, PyObject *object);
/* Waits awake and then asleep, without the GIL.  Signals are not looked for: not in the main
 * thread. */
bool ctrio__cell_sleep(struct ctrio__cell *cell, double seconds, struct ctrio__spin *event_spin,
                       struct ctrio__spin *gil_spin);
/* Posts it; the run of this thread, if there is one, then expects an answer soon. */
void ctrio__cell_post_here(const struct ctrio__state *state, struct ctrio__cell *cell);
#endif
