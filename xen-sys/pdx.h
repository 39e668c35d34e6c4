/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page indices (PDX): which part of the machine's addresses the frame table
 * and the direct map leave out (xen/pdx.h). Releases have different kinds of
 * compression. build/facts.rs has asked the tree for its kind and defines the
 * macro; with a kind that is not known nothing compiles, for whoever takes an
 * address in the direct map for that of another page corrupts memory.
 */
#ifndef XEN_SYS_PDX_H
#define XEN_SYS_PDX_H

#include <xen/pdx.h>

/* Do the frame table and the direct map leave out any part of the addresses? */
static inline bool pdx_leaves_a_hole_out(void)
{
#if defined(PDX_BY_OFFSET)
    unsigned int i;

    /* What each range of frames is moved down by. */
    for ( i = 0; i < CONFIG_PDX_NR_LOOKUP; i++ )
        if ( pfn_pdx_lookup[i] )
            return true;

    return false;
#elif defined(PDX_BY_MASK)
    /* A slice of the bits of all addresses, if it has any. */
    return pfn_pdx_hole_shift;
#elif defined(PDX_IS_FRAME)
    return false;
#else
# error "xen-sys is not told the kind of PDX compression"
#endif
}

#endif /* XEN_SYS_PDX_H */
