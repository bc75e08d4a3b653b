/* switch_aarch64.S - AAPCS64's callee-saved registers: x19 to x30 and the low halves of v8 to v15. */
    .text
    .globl  ctrio__switch
    .hidden ctrio__switch
    .type   ctrio__switch, %function
    .p2align 4
ctrio__switch:
    .cfi_startproc
    hint    #34                     /* bti c */
    sub     sp, sp, #160
    .cfi_adjust_cfa_offset 160
    stp     x29, x30, [sp, #0]
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1
    ldp     x29, x30, [sp, #0]
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #160
    .cfi_adjust_cfa_offset -160
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size   ctrio__switch, . - ctrio__switch

/* Where a fresh stack begins: x19 is the function, x20 its argument; no way back. */
    .globl  ctrio__switch_begin
    .hidden ctrio__switch_begin
    .type   ctrio__switch_begin, %function
    .p2align 4
ctrio__switch_begin:
    .cfi_startproc
    .cfi_undefined x30
    hint    #36                     /* bti j */
    mov     x0, x20
    mov     x30, xzr
    blr     x19
    brk     #1
    .cfi_endproc
    .size   ctrio__switch_begin, . - ctrio__switch_begin

    .section .note.GNU-stack, "", %progbits
