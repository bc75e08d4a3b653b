/* address.c - socket addresses as text, without asking anybody. */
#include "api/address.h"
#include "base/assert.h"
#include "io/net.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

void ctrio__address_set(struct ctrio_address *address, const void *name, uint32_t size)
{
    CTRIO_ASSERT(size <= sizeof address->storage);
    *address = (struct ctrio_address){.size = size};
    memcpy(address->storage, name, size);
}

int ctrio__address_of_socket(struct ctrio_address *address, struct ctrio__os *os, intptr_t handle,
                             bool peer)
{
    uint32_t size = sizeof address->storage;
    struct sockaddr *name = (struct sockaddr *)(void *)address->storage;
    int result = os->net->name(os, handle, peer, name, &size);
    if (result < 0)
        return result;
    address->size = size;
    return 0;
}

bool ctrio__address_numeric(struct ctrio_address *address, const char *host, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        ctrio__address_set(address, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        ctrio__address_set(address, &v6, sizeof v6);
    else
        return false;
    return true;
}

static int parse_port(const char *text, uint16_t *port)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    unsigned long number = strtoul(text, &end, 10);
    if (*end != '\0' || number > UINT16_MAX)
        return -EINVAL;
    *port = (uint16_t)number;
    return 0;
}

static int parse_unix(struct ctrio_address *address, const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof name.sun_path)
        return -EINVAL;
    memcpy(name.sun_path, path, length + 1);
    ctrio__address_set(address, &name,
                       (uint32_t)(offsetof(struct sockaddr_un, sun_path) + length + 1));
    return 0;
}

int ctrio_address_parse(struct ctrio_address *address, const char *text)
{
    char host[INET6_ADDRSTRLEN + 1];
    uint16_t port;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(address, text + 5);
    const char *from = text[0] == '[' ? text + 1 : text;
    const char *colon = strrchr(text, ':');
    const char *end = text[0] == '[' && colon != NULL ? colon - 1 : colon;
    if (colon == NULL || parse_port(colon + 1, &port) < 0 || end <= from ||
        (from != text && *end != ']') || (size_t)(end - from) >= sizeof host)
        return -EINVAL;
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = '\0';
    if ((from == text) != (strchr(host, ':') == NULL)) /* brackets are for IPv6, and needed there */
        return -EINVAL;
    return ctrio__address_numeric(address, host, port) ? 0 : -EINVAL;
}

const char *ctrio_address_format(const struct ctrio_address *address, char *text, size_t size)
{
    const struct sockaddr *name = (const struct sockaddr *)address->storage;
    char host[INET6_ADDRSTRLEN] = "?";
    int family = address->size >= sizeof name->sa_family ? name->sa_family : AF_UNSPEC;
    if (family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address->storage;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, ntohs(v4->sin_port));
    } else if (family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address->storage;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else if (family == AF_UNIX) {
        const struct sockaddr_un *local = (const struct sockaddr_un *)address->storage;
        size_t length = address->size - offsetof(struct sockaddr_un, sun_path);
        snprintf(text, size, "unix:%.*s", (int)strnlen(local->sun_path, length), local->sun_path);
    } else {
        snprintf(text, size, "%s",
                 address->size == 0 ? "no address"
                                    : "an address of a family "
                                      "that has no form here");
    }
    return text;
}
