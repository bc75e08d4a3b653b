/* test_native_echo.c - the program of tests/sim/test_echo.c on the machine: TCP over loopback. */
#include "echo.h"
#include "io/native.h"
#include <dirent.h>

static struct echo echo;

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        closedir(folder);
    return count;
}

static void every_client_hears_what_it_said_and_nothing_stays_open(void)
{
    size_t before = open_descriptors();
    struct ctrio__native_os *native = ctrio__native_os_new();
    if (native == NULL) {
        tap_saw(-ENOMEM);
        return;
    }
    echo_init(&echo, &native->os, ECHO_CLIENTS);
    is(echo_run(&echo), 0);
    ctrio__native_os_drop(native);
    is(open_descriptors(), before);
}

TAP_MAIN(TEST(every_client_hears_what_it_said_and_nothing_stays_open))
