// SPDX-License-Identifier: GPL-2.0-only
// The guest's first instructions: an arm64 Image header (Linux, Documentation/arch/arm64/booting.rst),
// by which xl and Xen recognise a kernel, and one entry each for the boot CPU and the others.

    .section .head, "ax"
    .globl image
image:
    b       first
    .long   0
    .quad   IMAGE_OFFSET            // from the beginning of memory
    .quad   image_end - image
    .quad   0x8                     // little-endian, page size unspecified, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

// x0: the device tree.
first:
    mov     x19, x0
    ldr     x1, =stacks + STACK_SIZE
    mov     sp, x1
    bl      mmu_tables
    bl      mmu_on
    mov     x0, x19
    bl      guest_main
0:  wfi
    b       0b

// PSCI CPU_ON enters here. x0: the number of this CPU.
    .globl second
second:
    mov     x19, x0
    ldr     x1, =stacks + STACK_SIZE
    mov     x2, #STACK_SIZE
    madd    x1, x2, x0, x1
    mov     sp, x1
    bl      mmu_on
    mov     x0, x19
    bl      guest_second
0:  wfi
    b       0b

    .text
// Everything cached, translation from TTBR0 with 39 bits of address, 4 KiB pages.
mmu_on:
    adr     x1, vectors
    msr     VBAR_EL1, x1
    mov     x1, #0xff
    msr     MAIR_EL1, x1
    ldr     x1, =((1 << 32) | (3 << 12) | (1 << 10) | (1 << 8) | (1 << 23) | 25)
    msr     TCR_EL1, x1
    ldr     x1, =table_1
    msr     TTBR0_EL1, x1
    isb
    tlbi    vmalle1
    dsb     sy
    isb
    mrs     x1, SCTLR_EL1
    mov     x2, #((1 << 12) | (1 << 2) | (1 << 0))
    orr     x1, x1, x2
    bic     x1, x1, #(1 << 19)      // a page may be written and executed
    msr     SCTLR_EL1, x1
    isb
    ret

// Any exception is the end: the guest has none to expect.
    .balign 2048
    .globl vectors
vectors:
    .rept   16
    .balign 128
    b       fault
    .endr
fault:
    mrs     x0, ESR_EL1
    mrs     x1, ELR_EL1
    mrs     x2, FAR_EL1
    bl      guest_fault
0:  wfi
    b       0b

    .globl hypercall
// long hypercall(a0, a1, a2, a3, a4, number)
hypercall:
    mov     x16, x5
    hvc     #0xEA1
    ret

    .globl psci
// long psci(function, a1, a2, a3)
psci:
    hvc     #0
    ret
