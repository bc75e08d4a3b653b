/* scripted_host.c - sockets of a scripted os for front ends that have none of their own. */
#include "io/scripted.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

intptr_t ctrio__scripted_socket(struct ctrio__scripted *world)
{
    return world->os.net->open(&world->os, AF_INET, SOCK_STREAM, 0);
}

intptr_t ctrio__scripted_listener(struct ctrio__scripted *world, uint16_t port, int backlog)
{
    struct sockaddr_in address = loopback(port);
    intptr_t handle = ctrio__scripted_socket(world);
    if (handle < 0)
        return handle;
    int result = world->os.net->bind(&world->os, handle, (struct sockaddr *)(void *)&address,
                                     sizeof address);
    if (result == 0)
        result = world->os.net->listen(&world->os, handle, backlog);
    if (result < 0) {
        world->os.net->release(&world->os, handle);
        return result;
    }
    return handle;
}
