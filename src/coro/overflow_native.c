/* overflow_native.c - SIGSEGV on an alternate stack.
 *
 * The handler is the process's; it is installed once, by the first run, and stays: faults that are
 * none of ours go to whoever had them before.  Invariant: `watched` is this thread's run, or NULL
 * when there is none. */
#include "base/alloc.h"
#include "coro/overflow.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { ALTERNATE_SIZE = 65536 };

static _Thread_local struct ctrio__overflow_watch *watched;
static struct sigaction before[2]; /* of SIGSEGV and SIGBUS */
static int failed;

static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written; /* there is nobody to tell */
}

static void report(const struct ctrio__overflow_watch *watch)
{
    say("ctrio: the stack of task ");
    say(watch->name(watch->arg));
    say(" has overflowed; larger ones: ctrio_run_options.stack_size, for a single call: "
        "ctrio_call_on_stack()\n");
}

/* What was in force before comes back, and the fault happens again under it; a signal that somebody
 * sent has to be sent again. */
static void handle(int number, siginfo_t *info, void *context)
{
    const struct ctrio__overflow_watch *watch = watched;
    const char *address = info->si_addr, *low;
    size_t size;
    (void)context;
    if (watch != NULL && watch->guard(watch->arg, &low, &size) && address >= low &&
        address < low + size)
        report(watch);
    sigaction(number, &before[number == SIGBUS], NULL);
    if (info->si_code <= 0)
        raise(number);
}

static void install(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    action.sa_sigaction = handle;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, &action, &before[0]) != 0 || sigaction(SIGBUS, &action, &before[1]) != 0)
        failed = -errno;
}

int ctrio__overflow_begin(struct ctrio__overflow_watch *watch)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    stack_t present;
    pthread_once(&once, install);
    watch->alternate = NULL;
    if (failed < 0 || sigaltstack(NULL, &present) != 0)
        return failed < 0 ? failed : -errno;
    if ((present.ss_flags & SS_DISABLE) != 0) {
        watch->alternate = ctrio__alloc(ALTERNATE_SIZE);
        if (watch->alternate == NULL)
            return -ENOMEM;
        stack_t ours = {.ss_sp = watch->alternate, .ss_size = ALTERNATE_SIZE};
        sigaltstack(&ours, NULL);
    }
    watched = watch;
    return 0;
}

void ctrio__overflow_end(struct ctrio__overflow_watch *watch)
{
    if (watched == watch)
        watched = NULL;
    if (watch->alternate != NULL) {
        stack_t none = {.ss_flags = SS_DISABLE};
        sigaltstack(&none, NULL);
        ctrio__free(watch->alternate);
        watch->alternate = NULL;
    }
}
