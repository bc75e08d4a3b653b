/* fiber.h - a flow of control with a stack of its own, announced to the sanitizers.
 *
 * fiber.c only switches; fiber_asan.c and fiber_tsan.c tell the sanitizer as well, and stand in
 * its place in such builds. */
#ifndef CTRIO_CORO_FIBER_H
#define CTRIO_CORO_FIBER_H
#include "coro/switch.h"
#include <stdbool.h>

struct ctrio__fiber {
    void *sp;        /* while it does not run */
    const char *low; /* its stack; of a thread's own: NULL, for the sanitizer finds out */
    size_t size;
    void *shadow; /* the sanitizer's */
};

/* The calling thread's own flow of control: nothing to switch to yet. */
void ctrio__fiber_adopt_thread(struct ctrio__fiber *fiber);
/* entry(arg) on the stack [low, low + size); it must not return, but switch away for good. */
void ctrio__fiber_init(struct ctrio__fiber *fiber, char *low, size_t size, void (*entry)(void *arg),
                       void *arg);
/* Memory that was a stack may be written to before it is one again: what its last user has told a
 * sanitizer about it is forgotten. */
void ctrio__fiber_reclaim(char *low, size_t size);
/* First thing that entry does. */
void ctrio__fiber_entered(struct ctrio__fiber *fiber);
/* From the one that runs, to one that does not. */
void ctrio__fiber_switch(struct ctrio__fiber *from, struct ctrio__fiber *to);
/* The same, never to come back: `from` may be freed by whoever runs next. */
void ctrio__fiber_leave(struct ctrio__fiber *from, struct ctrio__fiber *to);
/* False: what lies there is no object of a frame that is alive, as far as a sanitizer knows. */
bool ctrio__fiber_holds(const void *object, size_t size);
/* It has left, or will never be switched to again. */
void ctrio__fiber_close(struct ctrio__fiber *fiber);
#endif
