/* front.c - see front.h. */
#include "front.h"
#include "api/error.h"
#include "memory.h"
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

char front_message[512], front_trace[4096];

bool front_strict(void)
{
    const char *cadence = getenv("CTRIO_TEST_CADENCE");
    return cadence != NULL && strcmp(cadence, "strict") == 0;
}

void front_say(const char *format, ...)
{
    size_t used = strlen(front_trace);
    va_list args;
    if (used > 0 && used + 1 < sizeof front_trace)
        front_trace[used++] = ' ';
    va_start(args, format);
    vsnprintf(front_trace + used, sizeof front_trace - used, format, args);
    va_end(args);
}

int front_saw(int code)
{
    tap_saw(code);
    const struct ctrio_error *root = ctrio__stories_find(ctrio__stories(), code);
    for (const struct ctrio_error *at = root; at != NULL; at = ctrio__error_after(at, root))
        tap_saw(at->code);
    return code;
}

void front_stories_may_lack(void)
{
    if (memory_failed())
        tap_saw(-ENOMEM);
}

void front_forget(void)
{
    ctrio__stories_drop(ctrio__stories());
}

int front_run_with(ctrio_task_fn *fn, void *arg, struct ctrio_run_options *options)
{
    struct ctrio_clock *clock = NULL;
    front_trace[0] = '\0';
    front_message[0] = '\0';
    options->strict_checkpoints = front_strict();
    if (options->seed == 0)
        options->seed = 1;
    if (options->clock == NULL) {
        int result = ctrio_open_mock_clock(&clock, 0.0);
        if (result < 0)
            return tap_saw(result);
        options->clock = clock;
    }
    int result = front_saw(ctrio_run(fn, arg, options));
    snprintf(front_message, sizeof front_message, "%s", ctrio_error_message(result));
    front_forget();
    if (clock != NULL)
        options->clock = NULL;
    ctrio_mock_clock_free(clock);
    return result;
}

int front_run(ctrio_task_fn *fn, void *arg)
{
    struct ctrio_run_options options = {.seed = 1};
    return front_run_with(fn, arg, &options);
}

int front_sleeper(void *arg)
{
    (void)arg;
    return ctrio_sleep(INFINITY);
}

void front_wait_for_threads(void)
{
    enum { TURNS = 20000000 }; /* then it is a leak */
    for (long i = 0; i < TURNS && memory_live_bytes() != 0; i++)
        sched_yield();
}

int front_child(int (*fn)(void *arg), void *arg, char *text, size_t size)
{
    int ends[2], status = -1;
    size_t used = 0;
    fflush(NULL);
    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(fn(arg));
    }
    close(ends[1]);
    char piece[512];
    for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;) {
        size_t fits = size - 1 - used < (size_t)n ? size - 1 - used : (size_t)n;
        memcpy(text + used, piece, fits);
        used += fits;
    }
    text[used] = '\0';
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status;
}
