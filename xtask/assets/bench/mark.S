/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mark begin | mark end: tells count.c, from dom0. HINT #77 and #78 do nothing, at any exception
 * level.
 */
    .text
    .global _start
_start:
    ldr     x0, [sp, #16]       /* argv[1] */
    ldrb    w0, [x0]
    cmp     w0, #'b'
    b.ne    1f
    hint    #77
    b       2f
1:  hint    #78
2:  mov     x0, #0
    mov     x8, #93             /* exit */
    svc     #0
