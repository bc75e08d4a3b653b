/* test_stack.c - the pool of stacks, on memory that fails when the test says so. */
#include "coro/stack.h"
#include "tap.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, STACK = 65536 };

static struct ctrio__memory_calls calls;
static struct {
    size_t maps, unmaps, installs, protects, discards, announced;
    size_t mapped, unmapped, discarded; /* bytes */
    size_t map_limit;                   /* larger ones fail */
    size_t installs_left, protects_left;
} memory;

static size_t page_size(void)
{
    return PAGE;
}

static int map(size_t size, char **out)
{
    memory.maps++;
    if (size > memory.map_limit)
        return -ENOMEM;
    return ctrio__memory_native.map(size, out) == 0 ? (memory.mapped += size, 0) : -ENOMEM;
}

static void unmap(char *low, size_t size)
{
    memory.unmaps++;
    memory.unmapped += size;
    ctrio__memory_native.unmap(low, size);
}

static int install_guard(char *low, size_t size)
{
    ok((uintptr_t)low % PAGE == 0 && size == PAGE);
    memory.installs++;
    if (memory.installs_left == 0)
        return -EINVAL;
    memory.installs_left--;
    return 0;
}

static int protect(char *low, size_t size)
{
    ok((uintptr_t)low % PAGE == 0 && size == PAGE);
    memory.protects++;
    if (memory.protects_left == 0)
        return -ENOMEM;
    memory.protects_left--;
    return 0;
}

static int discard(char *low, size_t size)
{
    ok((uintptr_t)low % PAGE == 0 && size % PAGE == 0);
    memory.discards++;
    memory.discarded += size;
    return 0;
}

static void announce(const char *low, const char *top)
{
    ok(low < top);
    memory.announced++;
}

static struct ctrio__stack_pool pool;

static void begin(size_t stack_size)
{
    memset(&memory, 0, sizeof memory);
    memory.map_limit = memory.installs_left = memory.protects_left = SIZE_MAX;
    calls = (struct ctrio__memory_calls){page_size, map,     unmap,   install_guard,
                                         protect,   discard, announce};
    ctrio__stack_pool_init(&pool, &calls, stack_size);
}

static void end(void)
{
    ctrio__stack_pool_close(&pool);
    is(memory.unmapped, memory.mapped);
}

static struct ctrio__stack *take(void)
{
    int result = ctrio__stack_promise(&pool);
    return is(result, 0) ? ctrio__stack_take(&pool) : NULL;
}

static void give(struct ctrio__stack *stack)
{
    if (stack != NULL)
        ctrio__stack_give(&pool, stack);
}

static void a_size_is_rounded_up_to_pages_and_to_the_smallest(void)
{
    static const size_t sizes[][2] = {
        {1, CTRIO__SMALLEST_STACK}, {STACK, STACK}, {STACK + 1, STACK + PAGE}};
    for (size_t i = 0; i < 3; i++) {
        begin(sizes[i][0]);
        is(pool.stack_size, sizes[i][1]);
        end();
    }
}

static void a_promise_costs_address_space_and_no_stack(void)
{
    begin(STACK);
    int result = ctrio__stack_promise(&pool);
    if (is(result, 0)) {
        is(memory.maps, 1);
        is(memory.installs, 0);
        is(pool.promised, 1);
        ctrio__stack_release_promise(&pool);
    }
    is(pool.promised, 0);
    end();
}

static void a_stack_that_was_given_back_is_taken_again_the_last_one_first(void)
{
    begin(STACK);
    struct ctrio__stack *first = take(), *second = take();
    ok(first != second || first == NULL);
    give(first);
    give(second);
    if (second != NULL)
        ok(take() == second);
    if (first != NULL)
        ok(take() == first);
    give(first);
    give(second);
    is(pool.promised, 0);
    is(memory.announced, (size_t)(first != NULL) + (second != NULL));
    end();
}

static void stacks_do_not_overlap_and_are_usable_whole(void)
{
    enum { MANY = 100 };
    struct ctrio__stack *stacks[MANY];
    begin(STACK);
    for (int i = 0; i < MANY; i++) {
        stacks[i] = take();
        if (stacks[i] == NULL)
            continue;
        is((uintptr_t)stacks[i]->top % 16, 0);
        ok(stacks[i]->top - stacks[i]->low >= STACK - PAGE - 2048 - 64);
        memset(stacks[i]->low, i, (size_t)(stacks[i]->top - stacks[i]->low));
    }
    for (int i = 0; i < MANY; i++)
        if (stacks[i] != NULL)
            ok(stacks[i]->low[0] == (char)i && stacks[i]->top[-1] == (char)i);
    for (int i = 0; i < MANY; i++)
        give(stacks[i]);
    end();
}

static void pieces_double_so_that_mappings_are_few(void)
{
    enum { MANY = 100000 };
    begin(1);
    memory.installs_left = 0; /* no guards: it is the counting that is looked at */
    memory.protects_left = 0;
    for (int i = 0; i < MANY; i++)
        is(ctrio__stack_promise(&pool), 0);
    ok(memory.maps < 40);
    for (int i = 0; i < MANY; i++)
        ctrio__stack_release_promise(&pool);
    end();
}

/* --- failures -------------------------------------------------------------------------------- */

static void where_a_piece_does_not_fit_a_single_stack_may(void)
{
    begin(STACK);
    memory.map_limit = STACK;
    struct ctrio__stack *first = take(), *second = take();
    if (first != NULL && second != NULL)
        is(pool.mapped, 2);
    memory.map_limit = 0;
    int result = ctrio__stack_promise(&pool);
    if (first != NULL && second != NULL)
        is(result, -ENOMEM);
    is(pool.promised, (size_t)(first != NULL) + (second != NULL));
    give(first);
    give(second);
    end();
}

