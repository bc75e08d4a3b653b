/* types.h - the structs that live in the caller's memory, and the codes of results.
 *
 * Below, every field is private; the layout is here so that a scope, a nursery or a lock is a
 * member of its user's struct (or of a Python object) and needs no allocation.  None may be moved
 * once opened or initialised: lists point back at it. */
#ifndef CTRIO_TYPES_H
#define CTRIO_TYPES_H
#include <errno.h> /* results are -errno */
#include <math.h>  /* INFINITY: no limit */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A system failure is -errno.  These are the conditions errno has no word for, in a band below
 * every errno, so that an operating system's ECANCELED is never taken for a cancelled scope. */
enum ctrio_code {
    CTRIO_CANCELLED = -4200, /* a surrounding scope was cancelled */
    CTRIO_TOO_SLOW,          /* a deadline that counts as a failure has passed */
    CTRIO_WOULD_BLOCK,       /* a _nowait call would have had to wait */
    CTRIO_BUSY_RESOURCE,     /* another task is already in this call on this object */
    CTRIO_CLOSED_RESOURCE,   /* we closed it (this task or another) */
    CTRIO_BROKEN_RESOURCE,   /* the other side closed or broke it */
    CTRIO_END_OF_CHANNEL,    /* no more items will come */
    CTRIO_RUN_FINISHED,      /* the run that this token or thread belongs to is over */
    CTRIO_INTERRUPTED,       /* SIGINT: Trio's KeyboardInterrupt */
    CTRIO_GROUP,             /* several failures of a nursery, as one */
    CTRIO_FOREIGN,           /* an error object of a front end's own */
    CTRIO_MISUSE,            /* a bug in the caller: wrong task, wrong order, outside a run */
};

struct ctrio_run;
struct ctrio_task;
struct ctrio_nursery;
struct ctrio_cancel_scope;

struct ctrio_list {
    struct ctrio_list *next, *prev;
};

/* Something that happens at a time on the run's clock. */
struct ctrio_timer {
    struct ctrio_timer *parent, *left, *right; /* in the run's heap; NULL outside */
    double when;                               /* seconds; never NAN; INFINITY: not armed */
    uint64_t serial;                           /* order of arming: breaks ties */
    void (*fire)(struct ctrio_timer *timer);   /* called once, already out of the heap */
};

enum ctrio_scope_state { CTRIO_SCOPE_UNENTERED, CTRIO_SCOPE_OPEN, CTRIO_SCOPE_CLOSED };

/* A cancel scope: a node of the tree down which cancellation flows to the tasks at its leaves.
 * Invariants: open => run != NULL and (linked under parent, or parent == NULL);
 * cancel_called => effectively_cancelled while open; all tasks on `tasks` have task->scope == this.
 */
struct ctrio_cancel_scope {
    struct ctrio_run *run;             /* the run it is open in; NULL unless open */
    struct ctrio_cancel_scope *parent; /* whose cancellation reaches us unless shielded */
    struct ctrio_list children;        /* scopes with parent == this, by `sibling` */
    struct ctrio_list sibling;         /* on parent->children */
    struct ctrio_list tasks;           /* tasks whose innermost scope this is */
    struct ctrio_list propagate;       /* on a todo list while a cancellation spreads */
    struct ctrio_timer timer;          /* armed at `deadline` while open and not cancelled */
    double deadline;                   /* absolute, seconds on the run's clock; INFINITY: none */
    double relative_deadline;          /* seconds from the opening; INFINITY unless unentered */
    struct ctrio__reason *reason;      /* why cancelled, or why it will be; NULL: not said */
    const struct ctrio__frontend *frontend; /* whose object this is a member of */
    enum ctrio_scope_state state;
    bool cancel_called;         /* by cancel() or the deadline; stays true */
    bool effectively_cancelled; /* checkpoints of our tasks raise; comes and goes with shields */
    bool shield;
    bool cancelled_caught; /* a close has swallowed our own cancellation */
    bool abandoned;        /* an outer scope was closed first (misnesting) */
};

/* A wait queue, first come first served.  Tasks on it are parked in it. */
struct ctrio_parking_lot {
    struct ctrio_list parked; /* tasks, by lot_link */
    size_t count;
    const struct ctrio__frontend *frontend; /* told when it breaks; may be NULL */
    bool broken; /* a task responsible for it has exited: nobody can park any more */
};

/* Says that `task` must not exit before unregistering: if it does, `lot` is broken. */
struct ctrio_lot_breaker {
    struct ctrio_list link; /* on task->breakers; unlinked: not registered */
    struct ctrio_parking_lot *lot;
};

struct ctrio_event {
    struct ctrio_parking_lot lot;
    bool is_set;
};
/* owner == NULL => nobody is parked. */
struct ctrio_lock {
    struct ctrio_parking_lot lot;
    struct ctrio_task *owner;         /* whose exit breaks the lot */
    struct ctrio_lot_breaker breaker; /* linked exactly while owned */
};
/* lot not empty => value == 0. */
struct ctrio_semaphore {
    struct ctrio_parking_lot lot;
    size_t value, max_value; /* max_value SIZE_MAX: no limit */
};
struct ctrio_condition {
    struct ctrio_parking_lot lot;
    struct ctrio_lock *lock; /* borrowed */
};
#endif
