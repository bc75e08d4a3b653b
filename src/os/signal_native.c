/* signal_native.c - who is called for a signal.
 *
 * Dispositions belong to the process, so this table does too: the one place where two runs meet.
 * Invariant: a slot's fn and arg are written while its handler is not installed, and a slot is
 * taken exactly while it is.  A self-pipe or signalfd was refused: both need a reader in a run,
 * and the entry queue already takes pushes from handlers. */
#include "base/assert.h"
#include "os/native.h"
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

struct watch {
    void (*fn)(void *arg, int number);
    void *arg;
    struct sigaction before;
    bool taken; /* guarded */
};

static struct watch watches[NSIG];
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static void handle(int number)
{
    int saved = errno;
    watches[number].fn(watches[number].arg, number);
    errno = saved;
}

static int install(struct watch *watch, int number, void (*fn)(void *arg, int number), void *arg)
{
    if (watch->taken)
        return -EBUSY;
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    watch->fn = fn;
    watch->arg = arg;
    atomic_signal_fence(memory_order_seq_cst);
    if (sigaction(number, &action, &watch->before) != 0)
        return -errno;
    watch->taken = true;
    return 0;
}

static int uninstall(struct watch *watch, int number)
{
    if (!watch->taken)
        return 0;
    watch->taken = false;
    return sigaction(number, &watch->before, NULL) == 0 ? 0 : -errno;
}

int ctrio__native_watch_signal(struct ctrio__os *os, int number, void (*fn)(void *arg, int number),
                               void *arg)
{
    (void)os;
    if (number <= 0 || number >= NSIG)
        return -EINVAL;
    pthread_mutex_lock(&guard);
    CTRIO_ASSERT(!watches[number].taken || watches[number].fn != NULL);
    int result = fn != NULL ? install(&watches[number], number, fn, arg)
                            : uninstall(&watches[number], number);
    pthread_mutex_unlock(&guard);
    return result;
}

static bool sigpipe_pending(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

/* SIGPIPE is held back around the call and taken out of the thread's pending set, unless one was
 * waiting there already. */
ptrdiff_t ctrio__native_write(int fd, const void *data, size_t size)
{
    sigset_t pipe_signal, before;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    bool held = sigismember(&before, SIGPIPE) == 1;
    bool waiting = held && sigpipe_pending();
    ssize_t written = write(fd, data, size);
    ptrdiff_t result = written < 0 ? -errno : written;
    if (result == -EPIPE && !waiting) {
        const struct timespec at_once = {0, 0};
        sigtimedwait(&pipe_signal, NULL, &at_once);
    }
    if (!held)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}
