/* overflow.h - a task that runs off its stack ends the program with a message that names it. */
#ifndef CTRIO_CORO_OVERFLOW_H
#define CTRIO_CORO_OVERFLOW_H
#include <stdbool.h>
#include <stddef.h>

/* Async-signal-safe.  The running stack's guard is [*low, *low + *size); false: none runs. */
struct ctrio__overflow_watch {
    bool (*guard)(void *arg, const char **low, size_t *size);
    const char *(*name)(void *arg); /* of what runs on it, for the message */
    void *arg;
    void *alternate; /* the signal stack that we gave this thread; NULL: it had one */
};
/* From here on for this thread, until the end; each end has its begin.  -errno: no message then,
 * only a crash. */
int ctrio__overflow_begin(struct ctrio__overflow_watch *watch);
void ctrio__overflow_end(struct ctrio__overflow_watch *watch);
#endif
