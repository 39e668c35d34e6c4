/* SPDX-License-Identifier: GPL-2.0-only */
/* The tree's, and what it has done at boot. */
#include "../common/radix-tree.c"

#include "native.h"

void native_boot_radix_tree(void)
{
    radix_tree_init_maxindex();
}
