/* objects.h - the Python objects around the kernel's structs.
 *
 * A kernel struct is a member of its PyObject; container-of gives the object back.  The kernel
 * holds borrowed pointers.  References are taken and given back at one place each:
 *   a living task            spawn … task_free
 *   its nursery              spawn (and started(), which moves it) … the task's dealloc
 *   an entered scope         enter … exit (or scope_release)
 *   a parked op's subject    the coroutine that holds the op */
#ifndef CTRIO_PYEXT_OBJECTS_H
#define CTRIO_PYEXT_OBJECTS_H
#include "kernel/capacity_limiter.h"
#include "kernel/channel.h"
#include "kernel/checkpoint.h"
#include "kernel/condition.h"
#include "kernel/event.h"
#include "kernel/idle.h"
#include "kernel/lock.h"
#include "kernel/run.h"
#include "kernel/semaphore.h"
#include "os/spin.h"
#include "pyext/state.h"

struct ctrio__os;

/* --- tasks ------------------------------------------------------------------------- */
/* What a task holds for its next step; rarely anything, and never two things at once. */
enum ctrio__kept {
    KEPT_NOTHING,
    KEPT_ABORT_FUNC, /* of wait_task_rescheduled, while parked in it */
    KEPT_EXCEPTION,  /* the answer to a foreign yield, to be thrown */
    KEPT_OUTCOME,    /* that the task is to exit with, once its coroutine is detached */
};
/* Thousands of tasks fit into a cache, or do not: half of one is what it waits with. */
struct ctrio__py_task {
    PyObject_HEAD
    struct ctrio_task task;   /* task.run is set from the beginning, its runner held: strong */
    PyObject *coro, *context; /* writable; read anew at each step */
    PyObject *name;
    PyObject *custom_sleep_data; /* None after each wake-up */
    PyObject *kept;              /* strong; NULL: KEPT_NOTHING */
    PyObject *weakrefs;
    const void *asked_by; /* the coroutine that parked or yielded last; compared */
    uint8_t what_is_kept; /* enum ctrio__kept */
    bool has_wake;        /* task.wake is what this step was woken with, until an op takes it */
    bool poisoned;        /* a nonsense was assigned to _schedule_points */
    bool ki_protected;
    bool hidden;         /* see collector.c */
    bool shares_context; /* nobody may enter `context`: see shared_context.h */
};
static inline struct ctrio__py_task *ctrio__py_task_from(struct ctrio_task *task)
{
    return ctrio__container(task, struct ctrio__py_task, task);
}
/* Keeps `object` (stolen) for the next step instead of what was kept before. */
void ctrio__task_keep(struct ctrio__py_task *task, enum ctrio__kept what, PyObject *object);
/* A new reference to what is kept, if it is that; or NULL. */
PyObject *ctrio__task_take_kept(struct ctrio__py_task *task, enum ctrio__kept what);
static inline void ctrio__task_drop_kept(struct ctrio__py_task *task, enum ctrio__kept what)
{
    if (task->what_is_kept == what)
        ctrio__task_keep(task, KEPT_NOTHING, NULL);
}

/* --- scopes and nurseries ---------------------------------------------------------- */
struct ctrio__py_scope {
    PyObject_HEAD
    uint64_t serial; /* its hash; see ctrio__serial_new */
    struct ctrio_cancel_scope scope;
    PyObject *weakrefs;
    bool held; /* entered: holds a reference to itself */
};
struct ctrio__py_nursery {
    PyObject_HEAD
    uint64_t serial; /* its hash; see ctrio__serial_new */
    struct ctrio__nursery nursery;
    PyObject *scope; /* its CancelScope */
    PyObject *parent_task;
    PyObject *dict, *weakrefs;
    bool strict; /* strict_exception_groups */
};
static inline struct ctrio__py_scope *ctrio__py_scope_from(struct ctrio_cancel_scope *scope)
{
    return ctrio__container(scope, struct ctrio__py_scope, scope);
}
static inline struct ctrio__py_nursery *ctrio__py_nursery_from(struct ctrio__nursery *nursery)
{
    return ctrio__container(nursery, struct ctrio__py_nursery, nursery);
}

/* --- what runs on this thread ------------------------------------------------------ */
/* GLOBAL_RUN_CONTEXT is a view of this.  `state` tells interpreters apart that share a thread. */
struct ctrio__thread {
    struct ctrio__state *state;
    PyObject *runner, *task; /* owned; NULL: not set */
};

