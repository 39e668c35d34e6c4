/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Before helpers.c, in the place of xen-sys' instructions.h: what is computed
 * for them is, and no instruction.
 */
#ifndef XEN_SYS_INSTRUCTIONS_H
#define XEN_SYS_INSTRUCTIONS_H

#include <xen/types.h>

static always_inline const void *clean_and_invalidate_lines(const void *p,
                                                            size_t line)
{
    return p + 8 * line;
}

static always_inline void dsb_ishst(void)
{
    asm volatile ( "" ::: "memory" );
}

static always_inline void tlbi_ipas2e1is(uint64_t op)
{
    asm volatile ( "" :: "r" (op) : "memory" );
}

static always_inline void tlbi_ripas2e1is(uint64_t op)
{
    asm volatile ( "" :: "r" (op) : "memory" );
}

static always_inline void tlbi_stage1_and_wait(void)
{
    asm volatile ( "" ::: "memory" );
}

#endif /* XEN_SYS_INSTRUCTIONS_H */
