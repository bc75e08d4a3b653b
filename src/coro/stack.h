/* stack.h - stacks for tasks: mapped in large pieces, guarded, kept for reuse.
 *
 * Memory is touched when a task first runs on it, not before: a promise costs address space only.
 * The cache has no limit but the number of tasks there once were; what has lain unused is given
 * back to the system by time (ctrio__stack_trim). */
#ifndef CTRIO_CORO_STACK_H
#define CTRIO_CORO_STACK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What keeps a stack from running into the next one. */
enum ctrio__guard {
    CTRIO__GUARD_INSTALLED, /* MADV_GUARD_INSTALL (Linux 6.13): no mapping of its own */
    CTRIO__GUARD_PROTECTED, /* mprotect: two mappings a stack, of 65,530 that a process may have */
    CTRIO__GUARD_CANARY,    /* a word that is looked at when the task parks */
};

/* The system's memory, so that tests can make it fail.  Results are 0 or -errno. */
struct ctrio__memory_calls {
    size_t (*page_size)(void);
    int (*map)(size_t size, char **out); /* reserved, zero when touched, never a huge page */
    void (*unmap)(char *low, size_t size);
    int (*install_guard)(char *low, size_t size);
    int (*protect)(char *low, size_t size);
    int (*discard)(char *low, size_t size);             /* the contents may go */
    void (*announce)(const char *low, const char *top); /* to debuggers of memory: a stack */
};
extern const struct ctrio__memory_calls ctrio__memory_native;

struct ctrio__stack { /* lies at the top of the memory that it describes */
    struct ctrio__stack *next;
    char *low; /* lowest usable byte; below it the guard, where there is one */
    char *top; /* where the stack starts to grow down from; aligned to 16 */
    enum ctrio__guard guard;
};

struct ctrio__stack_piece { /* one mapping */
    char *low;
    size_t size, used; /* bytes; what is beyond `used` was never a stack */
};
struct ctrio__stack_pool {
    const struct ctrio__memory_calls *calls;
    size_t stack_size; /* of each, with guard and descriptor; a multiple of the page */
    size_t page;
    struct ctrio__stack *cached;       /* last used first */
    size_t cached_count, cached_least; /* and the fewest since the last trim */
    size_t clean;       /* at the end of the cache: discarded since they were last used */
    size_t promised;    /* <= mapped */
    size_t mapped;      /* stacks there is address space for */
    size_t protections; /* guards made by mprotect */
    struct ctrio__stack_piece *pieces;
    size_t piece_count, piece_capacity;
    size_t fresh;            /* index of the first piece that is not used up */
    size_t used;             /* ever taken: their colours go round */
    enum ctrio__guard guard; /* the best that is left to try */
};
enum { CTRIO__SMALLEST_STACK = 16384, CTRIO__MOST_PROTECTIONS = 16000 };

/* `stack_size` is rounded up to pages, and to the smallest. */
void ctrio__stack_pool_init(struct ctrio__stack_pool *pool, const struct ctrio__memory_calls *calls,
                            size_t stack_size);
/* One more stack may be taken: -ENOMEM now instead of then. */
int ctrio__stack_promise(struct ctrio__stack_pool *pool);
void ctrio__stack_release_promise(struct ctrio__stack_pool *pool);
/* Of those that were promised; never NULL. */
struct ctrio__stack *ctrio__stack_take(struct ctrio__stack_pool *pool);
/* The promise goes with it. */
void ctrio__stack_give(struct ctrio__stack_pool *pool, struct ctrio__stack *stack);
/* Discards the memory of half of those that nobody has needed since the last call and that still
 * have any. */
void ctrio__stack_trim(struct ctrio__stack_pool *pool);
/* Nobody is on any of them any more. */
void ctrio__stack_pool_close(struct ctrio__stack_pool *pool);
/* False: something has written past the end; memory next to it is overwritten. */
bool ctrio__stack_intact(const struct ctrio__stack *stack);
#endif
