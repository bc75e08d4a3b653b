/* stack.c - the pool of stacks.
 *
 * Invariant: mapped == cached + on loan + never used, and promised <= mapped, so that a task which
 * was started can run.  Pieces double, so that a million stacks are a few dozen mappings.
 *
 * Stacks of one size have their hot words at equal places of a page, which then compete for the
 * same lines of the cache: their tops are staggered over 2 KiB ("colours"; 28 against 41 ns a
 * switch at 10,000 tasks). */
#include "coro/stack.h"
#include "base/alloc.h"
#include "base/assert.h"
#include <errno.h>

static const size_t largest_piece = 4096; /* stacks */
static const uint64_t canary = 0xc7217057ac4ca9a7u;

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

void ctrio__stack_pool_init(struct ctrio__stack_pool *pool, const struct ctrio__memory_calls *calls,
                            size_t stack_size)
{
    *pool = (struct ctrio__stack_pool){.calls = calls, .page = calls->page_size(), .at_once = 16};
    if (stack_size < CTRIO__SMALLEST_STACK)
        stack_size = CTRIO__SMALLEST_STACK;
    if (stack_size > SIZE_MAX / 2) /* map() will refuse it */
        stack_size = SIZE_MAX / 2;
    pool->stack_size = round_up(stack_size, pool->page);
}

static int map_piece(struct ctrio__stack_pool *pool)
{
    size_t count = pool->mapped < pool->at_once ? pool->at_once : pool->mapped;
    if (count > largest_piece)
        count = largest_piece;
    if (count > SIZE_MAX / 2 / pool->stack_size) /* where addresses have 32 bits */
        count = SIZE_MAX / 2 / pool->stack_size + 1;
    int result = ctrio__reserve((void **)&pool->pieces, &pool->piece_capacity,
                                pool->piece_count + 1, sizeof *pool->pieces);
    if (result < 0)
        return result;
    char *low;
    size_t size = count * pool->stack_size;
    result = pool->calls->map(size, &low);
    if (result < 0 && count > 1) { /* perhaps a single one still fits */
        count = 1;
        size = pool->stack_size;
        result = pool->calls->map(size, &low);
    }
    if (result < 0)
        return -ENOMEM;
    pool->pieces[pool->piece_count++] = (struct ctrio__stack_piece){low, size, 0};
    pool->mapped += count;
    return 0;
}

int ctrio__stack_promise(struct ctrio__stack_pool *pool)
{
    if (pool->promised == pool->mapped) {
        int result = map_piece(pool);
        if (result < 0)
            return result;
    }
    pool->promised++;
    return 0;
}

void ctrio__stack_release_promise(struct ctrio__stack_pool *pool)
{
    CTRIO_ASSERT(pool->promised > 0);
    pool->promised--;
}

/* The best guard that works here; what fails once is not tried again. */
static enum ctrio__guard guard(struct ctrio__stack_pool *pool, char *low)
{
    if (pool->guard == CTRIO__GUARD_INSTALLED && pool->calls->install_guard(low, pool->page) < 0)
        pool->guard = CTRIO__GUARD_PROTECTED;
    if (pool->guard == CTRIO__GUARD_PROTECTED &&
        (pool->protections == CTRIO__MOST_PROTECTIONS || pool->calls->protect(low, pool->page) < 0))
        pool->guard = CTRIO__GUARD_CANARY;
    if (pool->guard == CTRIO__GUARD_PROTECTED)
        pool->protections++;
    return pool->guard;
}

static struct ctrio__stack *make(struct ctrio__stack_pool *pool)
{
    while (pool->pieces[pool->fresh].used == pool->pieces[pool->fresh].size)
        pool->fresh++;
    struct ctrio__stack_piece *piece = &pool->pieces[pool->fresh];
    CTRIO_ASSERT(pool->fresh < pool->piece_count);
    char *low = piece->low + piece->used;
    piece->used += pool->stack_size;
    size_t colour = pool->used++ % 16 * 128;
    char *top = low + pool->stack_size - colour - round_up(sizeof(struct ctrio__stack), 64);
    struct ctrio__stack *stack = (struct ctrio__stack *)(void *)top;
    *stack = (struct ctrio__stack){.low = low, .top = top, .guard = guard(pool, low)};
    if (stack->guard == CTRIO__GUARD_CANARY)
        *(uint64_t *)(void *)low = canary;
    else
        stack->low += pool->page;
    pool->calls->announce(stack->low, stack->top);
    return stack;
}

bool ctrio__stack_intact(const struct ctrio__stack *stack)
{
    return stack->guard != CTRIO__GUARD_CANARY || *(const uint64_t *)(void *)stack->low == canary;
}

struct ctrio__stack *ctrio__stack_take(struct ctrio__stack_pool *pool)
{
    struct ctrio__stack *stack = pool->cached;
    CTRIO_ASSERT(pool->promised > 0);
    if (stack == NULL)
        return make(pool);
    pool->cached = stack->next;
    pool->cached_count--;
    if (pool->cached_count < pool->cached_least)
        pool->cached_least = pool->cached_count;
    if (pool->cached_count < pool->clean)
        pool->clean = pool->cached_count;
    return stack;
}

void ctrio__stack_give(struct ctrio__stack_pool *pool, struct ctrio__stack *stack)
{
    CTRIO_ASSERT(stack->low > (char *)0 && stack->top > stack->low);
    CTRIO_ASSERT(ctrio__stack_intact(stack));
    stack->next = pool->cached;
    pool->cached = stack;
    pool->cached_count++;
    ctrio__stack_release_promise(pool);
}

static void discard(struct ctrio__stack_pool *pool, const struct ctrio__stack *stack)
{
    char *from = stack->guard == CTRIO__GUARD_CANARY ? stack->low + pool->page : stack->low;
    char *to = stack->top - (uintptr_t)stack->top % pool->page;
    if (to > from)
        pool->calls->discard(from, (size_t)(to - from));
}

/* The oldest of the cache lie at its end.  Their top page stays, as the descriptor is in it. */
void ctrio__stack_trim(struct ctrio__stack_pool *pool)
{
    size_t unused = pool->cached_least;
    size_t dirty = unused > pool->clean ? unused - pool->clean : 0;
    size_t count = dirty - dirty / 2;
    pool->cached_least = pool->cached_count;
    if (count == 0)
        return;
    CTRIO_ASSERT(pool->clean + count <= pool->cached_count);
    const struct ctrio__stack *stack = pool->cached;
    for (size_t keep = pool->cached_count - pool->clean - count; keep > 0; keep--)
        stack = stack->next;
    for (size_t i = 0; i < count; i++, stack = stack->next)
        discard(pool, stack);
    pool->clean += count;
}

void ctrio__stack_pool_close(struct ctrio__stack_pool *pool)
{
    for (size_t i = 0; i < pool->piece_count; i++)
        pool->calls->unmap(pool->pieces[i].low, pool->pieces[i].size);
    ctrio__free(pool->pieces);
    *pool = (struct ctrio__stack_pool){.calls = pool->calls};
}
