/* resolver.h - addresses and names. */
#ifndef CTRIO_RESOLVER_H
#define CTRIO_RESOLVER_H
#include <ctrio/types.h>
#ifdef __cplusplus
extern "C" {
#endif
enum { CTRIO_ADDRESS_TEXT_SIZE = 128 };
/* Numeric only, never asks a resolver: "192.0.2.1:80", "[::1]:80", "unix:/path"; else -EINVAL. */
CTRIO_CHECKED int ctrio_address_parse(struct ctrio_address *address, const char *text);
/* Writes the same form, cut to `size`; gives back `text`. */
CTRIO_API const char *ctrio_address_format(const struct ctrio_address *address, char *text,
                                           size_t size);
/* Writes at most `capacity` addresses of host and port in RFC 6724 order; returns how many, at
 * least 1.  CTRIO_NAME_ERROR.  Cancelled: the look-up is abandoned in its thread, safely. */
CTRIO_ASYNC int ctrio_resolve(const char *host, uint16_t port, struct ctrio_address *addresses,
                              size_t capacity);
#ifdef __cplusplus
}
#endif
#endif
