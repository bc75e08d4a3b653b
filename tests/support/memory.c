/* memory.c - malloc with the size in front, so that what lives can be summed.
 *
 * SQLite's loop: run a test, fail its first allocation, then its second, until it runs untouched.
 * Threads may allocate too: then which call fails is not the same each time, but the sum is right.
 */
#include "memory.h"
#include "base/alloc.h"
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

struct block {
    alignas(max_align_t) size_t size;
};

static _Atomic size_t calls, failing, live;
static atomic_bool failed, exempt;

static void *resize(void *self, void *old, size_t size)
{
    struct block *block = old != NULL ? (struct block *)old - 1 : NULL;
    (void)self;
    if (size == 0) {
        live -= block->size;
        free(block);
        return NULL;
    }
    if (!exempt && ++calls == failing) {
        failed = true;
        return NULL;
    }
    size_t before = block != NULL ? block->size : 0;
    struct block *moved = realloc(block, sizeof *moved + size);
    if (moved == NULL)
        abort();
    moved->size = size;
    live += size - before;
    return moved + 1;
}

void memory_install(void)
{
    static const struct ctrio__allocator counting = {resize, NULL};
    ctrio__set_allocator(&counting);
}

void memory_begin(size_t fail_at)
{
    live = 0;
    exempt = false;
    memory_fail_at(fail_at);
}

void memory_fail_at(size_t fail_at)
{
    calls = 0;
    failing = fail_at;
    failed = false;
}

size_t memory_calls(void)
{
    return calls;
}

bool memory_failed(void)
{
    return failed;
}

size_t memory_live_bytes(void)
{
    return live;
}

void memory_exempt(bool value)
{
    exempt = value;
}
