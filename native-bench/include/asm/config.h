/* SPDX-License-Identifier: GPL-2.0-only */
/* Up to 4.18 the layout is in here: see asm/mmu/layout.h. */
#include_next <asm/config.h>

#ifdef DIRECTMAP_VIRT_START
#undef DIRECTMAP_VIRT_START
#define DIRECTMAP_VIRT_START SLOT0(100)
#endif
