/* event.h - a flag that tasks wait for; once set it stays set. */
#ifndef CTRIO_KERNEL_EVENT_H
#define CTRIO_KERNEL_EVENT_H
#include "kernel/parking_lot.h"
void ctrio__event_init(struct ctrio_event *event, const struct ctrio__frontend *frontend);
/* Wakes every waiter, first come first woken. */
void ctrio__event_set(struct ctrio_event *event);
/* object: the event.  Set already: a full checkpoint.  Else parks. */
extern const struct ctrio__op_kind ctrio__event_wait_kind;
#endif
