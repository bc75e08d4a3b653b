/* stack_native.c - memory for stacks, from Linux.
 *
 * MAP_NORESERVE: a thousand stacks of which one page each is touched are no reason to refuse.
 * MADV_NOHUGEPAGE: one touched page must not become 2 MiB. */
#include "coro/stack.h"
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef CTRIO_VALGRIND
#include <valgrind/valgrind.h>
#endif

#ifndef MADV_GUARD_INSTALL /* Linux 6.13; the C library may be older */
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ 22
#endif

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int map(size_t size, char **out)
{
    void *low = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (low == MAP_FAILED)
        return -errno;
    madvise(low, size, MADV_NOHUGEPAGE);
    *out = low;
    return 0;
}

static void unmap(char *low, size_t size)
{
    munmap(low, size);
}

/* Once a process the guard is asked for its page, which it must refuse: emulators (qemu-user 7.2)
 * answer 0 to advice that they do not know. */
static int install_guard(char *low, size_t size)
{
    static atomic_bool guards;
    if (madvise(low, size, MADV_GUARD_INSTALL) != 0)
        return -errno;
    if (atomic_load_explicit(&guards, memory_order_relaxed))
        return 0;
    if (madvise(low, size, MADV_POPULATE_READ) == 0)
        return -ENOSYS;
    atomic_store_explicit(&guards, true, memory_order_relaxed);
    return 0;
}

static int protect(char *low, size_t size)
{
    return mprotect(low, size, PROT_NONE) == 0 ? 0 : -errno;
}

static int discard(char *low, size_t size)
{
    return madvise(low, size, MADV_FREE) == 0 ? 0 : -errno;
}

static void announce(const char *low, const char *top)
{
#ifdef CTRIO_VALGRIND
    (void)VALGRIND_STACK_REGISTER(low, top);
#endif
    (void)low;
    (void)top;
}

const struct ctrio__memory_calls ctrio__memory_native = {
    .page_size = page_size,
    .map = map,
    .unmap = unmap,
    .install_guard = install_guard,
    .protect = protect,
    .discard = discard,
    .announce = announce,
};
