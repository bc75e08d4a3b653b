/* fiber.c - fibers without a sanitizer: the bare switch. */
#include "coro/fiber.h"
#include "base/assert.h"

void ctrio__fiber_adopt_thread(struct ctrio__fiber *fiber)
{
    *fiber = (struct ctrio__fiber){.sp = NULL};
}

void ctrio__fiber_reclaim(char *low, size_t size)
{
    (void)low;
    (void)size;
}

void ctrio__fiber_init(struct ctrio__fiber *fiber, char *low, size_t size, void (*entry)(void *arg),
                       void *arg)
{
    *fiber = (struct ctrio__fiber){.low = low, .size = size};
    fiber->sp = ctrio__switch_prepare(low, low + size, entry, arg);
}

void ctrio__fiber_entered(struct ctrio__fiber *fiber)
{
    CTRIO_ASSERT((char *)&fiber >= fiber->low && (char *)&fiber < fiber->low + fiber->size);
    (void)fiber;
}

void ctrio__fiber_switch(struct ctrio__fiber *from, struct ctrio__fiber *to)
{
    ctrio__switch(&from->sp, to->sp);
}

void ctrio__fiber_leave(struct ctrio__fiber *from, struct ctrio__fiber *to)
{
    ctrio__switch(&from->sp, to->sp);
}

bool ctrio__fiber_holds(const void *object, size_t size)
{
    (void)object;
    (void)size;
    return true;
}

void ctrio__fiber_close(struct ctrio__fiber *fiber)
{
    fiber->sp = NULL;
}