static void the_guard_is_the_best_that_works_and_what_failed_is_not_tried_again(void)
{
    struct ctrio__stack *stacks[4];
    begin(STACK);
    memory.installs_left = 1;
    memory.protects_left = 1;
    for (int i = 0; i < 4; i++)
        stacks[i] = take();
    if (stacks[0] == NULL) {
        end();
        return;
    }
    is((int)stacks[0]->guard, CTRIO__GUARD_INSTALLED);
    is((int)stacks[1]->guard, CTRIO__GUARD_PROTECTED);
    is((int)stacks[2]->guard, CTRIO__GUARD_CANARY);
    is((int)stacks[3]->guard, CTRIO__GUARD_CANARY);
    is(memory.installs, 2);
    is(memory.protects, 2);
    is((uintptr_t)stacks[0]->low % PAGE, 0);
    for (int i = 0; i < 4; i++)
        give(stacks[i]);
    end();
}

static void protections_stop_at_their_limit(void)
{
    enum { MORE = CTRIO__MOST_PROTECTIONS + 10 };
    static struct ctrio__stack *stacks[MORE];
    begin(1);
    memory.installs_left = 0;
    for (int i = 0; i < MORE; i++)
        stacks[i] = take();
    is(memory.protects, CTRIO__MOST_PROTECTIONS);
    is((int)stacks[CTRIO__MOST_PROTECTIONS - 1]->guard, CTRIO__GUARD_PROTECTED);
    is((int)stacks[CTRIO__MOST_PROTECTIONS]->guard, CTRIO__GUARD_CANARY);
    for (int i = 0; i < MORE; i++)
        give(stacks[i]);
    end();
}

static void a_canary_tells_that_it_was_run_over(void)
{
    begin(STACK);
    memory.installs_left = memory.protects_left = 0;
    struct ctrio__stack *stack = take();
    if (stack != NULL) {
        ok(ctrio__stack_intact(stack));
        char was = stack->low[3];
        stack->low[3] ^= 1;
        ok(!ctrio__stack_intact(stack));
        stack->low[3] = was;
    }
    give(stack);
    end();
}

/* --- trimming -------------------------------------------------------------------------------- */

static void what_nobody_needed_is_discarded_half_by_half_and_once(void)
{
    enum { MANY = 16 };
    struct ctrio__stack *stacks[MANY];
    begin(STACK);
    for (int i = 0; i < MANY; i++)
        stacks[i] = take();
    for (int i = 0; i < MANY; i++)
        give(stacks[i]);
    if (pool.cached_count == MANY) {
        ctrio__stack_trim(&pool); /* until now all were in use at some time */
        is(memory.discards, 0);
        static const size_t sums[] = {8, 12, 14, 15, 16, 16, 16};
        for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
            ctrio__stack_trim(&pool);
            is(memory.discards, sums[i]);
        }
        struct ctrio__stack *used[4] = {take(), take(), take(), take()};
        for (int i = 0; i < 4; i++)
            give(used[i]);
        ctrio__stack_trim(&pool); /* 12 lay there, and have nothing left to give */
        is(memory.discards, 16);
        ctrio__stack_trim(&pool);
        is(memory.discards, 18);
    }
    end();
}

static void a_stack_that_was_discarded_can_be_used_again(void)
{
    begin(STACK);
    calls.discard = ctrio__memory_native.discard;
    memory.installs_left = memory.protects_left = 0;
    struct ctrio__stack *stack = take();
    give(stack);
    for (int i = 0; i < 3; i++)
        ctrio__stack_trim(&pool);
    struct ctrio__stack *again = stack != NULL ? take() : NULL;
    if (again != NULL) {
        ok(again == stack);
        ok(ctrio__stack_intact(again)); /* the canary's page stays */
        memset(again->low + 8, 1, (size_t)(again->top - again->low) - 8);
        give(again);
    }
    end();
}

/* --- the machine's own ------------------------------------------------------------------------ */

static void a_million_stacks_can_be_promised(void)
{
    enum { MANY = 1000000 };
    if (SIZE_MAX / MANY < 2 * STACK) {
        skip("a million stacks are more than there are addresses");
        return;
    }
    ctrio__stack_pool_init(&pool, &ctrio__memory_native, STACK);
    int result = 0;
    for (int i = 0; i < MANY && result == 0; i++)
        result = ctrio__stack_promise(&pool);
    is(result, 0);
    is(pool.promised, MANY);
    struct ctrio__stack *stack = ctrio__stack_take(&pool);
    memset(stack->low, 1, (size_t)(stack->top - stack->low));
    ctrio__stack_give(&pool, stack);
    while (pool.promised > 0)
        ctrio__stack_release_promise(&pool);
    ctrio__stack_pool_close(&pool);
}

TAP_MAIN(TEST(a_size_is_rounded_up_to_pages_and_to_the_smallest),
         TEST(a_promise_costs_address_space_and_no_stack),
         TEST(a_stack_that_was_given_back_is_taken_again_the_last_one_first),
         TEST(stacks_do_not_overlap_and_are_usable_whole),
         BIG_TEST(pieces_double_so_that_mappings_are_few),
         TEST(where_a_piece_does_not_fit_a_single_stack_may),
         TEST(the_guard_is_the_best_that_works_and_what_failed_is_not_tried_again),
         BIG_TEST(protections_stop_at_their_limit), TEST(a_canary_tells_that_it_was_run_over),
         TEST(what_nobody_needed_is_discarded_half_by_half_and_once),
         TEST(a_stack_that_was_discarded_can_be_used_again),
         BIG_TEST(a_million_stacks_can_be_promised))
