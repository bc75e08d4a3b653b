/* tap.c - points, plan, and the loop that fails allocations.
 *
 * Points go to stdout, explanations to stderr.  A test that fails goes on: the rest often says
 * why.  Two things hold whatever a test expects: it leaves no memory, and while allocations fail
 * it either gets what it expects or somebody is told. */
#include "tap.h"
#include "memory.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    unsigned missed;     /* expectations of the running test */
    bool told_no_memory; /* it saw -ENOMEM */
    bool quiet;          /* an allocation may fail: misses are printed only if not excused */
    bool in_parts;       /* tap_each_failure was called: the parts have failed in turn */
    const char *skipped; /* the reason */
    char explanations[4096];
    size_t length;
} current;

void note(const char *format, ...)
{
    va_list arguments;
    if (current.missed > 8)
        return; /* the first ones say enough */
    va_start(arguments, format);
    size_t left = sizeof current.explanations - current.length;
    int wrote = vsnprintf(current.explanations + current.length, left, format, arguments);
    va_end(arguments);
    if (wrote < 0 || (size_t)wrote + 2 > left)
        return; /* what fits has been said */
    current.length += (size_t)wrote;
    current.explanations[current.length++] = '\n';
    current.explanations[current.length] = '\0';
    if (!current.quiet) {
        fprintf(stderr, "%s", current.explanations);
        current.length = 0;
    }
}

static bool fail_all;          /* CTRIO_FAIL_AT=all */
static size_t allocations_met; /* that have failed so far */

static bool miss(const char *file, int line)
{
    current.missed++;
    note("#   %s:%d:", file, line);
    return false;
}

bool tap_ok(bool passed, const char *expression, const char *file, int line)
{
    if (passed)
        return true;
    miss(file, line);
    note("#     not so: %s", expression);
    return false;
}

bool tap_is_int(int64_t actual, int64_t expected, const char *what, const char *file, int line)
{
    if (actual == -ENOMEM)
        tap_saw(-ENOMEM);
    if (actual == expected)
        return true;
    miss(file, line);
    note("#     %s is %" PRId64 ", expected %" PRId64, what, actual, expected);
    return false;
}

bool tap_is_uint(uint64_t actual, uint64_t expected, const char *what, const char *file, int line)
{
    if (actual == expected)
        return true;
    miss(file, line);
    note("#     %s is %" PRIu64 ", expected %" PRIu64, what, actual, expected);
    return false;
}

bool tap_is_double(double actual, double expected, const char *what, const char *file, int line)
{
    if (actual == expected)
        return true;
    miss(file, line);
    note("#     %s is %.17g, expected %.17g", what, actual, expected);
    return false;
}

bool tap_is_string(const char *actual, const char *expected, const char *what, const char *file,
                   int line)
{
    if (actual != NULL && expected != NULL && strcmp(actual, expected) == 0)
        return true;
    miss(file, line);
    note("#     %s is \"%s\",", what, actual != NULL ? actual : "(null)");
    note("#     expected \"%s\"", expected != NULL ? expected : "(null)");
    return false;
}

bool tap_is_pointer(const void *actual, const void *expected, const char *what, const char *file,
                    int line)
{
    if (actual == expected)
        return true;
    miss(file, line);
    note("#     %s is %p, expected %p", what, actual, expected);
    return false;
}

int tap_saw(int code)
{
    if (code == -ENOMEM)
        current.told_no_memory = true;
    return code;
}

bool tap_excused(void)
{
    return memory_failed() && current.told_no_memory;
}

size_t tap_most(size_t usual)
{
    const char *said = getenv("CTRIO_MOST");
    size_t most = said != NULL ? (size_t)strtoull(said, NULL, 10) : usual;
    return most < usual ? most : usual;
}

void skip(const char *reason)
{
    current.skipped = reason;
}

void tap_skip_all(const char *reason)
{
    printf("1..0 # SKIP %s\n", reason);
    exit(77);
}

/* One run of a test; true: it holds. */
static bool attempt(const struct tap_test *test, size_t fail_at)
{
    memset(&current, 0, sizeof current);
    memory_begin(fail_at);
    current.quiet = fail_at != 0;
    test->fn();
    size_t leaked = memory_live_bytes();
    if (current.missed != 0 && tap_excused()) {
        current.missed = 0;
        current.length = 0;
    }
    if (leaked != 0) {
        current.missed++;
        note("#     %zu bytes were left", leaked);
    }
    if (current.missed != 0 && fail_at != 0)
        fprintf(stderr, "%s#   with allocation %zu failing\n",
                current.length != 0 ? current.explanations : "", fail_at);
    return current.missed == 0;
}

static void print_point(const struct tap_test *test, size_t number, bool passed)
{
    printf("%s %zu - ", passed ? "ok" : "not ok", number);
    for (const char *at = test->name; *at != '\0'; at++)
        putchar(*at == '_' ? ' ' : *at);
    if (current.skipped != NULL)
        printf(" # SKIP %s", current.skipped);
    putchar('\n');
    if (!passed)
        fprintf(stderr, "# failed: %s\n", test->name);
    fflush(stdout);
}

/* Each allocation of the test fails in turn. */
static bool attempt_all(const struct tap_test *test)
{
    bool passed = true;
    for (size_t n = 1; passed; n++) {
        passed = attempt(test, n);
        if (!memory_failed())
            break;
        allocations_met++;
    }
    return passed;
}

/* One call with allocation n failing; false: there are fewer than n. */
static bool fail_part(void (*fn)(void *arg), void *arg, size_t n)
{
    unsigned missed_before = current.missed;
    size_t live_before = memory_live_bytes(), length_before = current.length;
    current.told_no_memory = false;
    memory_fail_at(n);
    fn(arg);
    if (memory_live_bytes() != live_before)
        tap_ok(false, "no memory is left by the part", __FILE__, __LINE__);
    else if (tap_excused())
        current.missed = missed_before;
    if (current.missed == missed_before)
        current.length = length_before;
    else
        note("#     with allocation %zu of the part failing", n);
    return memory_failed();
}

void tap_each_failure(void (*fn)(void *arg), void *arg)
{
    fn(arg);
    if (!fail_all || current.missed != 0)
        return;
    current.in_parts = true;
    current.quiet = true;
    for (size_t n = 1; current.missed == 0 && fail_part(fn, arg, n); n++)
        allocations_met++;
    memory_fail_at(0);
    current.quiet = false;
    if (current.missed != 0)
        fprintf(stderr, "%s", current.explanations);
}

int tap_run(const struct tap_test *tests, size_t count)
{
    const char *mode = getenv("CTRIO_FAIL_AT");
    fail_all = mode != NULL && strcmp(mode, "all") == 0;
    size_t fail_at = mode != NULL && !fail_all ? (size_t)strtoull(mode, NULL, 10) : 0;
    size_t failures = 0;
    memory_install();
    for (size_t i = 0; i < count; i++) {
        bool passed = attempt(&tests[i], fail_at);
        if (fail_at != 0 && memory_failed())
            allocations_met++;
        if (passed && fail_all && !tests[i].big && !current.in_parts)
            passed = attempt_all(&tests[i]);
        print_point(&tests[i], i + 1, passed);
        failures += passed ? 0 : 1;
    }
    printf("1..%zu\n", count);
    if (mode != NULL)
        printf("# allocations: %zu\n", allocations_met);
    return failures == 0 ? 0 : 1;
}
