/* names_native.c - getaddrinfo, as a job: it blocks, and no two systems agree for how long. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/list.h"
#include "os/native.h"
#include <netdb.h>
#include <string.h>

static int keep(struct ctrio__names_op *op, const struct addrinfo *list)
{
    size_t count = 0;
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next)
        count++;
    if (count == 0)
        return 0;
    op->found = ctrio__alloc(count * sizeof *op->found);
    if (op->found == NULL)
        return -ENOMEM;
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        struct ctrio__address *address = &op->found[op->count++];
        CTRIO_ASSERT(at->ai_addrlen <= sizeof address->name);
        address->family = at->ai_family;
        address->type = at->ai_socktype;
        address->protocol = at->ai_protocol;
        address->size = (uint32_t)at->ai_addrlen;
        memcpy(&address->name, at->ai_addr, at->ai_addrlen);
    }
    CTRIO_ASSERT(op->count == count);
    return 0;
}

static void look_up(struct ctrio__job *job)
{
    struct ctrio__names_op *op = ctrio__container(job, struct ctrio__names_op, job);
    struct addrinfo hints = {
        .ai_family = op->family,
        .ai_socktype = op->type,
        .ai_protocol = op->protocol,
        .ai_flags = op->flags,
    };
    struct addrinfo *list = NULL;
    op->eai = getaddrinfo(op->host, op->service, &hints, &list);
    if (op->eai != 0) {
        op->code = op->eai == EAI_SYSTEM ? -errno : -ENOENT;
        return;
    }
    op->code = keep(op, list);
    freeaddrinfo(list);
}

static void tell(struct ctrio__job *job)
{
    struct ctrio__names_op *op = ctrio__container(job, struct ctrio__names_op, job);
    CTRIO_ASSERT((op->code < 0) == (op->eai != 0) || op->code == -ENOMEM);
    op->done(op);
}

int ctrio__native_resolve(struct ctrio__os *os, struct ctrio__names_op *op)
{
    op->job = (struct ctrio__job){look_up, tell};
    op->code = 0;
    op->eai = 0;
    op->found = NULL;
    op->count = 0;
    return os->threads->run_job(os, &op->job);
}
