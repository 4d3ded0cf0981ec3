/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of the stand-in: one function for each name of NCCL, which jumps to where its slot points.
 *
 * A slot first points to code that loads the number of the name and goes to the slow path. That saves all argument
 * registers, has signcclNcclResolve() find the function, writes its address into the slot, and jumps to it with the
 * registers as they were. So entries need not know the arguments or the result of their function. Not saved: vector
 * registers wider than 128 bits, in which no function of NCCL takes arguments.
 */

    .hidden signcclNcclResolve
    .hidden signcclNcclSlots
    .globl signcclNcclSlots

    .section .data.signccl_slots, "aw"
    .p2align 3
    .type signcclNcclSlots, %object
signcclNcclSlots:

#if defined(__x86_64__)

    .macro entry number, name
    .text
    .globl \name
    .type \name, %function
    .p2align 4
\name:
    .cfi_startproc
    endbr64
    jmp *(signcclNcclSlots + 8 * \number)(%rip)
    .p2align 3
.Lfirst_\number:
    endbr64
    movl $\number, %r11d
    jmp .Lslow_path
    .cfi_endproc
    .size \name, . - \name
    .section .data.signccl_slots, "aw"
    .quad .Lfirst_\number
    .endm

    .text
    .p2align 4
.Lslow_path:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    subq $192, %rsp
    movq %rdi, (%rsp)
    movq %rsi, 8(%rsp)
    movq %rdx, 16(%rsp)
    movq %rcx, 24(%rsp)
    movq %r8, 32(%rsp)
    movq %r9, 40(%rsp)
    movq %rax, 48(%rsp)
    movq %r10, 56(%rsp)
    movaps %xmm0, 64(%rsp)
    movaps %xmm1, 80(%rsp)
    movaps %xmm2, 96(%rsp)
    movaps %xmm3, 112(%rsp)
    movaps %xmm4, 128(%rsp)
    movaps %xmm5, 144(%rsp)
    movaps %xmm6, 160(%rsp)
    movaps %xmm7, 176(%rsp)
    movl %r11d, %edi
    call signcclNcclResolve
    movq %rax, %r11
    movq (%rsp), %rdi
    movq 8(%rsp), %rsi
    movq 16(%rsp), %rdx
    movq 24(%rsp), %rcx
    movq 32(%rsp), %r8
    movq 40(%rsp), %r9
    movq 48(%rsp), %rax
    movq 56(%rsp), %r10
    movaps 64(%rsp), %xmm0
    movaps 80(%rsp), %xmm1
    movaps 96(%rsp), %xmm2
    movaps 112(%rsp), %xmm3
    movaps 128(%rsp), %xmm4
    movaps 144(%rsp), %xmm5
    movaps 160(%rsp), %xmm6
    movaps 176(%rsp), %xmm7
    leave
    .cfi_def_cfa %rsp, 8
    jmp *%r11
    .cfi_endproc

#elif defined(__aarch64__)

/* bti c; it is a hint, which older processors and assemblers take as a no-op */
#define LANDING hint #34

    .macro entry number, name
    .text
    .globl \name
    .type \name, %function
    .p2align 4
\name:
    .cfi_startproc
    LANDING
    adrp x16, signcclNcclSlots + 8 * \number
    ldr x16, [x16, :lo12:signcclNcclSlots + 8 * \number]
    br x16
.Lfirst_\number:
    LANDING
    mov w17, \number
    b .Lslow_path
    .cfi_endproc
    .size \name, . - \name
    .section .data.signccl_slots, "aw"
    .quad .Lfirst_\number
    .endm

    .text
    .p2align 4
.Lslow_path:
    .cfi_startproc
    stp x29, x30, [sp, -224]!
    .cfi_def_cfa_offset 224
    .cfi_offset 29, -224
    .cfi_offset 30, -216
    mov x29, sp
    stp x0, x1, [sp, 16]
    stp x2, x3, [sp, 32]
    stp x4, x5, [sp, 48]
    stp x6, x7, [sp, 64]
    str x8, [sp, 80]
    stp q0, q1, [sp, 96]
    stp q2, q3, [sp, 128]
    stp q4, q5, [sp, 160]
    stp q6, q7, [sp, 192]
    mov w0, w17
    bl signcclNcclResolve
    mov x16, x0
    ldp x0, x1, [sp, 16]
    ldp x2, x3, [sp, 32]
    ldp x4, x5, [sp, 48]
    ldp x6, x7, [sp, 64]
    ldr x8, [sp, 80]
    ldp q0, q1, [sp, 96]
    ldp q2, q3, [sp, 128]
    ldp q4, q5, [sp, 160]
    ldp q6, q7, [sp, 192]
    ldp x29, x30, [sp], 224
    .cfi_restore 29
    .cfi_restore 30
    .cfi_def_cfa_offset 0
    br x16
    .cfi_endproc

#else
#error "the stand-in for NCCL is for x86-64 and 64-bit Arm"
#endif

#define SIGNCCL_NCCL_NAME(number, name) entry number, name
#include "nccl_names.inc"

    .section .data.signccl_slots, "aw"
    .size signcclNcclSlots, . - signcclNcclSlots
    .section .note.GNU-stack, "", %progbits
