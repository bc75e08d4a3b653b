/* wrong.c - misuse, in a run or in a process of its own. */
#include "wrong.h"
#include <ctrio/testing.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

char wrong_message[512], wrong_log[4096];

static void keep_line(void *arg, enum ctrio_log_level level, const char *line)
{
    size_t used = strlen(wrong_log);
    (void)arg;
    (void)level;
    snprintf(wrong_log + used, sizeof wrong_log - used, "%s\n", line);
}

int wrong_run_with(ctrio_task_fn *fn, void *arg, struct ctrio_run_options options)
{
    struct ctrio_clock *clock;
    wrong_log[0] = '\0';
    if (ctrio_open_mock_clock(&clock, 0.0) < 0)
        return -ENOMEM;
    options.clock = clock;
    options.log = keep_line;
    int rc = ctrio_run(fn, arg, &options);
    snprintf(wrong_message, sizeof wrong_message, "%s", ctrio_error_message(rc));
    ctrio_error_free(ctrio_error_take(rc));
    ctrio_mock_clock_free(clock);
    return rc;
}

int wrong_run(ctrio_task_fn *fn, void *arg)
{
    return wrong_run_with(fn, arg, (struct ctrio_run_options){.stack_size = 0});
}

int wrong_child_task(void *arg)
{
    struct ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, *(ctrio_task_fn **)arg, NULL);
    return ctrio_collapse(ctrio_nursery_close(&nursery, 0));
}

bool says(const char *text, const char *words)
{
    if (strstr(text, words) != NULL)
        return true;
    note("expected: %s", words);
    note("got: %s", text);
    return false;
}

/* --- deaths ---------------------------------------------------------------------------------- */

static void read_all(int handle, char *text, size_t size)
{
    size_t used = 0;
    ssize_t n;
    while (used + 1 < size && (n = read(handle, text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = '\0';
}

static void child(void (*fn)(void), int handle)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    dup2(handle, STDERR_FILENO);
    fn();
    _exit(0);
}

static char text[65536]; /* a dead process's last words */

/* True: it has died. */
static bool run_child(void (*fn)(void))
{
    int ends[2], status = 0;
    if (pipe(ends) != 0)
        return false;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child(fn, ends[1]);
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return true;
    note("it lives: %s", text);
    return false;
}

bool dies(void (*fn)(void), const char *words)
{
    return run_child(fn) && says(text, words);
}

bool dies_of_frame(void (*fn)(void), const char *words)
{
    return run_child(fn) && (strstr(text, "AddressSanitizer: stack-") != NULL || says(text, words));
}

void wrong_run_here(ctrio_task_fn *fn)
{
    (void)!ctrio_run(fn, NULL, NULL);
}

void wrong_run_in_task(ctrio_task_fn *fn)
{
    (void)!ctrio_run(wrong_child_task, &fn, NULL);
}
