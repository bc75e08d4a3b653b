/* test_names.c - names to addresses, by a job; numbers only, so that no network is asked. */
#include "base/alloc.h"
#include "memory.h"
#include "os/native.h"
#include "tap.h"
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

/* Jobs run here and now: the thread is the cache's affair, not the lookup's. */
static int run_now(struct ctrio__os *os, struct ctrio__job *job)
{
    (void)os;
    job->fn(job);
    job->deliver(job);
    return 0;
}

static int refuse(struct ctrio__os *os, struct ctrio__job *job)
{
    (void)os;
    (void)job;
    return -EAGAIN;
}

static struct ctrio__native_os native;
static struct ctrio__thread_ops threads;
static int done_count;

static void done(struct ctrio__names_op *op)
{
    done_count += op->data == &done_count;
}

static int look_up(struct ctrio__names_op *op)
{
    ctrio__native_init(&native);
    threads = ctrio__native_threads;
    threads.run_job = run_now;
    native.os.threads = &threads;
    done_count = 0;
    op->type = SOCK_STREAM;
    op->done = done;
    op->data = &done_count;
    return native.os.resolve(&native.os, op);
}

static void a_number_becomes_its_address(void)
{
    struct ctrio__names_op op = {
        .host = "127.0.0.1", .service = "80", .flags = AI_NUMERICHOST | AI_NUMERICSERV};
    is(look_up(&op), 0);
    is(done_count, 1);
    is(op.eai, 0);
    if (!is(op.code, 0))
        return;
    is(op.count, 1U);
    is(op.found[0].family, AF_INET);
    is(op.found[0].type, SOCK_STREAM);
    is(op.found[0].size, (uint32_t)sizeof(struct sockaddr_in));
    struct sockaddr_in address;
    memcpy(&address, &op.found[0].name, sizeof address);
    is(ntohs(address.sin_port), 80);
    is(ntohl(address.sin_addr.s_addr), (uint32_t)INADDR_LOOPBACK);
    ctrio__free(op.found);
}

static void no_host_means_every_family(void)
{
    struct ctrio__names_op op = {.service = "80", .flags = AI_NUMERICSERV | AI_PASSIVE};
    is(look_up(&op), 0);
    if (!is(op.code, 0))
        return;
    ok(op.count >= 1);
    ctrio__free(op.found);
}

static void what_is_no_number_is_refused_in_getaddrinfos_words(void)
{
    struct ctrio__names_op op = {.host = "no number", .flags = AI_NUMERICHOST};
    is(look_up(&op), 0);
    is(done_count, 1);
    is(op.code, -ENOENT);
    is(op.eai, EAI_NONAME);
    ok(op.found == NULL);
}

static void without_a_thread_it_fails_at_once(void)
{
    struct ctrio__names_op op = {.host = "127.0.0.1", .done = done, .data = &done_count};
    ctrio__native_init(&native);
    threads.run_job = refuse;
    native.os.threads = &threads;
    done_count = 0;
    is(native.os.resolve(&native.os, &op), -EAGAIN);
    is(done_count, 0);
}

TAP_MAIN(TEST(a_number_becomes_its_address), TEST(no_host_means_every_family),
         TEST(what_is_no_number_is_refused_in_getaddrinfos_words),
         TEST(without_a_thread_it_fails_at_once))
