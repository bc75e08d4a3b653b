/* handover.h - how tasks on stacks follow each other. */
#ifndef CTRIO_API_HANDOVER_H
#define CTRIO_API_HANDOVER_H
#include "api/run.h"

/* Nobody runs, and we are on `from`: the next one goes on, or the loop. */
void ctrio__c_hand_over(struct ctrio__c_run *run, struct ctrio__fiber *from);
/* Where a task goes on; or begins, on a stack of its own. */
struct ctrio__fiber *ctrio__c_fiber_of(struct ctrio__c_run *run, struct ctrio__c_task *task);
/* One schedule point and no look for a cancellation: what an operation that has succeeded owes. */
void ctrio__c_yield(struct ctrio__c_task *self);
#endif
