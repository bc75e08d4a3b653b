/* token.c - calls into a run from any thread.
 *
 * A run makes one token when somebody first asks; all handles are references to it.  Invariant:
 * `run` is followed only between enter and leave, and the run's end waits for those who are inside;
 * they push and go, so that is a matter of nanoseconds. */
#include "api/token.h"
#include "api/watch.h"
#include "base/alloc.h"
#include <stdatomic.h>

struct ctrio_token {
    _Atomic(struct ctrio__c_run *) run; /* NULL: it is over */
    _Atomic size_t inside;              /* threads that may be using it */
    _Atomic size_t references;          /* the run's own, and the users' */
};

struct call {
    struct ctrio__entry entry;
    void (*fn)(void *arg);
    void *arg;
};

static void token_drop(struct ctrio_token *token)
{
    if (atomic_fetch_sub(&token->references, 1) == 1)
        ctrio__free(token);
}

int ctrio_current_token(struct ctrio_token **token)
{
    struct ctrio__c_run *run = ctrio__c_current;
    *token = NULL;
    if (run == NULL)
        return ctrio__refuse_outside();
    if (run->token == NULL) {
        run->token = ctrio__alloc(sizeof *run->token);
        if (run->token == NULL)
            return -ENOMEM;
        atomic_init(&run->token->run, run);
        atomic_init(&run->token->inside, 0);
        atomic_init(&run->token->references, 1);
    }
    atomic_fetch_add(&run->token->references, 1);
    *token = run->token;
    return 0;
}

void ctrio_token_free(struct ctrio_token *token)
{
    if (token != NULL)
        token_drop(token);
}

static void call_it(struct ctrio__entry *entry, struct ctrio_run *run)
{
    struct call call = *(struct call *)entry;
    ctrio__free(entry);
    if (run == NULL)
        return;
    struct ctrio__c_run *own = ctrio__container(run, struct ctrio__c_run, run);
    ctrio__set_inside(own, false);
    call.fn(call.arg);
    ctrio__set_inside(own, true);
}

int ctrio__token_push(struct ctrio_token *token, struct ctrio__entry *entry)
{
    atomic_fetch_add(&token->inside, 1);
    struct ctrio__c_run *run = atomic_load(&token->run);
    int result = run != NULL ? ctrio__entry_queue_push(&run->run, entry) : CTRIO_RUN_FINISHED;
    atomic_fetch_sub(&token->inside, 1);
    return result;
}

int ctrio_token_run_soon(struct ctrio_token *token, void (*fn)(void *arg), void *arg)
{
    ctrio__refuse_handlers(); /* of this thread's own run; another's cannot be seen */
    struct call *call = ctrio__alloc(sizeof *call);
    if (call == NULL)
        return -ENOMEM;
    *call = (struct call){{.fn = call_it}, fn, arg};
    int result = ctrio__token_push(token, &call->entry);
    if (result < 0)
        ctrio__free(call);
    return result;
}

void ctrio__token_run_over(struct ctrio__c_run *run)
{
    struct ctrio_token *token = run->token;
    if (token == NULL)
        return;
    atomic_store(&token->run, NULL);
    struct ctrio__cell never = {.posted = 0};
    while (atomic_load(&token->inside) != 0) /* it saw the run before we took it away */
        run->os->threads->wait(run->os, &never, 0.0);
    run->token = NULL;
    token_drop(token);
}
