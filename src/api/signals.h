/* signals.h - the two signals that a run may watch: SIGINT, and the one that asks for a dump. */
#ifndef CTRIO_API_SIGNALS_H
#define CTRIO_API_SIGNALS_H
#include "api/run.h"

void ctrio__signals_begin(struct ctrio__c_run *run);
void ctrio__signals_end(struct ctrio__c_run *run);
#endif
