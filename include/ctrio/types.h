/* types.h - annotations, and the structs that live in the caller's memory. */
#ifndef CTRIO_TYPES_H
#define CTRIO_TYPES_H
#include <errno.h> /* results are -errno */
#include <math.h>  /* INFINITY: no limit */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of these headers: 0xMMmmpp.  ctrio_run() compares it with the library's. */
enum { CTRIO_VERSION = 0x000100 };

#if defined(__GNUC__) || defined(__clang__)
#define CTRIO_NODISCARD __attribute__((warn_unused_result))
#define CTRIO_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define CTRIO_NODISCARD
#define CTRIO_PRINTF(f, a)
#endif
#if defined(__clang__)
#define CTRIO_CAPABILITY(name) __attribute__((capability(name)))
#define CTRIO_OPENS(x) __attribute__((acquire_capability(x)))
#define CTRIO_CLOSES(x) __attribute__((release_capability(x)))
#define CTRIO_UNCHECKED_PAIRS __attribute__((no_thread_safety_analysis))
#else
#define CTRIO_CAPABILITY(name)
#define CTRIO_OPENS(x)
#define CTRIO_CLOSES(x)
#define CTRIO_UNCHECKED_PAIRS /* on a function of yours that opens here and closes elsewhere */
#endif
#if defined(_WIN32)
#define CTRIO_API
#else
#define CTRIO_API __attribute__((visibility("default")))
#endif
#define CTRIO_CHECKED CTRIO_API CTRIO_NODISCARD /* can fail: look at the result */
#define CTRIO_ASYNC CTRIO_API CTRIO_NODISCARD   /* a checkpoint as well: C's stand-in for await */

/* A macro that shadows a function adds only what the compiler alone knows - the place, a function's
 * name, an item's size - and never hides control flow.  Bindings call the function behind it. */
#define CTRIO_STRING_(x) #x
#define CTRIO_STRING(x) CTRIO_STRING_(x)
#define CTRIO_HERE __FILE__ ":" CTRIO_STRING(__LINE__)

#ifdef __cplusplus /* C++ refuses at compile time the copy that C finds at run time */
#define CTRIO_NO_COPY(type)                                                                        \
    type() = default;                                                                              \
    type(const type &) = delete;                                                                   \
    type &operator=(const type &) = delete;
#else
#define CTRIO_NO_COPY(type)
#endif

/* Refuses `&(struct x){…}` where the address is kept: a compound literal dies with its block, which
 * in a loop is before the task runs.  Folded at compile time; never called, never defined. */
#if (defined(__clang__) || defined(__OPTIMIZE__)) && defined(__has_attribute)
#if __has_attribute(error)
#ifdef __cplusplus
extern "C"
#endif
    int ctrio_use_the_copying_form(void)
        __attribute__((error("a compound literal dies with its block: use the _copy form")));
#define CTRIO_KEPT(text, call)                                                                     \
    (sizeof(text) > 3 && (text)[0] == '&' && (text)[1] == '(' ? ctrio_use_the_copying_form()       \
                                                              : (call))
#endif
#endif
#ifndef CTRIO_KEPT
#define CTRIO_KEPT(text, call) (call)
#endif

/* What a task runs.  A result >= 0 is success (the number is dropped), < 0 fails its nursery. */
typedef int ctrio_task_fn(void *arg);

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
    CTRIO_NAME_ERROR,        /* a host name did not resolve (the story has getaddrinfo's word) */
    CTRIO_MISUSE,            /* a bug in the caller: wrong task, wrong order, outside a run */
};

struct ctrio_run;
struct ctrio_task;
struct ctrio_clock;
struct ctrio_error;
struct ctrio_stream;
struct ctrio_listener;
struct ctrio_token;
struct ctrio_send_channel;
struct ctrio_receive_channel;
struct ctrio_nursery;
struct ctrio_cancel_scope;
struct ctrio__nursery;
struct ctrio__reason;
struct ctrio__frontend;
struct ctrio__borrower_ops;

/* Below, every field is private unless it says public; the layout is here so that a scope, a
 * nursery or a lock is a member of its user's struct, or lies on a task's stack, and needs no
 * allocation.  None may be copied or moved once opened or initialised: lists point back at it, and
 * every call checks that they do (CTRIO_MISUSE). */

