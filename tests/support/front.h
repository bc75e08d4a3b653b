/* front.h - runs of the C front end for tests: a clock that jumps, a fixed seed, and the cadence
 * that the set-up asks for.
 *
 * Each program of tests/api runs twice: as it is, and with CTRIO_TEST_CADENCE=strict.  A test says
 * what holds in both; where they differ it asks front_strict(). */
#ifndef CTRIO_TESTS_FRONT_H
#define CTRIO_TESTS_FRONT_H
#include "tap.h"
#include <ctrio/cancel.h>
#include <ctrio/error.h>
#include <ctrio/nursery.h>
#include <ctrio/run.h>
#include <ctrio/testing.h>

bool front_strict(void);
/* Runs fn(arg) on a mock clock that jumps at once.  Afterwards no story is left: front_message has
 * the result's. */
int front_run(ctrio_task_fn *fn, void *arg);
/* The same with these options; the cadence is set, and a clock and a seed where there is none. */
int front_run_with(ctrio_task_fn *fn, void *arg, struct ctrio_run_options *options);
extern char front_message[512];

/* Adds a word to the trace, which front_run() empties first. */
void front_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern char front_trace[4096];

/* A code that was met: -ENOMEM, alone or as a leaf of its group, excuses what the test misses.
 * Gives back the code. */
int front_saw(int code);
/* A story is an allocation whose failure nobody is told: from here on a failed one excuses. */
void front_stories_may_lack(void);
/* Drops the stories of whoever runs. */
void front_forget(void);

/* For tests that look names up: a worker thread may end, and free what it has, after the run.  At
 * the end of the test, when nothing else is left. */
void front_wait_for_threads(void);

/* fn(arg) in a child process: its wait status; what it wrote to stderr, cut to `size`. */
int front_child(int (*fn)(void *arg), void *arg, char *text, size_t size);

/* A user's task that sleeps until it is cancelled. */
int front_sleeper(void *arg);
/* A test that is a main task: it checks as it goes, and gives 0. */
#define MAIN_TEST(name)                                                                            \
    static int name##_main(void *arg);                                                             \
    static void name(void)                                                                         \
    {                                                                                              \
        is(front_run(name##_main, NULL), 0);                                                       \
    }                                                                                              \
    static int name##_main(__attribute__((unused)) void *arg)

#endif
