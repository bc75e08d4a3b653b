/* fork_native.c - pthread_atfork, where the system has it. */
#include "os/fork.h"
#include <pthread.h>

int ctrio__on_fork(void (*fn)(void))
{
    return -pthread_atfork(NULL, NULL, fn);
}
