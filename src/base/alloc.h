/* alloc.h - the one door to memory, so that it can be replaced and made to fail.
 *
 * One process-wide hook, set only while no run is alive.  The Python front end sets PyMem_Raw's;
 * the tests set one that counts and fails the n-th call (SQLite's loop). */
#ifndef CTRIO_BASE_ALLOC_H
#define CTRIO_BASE_ALLOC_H
#include <stdbool.h>
#include <stddef.h>

struct ctrio__allocator {
    /* realloc's contract; size 0 frees and gives NULL. */
    void *(*resize)(void *self, void *old, size_t size);
    void *self;
};
void ctrio__set_allocator(const struct ctrio__allocator *allocator); /* NULL: the C library's */

/* NULL without memory.  Fresh memory is zeroed. */
void *ctrio__alloc(size_t size);
/* Grows or shrinks; NULL without memory, and `old` is untouched. */
void *ctrio__resize(void *old, size_t size);
/* Accepts NULL. */
void ctrio__free(void *memory);

/* Makes room in an array of `size`-byte items for at least `need`, by doubling; -ENOMEM changes
 * nothing.  Needs beyond SIZE_MAX / size are -ENOMEM too. */
int ctrio__reserve(void **array, size_t *capacity, size_t need, size_t size);
#endif
