// SPDX-License-Identifier: GPL-2.0-only
// Vectors for instructions that may be undefined: each is left out, and counted in skipped. Only one CPU has them at a
// time.

    .text
    .balign 2048
    .globl skip_vectors
skip_vectors:
    .rept   16
    .balign 128
    b       skip
    .endr
skip:
    msr     TPIDR_EL1, x0
    mrs     x0, ELR_EL1
    add     x0, x0, #4
    msr     ELR_EL1, x0
    mrs     x0, CONTEXTIDR_EL1
    add     x0, x0, #1
    msr     CONTEXTIDR_EL1, x0
    mrs     x0, TPIDR_EL1
    eret
