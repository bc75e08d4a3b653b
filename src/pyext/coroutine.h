/* coroutine.h - async functions in C: an `async def` to everyone who looks, a kernel operation
 * inside.
 *
 * An async function is a table entry (struct ctrio__async) and two small objects: the function,
 * made at import, and the coroutine that a call returns, which holds the operation.  All the ways
 * into a coroutine (am_send, tp_iternext, send, throw, close) end in one step. */
#ifndef CTRIO_PYEXT_COROUTINE_H
#define CTRIO_PYEXT_COROUTINE_H
#include "pyext/objects.h"

struct ctrio__coroutine;
struct ctrio__async {
    const char *qualname;     /* "Lock.acquire": where the stub is found */
    const char *module;       /* "trio" */
    enum ctrio__type_id self; /* of a method; TYPE_NONE: a function */
    /* At the call: takes the arguments (self already in coro->self); -1 with TypeError.  NULL:
     * there are none. */
    int (*parse)(struct ctrio__coroutine *coro, PyObject *const *args, Py_ssize_t count,
                 PyObject *names);
    /* At the await: checks values, prepares the op.  -1 with an error.  1: done at once, with
     * what `finish` makes of a zero outcome. */
    int (*begin)(struct ctrio__coroutine *coro, struct ctrio__py_task *task);
    /* The op is done: a new reference, or NULL with an error.  Owns io->value.  NULL: None, or
     * ctrio__raise. */
    PyObject *(*finish)(struct ctrio__coroutine *coro, struct ctrio__outcome *io);
    /* Gives back what parse and begin took beyond self and arg; the op is out of all queues.
     * NULL: nothing. */
    void (*drop)(struct ctrio__coroutine *coro);
    /* To the garbage collector, what drop would give back. */
    int (*traverse)(struct ctrio__coroutine *coro, visitproc visit, void *arg);
    bool raw;          /* resumes with whatever is sent, woken or not (detached coroutines) */
    bool small;        /* needs nothing that only large coroutines have */
    bool outside_task; /* may be awaited where there is no current task: begin gets NULL */
};

/* A synchronous method that people inspect, and whose code debuggers replace: __enter__, __exit__;
 * and the __init__ of classes. Called with `self` of the right type, the arguments after it. */
