/* spin_native.c - how long a thread may spin, and how many of them.
 *
 * Invariant: of the threads that spin for an event there are fewer than the process has processors,
 * so that one is left for who brings the event; where there is only one, nobody spins.  A spin in
 * vain makes its place leave out the next occasion, two in a row the next three, and so on: a
 * thread that mostly waits long pays two to four microseconds a wait for having hoped.  Reading the
 * clock is the pause between two looks; a processor's own instruction for it was not worth a file
 * for each.
 *
 * Two threads that hand things to each other may both have gone to sleep, and each then misses what
 * the other one does, because that wakes up so late: after 30 to 100 us on a virtual machine.  So
 * who waits for a job looks longer than that, and also some times in a row, until the one it works
 * for looks again: before LATE is over, since that one leaves out 15 occasions at most. */
#include "os/native.h"
#include <sched.h>
#include <time.h>

enum { SOON_NS = 30000, OVERLAP_NS = 2000, LATE = 16 };

/* By what is waited for. */
static const uint32_t limit_ns[] = {[CTRIO__SPIN_FOR_EVENT] = 60000,
                                    [CTRIO__SPIN_FOR_JOB] = 120000,
                                    [CTRIO__SPIN_FOR_LOCK] = 30000};
static const uint8_t most_misses[] = {
    [CTRIO__SPIN_FOR_EVENT] = 4, [CTRIO__SPIN_FOR_JOB] = 6, [CTRIO__SPIN_FOR_LOCK] = 6};

static _Atomic uint32_t spinning;   /* threads, for an event */
static _Atomic uint32_t processors; /* that the process may use; 0: not counted yet */

static uint32_t count_processors(void)
{
    cpu_set_t set;
    int count = 2; /* the call fails where a set has no room for so many */
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    atomic_store_explicit(&processors, (uint32_t)count, memory_order_relaxed);
    return (uint32_t)count;
}

static uint32_t usable_processors(void)
{
    uint32_t known = atomic_load_explicit(&processors, memory_order_relaxed);
    return known != 0 ? known : count_processors();
}

static uint64_t clock_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static bool look(bool (*there)(const void *arg), const void *arg, uint64_t end)
{
    do {
        if (there(arg))
            return true;
    } while (clock_ns() < end);
    return there(arg);
}

static bool enter(uint32_t room)
{
    if (atomic_fetch_add_explicit(&spinning, 1, memory_order_relaxed) < room)
        return true;
    atomic_fetch_sub_explicit(&spinning, 1, memory_order_relaxed);
    return false;
}

/* Whoever has been handed something by us may not have noticed yet: its place is free soon. */
static bool enter_soon(uint32_t room, uint64_t now)
{
    while (!enter(room))
        if (clock_ns() - now > OVERLAP_NS)
            return false;
    return true;
}

/* After a miss the processors are counted anew: the process may have been confined to one, or to
 * one no longer. */
static void learn(struct ctrio__spin *spin, enum ctrio__spin_for what, bool found, bool soon)
{
    if (found && soon) {
        spin->misses = 0;
        spin->late = 0;
        return;
    }
    if (found && spin->late++ < LATE)
        return;
    spin->late = 0;
    if (spin->misses < most_misses[what])
        spin->misses++;
    spin->skip = (uint8_t)((1U << spin->misses) - 1);
    count_processors();
}

bool ctrio__native_spin(struct ctrio__os *os, struct ctrio__spin *spin, enum ctrio__spin_for what,
                        bool (*there)(const void *arg), const void *arg)
{
    (void)os;
    if (there(arg))
        return true;
    if (spin->skip > 0) {
        spin->skip--;
        return false;
    }
    uint32_t room = usable_processors() - 1;
    uint64_t now = clock_ns();
    bool counted = what != CTRIO__SPIN_FOR_LOCK;
    if (counted && room != 0 && !enter_soon(room, now))
        return there(arg);
    bool found = room != 0 && look(there, arg, now + limit_ns[what]);
    if (counted && room != 0)
        atomic_fetch_sub_explicit(&spinning, 1, memory_order_relaxed);
    learn(spin, what, found, clock_ns() - now <= SOON_NS);
    return found;
}

void ctrio__native_spin_after_fork(void)
{
    atomic_store(&spinning, 0);
}
