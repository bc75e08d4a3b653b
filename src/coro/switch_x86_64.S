/* switch_x86_64.S - the System V ABI's callee-saved registers, and where to go on.
 *
 * On top of a suspended stack lies an address: that of `resume` below, of ctrio__switch_begin, or of
 * a place in inline assembly (inline_x86_64/fiber_inline.h). */
    .text
    .globl  ctrio__switch
    .hidden ctrio__switch
    .type   ctrio__switch, @function
    .p2align 4
ctrio__switch:
    .cfi_startproc
    endbr64
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    leaq    resume(%rip), %rax
    pushq   %rax
    .cfi_adjust_cfa_offset 8
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp
    popq    %rax
    .cfi_adjust_cfa_offset -8
    jmpq    *%rax
resume:
    endbr64
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    ret
    .cfi_endproc
    .size   ctrio__switch, . - ctrio__switch

/* Where a fresh stack begins: on it are a function and its argument.  There is no way back, and no
 * return address, which tells unwinders that the stack ends here. */
    .globl  ctrio__switch_begin
    .hidden ctrio__switch_begin
    .type   ctrio__switch_begin, @function
    .p2align 4
ctrio__switch_begin:
    .cfi_startproc
    .cfi_undefined rip
    endbr64
    popq    %rax
    popq    %rdi
    xorl    %ebp, %ebp
    call    *%rax
    ud2
    .cfi_endproc
    .size   ctrio__switch_begin, . - ctrio__switch_begin

    .section .note.GNU-stack, "", @progbits
