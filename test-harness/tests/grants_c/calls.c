/* SPDX-License-Identifier: GPL-2.0-only */
/* mm.c: what the patch adds to it, and the one call that this changes. */
#include "xen.h"
#include "added.c"

int test_unmap(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int flags)
{
    return guest_physmap_remove_page(d, gfn, mfn, 0);
}
