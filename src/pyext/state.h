/* state.h - the module's state: one a Python interpreter, never static.
 *
 * Types and interned names are made once at import; `bound` is what the Python side hands to the
 * core by bind(). */
#ifndef CTRIO_PYEXT_STATE_H
#define CTRIO_PYEXT_STATE_H
#include "pyext/compat.h"
#include "pyext/named.h"
#include <stdbool.h>

enum ctrio__type_id {
    TYPE_NONE = -1,
    TYPE_ASYNC_FUNCTION,
    TYPE_SYNC_FUNCTION,
    TYPE_COROUTINE,
    TYPE_SMALL_COROUTINE,
    TYPE_COROUTINE_WRAPPER,
    TYPE_CANCELLED_BASE,
    TYPE_SCOPE,
    TYPE_FAIL_SCOPE,
    TYPE_NURSERY,
    TYPE_NURSERY_MANAGER,
    TYPE_TASK_STATUS,
    TYPE_TASK,
    TYPE_RUNNER,
    TYPE_GUEST,
    TYPE_RUN_CONTEXT,
    TYPE_CONTEXT_DICT,
    TYPE_RAISE_CANCEL,
    TYPE_TOKEN,
    TYPE_ENTRY_QUEUE,
    TYPE_RUN_VAR,
    TYPE_RUN_VAR_TOKEN,
    TYPE_SYSTEM_CLOCK,
    TYPE_EVENT,
    TYPE_LOCK,
    TYPE_STRICT_FIFO_LOCK,
    TYPE_SEMAPHORE,
    TYPE_CONDITION,
    TYPE_LIMITER,
    TYPE_LOT,
    TYPE_BREAKER_VIEW,
    TYPE_CHANNEL_STATE,
    TYPE_SEND_CHANNEL,
    TYPE_RECEIVE_CHANNEL,
    TYPE_OPEN_CHANNEL,
    TYPE_CELL,
    TYPE_WORKER,
    TYPE_THREAD_PLACEHOLDER,
    TYPE_SOCKET_BASE,
    TYPE_STREAM_BASE,
    TYPE_IO_MANAGER,
    TYPE_INSTRUMENTS,
    TYPE_COUNT,
};

struct ctrio__pool {
    void *first; /* NULL: it is empty */
    uint8_t count;
    bool closed;
};

/* X(name): what bind() wants; see _core/__init__.py. */
#define CTRIO_BOUND(X)                                                                             \
    X(Cancelled)                                                                                   \
    X(WouldBlock)                                                                                  \
    X(EndOfChannel)                                                                                \
    X(BusyResourceError)                                                                           \
    X(ClosedResourceError)                                                                         \
    X(BrokenResourceError)                                                                         \
    X(RunFinishedError)                                                                            \
    X(TrioInternalError)                                                                           \
    X(TooSlowError)                                                                                \
    X(Abort)                                                                                       \
    X(coroutine_or_error)                                                                          \
    X(warn_deprecated)                                                                             \
    X(run_module)                                                                                  \
    X(asyncgens_factory)                                                                           \
    X(NONSTRICT_EXCEPTIONGROUP_NOTE)                                                               \
    X(wrap_coroutine)                                                                              \
    X(concat_tb)                                                                                   \
    X(MISNESTING_ADVICE)                                                                           \
    X(iter_await_frames)                                                                           \
    X(Instrument)

