/* address.h - addresses and names, for those who connect and listen. */
#ifndef CTRIO_API_ADDRESS_H
#define CTRIO_API_ADDRESS_H
#include "os/os.h"
#include <ctrio/resolver.h>
#include <sys/socket.h>

/* `size` bytes of a struct sockaddr. */
void ctrio__address_set(struct ctrio_address *address, const void *name, uint32_t size);
/* False: `host` is no number. */
bool ctrio__address_numeric(struct ctrio_address *address, const char *host, uint16_t port);
static inline const struct sockaddr *ctrio__address_name(const struct ctrio_address *address)
{
    return (const struct sockaddr *)(const void *)address->storage;
}
/* Where a socket is, or its peer. */
int ctrio__address_of_socket(struct ctrio_address *address, struct ctrio__os *os, intptr_t handle,
                             bool peer);
/* ctrio_resolve() with getaddrinfo's flags; `host` NULL: what they say. */
int ctrio__resolve(const char *host, uint16_t port, int flags, struct ctrio_address *addresses,
                   size_t capacity);
#endif
