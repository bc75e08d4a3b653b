/* capacity_limiter.c - a table of loans, and a lot for those who wait for one.
 *
 * Invariant: every parked waiter has a loan of its own, made and given room when it asked, so that
 * serving it only links things.  borrowers.count is what is lent; it may exceed total_tokens after
 * a shrink.  Foreign code (equal, drop) runs before anything is changed, or after everything is. */
#include "kernel/capacity_limiter.h"
#include "base/alloc.h"

void ctrio__limiter_init(struct ctrio_capacity_limiter *limiter, size_t total_tokens,
                         const struct ctrio__borrower_ops *ops,
                         const struct ctrio__frontend *frontend)
{
    ctrio__lot_init(&limiter->lot, frontend);
    ctrio__table_init(&limiter->borrowers);
    limiter->total_tokens = total_tokens;
    limiter->ops = ops;
}

static struct ctrio__loan *loan_of(struct ctrio_table_node *node)
{
    return ctrio__container(node, struct ctrio__loan, node);
}

static bool lent(const struct ctrio__loan *loan)
{
    return ctrio__list_linked(&loan->node.order);
}

/* The loan and its op forget each other. */
static void detach(struct ctrio__loan *loan)
{
    if (loan->op == NULL)
        return;
    CTRIO_ASSERT(loan->op->loan == loan);
    loan->op->loan = NULL;
    loan->op = NULL;
}

/* The loan is in no table; its borrower is dropped. */
static void end_loan(struct ctrio_capacity_limiter *limiter, struct ctrio__loan *loan)
{
    void *borrower = loan->borrower;
    CTRIO_ASSERT(!lent(loan));
    detach(loan);
    ctrio__free(loan);
    limiter->ops->drop(borrower);
}

void ctrio__limiter_close(struct ctrio_capacity_limiter *limiter)
{
    CTRIO_ASSERT(limiter->lot.count == 0);
    while (!ctrio__list_empty(&limiter->borrowers.order)) {
        struct ctrio_list *first = limiter->borrowers.order.next;
        struct ctrio_table_node *node = ctrio__container(first, struct ctrio_table_node, order);
        ctrio__table_remove(&limiter->borrowers, node);
        end_loan(limiter, loan_of(node));
    }
    ctrio__table_close(&limiter->borrowers);
}

/* The borrower's loan, or NULL; a failure of equal() in *error. */
static struct ctrio__loan *find(const struct ctrio_capacity_limiter *limiter, const void *borrower,
                                uint64_t hash, int *error)
{
    struct ctrio_table_node *node =
        ctrio__table_find(&limiter->borrowers, hash, limiter->ops->equal, borrower, error);
    return node != NULL ? loan_of(node) : NULL;
}

/* A loan with room for it and for all who wait; NULL without memory.  It has no borrower yet. */
static struct ctrio__loan *make_loan(struct ctrio_capacity_limiter *limiter, uint64_t hash)
{
    size_t room = limiter->borrowers.count + limiter->lot.count + 1;
    if (ctrio__table_reserve(&limiter->borrowers, room) < 0)
        return NULL;
    struct ctrio__loan *loan = ctrio__alloc(sizeof *loan);
    if (loan == NULL)
        return NULL;
    ctrio__list_init(&loan->node.order);
    loan->node.hash = hash;
    return loan;
}

static bool token_free(const struct ctrio_capacity_limiter *limiter)
{
    return limiter->borrowers.count < limiter->total_tokens && limiter->lot.count == 0;
}

static int refuse_second(const struct ctrio_capacity_limiter *limiter, const void *borrower,
                         uint64_t hash, struct ctrio__outcome *out)
{
    int error;
    if (find(limiter, borrower, hash, &error) == NULL)
        return error;
    out->value = "this borrower is already holding one of this CapacityLimiter's tokens";
    return out->code = CTRIO_MISUSE;
}

static void lend(struct ctrio_capacity_limiter *limiter, struct ctrio__loan *loan)
{
    CTRIO_ASSERT(loan->borrower != NULL);
    CTRIO_ASSERT(!lent(loan));
    ctrio__table_insert(&limiter->borrowers, &loan->node, loan->node.hash);
}

int ctrio__limiter_acquire_nowait(struct ctrio_capacity_limiter *limiter, void *borrower,
                                  uint64_t hash, struct ctrio__outcome *out)
{
    int code = refuse_second(limiter, borrower, hash, out);
    if (code < 0)
        return code;
    if (!token_free(limiter))
        return CTRIO_WOULD_BLOCK;
    struct ctrio__loan *loan = make_loan(limiter, hash);
    if (loan == NULL)
        return -ENOMEM;
    loan->borrower = borrower;
    lend(limiter, loan);
    return 0;
}

static int is_very(const struct ctrio_table_node *node, const void *borrower)
{
    return ctrio__container(node, const struct ctrio__loan, node)->borrower == borrower;
}

/* Two tasks have waited for the same borrower: what they hold is one token, as in a set. */
static bool lent_already(const struct ctrio_capacity_limiter *limiter,
                         const struct ctrio__loan *loan)
{
    int never;
    return ctrio__table_find(&limiter->borrowers, loan->node.hash, is_very, loan->borrower,
                             &never) != NULL;
}

