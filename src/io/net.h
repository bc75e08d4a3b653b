/* net.h - the socket calls, as a table of the run's `os`.
 *
 * Results are >= 0 or -errno.  Calls never block: what would is -EAGAIN (connect: -EINPROGRESS).
 * Handles are the os's numbers; the native ones are descriptors, all born close-on-exec and
 * non-blocking.  (What arrives in ancillary data is neither, unless the flags say so: another
 * process made it, and whoever receives it may mean to hand it on.)  An interrupted call is made
 * again, a send never raises SIGPIPE. */
#ifndef CTRIO_IO_NET_H
#define CTRIO_IO_NET_H
#include "os/os.h"
#include <sys/socket.h>

struct ctrio__net_ops {
    intptr_t (*open)(struct ctrio__os *os, int family, int type, int protocol);
    int (*pair)(struct ctrio__os *os, int family, int type, intptr_t out[2]);
    /* The handle of a descriptor that somebody else opened; made non-blocking. */
    intptr_t (*adopt)(struct ctrio__os *os, int fd);
    /* Once: the handle is gone even on failure. */
    int (*close)(struct ctrio__os *os, intptr_t handle);
    /* Somebody else is about to close the descriptor behind the handle (a front end's own socket
     * object): forgets it.  Nothing to do for the native one. */
    void (*release)(struct ctrio__os *os, intptr_t handle);
    int (*shutdown)(struct ctrio__os *os, intptr_t handle, int how);
    int (*bind)(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                uint32_t size);
    int (*listen)(struct ctrio__os *os, intptr_t handle, int backlog);
    /* -EINPROGRESS: wait until it is writable, then ask SO_ERROR. */
    int (*connect)(struct ctrio__os *os, intptr_t handle, const struct sockaddr *address,
                   uint32_t size);
    /* address, with *size, may be NULL; *size becomes the whole size as the system has it. */
    intptr_t (*accept)(struct ctrio__os *os, intptr_t handle, struct sockaddr *address,
                       uint32_t *size);
    ptrdiff_t (*recv)(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size, int flags);
    ptrdiff_t (*send)(struct ctrio__os *os, intptr_t handle, const void *data, size_t size,
                      int flags);
    ptrdiff_t (*recvmsg)(struct ctrio__os *os, intptr_t handle, struct msghdr *message, int flags);
    ptrdiff_t (*sendmsg)(struct ctrio__os *os, intptr_t handle, const struct msghdr *message,
                         int flags);
    int (*getsockopt)(struct ctrio__os *os, intptr_t handle, int level, int name, void *value,
                      uint32_t *size);
    int (*setsockopt)(struct ctrio__os *os, intptr_t handle, int level, int name, const void *value,
                      uint32_t size);
    int (*name)(struct ctrio__os *os, intptr_t handle, bool peer, struct sockaddr *address,
                uint32_t *size);
    /* Pipes and terminals. */
    ptrdiff_t (*read)(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size);
    ptrdiff_t (*write)(struct ctrio__os *os, intptr_t handle, const void *data, size_t size);
};
extern const struct ctrio__net_ops ctrio__net_native;
#endif
