/* fiber_asan.c - fibers under AddressSanitizer, which keeps a fake stack for each.
 *
 * Invariant: every start_switch is followed by a finish_switch on the other side. */
#include "base/assert.h"
#include "coro/fiber.h"
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <stdint.h>

/* Who is being left: only the one who arrives is told where that one's stack lies. */
static _Thread_local struct ctrio__fiber *left;

static void arrive(struct ctrio__fiber *fiber)
{
    const void *low;
    size_t size;
    __sanitizer_finish_switch_fiber(fiber->shadow, &low, &size);
    fiber->shadow = NULL;
    if (left != NULL && left->low == NULL) { /* a thread's own */
        left->low = low;
        left->size = size;
    }
    left = NULL;
}

void ctrio__fiber_adopt_thread(struct ctrio__fiber *fiber)
{
    *fiber = (struct ctrio__fiber){.sp = NULL};
}

void ctrio__fiber_reclaim(char *low, size_t size)
{
    __asan_unpoison_memory_region(low, size);
}

void ctrio__fiber_init(struct ctrio__fiber *fiber, char *low, size_t size, void (*entry)(void *arg),
                       void *arg)
{
    *fiber = (struct ctrio__fiber){.low = low, .size = size};
    ctrio__fiber_reclaim(low, size);
    fiber->sp = ctrio__switch_prepare(low, low + size, entry, arg);
}

void ctrio__fiber_entered(struct ctrio__fiber *fiber)
{
    CTRIO_ASSERT(fiber->shadow == NULL);
    arrive(fiber);
}

void ctrio__fiber_switch(struct ctrio__fiber *from, struct ctrio__fiber *to)
{
    left = from;
    __sanitizer_start_switch_fiber(&from->shadow, to->low, to->size);
    ctrio__switch(&from->sp, to->sp);
    arrive(from);
}

void ctrio__fiber_leave(struct ctrio__fiber *from, struct ctrio__fiber *to)
{
    left = NULL;
    __sanitizer_start_switch_fiber(NULL, to->low, to->size);
    ctrio__switch(&from->sp, to->sp);
}

/* Each frame has red zones around its objects: one in the middle is a later frame's. */
bool ctrio__fiber_holds(const void *object, size_t size)
{
    return __asan_region_is_poisoned((void *)(uintptr_t)object, size) == NULL;
}

void ctrio__fiber_close(struct ctrio__fiber *fiber)
{
    fiber->sp = NULL;
}
