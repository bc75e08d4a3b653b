/* names.h - from the name of a host and a service to addresses. */
#ifndef CTRIO_OS_NAMES_H
#define CTRIO_OS_NAMES_H
#include "os/thread.h"
#include <sys/socket.h>

struct ctrio__address {
    int family, type, protocol;
    uint32_t size; /* of what is meaningful in `name` */
    struct sockaddr_storage name;
};

/* A lookup, with getaddrinfo's arguments.  Everything is borrowed until done is called. */
struct ctrio__names_op {
    struct ctrio__job job; /* the backend's */
    const char *host, *service;
    int family, type, protocol, flags;
    void (*done)(struct ctrio__names_op *op); /* [any thread] */
    void *data;                               /* the caller's */
    /* Results: code 0 and found[0..count), ctrio__free them; or code -errno with eai, which is
     * getaddrinfo's own code (EAI_SYSTEM: code says it) or 0. */
    int code, eai;
    struct ctrio__address *found;
    size_t count;
};
#endif
