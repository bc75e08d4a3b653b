/* sync.h - what the files of the primitives share.
 *
 * Every object whose wait queue can be broken or looked at (`_lot`) begins with a lot head, its
 * lot right behind: so a lot leads to its object, whatever that is. */
#ifndef CTRIO_PYEXT_SYNC_H
#define CTRIO_PYEXT_SYNC_H
#include "pyext/coroutine.h"
#include "pyext/outcome.h"

/* --- objects with a lot ------------------------------------------------------------ */

struct ctrio__lot_head {
    PyObject_HEAD
    uint64_t serial;     /* its hash; see ctrio__serial_new */
    PyObject *view;      /* the ParkingLot that shows our lot; borrowed; NULL: nobody looks */
    PyObject *broken_by; /* list of tasks, the first is who broke it; NULL: empty */
    PyObject *moved;     /* list of objects to whose lots tasks of ours moved; NULL: none.
                          * Our own: the collector does not know it, only what is in it. */
    struct ctrio_list registrations; /* breakers that Python code has added, see breaker.c */
};
struct ctrio__py_lot { /* ParkingLot: one of its own, or a view of another object's */
    struct ctrio__lot_head head;
    struct ctrio_parking_lot lot;
    struct ctrio__lot_head *home; /* whose lot this is: &head, or another's: strong */
    PyObject *weakrefs;
};
struct ctrio__py_lock {
    struct ctrio__lot_head head;
    struct ctrio_lock lock;
    PyObject *last_owner; /* strong: the owner that has exited; NULL: none */
    PyObject *dict, *weakrefs;
};
struct ctrio__py_semaphore {
    struct ctrio__lot_head head;
    struct ctrio_semaphore semaphore;
    PyObject *dict, *weakrefs;
};
struct ctrio__py_condition {
    struct ctrio__lot_head head;
    struct ctrio_condition condition;
    struct ctrio__py_lock *lock; /* strong, to the end: tasks of ours may be parked in it */
    PyObject *dict, *weakrefs;
};

static inline struct ctrio_parking_lot *ctrio__lot_of(struct ctrio__lot_head *head)
{
    return (struct ctrio_parking_lot *)(void *)((char *)head + sizeof *head);
}
static inline struct ctrio__lot_head *ctrio__lot_head_from(struct ctrio_parking_lot *lot)
{
    return (struct ctrio__lot_head *)(void *)((char *)lot - sizeof(struct ctrio__lot_head));
}
/* Of zeroed memory, before anything can collect it. */
void ctrio__lot_head_init(struct ctrio__lot_head *head);
int ctrio__lot_head_traverse(struct ctrio__lot_head *head, visitproc visit, void *arg);
/* tp_clear's part.  Keeps alive what tasks are still parked in. */
void ctrio__lot_head_clear(struct ctrio__lot_head *head);
/* tp_dealloc's part; nobody is parked. */
void ctrio__lot_head_close(struct ctrio__lot_head *head);
/* The ParkingLot for it, always the same while somebody holds it: a new reference. */
PyObject *ctrio__lot_view(struct ctrio__lot_head *head);
PyObject *ctrio__get_lot(PyObject *self, void *closure); /* the same as a getter */
/* Tasks are about to be moved from one lot to the other. */
int ctrio__lot_moving(struct ctrio__lot_head *from, struct ctrio__lot_head *to);
/* The list of tasks: a new reference. */
PyObject *ctrio__lot_broken_by(struct ctrio__lot_head *head);
/* BrokenResourceError for the lot.  attempted: it was broken before; else while we were in it. */
PyObject *ctrio__raise_lot_broken(struct ctrio__state *state, struct ctrio__lot_head *head,
                                  bool attempted);
/* None, or what the kernel's code means, CTRIO_BROKEN_RESOURCE being about the lot; takes io. */
PyObject *ctrio__lot_finish(struct ctrio__coroutine *coro, struct ctrio__lot_head *head,
                            bool attempted, struct ctrio__outcome *io);

