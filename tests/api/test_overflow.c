/* test_overflow.c - a task that runs off its stack ends the program and is named. */
#include "front.h"
#include "seal.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static volatile int never;

static __attribute__((noinline)) int fall(int depth)
{
    volatile char frame[1024];
    frame[0] = (char)depth;
    frame[1023] = (char)depth;
    if (never)
        return depth;
    return fall(depth + 1) + frame[0] + frame[1023];
}

static int falls(void *arg)
{
    ctrio_set_task_name("the deep one");
    (void)arg;
    return fall(0);
}

static int falls_later(void *arg)
{
    int result = ctrio_checkpoint();
    return result < 0 ? result : ctrio_call_on_stack(100000, falls, arg);
}

static int main_of(void *arg)
{
    struct ctrio_nursery nursery;
    ctrio_task_fn *const *fn = arg;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon_at(&nursery, *fn, "fn", NULL);
    return ctrio_nursery_close(&nursery, 0);
}

enum { RUN_FAILED = 2 };

static int run_it(void *arg)
{
    return ctrio_run(main_of, arg, NULL) == 0 ? 0 : RUN_FAILED;
}

/* A sanitizer makes a report of the signal, and ends the program in its own way. */
static bool by_sigsegv(int status)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != RUN_FAILED;
#else
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
#endif
}

static void check_overflow(ctrio_task_fn *fn)
{
    char text[4096];
    int status = front_child(run_it, &fn, text, sizeof text);
    ok(strstr(text, "ctrio: the stack of task the deep one has overflowed") != NULL);
    ok(by_sigsegv(status));
}

static void an_overflow_names_the_task_and_ends_by_sigsegv(void)
{
    check_overflow(falls);
}

static void an_overflow_of_a_call_on_another_stack_does_too(void)
{
    check_overflow(falls_later);
}

static int writes_to_null(void *arg)
{
    static char *volatile nowhere; /* NULL, which the compiler does not know */
    (void)arg;
    *nowhere = 1;
    return 0;
}

static int raises(void *arg)
{
    (void)arg;
    raise(SIGSEGV);
    return 0;
}

static void another_fault_is_left_to_whoever_had_it(void)
{
    static ctrio_task_fn *const faults[] = {writes_to_null, raises};
    char text[4096];
    if (seal_on_valgrind()) {
        skip("valgrind reports the fault, and ends the program in its own way");
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        ctrio_task_fn *fn = faults[i];
        int status = front_child(run_it, &fn, text, sizeof text);
        ok(strstr(text, "overflowed") == NULL);
        ok(by_sigsegv(status));
    }
}

TAP_MAIN(BIG_TEST(an_overflow_names_the_task_and_ends_by_sigsegv),
         BIG_TEST(an_overflow_of_a_call_on_another_stack_does_too),
         BIG_TEST(another_fault_is_left_to_whoever_had_it))
