/* signals.c - a signal becomes an entry in the run's queue, and the loop does the rest.
 *
 * SIGINT cancels the main task once.  After that the signal means again what it meant before: a
 * second Ctrl-C ends a program that does not heed the first.  Invariant: `pushed` is true exactly
 * while the entry is in the queue, as the queue owns it then. */
#include "api/signals.h"
#include <signal.h>
#include <stdio.h>

static void on_signal(void *arg, int number) /* in a signal handler, on any thread */
{
    struct ctrio__signal_entry *signal_entry = arg;
    (void)number;
    if (atomic_exchange(&signal_entry->pushed, true))
        return;
    if (ctrio__entry_queue_push(&signal_entry->run->run, &signal_entry->entry) < 0)
        atomic_store(&signal_entry->pushed, false);
}

static struct ctrio__signal_entry *signal_entry_of(struct ctrio__entry *entry)
{
    struct ctrio__signal_entry *found = ctrio__container(entry, struct ctrio__signal_entry, entry);
    atomic_store(&found->pushed, false);
    return found;
}

static void interrupt(struct ctrio__entry *entry, struct ctrio_run *base)
{
    struct ctrio__c_run *run = signal_entry_of(entry)->run;
    if (base == NULL || run->interrupted)
        return;
    run->interrupted = true;
    run->os->watch_signal(run->os, SIGINT, NULL, NULL);
    run->interrupt.number = 0;
    if (run->main_scope.state == CTRIO_SCOPE_OPEN)
        ctrio__scope_cancel(&run->main_scope, &ctrio__reason_interrupt);
}

static void dump(struct ctrio__entry *entry, struct ctrio_run *base)
{
    (void)signal_entry_of(entry);
    if (base != NULL)
        ctrio_dump_tasks(stderr);
}

static void watch(struct ctrio__c_run *run, struct ctrio__signal_entry *signal_entry, int number,
                  void (*fn)(struct ctrio__entry *entry, struct ctrio_run *run))
{
    *signal_entry = (struct ctrio__signal_entry){.entry.fn = fn, .run = run};
    if (number != 0 && run->os->watch_signal(run->os, number, on_signal, signal_entry) >= 0)
        signal_entry->number = number; /* else: another run of this process has it */
}

static void unwatch(struct ctrio__c_run *run, struct ctrio__signal_entry *signal_entry)
{
    if (signal_entry->number != 0)
        run->os->watch_signal(run->os, signal_entry->number, NULL, NULL);
    signal_entry->number = 0;
}

void ctrio__signals_begin(struct ctrio__c_run *run)
{
    CTRIO_ASSERT(!run->interrupted);
    watch(run, &run->interrupt, run->options.leave_sigint ? 0 : SIGINT, interrupt);
    watch(run, &run->dump, run->options.dump_signal, dump);
}

void ctrio__signals_end(struct ctrio__c_run *run)
{
    unwatch(run, &run->interrupt);
    unwatch(run, &run->dump);
}
