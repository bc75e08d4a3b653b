/* clock.c - the system's clock and the mock one.
 *
 * Seconds as doubles, as Trio's: INFINITY is "never" and arithmetic needs no special case. */
#include "kernel/clock.h"
#include "kernel/io.h"
#include "kernel/run.h"

static void system_start(struct ctrio_clock *clock, struct ctrio_run *run)
{
    (void)clock;
    (void)run;
}

static double system_time(struct ctrio_clock *base)
{
    struct ctrio__system_clock *clock = ctrio__container(base, struct ctrio__system_clock, clock);
    return clock->offset + (double)clock->now(clock->os, CTRIO__MONOTONIC) * 1e-9;
}

static double system_sleep_time(struct ctrio_clock *base, double deadline)
{
    if (deadline == INFINITY)
        return INFINITY; /* saves a reading */
    return deadline - system_time(base);
}

void ctrio__system_clock_init(struct ctrio__system_clock *clock, struct ctrio__os *os,
                              uint64_t (*now)(struct ctrio__os *os, int which), double offset)
{
    *clock = (struct ctrio__system_clock){.clock = {.start = system_start,
                                                    .current_time = system_time,
                                                    .deadline_to_sleep_time = system_sleep_time,
                                                    .autojump_threshold = INFINITY,
                                                    .is_system = true},
                                          .os = os,
                                          .now = now,
                                          .offset = offset};
}

static double mock_time(struct ctrio_clock *base)
{
    return ctrio__container(base, struct ctrio__mock_clock, clock)->time;
}

static double mock_sleep_time(struct ctrio_clock *base, double deadline)
{
    return deadline <= mock_time(base) ? 0.0 : INFINITY;
}

static void mock_autojump(struct ctrio_clock *base, double next_deadline)
{
    struct ctrio__mock_clock *clock = ctrio__container(base, struct ctrio__mock_clock, clock);
    if (next_deadline != INFINITY && next_deadline > clock->time)
        clock->time = next_deadline;
}

void ctrio__mock_clock_init(struct ctrio__mock_clock *clock, double autojump_threshold)
{
    *clock = (struct ctrio__mock_clock){.clock = {.start = system_start,
                                                  .current_time = mock_time,
                                                  .deadline_to_sleep_time = mock_sleep_time,
                                                  .autojump = mock_autojump,
                                                  .autojump_threshold = autojump_threshold}};
}

void ctrio__mock_clock_jump(struct ctrio__mock_clock *clock, double seconds)
{
    CTRIO_ASSERT(seconds >= 0.0);
    clock->time += seconds;
}
