/* nursery.h - what the front end's other files need of nurseries. */
#ifndef CTRIO_API_NURSERY_H
#define CTRIO_API_NURSERY_H
#include "api/scope.h"
#include "kernel/nursery.h"
#include <ctrio/nursery.h>

/* What is wrong with starting a task there, now.  The nursery's caller may ignore what we say, so
 * that the log says it too. */
int ctrio__refuse_spawn(const struct ctrio_nursery *nursery, const char *name);
/* Spawns it, or drops it; NULL is -ENOMEM. */
int ctrio__c_task_spawn(struct ctrio__c_task *task, struct ctrio__nursery *nursery);
#endif
