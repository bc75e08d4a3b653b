/* timers.h - the pending timers of a run, in the exact order of (when, serial).
 *
 * Those due next are in a heap (base/heap.h).  Once they are many, those due later wait in lists,
 * by where the bits of their times differ from a border's; see timers.c. */
#ifndef CTRIO_BASE_TIMERS_H
#define CTRIO_BASE_TIMERS_H
#include "base/heap.h"

enum {
    CTRIO__TIMER_CROWD = 256, /* in the heap: fewer are not worth sorting */
    CTRIO__TIMER_DIGIT = 6,   /* bits */
    CTRIO__TIMER_SLOTS = 64,
    CTRIO__TIMER_LEVELS = 11
};

/* All zeros: empty.  Invariant: far_count != 0 => near is not empty, all in it are due at the
 * border or before, and all others after it. */
struct ctrio__timers {
    struct ctrio__heap near;
    size_t far_count;
    size_t crowd;           /* at so many in `near` those may be sorted anew; see spread() */
    uint64_t border;        /* a time as an integer; meaningful while far_count != 0 */
    struct ctrio_timer far; /* the parent of those in slots, by which they are told */
    uint64_t used[CTRIO__TIMER_LEVELS]; /* a bit for each slot that has timers */
    struct ctrio_timer *slots[CTRIO__TIMER_LEVELS][CTRIO__TIMER_SLOTS]; /* by `left`, `right` */
};

void ctrio__timers_insert_among_many(struct ctrio__timers *timers, struct ctrio_timer *timer);
void ctrio__timers_remove_from_many(struct ctrio__timers *timers, struct ctrio_timer *timer);

/* Neither allocates nor fails.  The timer is not among any; its `when` is not NAN. */
static inline void ctrio__timers_insert(struct ctrio__timers *timers, struct ctrio_timer *timer)
{
    if (timers->far_count == 0 && timers->near.count < CTRIO__TIMER_CROWD - 1)
        ctrio__heap_insert(&timers->near, timer);
    else
        ctrio__timers_insert_among_many(timers, timer);
}
/* The timer is among these, and has the `when` with which it was inserted. */
static inline void ctrio__timers_remove(struct ctrio__timers *timers, struct ctrio_timer *timer)
{
    if (timers->far_count == 0)
        ctrio__heap_remove(&timers->near, timer);
    else
        ctrio__timers_remove_from_many(timers, timer);
}
/* For tests and debug builds: who is where he belongs, and the counts are right. */
bool ctrio__timers_valid(const struct ctrio__timers *timers);

/* The one that is due first; NULL: there is none. */
static inline struct ctrio_timer *ctrio__timers_first(const struct ctrio__timers *timers)
{
    return timers->near.root;
}
static inline size_t ctrio__timers_count(const struct ctrio__timers *timers)
{
    return timers->near.count + timers->far_count;
}
static inline bool ctrio__timers_has(const struct ctrio__timers *timers,
                                     const struct ctrio_timer *timer)
{
    return timer->parent != NULL || timers->near.root == timer;
}
#endif
