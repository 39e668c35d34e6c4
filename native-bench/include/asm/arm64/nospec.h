/* SPDX-License-Identifier: GPL-2.0-only */
/* The mask for array_index_nospec(), as in Xen/x86; without its barrier. */
#ifndef NATIVE_NOSPEC_H
#define NATIVE_NOSPEC_H

static inline unsigned long array_index_mask_nospec(unsigned long idx,
                                                    unsigned long sz)
{
    unsigned long mask;

    asm volatile ( "cmp %2, %1; sbb %0, %0"
                   : "=r" (mask) : "r" (idx), "r" (sz) : "cc" );

    return mask;
}
#define array_index_mask_nospec array_index_mask_nospec

#endif /* NATIVE_NOSPEC_H */
