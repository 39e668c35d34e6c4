/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A function of Xen's p2m by its side: the Rust has the symbols as they are,
 * and those of the C begin with c_.
 */
#ifndef NATIVE_SIDES_H
#define NATIVE_SIDES_H

#include <xen/mem_access.h>

#define NATIVE_OF_C(f) extern typeof(f) c_ ## f;
NATIVE_OF_C(arch_set_paging_mempool_size)
NATIVE_OF_C(get_page_from_gva)
NATIVE_OF_C(guest_physmap_add_entry)
NATIVE_OF_C(guest_physmap_remove_page)
NATIVE_OF_C(map_regions_p2mt)
NATIVE_OF_C(p2m_get_mem_access)
NATIVE_OF_C(p2m_get_page_from_gfn)
NATIVE_OF_C(p2m_init)
NATIVE_OF_C(p2m_lookup)
NATIVE_OF_C(p2m_resolve_translation_fault)
NATIVE_OF_C(p2m_set_mem_access)
NATIVE_OF_C(setup_virt_paging)
NATIVE_OF_C(unmap_regions_p2mt)
#undef NATIVE_OF_C

#define BY(side, f) ((side) == NATIVE_C ? c_ ## f : f)

#endif /* NATIVE_SIDES_H */