struct ctrio_list {
    struct ctrio_list *next, *prev;
};

/* Something that happens at a time on the run's clock. */
struct ctrio_timer {
    struct ctrio_timer *parent, *left, *right; /* among the run's timers; NULL outside */
    double when;                               /* seconds; never NAN; INFINITY: not armed */
    uint64_t serial;                           /* order of arming: breaks ties */
    void (*fire)(struct ctrio_timer *timer);   /* called once, no longer among them */
};

enum ctrio_scope_state { CTRIO_SCOPE_UNENTERED, CTRIO_SCOPE_OPEN, CTRIO_SCOPE_CLOSED };

/* A cancel scope: a node of the tree down which cancellation flows to the tasks at its leaves.
 * Invariants: open => run != NULL and (linked under parent, or parent == NULL);
 * cancel_called => effectively_cancelled while open; all tasks on `tasks` have task->scope == this.
 */
struct CTRIO_CAPABILITY("cancel scope") ctrio_cancel_scope {
    struct ctrio_run *run;             /* the run it is open in; NULL unless open */
    struct ctrio_cancel_scope *parent; /* whose cancellation reaches us unless shielded */
    struct ctrio_list children;        /* scopes with parent == this, by `sibling` */
    struct ctrio_list sibling;         /* on parent->children */
    struct ctrio_list tasks;           /* tasks whose innermost scope this is */
    struct ctrio_list propagate;       /* on a todo list while a cancellation spreads */
    struct ctrio_timer timer;          /* armed at `deadline` while open and not cancelled */
    double deadline;                   /* absolute, seconds on the run's clock; INFINITY: none */
    double relative_deadline;          /* seconds from the opening; INFINITY unless unentered */
    double freed_at;                   /* when a shield last ended effectively_cancelled; -INFINITY:
                                        * never, or there was no timer and no need for the time */
    struct ctrio__reason *reason;      /* why cancelled, or why it will be; NULL: not said */
    const struct ctrio__frontend *frontend; /* whose object this is a member of */
    const char *opened_at;                  /* the C front end's: "file:line", for reports */
    const char *cancelled_at;               /* likewise, NULL: not by ctrio_cancel() */
    enum ctrio_scope_state state;
    bool cancel_called;         /* by cancel() or the deadline; stays true */
    bool effectively_cancelled; /* checkpoints of our tasks raise; comes and goes with shields */
    bool shield;
    bool cancelled_caught; /* a close has swallowed our own cancellation */
    bool abandoned;        /* an outer scope was closed first (misnesting) */

    /* The C front end's: */
    bool too_slow;              /* its own cancellation is a failure: CTRIO_TOO_SLOW */
    bool bad_deadline;          /* NAN was asked for: CTRIO_MISUSE at the close */
    uint32_t magic;             /* from the opening to the close */
    struct ctrio_task *owner;   /* who opened it and must close it */
    struct ctrio_list on_event; /* on the scopes of the event of ctrio_cancel_on_event() */
    CTRIO_NO_COPY(ctrio_cancel_scope)
};

/* What a task wakes with, what an operation results in, what a task exits with.
 * code >= 0: success.  < 0: a failure.  What `value` is follows from the code and the place:
 *   as a wake: CTRIO_CANCELLED: a struct ctrio__reason (owned by the outcome);
 *              else the front end's own.
 *   as a result of an op: 0: the op's value, as its header says;
 *              CTRIO_MISUSE: a static string, what was wrong.
 *   as the final outcome of a task: the front end's own (CTRIO_CANCELLED too). */
struct ctrio__outcome {
    int code;
    void *value;
};
/* A failure waiting to be folded. */
struct ctrio__failure {
    struct ctrio_list link; /* on nursery->failures */
    struct ctrio__outcome outcome;
    struct ctrio_task *task; /* freed after the fold; NULL: the nursery's own node */
};
/* The kernel's half of a nursery.  Invariants: closed => no children, no pending starts, body not
 * running - or abandoned by misnesting.  Children that failed are on `failures`, in order of
 * failure, with the body's own failure among them. */
