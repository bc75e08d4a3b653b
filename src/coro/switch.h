/* switch.h - leaving one C stack for another.
 *
 * One implementation a processor, chosen by a file list: assembly where we have it, ucontext
 * elsewhere.  What a call may destroy is not saved: the compiler has seen to it.  The rounding and
 * exception control of the floating-point unit are shared by all stacks of a thread. */
#ifndef CTRIO_CORO_SWITCH_H
#define CTRIO_CORO_SWITCH_H
#include <stddef.h>

/* Saves where we are in *from and goes on at `to`; returns when somebody switches to *from. */
void ctrio__switch(void **from, void *to);
/* What to switch to first on a fresh stack [low, top): entry(arg), which never returns.  `top` is
 * aligned to 16 bytes; the stack grows down from there. */
void *ctrio__switch_prepare(char *low, char *top, void (*entry)(void *arg), void *arg);
#endif
