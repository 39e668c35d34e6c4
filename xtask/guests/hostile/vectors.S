// SPDX-License-Identifier: GPL-2.0-only
// An exception ends what the hostile guest tried, whatever it was, and the next try begins.

    .text
    .balign 2048
    .globl hostile_vectors
hostile_vectors:
    .rept   16
    .balign 128
    b       caught
    .endr

// uint64_t guarded(struct cpu *c, void (*act)(struct cpu *c))
    .globl guarded
guarded:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x2, sp
    str     x2, [x0]
    msr     TPIDR_EL1, x0
    blr     x1
    mov     x0, #0
out:
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret

caught:
    mrs     x0, TPIDR_EL1
    ldr     x1, [x0]
    mov     sp, x1
    mrs     x1, ESR_EL1
    str     x1, [x0, #8]
    mrs     x1, ELR_EL1
    str     x1, [x0, #16]
    mrs     x1, FAR_EL1
    str     x1, [x0, #24]
    adr     x1, out
    msr     ELR_EL1, x1
    mov     x1, #0x3c5              // EL1 with its own stack, everything masked
    msr     SPSR_EL1, x1
    mov     x0, #1
    eret

// long smc(a0, a1, a2, a3)
    .globl smc
smc:
    smc     #0
    ret
