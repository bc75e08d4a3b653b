/* checkpoint.h - the checkpoint family, sleeping, and the raw wait, as operations. */
#ifndef CTRIO_KERNEL_CHECKPOINT_H
#define CTRIO_KERNEL_CHECKPOINT_H
#include "kernel/task.h"

/* Yields, then looks for a cancellation. */
extern const struct ctrio__op_kind ctrio__checkpoint_kind;
/* Yields without looking. */
extern const struct ctrio__op_kind ctrio__cancel_shielded_checkpoint_kind;
/* Looks; yields only if there is a cancellation to raise. */
extern const struct ctrio__op_kind ctrio__checkpoint_if_cancelled_kind;
/* Parks until cancelled. */
extern const struct ctrio__op_kind ctrio__sleep_forever_kind;

/* Parks until `timer.when`, absolute; INFINITY: until cancelled.  Gives 0. */
struct ctrio__sleep_op {
    struct ctrio__op op; /* object: the task once parked */
    struct ctrio_timer timer;
    bool overdue; /* cancelled when the time had come, and the loop had not seen it */
    bool over;    /* the loop has seen it come since it was cancelled */
};
extern const struct ctrio__op_kind ctrio__sleep_until_kind;
void ctrio__sleep_op_init(struct ctrio__sleep_op *op, double deadline);

/* Parks once with the op's own abort function, `object` being the caller's. */
struct ctrio__wait_op {
    struct ctrio__op op;
    ctrio__abort_fn *abort_fn;
};
extern const struct ctrio__op_kind ctrio__wait_kind;
/* For who has looked, and has been woken with what was found: a cancellation that cannot be seen
 * any more, a shield having gone up meanwhile, is dropped (true, *io zero).  As Trio has it, where
 * a scope of the checkpoint's own catches it then. */
bool ctrio__take_back_cancelled(const struct ctrio_task *task, struct ctrio__outcome *io);
static inline void ctrio__op_init(struct ctrio__op *op, const struct ctrio__op_kind *kind,
                                  void *object)
{
    *op = (struct ctrio__op){kind, object, 0};
}
#endif
