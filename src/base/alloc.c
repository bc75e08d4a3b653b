/* alloc.c - the allocation hook.
 *
 * Invariant: memory is freed by the hook that gave it, hence "set only while no run is alive". */
#include "base/alloc.h"
#include "base/assert.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *libc_resize(void *self, void *old, size_t size)
{
    (void)self;
    if (size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, size);
}

static struct ctrio__allocator current = {libc_resize, NULL};

void ctrio__set_allocator(const struct ctrio__allocator *allocator)
{
    static const struct ctrio__allocator libc = {libc_resize, NULL};
    current = allocator != NULL ? *allocator : libc;
    CTRIO_ASSERT(current.resize != NULL);
}

void *ctrio__alloc(size_t size)
{
    CTRIO_ASSERT(size > 0);
    void *memory = current.resize(current.self, NULL, size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void *ctrio__resize(void *old, size_t size)
{
    CTRIO_ASSERT(size > 0);
    return current.resize(current.self, old, size);
}

void ctrio__free(void *memory)
{
    if (memory != NULL)
        current.resize(current.self, memory, 0);
}

int ctrio__reserve(void **array, size_t *capacity, size_t need, size_t size)
{
    CTRIO_ASSERT(size > 0);
    CTRIO_ASSERT(*array != NULL || *capacity == 0);
    if (need <= *capacity)
        return 0;
    if (need > SIZE_MAX / size / 2)
        return -ENOMEM;
    size_t grown = *capacity < 8 ? 8 : *capacity * 2;
#ifdef CTRIO_TORTURE /* every growth path runs: by one, till that would take for ever */
    if (*capacity < 1024)
        grown = need;
#endif
    if (grown < need)
        grown = need;
    void *moved = ctrio__resize(*array, grown * size);
    if (moved == NULL)
        return -ENOMEM;
    *array = moved;
    *capacity = grown;
    return 0;
}
