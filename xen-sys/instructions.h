/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instructions that helpers.c issues itself. They are apart, so that what
 * computes their operands compiles for any machine: a test on the host puts
 * functions in their place that record the operands.
 */
#ifndef XEN_SYS_INSTRUCTIONS_H
#define XEN_SYS_INSTRUCTIONS_H

/* DC CIVAC for eight lines of @line bytes from @p on; returns where they end. */
static always_inline const void *clean_and_invalidate_lines(const void *p,
                                                            size_t line)
{
#define LINE __clean_and_invalidate_dcache_one(0) "add %0, %0, %1;"
    asm volatile ( LINE LINE LINE LINE LINE LINE LINE LINE
                   : "+r" (p) : "r" (line) : "memory" );
#undef LINE

    return p;
}

static always_inline void dsb_ishst(void)
{
    asm volatile ( "dsb ishst" ::: "memory" );
}

/* TLBI IPAS2E1IS: bits 35:0 of @op are bits 47:12 of the IPA. */
static always_inline void tlbi_ipas2e1is(uint64_t op)
{
    asm volatile ( "tlbi ipas2e1is, %0" :: "r" (op) : "memory" );
}

/* TLBI RIPAS2E1IS, which the assembler may not know. */
static always_inline void tlbi_ripas2e1is(uint64_t op)
{
    asm volatile ( "sys #4, c8, c0, #2, %0" :: "r" (op) : "memory" );
}

/*
 * Waits for TLBIs of stage 2, then makes all CPUs forget stage 1 of this VMID.
 * What asm/arm64/flushtlb.h says of ARM64_WORKAROUND_REPEAT_TLBI holds here too:
 * any broadcast TLBI does as the second one, so VMALLE1IS is the second one of
 * those by IPA.
 */
static always_inline void tlbi_stage1_and_wait(void)
{
    asm volatile ( "dsb  ish;"
                   "tlbi vmalle1is;"
                   ALTERNATIVE(
                       "nop; nop;",
                       "dsb  ish;"
                       "tlbi vale2is, xzr;",
                       ARM64_WORKAROUND_REPEAT_TLBI,
                       CONFIG_ARM64_WORKAROUND_REPEAT_TLBI)
                   "dsb  ish;"
                   "isb;" ::: "memory" );
}

#endif /* XEN_SYS_INSTRUCTIONS_H */
