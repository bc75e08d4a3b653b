/* assert.h - invariants.  CTRIO_ASSERT is off under NDEBUG; ctrio__panic stays.
 *
 * Two levels, as mimalloc has: CTRIO_ASSERT is cheap and everywhere; CTRIO_ASSERT_SLOW walks
 * structures and is on only where CTRIO_SLOW_CHECKS is defined (the test builds).  NEVER(x) is
 * SQLite's: asserts in tests, is false in release, and is left out of coverage. */
#ifndef CTRIO_BASE_ASSERT_H
#define CTRIO_BASE_ASSERT_H
#include <stdbool.h>

/* Prints one line and aborts: state that no caller could have caused is broken. */
_Noreturn void ctrio__panic(const char *what, const char *file, int line);

#ifdef NDEBUG
#define CTRIO_ASSERT(x) ((void)0)
#define NEVER(x) (x)
#else
#define CTRIO_ASSERT(x) ((x) ? (void)0 : ctrio__panic(#x, __FILE__, __LINE__))
#define NEVER(x) ((x) ? (ctrio__panic("never: " #x, __FILE__, __LINE__), true) : false)
#endif

#if defined(CTRIO_SLOW_CHECKS) && !defined(NDEBUG)
#define CTRIO_ASSERT_SLOW(x) CTRIO_ASSERT(x)
#else
#define CTRIO_ASSERT_SLOW(x) ((void)0)
#endif
#endif
