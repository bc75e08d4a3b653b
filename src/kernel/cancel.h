/* cancel.h - the tree of cancel scopes: deadlines, shields, level-triggered cancellation.
 *
 * Trio's CancelScope and CancelStatus are one struct here.  A scope that is closed while others
 * are still inside leaves them to the run's limbo, a scope that is cancelled for ever. */
#ifndef CTRIO_KERNEL_CANCEL_H
#define CTRIO_KERNEL_CANCEL_H
#include "kernel/task.h"

/* An unentered scope without deadline. */
void ctrio__scope_init(struct ctrio_cancel_scope *scope, const struct ctrio__frontend *frontend);
/* Opens it inside the task's innermost scope.  A relative deadline becomes absolute, a deadline
 * that has passed cancels at once.  The caller has checked that it is unentered. */
void ctrio__scope_open(struct ctrio_cancel_scope *scope, struct ctrio_task *task);
/* The same at a time that has been read already, of no account unless the scope is limited. */
void ctrio__scope_open_at(struct ctrio_cancel_scope *scope, struct ctrio_task *task, double now);
static inline bool ctrio__scope_limited(const struct ctrio_cancel_scope *scope)
{
    return scope->deadline != INFINITY || scope->relative_deadline != INFINITY;
}
/* Closes it and folds *io, what the block came to: a cancellation that is this scope's own
 * becomes 0.  Misnesting turns *io into the front end's error. `task` closes it. */
void ctrio__scope_close(struct ctrio_cancel_scope *scope, struct ctrio_task *task,
                        struct ctrio__outcome *io);
/* True: closing now over nothing but Cancelled failures would give 0. */
bool ctrio__scope_absorbs(const struct ctrio_cancel_scope *scope);
/* Idempotent.  Steals the reason (NULL: unknown).  Also before the opening. */
void ctrio__scope_cancel(struct ctrio_cancel_scope *scope, struct ctrio__reason *reason);
/* As the cancel_called property: first lets a deadline that has passed take effect.  `now` as
 * the run's clock says. */
bool ctrio__scope_cancel_called(struct ctrio_cancel_scope *scope, double now);
void ctrio__scope_set_deadline(struct ctrio_cancel_scope *scope, double deadline);
void ctrio__scope_set_shield(struct ctrio_cancel_scope *scope, bool shield);
/* When tasks directly inside will be cancelled; -INFINITY: they are. */
double ctrio__scope_effective_deadline(const struct ctrio_cancel_scope *scope);
/* Moves the scope (open, with all inside) under another parent (NULL: none). */
void ctrio__scope_set_parent(struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *parent);
/* Front end's object dies or the run ends: unlinks without closing. */
void ctrio__scope_forget(struct ctrio_cancel_scope *scope);
/* The tree below `root` obeys its invariants (debug builds, tests). */
bool ctrio__scope_tree_valid(const struct ctrio_cancel_scope *root);

#define ctrio__scope_from(link, member) ctrio__container(link, struct ctrio_cancel_scope, member)
#endif
