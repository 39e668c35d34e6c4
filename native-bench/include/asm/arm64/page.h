/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cache maintenance and address translation. Nothing is cleaned, and no
 * instruction is in its place: in both, C's loops and the Rust's are what is
 * timed. What stands for AT is a load.
 */
#ifndef NATIVE_PAGE_H
#define NATIVE_PAGE_H

#ifndef __ASSEMBLY__

#include <xen/compile.h>
#include <xen/types.h>

#include <asm/alternative.h>
#include <asm/atomic.h>

#define __invalidate_dcache_one(R) ""
#define __clean_dcache_one(R) ""
#define __clean_and_invalidate_dcache_one(R) ""

#if XEN_VERSION == 4 && XEN_SUBVERSION < 18 /* Later in asm/page.h. */
static inline void write_pte(lpae_t *p, lpae_t pte)
{
    dsb(sy);
    write_atomic(&p->bits, pte.bits);
    dsb(sy);
}
#endif

static inline void invalidate_icache(void) { isb(); }
static inline void invalidate_icache_local(void) { isb(); }

/* PAR_EL1 for each page of the guest's addresses, as the tables say it. */
extern const uint64_t *native_par;
extern unsigned long native_pars;

static inline uint64_t gva_to_ma_par(vaddr_t va, unsigned int flags)
{
    unsigned long page = va >> PAGE_SHIFT;

    return page < native_pars ? read_atomic(&native_par[page]) : PAR_F;
}

/* The guest's stage 1 is off. */
static inline uint64_t gva_to_ipa_par(vaddr_t va, unsigned int flags)
{
    return va & PAGE_MASK;
}

/* Of Xen's own addresses, of which nobody asks. */
uint64_t __va_to_par(vaddr_t va);

extern void clear_page(void *to);

#endif /* __ASSEMBLY__ */

#endif /* NATIVE_PAGE_H */
