/* capacity_limiter.h - at most so many borrowers at a time, each with one token.
 *
 * A borrower is anything with an identity: by default the task itself.  Its record is made when
 * it asks (the only place that allocates) and kept until it gives the token back, so that serving
 * a waiter cannot fail. */
#ifndef CTRIO_KERNEL_CAPACITY_LIMITER_H
#define CTRIO_KERNEL_CAPACITY_LIMITER_H
#include "base/table.h"
#include "kernel/parking_lot.h"

struct ctrio__limiter_op;
/* One token lent, or asked for. */
struct ctrio__loan {
    struct ctrio_table_node node; /* in limiter->borrowers exactly while lent */
    void *borrower;               /* the front end's; dropped by drop() */
    struct ctrio__limiter_op *op; /* who asked, op->loan == this; NULL once that op is done */
};
struct ctrio__borrower_ops {                                                 /* [code] both */
    int (*equal)(const struct ctrio_table_node *node, const void *borrower); /* table.h's */
    void (*drop)(void *borrower);
};
void ctrio__limiter_init(struct ctrio_capacity_limiter *limiter, size_t total_tokens,
                         const struct ctrio__borrower_ops *ops,
                         const struct ctrio__frontend *frontend);
/* Drops what is still lent. */
void ctrio__limiter_close(struct ctrio_capacity_limiter *limiter);
/* Steals `borrower` on success only.  CTRIO_WOULD_BLOCK: no token free, or others wait.
 * CTRIO_MISUSE: it holds one already.  -ENOMEM, CTRIO_FOREIGN (equal failed). */
int ctrio__limiter_acquire_nowait(struct ctrio_capacity_limiter *limiter, void *borrower,
                                  uint64_t hash, struct ctrio__outcome *out);
/* CTRIO_MISUSE: it holds none. */
int ctrio__limiter_release(struct ctrio_capacity_limiter *limiter, const void *borrower,
                           uint64_t hash, struct ctrio__outcome *out);
/* Growing wakes waiters; shrinking takes effect as tokens come back. */
void ctrio__limiter_set_total(struct ctrio_capacity_limiter *limiter, size_t total_tokens);

/* object: the limiter. */
struct ctrio__limiter_op {
    struct ctrio__primitive base;
    struct ctrio__loan *loan; /* parked: ours; served: the limiter's, NULL if given back since */
    void *borrower;           /* owned until the loan is made */
    uint64_t hash;
};
extern const struct ctrio__op_kind ctrio__limiter_acquire_kind;
/* Steals `borrower`. */
void ctrio__limiter_op_init(struct ctrio__limiter_op *op, struct ctrio_capacity_limiter *limiter,
                            void *borrower, uint64_t hash);
#endif
