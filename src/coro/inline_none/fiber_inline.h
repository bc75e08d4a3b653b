/* fiber_inline.h - where the switch is no inline assembly: a call. */
#ifndef CTRIO_CORO_FIBER_INLINE_H
#define CTRIO_CORO_FIBER_INLINE_H
#include "coro/fiber.h"

static inline void ctrio__fiber_switch_inline(struct ctrio__fiber *from, struct ctrio__fiber *to)
{
    ctrio__fiber_switch(from, to);
}
/* As ctrio__fiber_leave. */
static inline void ctrio__fiber_leave_inline(struct ctrio__fiber *from, struct ctrio__fiber *to)
{
    ctrio__fiber_leave(from, to);
}
#endif