/* --- the run ----------------------------------------------------------------------- */
struct ctrio__py_clock { /* a clock object of the user's behind the kernel's table */
    struct ctrio_clock clock;
    struct ctrio__py_runner *runner; /* borrowed */
    PyObject *object;                /* strong */
    bool asked;                      /* by code that raises what the clock raises; see clock.c */
};
struct ctrio__py_runner {
    PyObject_HEAD
    struct ctrio_run run;
    struct ctrio__state *state;
    struct ctrio__os *os;           /* owned unless lent */
    struct ctrio__chooser *chooser; /* lent; NULL in production */
    bool os_lent;
    bool wakeup_installed; /* signals ring the backend's bell */
    long old_wakeup_fd;    /* to be put back */
    struct ctrio__system_clock system_clock;
    struct ctrio__py_clock py_clock;
    struct ctrio_clock *kernel_clock; /* &system_clock.clock or &py_clock.clock */
    struct ctrio__entry ki_entry;     /* takes an interrupt to the main task */
    PyObject *clock;                  /* what current_clock() gives */
    PyObject *async_fn, *args;        /* until the main task is spawned */
    PyObject *init_task, *main_task;  /* strong */
    PyObject *entry_coro;             /* of the entry queue's task, to close it */
    PyObject *nurseries[3];           /* entry, system, main: strong until the run is closed */
    PyObject *system_nursery;         /* strong, NULL before it is open */
    PyObject *system_context;
    PyObject *shared_context, *working_context; /* both may be NULL; see shared_context.c */
    PyObject *spare_context;         /* empty: of the first task for whose own there is no memory */
    struct ctrio__py_task *works_in; /* whose step is in working_context; only compared, or NULL */
    PyObject *instruments;
    PyObject *locals;                /* dict RunVar -> value */
    PyObject *asyncgens, *finalizer; /* AsyncGenerators; its coroutine during shutdown */
    PyObject *asyncgens_undo;        /* (function, arguments): gives Python's hooks back */
    PyObject *finalizer_throws;      /* answer to a foreign yield of the finaliser's */
    const void *finalizer_asked_by;  /* the coroutine it waits in; only compared */
    PyObject *token, *entry_queue;   /* made when asked for */
    PyObject *context_key;           /* under which GLOBAL_RUN_CONTEXT knows the run */
    PyObject *ki_undo;               /* while our handler of SIGINT is installed: see ki.c */
    PyObject *idempotent;            /* dict (fn, args) -> None, queued */
    PyObject *failure;               /* what broke the run: becomes a TrioInternalError */
    PyObject *callout;               /* a frame, only compared: Python code above it is called
                                      * by us; see ki.c */
    PyObject *frame;                 /* the frame that called run(), or a guest run's turn, while it
                                      * lasts: only compared, as well */
    PyObject *step_coro, *step_context; /* of the step under way; only compared */
    struct ctrio__thread outer;         /* another interpreter's, to be put back at the end */
    PyObject *weakrefs;
    size_t thread_count;  /* calls into threads that a task waits for */
    uint64_t last_serial; /* given to an object that was made, or asked for its hash, in the run */
    struct ctrio__spin event_spin, gil_spin; /* of the loop's wait */
    char *scratch;                           /* for receives within a step; NULL before the first */
    bool strict;                             /* strict_exception_groups */
    bool thread_due; /* a thread was given something since the last wait: it may soon answer */
    bool holds_spin; /* while it is open no thread spins; see gil.h */
    bool opened;     /* run is open: must be closed */
    bool ki_at_checkpoints;
    bool ki_queued;       /* ki_entry is in the entry queue */
    bool leave_wakeup_fd; /* signals reach the host of a guest run, whose business they are */
};
static inline struct ctrio__py_runner *ctrio__py_runner_from(struct ctrio_run *run)
{
    return ctrio__container(run, struct ctrio__py_runner, run);
}
static inline struct ctrio__py_runner *ctrio__runner_of(const struct ctrio__py_task *task)
{
    return ctrio__py_runner_from(task->task.run);
}
static inline struct ctrio__state *ctrio__state_of_task(const struct ctrio__py_task *task)
{
    return ctrio__runner_of(task)->state;
}

#if defined(__GNUC__) && defined(__ELF__) /* a read, not a call of the dynamic linker */
__attribute__((tls_model("initial-exec")))
#endif
extern _Thread_local struct ctrio__thread ctrio__thread;

/* Borrowed; NULL without an error when there is none. */
static inline struct ctrio__py_task *ctrio__peek_task(const struct ctrio__state *state)
{
    return ctrio__thread.state == state ? (struct ctrio__py_task *)ctrio__thread.task : NULL;
}
static inline struct ctrio__py_runner *ctrio__peek_runner(const struct ctrio__state *state)
{
    return ctrio__thread.state == state ? (struct ctrio__py_runner *)ctrio__thread.runner : NULL;
}
/* The `serial` of a new object.  Each run counts its own, so that equal runs number alike, whatever
 * the process did before; 0, outside of one: it gets its number when hash() is asked. */
static inline uint64_t ctrio__serial_new(const struct ctrio__state *state)
{
    struct ctrio__py_runner *runner = ctrio__peek_runner(state);
    return runner != NULL ? ++runner->last_serial : 0;
}
/* Borrowed; NULL with RuntimeError("must be called from async context"). */
struct ctrio__py_task *ctrio__current_task(const struct ctrio__state *state);
struct ctrio__py_runner *ctrio__current_runner(const struct ctrio__state *state);

extern const struct ctrio__frontend ctrio__python;
#endif
