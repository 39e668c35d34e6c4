/* SPDX-License-Identifier: GPL-2.0-only */
/* In the place of xen-sys/instructions.h: each is noted, with its operand. */
static inline const void *clean_and_invalidate_lines(const void *p, size_t line)
{
    NOTE("dc civac x8", p, line);

    return p + 8 * line;
}
static inline void dsb_ishst(void) { NOTE("dsb ishst", 0, 0); }
static inline void tlbi_ipas2e1is(uint64_t op) { NOTE("ipas2e1is", op, 0); }
static inline void tlbi_ripas2e1is(uint64_t op) { NOTE("ripas2e1is", op, 0); }
static inline void tlbi_stage1_and_wait(void) { NOTE("stage 1 and wait", 0, 0); }
