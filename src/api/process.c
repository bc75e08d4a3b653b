/* process.c - what belongs to the process: the version, and the allocator. */
#include "api/watch.h"
#include "base/alloc.h"
#include <stdatomic.h>

static atomic_bool run_seen, allocator_set;
static struct ctrio_allocator users;

int ctrio_version(void)
{
    return CTRIO_VERSION;
}

void ctrio__run_seen(void)
{
    if (!atomic_exchange(&run_seen, true))
        ctrio__watch_forks();
}

static void *resize(void *self, void *old, size_t size)
{
    const struct ctrio_allocator *allocator = self;
    return allocator->realloc(allocator->context, old, size);
}

int ctrio_set_allocator(const struct ctrio_allocator *allocator)
{
    static struct ctrio__allocator inner = {.resize = resize, .self = &users};
    if (allocator == NULL || allocator->realloc == NULL)
        return -EINVAL;
    if (atomic_load(&run_seen) || atomic_exchange(&allocator_set, true))
        return -EBUSY;
    users = *allocator;
    ctrio__set_allocator(&inner);
    return 0;
}
