/* mock_clock.c - a clock that jumps, for tests. */
#include "base/alloc.h"
#include "base/assert.h"
#include "kernel/clock.h"
#include <ctrio/testing.h>

static struct ctrio__mock_clock *mock_of(struct ctrio_clock *clock)
{
    return (struct ctrio__mock_clock *)clock; /* its first member */
}

int ctrio_open_mock_clock(struct ctrio_clock **clock, double autojump_seconds)
{
    *clock = NULL;
    if (isnan(autojump_seconds) || autojump_seconds < 0)
        return -EINVAL;
    struct ctrio__mock_clock *mock = ctrio__alloc(sizeof *mock);
    if (mock == NULL)
        return -ENOMEM;
    ctrio__mock_clock_init(mock, autojump_seconds);
    *clock = &mock->clock;
    return 0;
}

void ctrio_mock_clock_jump(struct ctrio_clock *clock, double seconds)
{
    CTRIO_ASSERT(seconds >= 0);
    ctrio__mock_clock_jump(mock_of(clock), seconds);
}

void ctrio_mock_clock_free(struct ctrio_clock *clock)
{
    ctrio__free(clock != NULL ? mock_of(clock) : NULL);
}
