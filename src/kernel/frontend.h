/* frontend.h - what the kernel asks of those who run tasks, and the reason of a cancellation. */
#ifndef CTRIO_KERNEL_FRONTEND_H
#define CTRIO_KERNEL_FRONTEND_H
#include "kernel/op.h"

enum ctrio__source {
    CTRIO__BY_UNKNOWN,
    CTRIO__BY_DEADLINE,
    CTRIO__BY_EXPLICIT,
    CTRIO__BY_NURSERY,
    CTRIO__BY_SHUTDOWN,
    CTRIO__BY_INTERRUPT,
};
/* Why a scope was cancelled: shared by all the scopes it spread to and by the wakes on their way.
 * Those without details are static and never counted. */
struct ctrio__reason {
    const struct ctrio__frontend *frontend; /* frees it; NULL: static */
    size_t references;
    enum ctrio__source source;
};

/* What a failure reason is wanted for; the words are the front end's. */
enum ctrio__blame {
    CTRIO__CHILD_FAILED,
    CTRIO__BODY_FAILED,
    CTRIO__PARENT_EXITED,   /* a task exited with a nursery open */
    CTRIO__MAIN_EXITED,     /* shutdown: system tasks */
    CTRIO__SYSTEM_FINISHED, /* shutdown: the entry queue */
    CTRIO__MAIN_INTERRUPTED,
};
/* How scopes and nurseries were closed out of order. */
enum ctrio__misnesting {
    CTRIO__SCOPE_EXITED_TWICE,
    CTRIO__SCOPE_OF_UNRELATED_TASK,
    CTRIO__SCOPE_WITHIN_CHILD,
    CTRIO__SCOPE_CLOSED_BEFORE_TASK,   /* a task exits and its scope is long closed */
    CTRIO__NURSERY_CLOSED_BEFORE_TASK, /* a task exits with nurseries open */
    CTRIO__NURSERY_OUT_OF_ORDER,       /* a nursery closes that is not the innermost */
};

/* Called with no list of the kernel half changed.  Those marked [code] may run foreign code that
 * calls back into the kernel: the kernel reads its own state anew afterwards. */
struct ctrio__frontend {
    const char *name; /* "c", "python", "script": for reports */
    /* A final CTRIO_CANCELLED has no value: of children that were cancelled with their nursery only
     * this is kept (nursery->cancelled_children), which group() then heeds. */
    bool cancelled_is_bare;
    /* Runs the task from *io (its wake) until it parks or exits (DONE: *io is final). [code] */
    enum ctrio__step (*resume)(struct ctrio_task *task, struct ctrio__outcome *io);
    /* Brings a final failure of another front end into this one's terms; steals *in. [code] */
    void (*adopt)(const struct ctrio__frontend *from, struct ctrio__outcome *in);
    /* Folds the failures on nursery->failures, oldest first, into one outcome: takes their
     * values and unlinks nothing.  [code] */
    struct ctrio__outcome (*group)(struct ctrio__nursery *nursery);
    /* A cancelled scope closes over a CTRIO_GROUP: takes the Cancelled leaves out of *io.  True
     * if there was one; code 0 if nothing is left. [code] */
    bool (*strip_cancelled)(struct ctrio_cancel_scope *scope, struct ctrio__outcome *io);
    /* Turns *io into this front end's misnesting error, the old *io its context. `inner`: the
     * scope in the way, or NULL. [code] */
    void (*misnested)(enum ctrio__misnesting how, struct ctrio_task *task,
                      struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *inner,
                      struct ctrio__outcome *io);
    /* A new reason (one reference) with words for it; NULL without memory. [code] */
    struct ctrio__reason *(*reason_make)(enum ctrio__blame blame, struct ctrio_task *task,
                                         const struct ctrio__outcome *failure);
    void (*reason_free)(struct ctrio__reason *reason);
    void (*outcome_drop)(struct ctrio__outcome *outcome); /* [code] */
    /* The task that opened it holds it no longer: closed, or left behind; NULL: nothing to do.
     * [code] */
    void (*nursery_release)(struct ctrio__nursery *nursery);
    void (*scope_release)(struct ctrio_cancel_scope *scope); /* forgotten, not closed [code] */
    void (*lot_broken)(struct ctrio_parking_lot *lot, struct ctrio_task *task); /* [code] */
    void (*task_free)(struct ctrio_task *task); /* the kernel's last word on it [code] */
};

extern struct ctrio__reason ctrio__reason_deadline, ctrio__reason_misnesting,
    ctrio__reason_interrupt;
static inline struct ctrio__reason *ctrio__reason_share(struct ctrio__reason *reason)
{
    if (reason != NULL && reason->frontend != NULL)
        reason->references++;
    return reason;
}
/* Accepts NULL. */
void ctrio__reason_drop(struct ctrio__reason *reason);
#endif
