/* heap.h - an intrusive binary min-heap of timers, by (when, serial).
 *
 * Nodes are linked, never copied into an array, so that arming a timer allocates nothing and
 * removing one needs no search (libuv's heap-inl.h has the same shape).  Ties go by serial,
 * never by address: equal deadlines fire in the order in which they were armed. */
#ifndef CTRIO_BASE_HEAP_H
#define CTRIO_BASE_HEAP_H
#include <ctrio/types.h>

struct ctrio__heap {
    struct ctrio_timer *root; /* NULL when empty; not above its children */
    size_t count;
};
/* The timer must not be in a heap; its `when` is not NAN. */
void ctrio__heap_insert(struct ctrio__heap *heap, struct ctrio_timer *timer);
/* The timer must be in this heap. */
void ctrio__heap_remove(struct ctrio__heap *heap, struct ctrio_timer *timer);
/* For tests and debug builds: parents before children, links both ways, the count right. */
bool ctrio__heap_valid(const struct ctrio__heap *heap);
static inline bool ctrio__timer_before(const struct ctrio_timer *a, const struct ctrio_timer *b)
{
    return a->when < b->when || (a->when == b->when && a->serial < b->serial);
}
#endif