/* X(identifier, "text"): interned once. */
#define CTRIO_NAMES(X)                                                                             \
    X(unknown, "unknown")                                                                          \
    X(deadline, "deadline")                                                                        \
    X(explicit, "explicit")                                                                        \
    X(nursery, "nursery")                                                                          \
    X(shutdown, "shutdown")                                                                        \
    X(interrupt, "KeyboardInterrupt")                                                              \
    X(misnesting, "misnesting")                                                                    \
    X(dunder_module, "__module__")                                                                 \
    X(dunder_qualname, "__qualname__")                                                             \
    X(dunder_wrapped, "__wrapped__")                                                               \
    X(dunder_notes, "__notes__")                                                                   \
    X(dunder_code, "__code__")                                                                     \
    X(add_note, "add_note")                                                                        \
    X(split, "split")                                                                              \
    X(derive, "derive")                                                                            \
    X(exceptions, "exceptions")                                                                    \
    X(throw_, "throw")                                                                             \
    X(close, "close")                                                                              \
    X(cr_frame, "cr_frame")                                                                        \
    X(gi_frame, "gi_frame")                                                                        \
    X(cr_await, "cr_await")                                                                        \
    X(name, "name")                                                                                \
    X(func, "func")                                                                                \
    X(send, "send")                                                                                \
    X(recv, "recv")                                                                                \
    X(fileno, "fileno")                                                                            \
    X(runner, "runner")                                                                            \
    X(task, "task")                                                                                \
    X(value, "value")                                                                              \
    X(error, "error")                                                                              \
    X(trio, "trio")                                                                                \
    X(source, "source")                                                                            \
    X(source_task, "source_task")                                                                  \
    X(reason, "reason")                                                                            \
    X(task_status, "task_status")                                                                  \
    X(start_clock, "start_clock")                                                                  \
    X(current_time, "current_time")                                                                \
    X(deadline_to_sleep_time, "deadline_to_sleep_time")                                            \
    X(autojump, "_autojump")                                                                       \
    X(task_spawned, "task_spawned")                                                                \
    X(task_scheduled, "task_scheduled")                                                            \
    X(before_task_step, "before_task_step")                                                        \
    X(after_task_step, "after_task_step")                                                          \
    X(task_exited, "task_exited")                                                                  \
    X(before_io_wait, "before_io_wait")                                                            \
    X(after_io_wait, "after_io_wait")                                                              \
    X(all_hooks, "_all")                                                                           \
    X(dunder_dict, "__dict__")                                                                     \
    X(token, "token")                                                                              \
    X(abandon_on_cancel, "abandon_on_cancel")                                                      \
    X(cancel_register, "cancel_register")                                                          \
    X(task_register, "task_register")                                                              \
    X(release_on_behalf_of, "release_on_behalf_of")                                                \
    X(idle_timeout, "IDLE_TIMEOUT")

struct ctrio__coroutine;
struct ctrio__state {
    PyTypeObject *types[TYPE_COUNT];
#define X(name) PyObject *name;
    struct {
        CTRIO_BOUND(X)
    } bound;
#undef X
#define X(identifier, text) PyObject *identifier;
    struct {
        CTRIO_NAMES(X)
    } names;
#undef X
    PyObject *run_context;     /* GLOBAL_RUN_CONTEXT */
    PyObject *yield_token;     /* what our coroutines yield to the loop */
    PyObject *breaker_view;    /* GLOBAL_PARKING_LOT_BREAKER */
    PyObject *abort_succeeded; /* Abort.SUCCEEDED, Abort.FAILED; with bound.Abort */
    PyObject *abort_failed;
    PyObject *exception_group; /* BaseExceptionGroup */
    PyObject *sniffio_local;   /* sniffio.thread_local; NULL before the first run */
    PyObject *outcome_value;   /* outcome.Value, outcome.Error; NULL before the first use */
    PyObject *outcome_error;
    PyObject *stubs;            /* ctrio._stubs; NULL before the first use */
    PyObject *statistics;       /* ctrio._statistics; NULL before the first use */
    PyObject *socket_type;      /* socket.socket; NULL before the first use */
    PyObject *partial_type;     /* functools.partial; NULL before the first use */
    PyObject *sniffio_variable; /* current_async_library_cvar; NULL before the first use */
    PyObject *empty_tuple;
    PyObject *spare_coroutine[2]; /* small, large: done, for the next call; NULL: it is in use */
    PyObject *kept_stop;          /* a StopIteration to be used again; stop_iteration.c */
    PyObject *opcodes;            /* see ki.c */
    uint64_t last_serial;         /* given to an object hashed outside of a run */
    uint64_t thread_calls;        /* how many have a number */
    Py_ssize_t ki_index;          /* of the mark on code objects */
    size_t context_map;           /* where a context has its variables; 0: not known */
    struct ctrio__coroutine *free_coroutines[2]; /* small, large: chained by `self` */
    Py_ssize_t free_count[2];
    struct ctrio__pool pools[TYPE_COUNT]; /* see pool.h */
    bool result_kept;                     /* kept_stop has a value, since this step */
    bool io_manager_patched;              /* somebody assigned to TheIOManager: look methods up */
    bool workers_end;                     /* the interpreter ends: no thread waits for a job */
    bool random_touched; /* somebody seeded _run._r: draw the batch coins from it */
};

