/* test_switch.c - what survives a switch of stacks, and what a fresh stack looks like. */
#include "coro/fiber.h"
#include "coro/stack.h"
#include "tap.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 262144 };

static struct ctrio__fiber thread, fibers[3];
static char *stacks[3];
static char *lows[3];

/* On a stack of its own; with room above, as tasks' stacks have. */
static void start(int i, void (*entry)(void *arg), void *arg)
{
    stacks[i] = malloc(SIZE + 64);
    lows[i] = (char *)(((uintptr_t)stacks[i] + 63) & ~(uintptr_t)63);
    ctrio__memory_native.announce(lows[i], lows[i] + SIZE - 64);
    ctrio__fiber_init(&fibers[i], lows[i], SIZE - 64, entry, arg);
}

static void finish(int i)
{
    ctrio__fiber_close(&fibers[i]);
    free(stacks[i]);
}

static void enter(int i)
{
    ctrio__fiber_switch(&thread, &fibers[i]);
}

static _Noreturn void leave(int i)
{
    ctrio__fiber_leave(&fibers[i], &thread);
    abort();
}

static int reached;

static void counts(void *arg)
{
    ctrio__fiber_entered(&fibers[0]);
    for (reached = 1; reached < *(int *)arg; reached++)
        ctrio__fiber_switch(&fibers[0], &thread);
    leave(0);
}

static void a_fiber_goes_on_where_it_left(void)
{
    int times = 1000;
    ctrio__fiber_adopt_thread(&thread);
    start(0, counts, &times);
    for (int i = 1; i <= times; i++) {
        enter(0);
        is(reached, i);
    }
    finish(0);
    ctrio__fiber_close(&thread);
}

/* More values than there are registers that a call keeps, so that all of them are in use. */
static uint64_t churn(uint64_t seed, int i, struct ctrio__fiber *from, struct ctrio__fiber *to)
{
    uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, f = seed * 13,
             g = seed * 17, h = seed * 19;
    double x = (double)seed, y = x / 3, z = sqrt(x);
    for (int n = 0; n < 100; n++) {
        a += b ^ (uint64_t)n, b += c, c ^= d, d += e, e ^= f, f += g, g ^= h, h += a;
        x += y * 0.5, y -= z, z = z * 1.01 + 1;
        if (from != NULL)
            ctrio__fiber_switch(from, to);
    }
    (void)i;
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ (uint64_t)(int64_t)(x + y + z);
}

static uint64_t found[3];

static void churns(void *arg)
{
    int i = *(int *)arg;
    ctrio__fiber_entered(&fibers[i]);
    found[i] = churn(77 + (uint64_t)i, i, &fibers[i], &thread);
    leave(i);
}

static void registers_and_floating_point_are_each_fibers_own(void)
{
    int numbers[] = {0, 1, 2};
    ctrio__fiber_adopt_thread(&thread);
    for (int i = 0; i < 3; i++)
        start(i, churns, &numbers[i]);
    for (int n = 0; n <= 100; n++)
        for (int i = 0; i < 3; i++)
            enter(i);
    for (int i = 0; i < 3; i++) {
        is(found[i], churn(77 + (uint64_t)i, i, NULL, NULL));
        finish(i);
    }
    ctrio__fiber_close(&thread);
}

static uintptr_t misaligned;
static double sum;

/* What the ABI promises of a stack at a function's entry; SSE's aligned moves rely on it.  The
 * return address and the caller's frame pointer lie between there and our frame. */
static __attribute__((noinline)) void look_at_alignment(void)
{
    volatile _Alignas(16) float vector[4] = {1, 2, 3, 4};
    misaligned |= (uintptr_t)vector & 15;
    misaligned |= ((uintptr_t)__builtin_frame_address(0) + 2 * sizeof(void *)) & 15;
    for (int i = 0; i < 4; i++)
        sum += (double)vector[i];
}

static void looks(void *arg)
{
    (void)arg;
    ctrio__fiber_entered(&fibers[0]);
    look_at_alignment();
    leave(0);
}

static void a_fresh_stack_is_aligned_as_compilers_expect(void)
{
    misaligned = 0;
    sum = 0;
    ctrio__fiber_adopt_thread(&thread);
    start(0, looks, NULL);
    enter(0);
    is(misaligned, 0);
    is(sum, 10.0);
    finish(0);
    ctrio__fiber_close(&thread);
}

static __attribute__((noinline)) int dive(int depth)
{
    volatile char frame[512];
    memset((void *)(uintptr_t)frame, depth, sizeof frame);
    if (depth % 16 == 0)
        ctrio__fiber_switch(&fibers[0], &thread);
    int below = depth > 0 ? dive(depth - 1) : 0;
    return below + (frame[0] == (char)depth && frame[511] == (char)depth);
}

static int dived;

static void dives(void *arg)
{
    ctrio__fiber_entered(&fibers[0]);
    dived = dive(*(int *)arg);
    leave(0);
}

static void a_deep_stack_survives_switches_at_any_depth(void)
{
    int depth = 128;
    ctrio__fiber_adopt_thread(&thread);
    start(0, dives, &depth);
    dived = 0;
    int turns = 0;
    while (dived == 0 && turns < 1000) {
        enter(0);
        turns++;
    }
    is(dived, depth + 1);
    is(turns, 10);
    finish(0);
    ctrio__fiber_close(&thread);
}

static void hands_on(void *arg)
{
    int i = *(int *)arg;
    ctrio__fiber_entered(&fibers[i]);
    for (int n = 0; n < 50; n++) {
        reached++;
        ctrio__fiber_switch(&fibers[i], i == 2 ? &thread : &fibers[i + 1]);
    }
    leave(i);
}

static void fibers_may_switch_to_each_other(void)
{
    int numbers[] = {0, 1, 2};
    ctrio__fiber_adopt_thread(&thread);
    reached = 0;
    for (int i = 0; i < 3; i++)
        start(i, hands_on, &numbers[i]);
    for (int n = 0; n < 50; n++)
        enter(0);
    is(reached, 150);
    for (int i = 0; i < 3; i++) {
        enter(i); /* each leaves for good */
        finish(i);
    }
    ctrio__fiber_close(&thread);
}

static void one_that_was_never_entered_can_be_closed(void)
{
    int times = 1;
    ctrio__fiber_adopt_thread(&thread);
    start(0, counts, &times);
    finish(0);
    ctrio__fiber_close(&thread);
    ok(fibers[0].sp == NULL);
}

TAP_MAIN(TEST(a_fiber_goes_on_where_it_left),
         TEST(registers_and_floating_point_are_each_fibers_own),
         TEST(a_fresh_stack_is_aligned_as_compilers_expect),
         TEST(a_deep_stack_survives_switches_at_any_depth), TEST(fibers_may_switch_to_each_other),
         TEST(one_that_was_never_entered_can_be_closed))
