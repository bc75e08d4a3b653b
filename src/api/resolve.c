/* resolve.c - host names, looked up in a worker thread.
 *
 * The look-up lies on the heap and belongs to two: the task that asked, and the thread.  Invariant:
 * the entry is in the run's queue, or has been, exactly once, when the thread is done; whoever
 * comes second frees it.  The run may be over by then, which is what the token is for. */
#include "api/address.h"
#include "api/token.h"
#include "base/alloc.h"
#include <netdb.h>
#include <stdio.h>
#include <string.h>

struct look_up {
    struct ctrio__names_op names;
    struct ctrio__entry entry;
    struct ctrio_token *token;
    struct ctrio_task *waiter; /* NULL: nobody waits any more */
    char service[8];
    char host[]; /* empty: NULL is asked for */
};

static void look_up_free(struct look_up *look_up)
{
    ctrio__free(look_up->names.found);
    ctrio_token_free(look_up->token);
    ctrio__free(look_up);
}

/* On the run's thread; `run` NULL: it is over, and so is the task. */
static void arrived(struct ctrio__entry *entry, struct ctrio_run *run)
{
    struct look_up *look_up = ctrio__container(entry, struct look_up, entry);
    struct ctrio_task *waiter = look_up->waiter;
    look_up->waiter = NULL;
    if (run == NULL || waiter == NULL)
        look_up_free(look_up);
    else
        ctrio__task_wake(waiter, 0, NULL);
}

static void on_done(struct ctrio__names_op *names) /* on a worker */
{
    struct look_up *look_up = names->data;
    if (ctrio__token_push(look_up->token, &look_up->entry) < 0)
        look_up_free(look_up);
}

static enum ctrio__abort stop_waiting(struct ctrio_task *task, const struct ctrio__outcome *why)
{
    (void)why;
    struct look_up *look_up = ctrio__c_task_of(task)->u.life.op->object;
    look_up->waiter = NULL;
    return CTRIO__ABORT_SUCCEEDED;
}

static struct look_up *look_up_new(const char *host, uint16_t port, int flags)
{
    size_t length = host != NULL ? strlen(host) : 0;
    struct look_up *look_up = ctrio__alloc(sizeof *look_up + length + 1);
    if (look_up == NULL)
        return NULL;
    if (ctrio_current_token(&look_up->token) < 0) {
        ctrio__free(look_up);
        return NULL;
    }
    if (host != NULL)
        memcpy(look_up->host, host, length + 1);
    snprintf(look_up->service, sizeof look_up->service, "%u", port);
    look_up->entry.fn = arrived;
    look_up->names = (struct ctrio__names_op){.host = host != NULL ? look_up->host : NULL,
                                              .service = look_up->service,
                                              .family = AF_UNSPEC,
                                              .type = SOCK_STREAM,
                                              .flags = flags | AI_NUMERICSERV,
                                              .done = on_done,
                                              .data = look_up};
    return look_up;
}

static int take_results(const struct look_up *look_up, struct ctrio_address *addresses,
                        size_t capacity)
{
    const struct ctrio__names_op *names = &look_up->names;
    if (names->eai != 0 && names->eai != EAI_SYSTEM)
        return ctrio_fail(CTRIO_NAME_ERROR, "%s: %s", look_up->host, gai_strerror(names->eai));
    if (names->code < 0)
        return names->code;
    size_t count = 0;
    for (; count < names->count && count < capacity; count++)
        ctrio__address_set(&addresses[count], &names->found[count].name, names->found[count].size);
    return count > 0 ? (int)count : ctrio_fail(CTRIO_NAME_ERROR, "%s: no address", look_up->host);
}

int ctrio__resolve(const char *host, uint16_t port, int flags, struct ctrio_address *addresses,
                   size_t capacity)
{
    struct ctrio__c_task *self = ctrio__self();
    if (self == NULL)
        return ctrio__refuse_outside();
    if (capacity == 0)
        return ctrio__fail(-EINVAL, "no room for an address");
    if (host != NULL && ctrio__address_numeric(addresses, host, port)) {
        int result = ctrio_checkpoint();
        return result < 0 ? result : 1;
    }
    struct look_up *look_up = look_up_new(host, port, flags);
    if (look_up == NULL)
        return -ENOMEM;
    struct ctrio__os *os = self->task.run->os;
    look_up->waiter = &self->task;
    int result = os->resolve(os, &look_up->names);
    if (result < 0) {
        look_up_free(look_up);
        return result;
    }
    struct ctrio__wait_op wait = {.abort_fn = stop_waiting};
    ctrio__op_init(&wait.op, &ctrio__wait_kind, look_up);
    result = ctrio__await(self, &wait.op);
    if (result < 0)
        return result; /* the thread goes on and frees it */
    result = take_results(look_up, addresses, capacity);
    look_up_free(look_up);
    return result;
}

int ctrio_resolve(const char *host, uint16_t port, struct ctrio_address *addresses, size_t capacity)
{
    if (host == NULL)
        return ctrio__fail(-EINVAL, "no host to resolve");
    return ctrio__resolve(host, port, AI_ADDRCONFIG, addresses, capacity);
}