extern struct PyModuleDef ctrio__module;
static inline struct ctrio__state *ctrio__state_of_type(PyTypeObject *type)
{
    return PyType_GetModuleState(type);
}
/* For objects of final types. */
#define ctrio__state_of(object) ctrio__state_of_type(Py_TYPE(object))
/* For objects whose type may be a Python subclass of ours; NULL with an error. */
struct ctrio__state *ctrio__state_by_def(PyTypeObject *type);

/* Adds types to the state (and, if `module` has a name for them, to the module). */
int ctrio__add_type(PyObject *module, enum ctrio__type_id id, PyType_Spec *spec, PyTypeObject *base,
                    const char *name);
/* Lazily imports `module`.`name` into *slot; borrowed, NULL with an error. */
PyObject *ctrio__lazy(PyObject **slot, const char *module, const char *name);

/* hash() by the order of making, never by address, so that sets of our objects are walked in the
 * same order in every run of a program.  For types whose first field is `uint64_t serial`. */
Py_hash_t ctrio__hash_by_serial(PyObject *self);

/* One function a file of types: makes them at import. */
int ctrio__exec_async_function(PyObject *module, struct ctrio__state *state);
int ctrio__exec_coroutine(PyObject *module, struct ctrio__state *state);
int ctrio__exec_outcome(PyObject *module, struct ctrio__state *state);
int ctrio__exec_scope(PyObject *module, struct ctrio__state *state);
int ctrio__exec_nursery(PyObject *module, struct ctrio__state *state);
int ctrio__exec_start(PyObject *module, struct ctrio__state *state);
int ctrio__exec_timeouts(PyObject *module, struct ctrio__state *state);
int ctrio__exec_runner(PyObject *module, struct ctrio__state *state);
int ctrio__exec_task(PyObject *module, struct ctrio__state *state);
int ctrio__exec_run(PyObject *module, struct ctrio__state *state);
int ctrio__exec_guest(PyObject *module, struct ctrio__state *state);
int ctrio__exec_context(PyObject *module, struct ctrio__state *state);
int ctrio__exec_shared_context(PyObject *module, struct ctrio__state *state);
int ctrio__exec_current(PyObject *module, struct ctrio__state *state);
int ctrio__exec_clock(PyObject *module, struct ctrio__state *state);
int ctrio__exec_checkpoint(PyObject *module, struct ctrio__state *state);
int ctrio__exec_traps(PyObject *module, struct ctrio__state *state);
int ctrio__exec_token(PyObject *module, struct ctrio__state *state);
int ctrio__exec_ki(PyObject *module, struct ctrio__state *state);
int ctrio__exec_instrument(PyObject *module, struct ctrio__state *state);
int ctrio__exec_batch_order(PyObject *module, struct ctrio__state *state);
int ctrio__exec_local(PyObject *module, struct ctrio__state *state);
int ctrio__exec_lot(PyObject *module, struct ctrio__state *state);
int ctrio__exec_sync(PyObject *module, struct ctrio__state *state);
int ctrio__exec_limiter(PyObject *module, struct ctrio__state *state);
int ctrio__exec_channel(PyObject *module, struct ctrio__state *state);
int ctrio__exec_io(PyObject *module, struct ctrio__state *state);
int ctrio__exec_socket(PyObject *module, struct ctrio__state *state);
int ctrio__exec_scripted(PyObject *module, struct ctrio__state *state);
int ctrio__exec_thread(PyObject *module, struct ctrio__state *state);
int ctrio__exec_thread_call(PyObject *module, struct ctrio__state *state);
int ctrio__exec_worker(PyObject *module, struct ctrio__state *state);
int ctrio__exec_constructors(PyObject *module, struct ctrio__state *state);
#endif
