/* SPDX-License-Identifier: GPL-2.0-only */
/* The tree's, and what it has done at boot. */
#include "../common/radix-tree.c"

#include <xen/compile.h>

#include "native.h"

/* From 4.23 on it needs no table. */
void native_boot_radix_tree(void)
{
#if XEN_VERSION == 4 && XEN_SUBVERSION < 23
    radix_tree_init_maxindex();
#endif
}