/* --- breakers ---------------------------------------------------------------------- */

/* ctrio__python.lot_broken. */
void ctrio__py_lot_broken(struct ctrio_parking_lot *lot, struct ctrio_task *task);
/* For a task that will never exit, its run having been given up: what it answers for is broken,
 * without waking anybody. */
void ctrio__py_breakers_forget(struct ctrio__py_task *task);
int ctrio__exec_breaker(PyObject *module, struct ctrio__state *state);

/* --- locks ------------------------------------------------------------------------- */

PyObject *ctrio__lock_make(PyTypeObject *type);
bool ctrio__is_lock(struct ctrio__lot_head *head); /* a Lock or a StrictFIFOLock */
/* Borrowed; NULL: none, or nobody knows any more. */
PyObject *ctrio__lock_owner(const struct ctrio__py_lock *lock);
PyObject *ctrio__lock_acquire_now(struct ctrio__state *state, struct ctrio__py_lock *lock);
PyObject *ctrio__lock_release_now(struct ctrio__state *state, struct ctrio__py_lock *lock);
PyObject *ctrio__lock_statistics(struct ctrio__state *state, struct ctrio__py_lock *lock);
void ctrio__lock_begin(struct ctrio__coroutine *coro, struct ctrio__py_lock *lock);
PyObject *ctrio__lock_finish(struct ctrio__coroutine *coro, struct ctrio__outcome *io);
PyObject *ctrio__raise_owner_exited(struct ctrio__state *state, const struct ctrio__py_lock *lock);

/* --- small things ------------------------------------------------------------------ */

/* Raises what a kernel call answered: < 0, with the text of CTRIO_MISUSE in `text`. */
PyObject *ctrio__raise_code(struct ctrio__state *state, int code, void *text);
/* None, or ctrio__raise_code. */
PyObject *ctrio__none_or_raise(struct ctrio__state *state, int code, struct ctrio__outcome *out);
/* Waking `first` (NULL: nobody) from here is right: it is a task of the current run. */
int ctrio__may_wake(const struct ctrio__state *state, const struct ctrio_task *first);
/* ctrio._statistics.<class>(**Py_BuildValue(format, ...)). */
PyObject *ctrio__statistics_make(struct ctrio__state *state, const char *class_name,
                                 const char *format, ...);
/* How many of `waiting`: an int or math.inf. */
int ctrio__parse_count(PyObject *count, size_t waiting, size_t *out);
/* An int >= 0 or math.inf (SIZE_MAX), with the texts for what is neither. */
int ctrio__parse_limit(PyObject *value, const char *wrong_type, const char *negative, size_t *out);
/* The one argument, borrowed; NULL with TypeError. */
PyObject *ctrio__parse_one(const char *function, const char *name, PyObject *const *args,
                           Py_ssize_t nargs, PyObject *kwnames);
/* A parse() for __aexit__. */
int ctrio__parse_exit(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t count,
                      PyObject *names);
/* tp_new of what takes no arguments: -1 with TypeError. */
int ctrio__no_arguments(const char *function, PyObject *args, PyObject *kwargs);

#define CTRIO_KEYWORDS(function)                                                                   \
    (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS
#define CTRIO_WEAKREFS(type)                                                                       \
    {"__weaklistoffset__", T_PYSSIZET, offsetof(type, weakrefs), READONLY, NULL}
#define CTRIO_DICT(type) {"__dictoffset__", T_PYSSIZET, offsetof(type, dict), READONLY, NULL}
#define CTRIO_GET_DICT {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL}

int ctrio__exec_event(PyObject *module, struct ctrio__state *state);
int ctrio__exec_lock(PyObject *module, struct ctrio__state *state);
int ctrio__exec_semaphore(PyObject *module, struct ctrio__state *state);
int ctrio__exec_condition(PyObject *module, struct ctrio__state *state);
#endif
