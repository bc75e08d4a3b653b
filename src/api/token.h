/* token.h - handles on a run for other threads. */
#ifndef CTRIO_API_TOKEN_H
#define CTRIO_API_TOKEN_H
#include "api/run.h"
#include <ctrio/thread.h>

/* [any thread]  As ctrio__entry_queue_push; the entry is still the caller's on failure. */
int ctrio__token_push(struct ctrio_token *token, struct ctrio__entry *entry);
/* The run's loop has ended: calls from now on are refused, those under way have been. */
void ctrio__token_run_over(struct ctrio__c_run *run);
#endif
