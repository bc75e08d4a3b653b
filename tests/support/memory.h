/* memory.h - the allocation hook of the tests: counts, fails the n-th call, finds leaks. */
#ifndef CTRIO_TESTS_MEMORY_H
#define CTRIO_TESTS_MEMORY_H
#include <stdbool.h>
#include <stddef.h>

/* Takes the place of the library's allocator; before any other use. */
void memory_install(void);
/* A new test: nothing lives, calls are counted from 1, number `fail_at` fails (0: none does). */
void memory_begin(size_t fail_at);
/* A part of a test: calls are counted anew, number `fail_at` of them fails. */
void memory_fail_at(size_t fail_at);
/* Calls since memory_begin that wanted memory. */
size_t memory_calls(void);
/* Whether the call that was to fail has been made. */
bool memory_failed(void);
size_t memory_live_bytes(void);
/* While true nothing is counted and nothing fails: for the tests' own needs. */
void memory_exempt(bool exempt);
#endif