struct ctrio__nursery {
    struct ctrio_run *run;
    struct ctrio_task *parent;        /* the task that opened it; NULL: it has exited without us */
    struct ctrio_cancel_scope *scope; /* directly around us: cancelled when something fails */
    struct ctrio_list sibling;        /* on parent->nurseries */
    struct ctrio_list children;       /* living child tasks, by nursery_link */
    struct ctrio_list failures;       /* struct ctrio__failure, oldest first */
    struct ctrio__nursery *start_target; /* start() opened us: where the child will move to */
    struct ctrio__failure body;          /* what the block itself raised */
    struct ctrio__failure interrupt;     /* an interrupt while the parent waited here */
    size_t child_count;
    uint32_t pending_starts; /* start() calls that may still move a child in here */
    bool body_running, parent_waiting, closed;
    bool results_lost;       /* folded already: failures of children have nowhere to go */
    bool cancelled_children; /* some were, and have left nothing else: see frontend.h */
};
struct CTRIO_CAPABILITY("nursery") ctrio_nursery {
    struct ctrio_cancel_scope scope; /* public: cancel it, give it a deadline; never close it */
    struct ctrio__nursery core;
    struct ctrio__failure spawn; /* the first ctrio_start_soon() that failed, as a failed child */
    const char *opened_frame;    /* the stack where it was opened: see ctrio_start_soon() */
    uint32_t magic;
    CTRIO_NO_COPY(ctrio_nursery)
};

/* A wait queue, first come first served.  Tasks on it are parked in it. */
struct ctrio_parking_lot {
    struct ctrio_list parked; /* tasks, by lot_link */
    size_t count;
    const struct ctrio__frontend *frontend; /* told when it breaks; may be NULL */
    bool broken; /* a task responsible for it has exited: nobody can park any more */
    CTRIO_NO_COPY(ctrio_parking_lot)
};

/* Says that `task` must not exit before unregistering: if it does, `lot` is broken. */
struct ctrio_lot_breaker {
    struct ctrio_list link; /* on task->breakers; unlinked: not registered */
    struct ctrio_parking_lot *lot;
};

struct ctrio_event {
    struct ctrio_parking_lot lot;
    struct ctrio_list scopes; /* to cancel when set, by on_event; the C front end's */
    bool is_set;
    CTRIO_NO_COPY(ctrio_event)
};
/* owner == NULL => nobody is parked. */
struct ctrio_lock {
    struct ctrio_parking_lot lot;
    struct ctrio_task *owner;         /* whose exit breaks the lot */
    struct ctrio_lot_breaker breaker; /* linked exactly while owned */
    CTRIO_NO_COPY(ctrio_lock)
};
/* lot not empty => value == 0. */
struct ctrio_semaphore {
    struct ctrio_parking_lot lot;
    size_t value, max_value; /* max_value SIZE_MAX: no limit */
    CTRIO_NO_COPY(ctrio_semaphore)
};
struct ctrio_condition {
    struct ctrio_parking_lot lot;
    struct ctrio_lock *lock; /* borrowed */
    CTRIO_NO_COPY(ctrio_condition)
};
/* A hash table with chains; base/table.h. */
struct ctrio_table_node {
    struct ctrio_table_node *chain; /* next with the same bucket */
    struct ctrio_list order;        /* on table->order */
    uint64_t hash;
};
struct ctrio_table {
    struct ctrio_table_node **buckets; /* 2^n of them, or NULL; owned */
    size_t bucket_count, count;
    uint64_t changes; /* of the set of nodes: a search notices that equal() changed it */
    struct ctrio_list order;
};
struct ctrio_capacity_limiter {
    struct ctrio_parking_lot lot;
    struct ctrio_table borrowers; /* of struct ctrio__loan; owned */
    size_t total_tokens;          /* SIZE_MAX: no limit */
    const struct ctrio__borrower_ops *ops;
    CTRIO_NO_COPY(ctrio_capacity_limiter)
};

/* One piece of a gathered send.  Borrowed for the call. */
struct ctrio_slice {
    const void *data;
    size_t size;
};
/* A socket address of any family; bytes of a struct sockaddr.  Copy freely. */
struct ctrio_address {
    uint64_t storage[16];
    uint32_t size; /* bytes used; 0: no address */
};
/* Options structs: zero-initialised means safe, finite defaults; `reserved` must be zero and is
 * checked (-EINVAL), so that it can grow into fields without a new symbol.  INFINITY or SIZE_MAX
 * say "no limit", always in words. */
#endif
