/* tap.h - tests that speak TAP: one point a test, its name a sentence.
 *
 *   static void a_free_lock_is_taken_at_once(void) { …ok(…); is(…, …); }
 *   int main(void) { static const struct tap_test tests[] = {TEST(a_free_…)}; return tap_run(…); }
 *
 * CTRIO_FAIL_AT=n makes the n-th allocation of each test fail; "all" repeats each test with its
 * first, second, third … allocation failing until it runs untouched.  Then a test may miss what
 * it expects if somebody was told -ENOMEM (tap_saw), but must not leak, crash or hang. */
#ifndef CTRIO_TESTS_TAP_H
#define CTRIO_TESTS_TAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tap_test {
    const char *name; /* with _ for spaces */
    void (*fn)(void);
    bool big; /* too many allocations to fail each of them: "all" leaves it alone */
};
#define TEST(fn) {#fn, fn, false}
#define BIG_TEST(fn) {#fn, fn, true}

/* Runs them all; the value is main's. */
int tap_run(const struct tap_test *tests, size_t count);
#define TAP_MAIN(...)                                                                              \
    int main(void)                                                                                 \
    {                                                                                              \
        static const struct tap_test tests[] = {__VA_ARGS__};                                      \
        return tap_run(tests, sizeof tests / sizeof tests[0]);                                     \
    }

/* Calls fn(arg), and where "all" allocations fail in turn, again with each of those that it makes
 * failing.  For a test that runs many small things: the whole of it is then not repeated. */
void tap_each_failure(void (*fn)(void *arg), void *arg);

/* Leaves the program: nothing here can be tested. */
_Noreturn void tap_skip_all(const char *reason);
/* `usual`, or fewer on machines (an emulator, a sanitizer) that CTRIO_MOST says are too slow. */
size_t tap_most(size_t usual);
/* The running test does not apply here; returns, and so should the test. */
void skip(const char *reason);
/* A line of explanation. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Somebody was told `code`: -ENOMEM excuses what a test misses while allocations fail. */
int tap_saw(int code);
bool tap_excused(void);

bool tap_ok(bool passed, const char *expression, const char *file, int line);
bool tap_is_int(int64_t actual, int64_t expected, const char *what, const char *file, int line);
bool tap_is_uint(uint64_t actual, uint64_t expected, const char *what, const char *file, int line);
bool tap_is_double(double actual, double expected, const char *what, const char *file, int line);
bool tap_is_string(const char *actual, const char *expected, const char *what, const char *file,
                   int line);
bool tap_is_pointer(const void *actual, const void *expected, const char *what, const char *file,
                    int line);

#define ok(expression) tap_ok((expression), #expression, __FILE__, __LINE__)
/* Equal, by the type of the first; both are printed if not.  Doubles: exactly. */
#define is(actual, expected)                                                                       \
    _Generic((actual),                                                                             \
        bool: tap_is_int,                                                                          \
        signed char: tap_is_int,                                                                   \
        short: tap_is_int,                                                                         \
        int: tap_is_int,                                                                           \
        long: tap_is_int,                                                                          \
        long long: tap_is_int,                                                                     \
        unsigned char: tap_is_uint,                                                                \
        unsigned short: tap_is_uint,                                                               \
        unsigned: tap_is_uint,                                                                     \
        unsigned long: tap_is_uint,                                                                \
        unsigned long long: tap_is_uint,                                                           \
        double: tap_is_double,                                                                     \
        char *: tap_is_string,                                                                     \
        const char *: tap_is_string,                                                               \
        default: tap_is_pointer)((actual), (expected), #actual, __FILE__, __LINE__)
#endif
