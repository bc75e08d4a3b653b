/* seal.h - shuts a process in: from now on it may ask the system for memory, and exit. */
#ifndef CTRIO_TESTS_SEAL_H
#define CTRIO_TESTS_SEAL_H
#include <stdbool.h>

/* Any other system call kills the process.  False: the system cannot do that. */
bool seal_process(void);

enum { SEAL_IMPOSSIBLE = 77 };
/* What a child that runs fn came to: its exit status, or -signal. */
int child_came_to(int (*fn)(void));
/* Valgrind makes and limits system calls in its own way. */
bool seal_on_valgrind(void);
/* Whether that is not SEAL_IMPOSSIBLE; else the test is skipped. */
bool seal_was_possible(int status);
#endif
