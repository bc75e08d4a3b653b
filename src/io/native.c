/* native.c - the native table put together.
 *
 * src/os cannot name what is above it, so readiness and sockets are added here.  Invariant: an
 * `os` outlives its worker threads, which keep no reference to any run. */
#include "io/native.h"
#include "base/alloc.h"
#include "io/epoll.h"

void ctrio__native_os_init(struct ctrio__native_os *native)
{
    ctrio__native_init(native);
    native->os.io = &ctrio__epoll_ops;
    native->os.net = &ctrio__net_native;
    native->os.wait_socket = ctrio__epoll_wait_socket;
    CTRIO_ASSERT(native->os.threads != NULL);
}

struct ctrio__native_os *ctrio__native_os_new(void)
{
    struct ctrio__native_os *native = ctrio__alloc(sizeof *native);
    if (native != NULL)
        ctrio__native_os_init(native);
    return native;
}

void ctrio__native_os_drop(struct ctrio__native_os *native)
{
    CTRIO_ASSERT(native->cache.os == &native->os);
    ctrio__thread_cache_close(&native->cache, ctrio__free, native);
}
