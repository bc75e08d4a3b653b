/* wrong.h - for tests of misuse: runs whose failure is looked at, and processes that must die. */
#ifndef CTRIO_TESTS_WRONG_H
#define CTRIO_TESTS_WRONG_H
#include "tap.h"
#include <ctrio.h>

#ifdef NDEBUG
enum { WRONG_DEBUG_BUILD = false };
#else
enum { WRONG_DEBUG_BUILD = true };
#endif

/* On a clock that jumps: nobody sleeps.  Afterwards what the result's story and the log say. */
int wrong_run(ctrio_task_fn *fn, void *arg);
int wrong_run_with(ctrio_task_fn *fn, void *arg, struct ctrio_run_options options);
extern char wrong_message[512], wrong_log[4096];

/* A main task that runs *(ctrio_task_fn **)arg in a task of its own, on a stack of ours. */
int wrong_child_task(void *arg);

/* True: `text` has these words in it; else both are noted. */
bool says(const char *text, const char *words);

/* True: fn() ended its process, and these were among its last words. */
bool dies(void (*fn)(void), const char *words);
/* The same, or the sanitizer was first to see what has happened to a frame. */
bool dies_of_frame(void (*fn)(void), const char *words);
/* For such processes, on the machine's clock: fn as the main task, or as a child of it. */
void wrong_run_here(ctrio_task_fn *fn);
void wrong_run_in_task(ctrio_task_fn *fn);
#endif
