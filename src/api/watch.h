/* watch.h - who enters the library when it must not be entered, and who keeps the thread too long.
 *
 * A release build looks for dead frames, objects out of place and forks; what needs a call a
 * checkpoint, a list or a clock is for debug builds. */
#ifndef CTRIO_API_WATCH_H
#define CTRIO_API_WATCH_H
#include "api/run.h"
#include "kernel/parking_lot.h"

/* Steps that take longer than run->slow_step are logged; none: no clock is read. */
void ctrio__watch_steps(struct ctrio__c_run *run);
/* From now on a run dies with the fork that it is in; once a process. */
void ctrio__watch_forks(void);
/* This is the child of a fork, and the run that it forked in is the parent's. */
bool ctrio__forked(void);

/* A scope that was left without being closed lies below the stack pointer, or in what a call has
 * laid over it: its lists already point into garbage, so that no code can be given back.  The
 * second is seen by the magic word; at first one only asks whether the scope lies near. */
enum { CTRIO__BELOW = 65536, CTRIO__ABOVE = 1024 };
bool ctrio__on_dead_stack(const struct ctrio__c_task *self, const void *scope, const char *here);
_Noreturn void ctrio__die_of_frame(const struct ctrio__c_task *self);
void ctrio__look_at_frame(const struct ctrio__c_task *self, const char *here);
/* Dies if the task's scope lies in a frame that has returned: below `here`. */
static inline void ctrio__refuse_dead_frame(const struct ctrio__c_task *self, const char *here)
{
    if ((uintptr_t)self->task.scope - ((uintptr_t)here - CTRIO__BELOW) <
        CTRIO__BELOW + CTRIO__ABOVE)
        ctrio__look_at_frame(self, here);
}

/* Debug builds: whether the library itself runs on this thread, so that a call which comes then is
 * a signal handler's.  Gives back what was so before: around what calls a user's function. */
static inline bool ctrio__set_inside(struct ctrio__c_run *run, bool inside)
{
#ifdef NDEBUG
    (void)run;
    return inside;
#else
    bool before = run != NULL && run->inside;
    if (run != NULL)
        run->inside = inside;
    return before;
#endif
}
/* False: never initialised (zeroed), or copied: what its list begins with does not point back. */
static inline bool ctrio__lot_in_place(const struct ctrio_parking_lot *lot)
{
    return lot->parked.next != NULL && lot->parked.next->prev == &lot->parked;
}
/* Debug builds: those who wait there are another run's. */
bool ctrio__lot_is_anothers(const struct ctrio_parking_lot *lot);
/* What is wrong, as CTRIO_MISUSE with a story. */
int ctrio__lot_misuse(const struct ctrio_parking_lot *lot);
static inline int ctrio__refuse_lot(const struct ctrio_parking_lot *lot)
{
#ifdef NDEBUG
    return ctrio__lot_in_place(lot) ? 0 : ctrio__lot_misuse(lot);
#else
    return ctrio__lot_in_place(lot) && !ctrio__lot_is_anothers(lot) ? 0 : ctrio__lot_misuse(lot);
#endif
}

#ifdef NDEBUG
static inline void ctrio__refuse_handlers(void)
{
}
#else
void ctrio__refuse_handlers(void); /* where a user's call begins */
#endif
#endif
