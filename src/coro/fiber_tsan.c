/* fiber_tsan.c - fibers under ThreadSanitizer: each has a history of its own. */
#include "base/assert.h"
#include "coro/fiber.h"
#include <sanitizer/tsan_interface.h>

void ctrio__fiber_adopt_thread(struct ctrio__fiber *fiber)
{
    *fiber = (struct ctrio__fiber){.shadow = __tsan_get_current_fiber()};
}

void ctrio__fiber_reclaim(char *low, size_t size)
{
    (void)low;
    (void)size;
}

void ctrio__fiber_init(struct ctrio__fiber *fiber, char *low, size_t size, void (*entry)(void *arg),
                       void *arg)
{
    *fiber = (struct ctrio__fiber){.low = low, .size = size, .shadow = __tsan_create_fiber(0)};
    fiber->sp = ctrio__switch_prepare(low, low + size, entry, arg);
}

void ctrio__fiber_entered(struct ctrio__fiber *fiber)
{
    CTRIO_ASSERT(fiber->shadow != NULL);
    (void)fiber;
}

/* Not instrumented itself: it enters on one history and returns on another. */
__attribute__((no_sanitize_thread)) void ctrio__fiber_switch(struct ctrio__fiber *from,
                                                             struct ctrio__fiber *to)
{
    __tsan_switch_to_fiber(to->shadow, 0);
    ctrio__switch(&from->sp, to->sp);
}

__attribute__((no_sanitize_thread)) void ctrio__fiber_leave(struct ctrio__fiber *from,
                                                            struct ctrio__fiber *to)
{
    ctrio__fiber_switch(from, to);
}

bool ctrio__fiber_holds(const void *object, size_t size)
{
    (void)object;
    (void)size;
    return true;
}

void ctrio__fiber_close(struct ctrio__fiber *fiber)
{
    if (fiber->low != NULL && fiber->shadow != NULL)
        __tsan_destroy_fiber(fiber->shadow);
    fiber->shadow = NULL;
    fiber->sp = NULL;
}