/* Lends what is free to those who wait, oldest first. */
static void serve(struct ctrio_capacity_limiter *limiter)
{
    size_t count = limiter->borrowers.count;
    size_t available = limiter->total_tokens > count ? limiter->total_tokens - count : 0;
    while (available-- > 0 && limiter->lot.count > 0) {
        struct ctrio_task *task = ctrio__lot_first(&limiter->lot);
        struct ctrio__loan *loan = ((struct ctrio__limiter_op *)task->park_data)->loan;
        CTRIO_ASSERT(loan != NULL);
        bool twice = lent_already(limiter, loan);
        if (twice)
            detach(loan);
        else
            lend(limiter, loan);
        ctrio__lot_unpark_one(&limiter->lot);
        if (twice)
            end_loan(limiter, loan);
    }
}

int ctrio__limiter_release(struct ctrio_capacity_limiter *limiter, const void *borrower,
                           uint64_t hash, struct ctrio__outcome *out)
{
    int error;
    struct ctrio__loan *loan = find(limiter, borrower, hash, &error);
    if (error < 0)
        return error;
    if (loan == NULL) {
        out->value = "this borrower isn't holding any of this CapacityLimiter's tokens";
        return out->code = CTRIO_MISUSE;
    }
    ctrio__table_remove(&limiter->borrowers, &loan->node);
    serve(limiter);
    end_loan(limiter, loan);
    return 0;
}

void ctrio__limiter_set_total(struct ctrio_capacity_limiter *limiter, size_t total_tokens)
{
    limiter->total_tokens = total_tokens;
    serve(limiter);
}

void ctrio__limiter_op_init(struct ctrio__limiter_op *op, struct ctrio_capacity_limiter *limiter,
                            void *borrower, uint64_t hash)
{
    *op = (struct ctrio__limiter_op){.borrower = borrower, .hash = hash};
    op->base.op.kind = &ctrio__limiter_acquire_kind;
    op->base.op.object = limiter;
}

static struct ctrio__limiter_op *from_op(struct ctrio__op *op)
{
    return ctrio__container(op, struct ctrio__limiter_op, base.op);
}

/* Makes the loan in any case: lent at once, or to wait with. */
static int attempt(struct ctrio__op *base, struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__limiter_op *op = from_op(base);
    struct ctrio_capacity_limiter *limiter = base->object;
    (void)task;
    int code = refuse_second(limiter, op->borrower, op->hash, io);
    if (code < 0)
        return code;
    if (!token_free(limiter) && limiter->lot.broken)
        return CTRIO_BROKEN_RESOURCE;
    op->loan = make_loan(limiter, op->hash);
    if (op->loan == NULL)
        return -ENOMEM;
    op->loan->op = op;
    op->loan->borrower = op->borrower;
    op->borrower = NULL;
    if (!token_free(limiter))
        return CTRIO_WOULD_BLOCK;
    lend(limiter, op->loan);
    return 0;
}

static enum ctrio__abort stop_waiting(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    (void)why;
    CTRIO_ASSERT(!lent(((struct ctrio__limiter_op *)task->park_data)->loan));
    ctrio__lot_leave(task);
    return CTRIO__ABORT_SUCCEEDED;
}

static int park(struct ctrio__op *base, struct ctrio_task *task)
{
    struct ctrio__limiter_op *op = from_op(base);
    struct ctrio_capacity_limiter *limiter = base->object;
    CTRIO_ASSERT(!lent(op->loan));
    ctrio__lot_enter(&limiter->lot, task);
    ctrio__task_park(task, stop_waiting, op);
    return 0;
}

/* Gives up what the op still owns: the borrower, or the loan it waited with. */
static void drop_owned(struct ctrio__limiter_op *op)
{
    struct ctrio_capacity_limiter *limiter = op->base.op.object;
    void *borrower = op->borrower;
    op->borrower = NULL;
    if (op->loan != NULL)
        end_loan(limiter, op->loan);
    else if (borrower != NULL)
        limiter->ops->drop(borrower);
}

static enum ctrio__step acquire_step(struct ctrio__op *base, struct ctrio_task *task,
                                     struct ctrio__outcome *io)
{
    struct ctrio__limiter_op *op = from_op(base);
    enum ctrio__step answer = ctrio__primitive_step(base, task, io);
    if (answer != CTRIO__DONE)
        return answer;
    if (io->code < 0)
        drop_owned(op);
    else if (op->loan != NULL)
        detach(op->loan);
    return CTRIO__DONE;
}

static void abandon(struct ctrio__op *base, struct ctrio_task *task)
{
    struct ctrio__limiter_op *op = from_op(base);
    struct ctrio_capacity_limiter *limiter = base->object;
    struct ctrio__loan *loan = op->loan;
    ctrio__lot_leave_this(&limiter->lot, task);
    if (loan != NULL && lent(loan)) { /* and nobody will ever know */
        ctrio__table_remove(&limiter->borrowers, &loan->node);
        serve(limiter);
    }
    drop_owned(op);
}

const struct ctrio__op_kind ctrio__limiter_acquire_kind = {
    .verb = "acquire",
    .step = acquire_step,
    .attempt = attempt,
    .park = park,
    .abandon = abandon,
};
