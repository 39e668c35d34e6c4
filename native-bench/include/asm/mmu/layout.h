/* SPDX-License-Identifier: GPL-2.0-only */
/* The direct map, where a process of this machine can have it. */
#include_next <asm/mmu/layout.h>

#undef DIRECTMAP_VIRT_START
#define DIRECTMAP_VIRT_START SLOT0(100)
