/* switch_ucontext.c - the same by ucontext: slow, as it asks the system to set the signal mask at
 * each switch, but right on every processor that glibc knows.
 *
 * `to` is the ucontext_t, which lies on the stack that it describes. */
#include "base/assert.h"
#include "coro/switch.h"
#include <stdint.h>
#include <ucontext.h>

struct beginning {
    ucontext_t context;
    void (*entry)(void *arg);
    void *arg;
};

/* makecontext passes ints: a pointer travels in two. */
static void begin(unsigned low, unsigned high)
{
    uintptr_t address = (uintptr_t)((uint64_t)high << 32 | low);
    struct beginning *beginning = (struct beginning *)address;
    beginning->entry(beginning->arg);
}

void ctrio__switch(void **from, void *to)
{
    ucontext_t here;
    *from = &here;
    int result = swapcontext(&here, to);
    CTRIO_ASSERT(result == 0);
    (void)result;
}

void *ctrio__switch_prepare(char *low, char *top, void (*entry)(void *arg), void *arg)
{
    struct beginning *beginning = (struct beginning *)(void *)(top - sizeof *beginning - 64);
    beginning = (struct beginning *)((uintptr_t)beginning & ~(uintptr_t)63);
    int result = getcontext(&beginning->context);
    CTRIO_ASSERT(result == 0);
    (void)result;
    beginning->context.uc_stack.ss_sp = low;
    beginning->context.uc_stack.ss_size = (size_t)((char *)beginning - low);
    beginning->context.uc_link = NULL;
    beginning->entry = entry;
    beginning->arg = arg;
    uint64_t address = (uintptr_t)beginning;
    makecontext(&beginning->context, (void (*)(void))begin, 2, (unsigned)address,
                (unsigned)(address >> 32));
    return &beginning->context;
}