struct ctrio__sync {
    const char *qualname, *module;
    enum ctrio__type_id self;
    PyObject *(*call)(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
};

enum ctrio__coroutine_state { CORO_FRESH, CORO_PARKED, CORO_RUNNING, CORO_DONE };

union ctrio__any_op {
    struct ctrio__op op; /* the head of all of them */
    struct ctrio__primitive primitive;
    struct ctrio__sleep_op sleep;
    struct ctrio__wait_op wait;
    struct ctrio__idle_op idle;
    struct ctrio__nursery_close_op nursery_close;
    struct ctrio__init_op init;
    struct ctrio__condition_wait_op condition;
    struct ctrio__limiter_op limiter;
    struct ctrio__channel_op channel;
    void *room[16]; /* for the socket operations */
};

enum { CTRIO_FREE_COROUTINES = 512 }; /* of a size: kept for reuse, an interpreter */

enum { CTRIO_SMALL_OP = 40 }; /* bytes */
static_assert(sizeof(struct ctrio__primitive) <= CTRIO_SMALL_OP, "locks, events, semaphores, lots");
static_assert(sizeof(struct ctrio__nursery_close_op) <= CTRIO_SMALL_OP, "__aexit__ of a nursery");

struct ctrio__function;
/* Of two sizes, each a type: programs have thousands that wait in an event or a nursery. */
struct ctrio__coroutine {
    PyObject_HEAD
    struct ctrio__function *function; /* strong */
    PyObject *self;                   /* of a method: strong */
    PyObject *arg, *arg2;             /* the table entry's own: strong */
    struct ctrio__py_task *task;      /* strong while parked: who awaits us */
    PyObject *weakrefs;
    uint8_t state;  /* enum ctrio__coroutine_state */
    bool finalized; /* has warned: its header cannot be recycled */
    bool by_hand;   /* stepped by a call of send(): see allow_shortcuts */
    bool large;
    union ctrio__any_op op; /* a small one ends after CTRIO_SMALL_OP bytes of it */
    PyObject *yield_value;  /* for the next yield instead of None: strong */
    PyObject *origin;       /* strong; NULL unless somebody tracks origins */
    double number;          /* the table entry's own: a flag, a deadline */
};
struct ctrio__function {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    const struct ctrio__async *async; /* NULL: a synchronous one */
    const struct ctrio__sync *sync;
    struct ctrio__state *state;
    PyObject *name, *qualname, *module;
    PyObject *stub; /* its Python twin in ctrio._stubs; NULL until somebody looks */
    PyObject *dict, *weakrefs;
};
static inline struct ctrio__state *ctrio__state_of_coro(const struct ctrio__coroutine *coro)
{
    return coro->function->state;
}

/* A new function. */
PyObject *ctrio__function_new(struct ctrio__state *state, const struct ctrio__async *async);
PyObject *ctrio__sync_function_new(struct ctrio__state *state, const struct ctrio__sync *sync);
/* Adds module-level async functions / methods of a type.  The array ends with qualname NULL. */
int ctrio__add_functions(PyObject *module, struct ctrio__state *state,
                         const struct ctrio__async *functions);
int ctrio__add_methods(struct ctrio__state *state, enum ctrio__type_id type,
                       const struct ctrio__async *methods);
/* The same of synchronous methods. */
int ctrio__add_sync_methods(struct ctrio__state *state, enum ctrio__type_id type,
                            const struct ctrio__sync *methods);
/* A `call` that takes nothing but self: -1 with TypeError. */
int ctrio__parse_nothing(const char *function, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames);
/* large: also where the table entry asks for a small one. */
struct ctrio__coroutine *ctrio__coroutine_new(struct ctrio__function *function, PyObject *self,
                                              bool large);
static inline bool ctrio__is_coroutine(const struct ctrio__state *state, PyObject *object)
{
    return Py_IS_TYPE(object, state->types[TYPE_COROUTINE]) ||
           Py_IS_TYPE(object, state->types[TYPE_SMALL_COROUTINE]);
}

/* Positional and keyword arguments into out[] (borrowed; NULL where absent), with Python's texts.
 * names[] has `count` names; the first `required` must be there. */
int ctrio__parse(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                 const char *const *names, Py_ssize_t required, Py_ssize_t count, PyObject **out);
/* The same where only the first `positional` may come by position. */
int ctrio__parse_keywords(const char *function, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames, const char *const *names, Py_ssize_t required,
                          Py_ssize_t positional, Py_ssize_t count, PyObject **out);
/* The same of a tuple and a dict (either may be NULL); only the first `positional` may come by
 * position. */
int ctrio__parse_tuple(const char *function, PyObject *args, PyObject *kwargs,
                       const char *const *names, Py_ssize_t required, Py_ssize_t positional,
                       Py_ssize_t count, PyObject **out);
/* tp_new of what has no public constructor. */
PyObject *ctrio__no_constructor(PyTypeObject *type, PyObject *args, PyObject *kwargs);
/* Raises StopIteration(value); steals the value. */
void ctrio__stop_iteration(struct ctrio__state *state, PyObject *value);
/* After a step in which state->result_kept has become true. */
void ctrio__forget_result(struct ctrio__state *state);
/* A number of seconds, any number. */
int ctrio__seconds(PyObject *object, double *out);
/* coroutine_look.c: what people look at */
extern PyGetSetDef ctrio__coroutine_getset[];
PyObject *ctrio__coroutine_repr(PyObject *self);
/* That it was never awaited; keeps the error that is set. */
void ctrio__coroutine_warn(PyObject *self);
#endif
