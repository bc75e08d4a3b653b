/* gil.c - see gil.h.
 *
 * `taken_by` is a hint and nothing else, so it may be one for all interpreters of the process, and
 * outlive them.  It is wrong while a thread of ours lets others run elsewhere, in time.sleep() say,
 * and where interpreters have a GIL each: then somebody spins in vain, for microseconds, and
 * learns. */
#include "pyext/gil.h"

static _Atomic uint32_t holding; /* runs that hold spinning back */
static _Atomic(void *) taken_by; /* the thread state of ours that has the GIL; NULL: none */

PyThreadState *ctrio__gil_leave(void)
{
    PyThreadState *thread = PyEval_SaveThread();
    void *mine = thread; /* whoever has taken it since has noted so */
    atomic_compare_exchange_strong(&taken_by, &mine, NULL);
    return thread;
}

static bool is_free(const void *arg)
{
    (void)arg;
    return atomic_load_explicit(&taken_by, memory_order_acquire) == NULL;
}

void ctrio__gil_enter(PyThreadState *thread, const struct ctrio__thread_ops *threads,
                      struct ctrio__spin *spin)
{
    if (spin != NULL && threads->spin != NULL)
        threads->spin(NULL, spin, CTRIO__SPIN_FOR_LOCK, is_free, NULL);
    PyEval_RestoreThread(thread);
    atomic_store_explicit(&taken_by, thread, memory_order_relaxed);
}

void ctrio__spin_hold(bool hold)
{
    if (hold)
        atomic_fetch_add(&holding, 1);
    else
        atomic_fetch_sub(&holding, 1);
}

bool ctrio__spin_held(void)
{
    return atomic_load_explicit(&holding, memory_order_relaxed) != 0;
}
