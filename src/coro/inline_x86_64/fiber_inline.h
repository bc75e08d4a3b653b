/* fiber_inline.h - the switch inside its caller, for the one place where it matters.
 *
 * No call and no return: what the processor remembers of returns stays right, and a compiler that
 * knows which registers are lost saves only those in use.  A suspended stack looks as
 * switch_x86_64.S leaves it: on top is the address to go on at. */
#ifndef CTRIO_CORO_FIBER_INLINE_H
#define CTRIO_CORO_FIBER_INLINE_H
#include "coro/fiber.h"

/* As ctrio__fiber_switch. */
static inline __attribute__((always_inline)) void
ctrio__fiber_switch_inline(struct ctrio__fiber *from, struct ctrio__fiber *to)
{
    void **save = &from->sp;
    void *sp = to->sp;
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t" /* the red zone may be in use */
                     "pushq %%rbp\n\t"
                     "pushq %%rbx\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "movq %%rsp, (%[save])\n\t"
                     "movq %[sp], %%rsp\n\t"
                     "popq %%rax\n\t"
                     "jmpq *%%rax\n"
                     "1:\n\t"
                     "endbr64\n\t"
                     "popq %%rbx\n\t"
                     "popq %%rbp\n\t"
                     "leaq 128(%%rsp), %%rsp"
                     : [save] "+&D"(save), [sp] "+&S"(sp)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory",
                       "cc");
}
/* As ctrio__fiber_leave. */
static inline __attribute__((always_inline)) void
ctrio__fiber_leave_inline(struct ctrio__fiber *from, struct ctrio__fiber *to)
{
    ctrio__fiber_switch_inline(from, to);
}
#endif
