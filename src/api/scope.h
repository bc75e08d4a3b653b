/* scope.h - opening and closing a scope for others of the front end: nurseries, serving. */
#ifndef CTRIO_API_SCOPE_H
#define CTRIO_API_SCOPE_H
#include "api/run.h"
#include "kernel/cancel.h"
#include <ctrio/cancel.h>

enum { CTRIO__SCOPE_MAGIC = 0x5c09e5c0, CTRIO__NURSERY_SCOPE_MAGIC = 0x5c09e5c1 };
enum { CTRIO__NURSERY_MAGIC = 0x1025e490 };

void ctrio__c_scope_init(struct ctrio_cancel_scope *scope, const char *where);
void ctrio__c_scope_open(struct ctrio_cancel_scope *scope, struct ctrio__c_task *self,
                         uint32_t magic);
/* Open, and where it was opened. */
bool ctrio__c_scope_is_open(const struct ctrio_cancel_scope *scope);
/* The kernel has closed it.  CTRIO_MISUSE: it had been given a bad deadline. */
int ctrio__c_scope_ended(struct ctrio_cancel_scope *scope);
#endif
