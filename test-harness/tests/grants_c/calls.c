/* SPDX-License-Identifier: GPL-2.0-only */
/* What the patch adds to two files, and the calls that this changes. */
#include "xen.h"
#include "mm.c"

int test_unmap(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int flags)
{
    return guest_physmap_remove_page(d, gfn, mfn, 0);
}

#undef guest_physmap_remove_page
#include "iommu_helpers.c"

int test_add_for_dma(struct domain *d, gfn_t gfn, mfn_t mfn,
                     unsigned int order, p2m_type_t t)
{
    return guest_physmap_add_entry(d, gfn, mfn, order, t);
}

int test_remove_for_dma(struct domain *d, gfn_t gfn, mfn_t mfn,
                        unsigned int order)
{
    return guest_physmap_remove_page(d, gfn, mfn, order);
}
