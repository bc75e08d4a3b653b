/* clock.h - the run's clock: the system's, or a mock that jumps when all is idle. */
#ifndef CTRIO_KERNEL_CLOCK_H
#define CTRIO_KERNEL_CLOCK_H
#include <ctrio/types.h>
struct ctrio__os;

struct ctrio_clock {
    void (*start)(struct ctrio_clock *clock, struct ctrio_run *run);
    double (*current_time)(struct ctrio_clock *clock); /* seconds */
    /* Real seconds to sleep until the clock says `deadline`. */
    double (*deadline_to_sleep_time)(struct ctrio_clock *clock, double deadline);
    /* The run was idle for autojump_threshold seconds; NULL: never asked. */
    void (*autojump)(struct ctrio_clock *clock, double next_deadline);
    double autojump_threshold; /* seconds; INFINITY: never */
    bool is_system;            /* may be read at any time for free, never jumps */
};
/* Seconds since some moment, from os->now; a random offset keeps people from mixing clocks. */
struct ctrio__system_clock {
    struct ctrio_clock clock;
    struct ctrio__os *os;
    uint64_t (*now)(struct ctrio__os *os, int which);
    double offset;
};
void ctrio__system_clock_init(struct ctrio__system_clock *clock, struct ctrio__os *os,
                              uint64_t (*now)(struct ctrio__os *os, int which), double offset);
/* Stands still at `time` until it jumps, or runs at `rate` times real time. */
struct ctrio__mock_clock {
    struct ctrio_clock clock;
    double time; /* what it says now; seconds */
};
void ctrio__mock_clock_init(struct ctrio__mock_clock *clock, double autojump_threshold);
void ctrio__mock_clock_jump(struct ctrio__mock_clock *clock, double seconds);
#endif
