/* parking_lot.h - the wait queue under most primitives: park, unpark, repark, break. */
#ifndef CTRIO_KERNEL_PARKING_LOT_H
#define CTRIO_KERNEL_PARKING_LOT_H
#include "kernel/primitive.h"

void ctrio__lot_init(struct ctrio_parking_lot *lot, const struct ctrio__frontend *frontend);
/* Queues the running task; woken with code 0 and what the waker gives, or CTRIO_BROKEN_RESOURCE. */
void ctrio__lot_park(struct ctrio_parking_lot *lot, struct ctrio_task *task);
/* The longest waiting task, still parked, or NULL. */
struct ctrio_task *ctrio__lot_first(const struct ctrio_parking_lot *lot);
/* Takes the first task out and wakes it with code 0; NULL when empty. */
struct ctrio_task *ctrio__lot_unpark_one(struct ctrio_parking_lot *lot);
/* Wakes up to `count` in order; returns how many. */
size_t ctrio__lot_unpark(struct ctrio_parking_lot *lot, size_t count);
/* Moves up to `count` to the end of another lot without waking them; returns how many. */
size_t ctrio__lot_repark(struct ctrio_parking_lot *lot, struct ctrio_parking_lot *to, size_t count);
/* Breaks the lot in the name of `task`: everybody parked wakes with CTRIO_BROKEN_RESOURCE, and
 * frontend->lot_broken is told. */
void ctrio__lot_break(struct ctrio_parking_lot *lot, struct ctrio_task *task);
/* An op leaves the lot it is parked in (its abort function, or abandoned); no-op if not there. */
void ctrio__lot_leave(struct ctrio_task *task);
/* The same for an op that is abandoned, whose task may be in another lot by now. */
void ctrio__lot_leave_this(struct ctrio_parking_lot *lot, struct ctrio_task *task);
/* For ops that park with an abort function of their own: only the queue; ctrio__task_park comes
 * next. */
void ctrio__lot_enter(struct ctrio_parking_lot *lot, struct ctrio_task *task);

/* Registers `breaker` with a living task. */
void ctrio__lot_breaker_add(struct ctrio_lot_breaker *breaker, struct ctrio_parking_lot *lot,
                            struct ctrio_task *task);
void ctrio__lot_breaker_remove(struct ctrio_lot_breaker *breaker);
/* From task exit: breaks every lot the task answers for, in order of registration. */
void ctrio__lot_break_all(struct ctrio_task *task);

/* park(): no checkpoint first, as Trio's.  object: the lot.  CTRIO_BROKEN_RESOURCE. */
extern const struct ctrio__op_kind ctrio__park_kind;
#endif
