// SPDX-License-Identifier: GPL-2.0-only
//! The exported functions of `p2m.c` and `mmu/p2m.c` (up to 4.18 one file), as data ([`exports!`]). Those
//! of `mem_access.c` are in mem_access-rs. docs/exports.md shows them all; a test compares
//! it, and the functions that there are, with this.

use super::{mmu_p2m, p2m};
use crate::guest::{cache, context, fault, gva, permission};
#[cfg(declared_p2m_dump_stage2)]
use crate::lifecycle::stage2;
#[cfg(declared_p2m_alloc_vmid)]
use crate::lifecycle::vmid;
use crate::lifecycle::{self, allocation, dump, setup};
use crate::map::{self, lookup};
use crate::p2m::lock::{WriteLockGivenUpByC, WriteLockedByC};

exports! {
    /// Those of `p2m.c`.
    P2M = "p2m.c", p2m:
    header p2m_write_unlock(p): P2mWriteLock, Nothing => WriteLockGivenUpByC::unlock;
    header memory_type_changed(d): Any, Nothing;
    // By `with_mapping`, which is generic and cannot be named here.
    header p2m_lookup(d, gfn, t): NoP2mLock, Read => lookup::lookup;
    header p2m_get_page_from_gfn(d, gfn, t): NoP2mLock, Read => lookup::get_page_from_gfn;
    header guest_physmap_mark_populate_on_demand(d, gfn, order): Any, Nothing;
    header p2m_pod_decrease_reservation(d, gfn, order): Any, Nothing;
    header p2m_insert_mapping(d, start_gfn, nr, mfn, t): NoP2mLock, Write => map::insert_mapping;
    header map_regions_p2mt(d, gfn, nr, mfn, p2mt): NoP2mLock, Write => map::insert_mapping;
    header unmap_regions_p2mt(d, gfn, nr, mfn): NoP2mLock, Write => map::remove_mapping;
    header map_mmio_regions(d, start_gfn, nr, mfn): NoP2mLock, Write => map::insert_mapping;
    header unmap_mmio_regions(d, start_gfn, nr, mfn): NoP2mLock, Write => map::remove_mapping;
    header map_dev_mmio_page(d, gfn, mfn): NoP2mLock, Write => map::insert_mapping;
    header guest_physmap_add_entry(d, gfn, mfn, order, t): NoP2mLock, Write => map::insert_mapping;
    header guest_physmap_remove_page(d, gfn, mfn, order): NoP2mLock, Write => map::remove_mapping;
    header set_foreign_p2m_entry(d, fd, gfn, mfn): NoP2mLock, Write => map::insert_mapping;
    #[cfg(declared_p2m_vmid_allocator_init)]
    header p2m_vmid_allocator_init(): Any, Vmids => vmid::init;
    #[cfg(declared_p2m_alloc_vmid)]
    header p2m_alloc_vmid(d): Any, Vmids => vmid::alloc;
    #[cfg(declared_p2m_free_vmid)]
    header p2m_free_vmid(d): Any, Vmids => vmid::free;
    header p2m_cache_flush_range(d, pstart, end): NoP2mLock, Read => cache::flush_range;
    #[cfg(set_way_hsr)]
    header p2m_set_way_flush as p2m_set_way_flush_hsr(v, regs, hsr): Any, Nothing => cache::set_way;
    #[cfg(set_way_plain)]
    header p2m_set_way_flush as p2m_set_way_flush_plain(v, regs): Any, Nothing => cache::set_way;
    header p2m_toggle_cache(v, was_enabled): Any, Nothing => cache::toggle;
    header gfn_to_mfn(d, gfn): NoP2mLock, Read => lookup::lookup;
    header get_page_from_gva(v, va, flags): NoP2mLock, Read => gva::get_page_from_gva;
    header p2m_restrict_ipa_bits(ipa_bits): Any, Nothing => setup::restrict_ipa_bits;
}

exports! {
    /// Those of `mmu/p2m.c`.
    MMU_P2M = "mmu/p2m.c", mmu_p2m:
    header arch_get_paging_mempool_size(d, size): Any, Nothing => allocation::mempool_size;
    #[cfg(set_allocation_pointer)]
    header p2m_set_allocation as p2m_set_allocation_pointer(d, pages, preempted): PagingLock, Nothing => allocation::set_allocation;
    #[cfg(set_allocation_bool)]
    header p2m_set_allocation as p2m_set_allocation_bool(d, pages, can_preempt): PagingLock, Nothing => allocation::set_allocation;
    header arch_set_paging_mempool_size(d, size): Any, Paging => allocation::set_mempool_size;
    header p2m_teardown_allocation(d): Any, Paging => allocation::teardown;
    header p2m_dump_info(d): NoP2mLock, Read => dump::info;
    #[cfg(declared_dump_p2m_lookup)]
    header dump_p2m_lookup(d, addr): Any, Nothing => dump::lookup;
    header p2m_save_state(p): Any, Nothing => context::save;
    header p2m_restore_state(n): Any, Nothing => context::restore;
    #[cfg(declared_p2m_force_tlb_flush_sync)]
    header p2m_force_tlb_flush_sync(p): P2mWriteLock, Nothing => WriteLockedByC::force_tlb_flush_sync;
    header p2m_tlb_flush_sync(p): P2mWriteLock, Nothing => WriteLockedByC::tlb_flush_sync;
    header p2m_get_entry(p, gfn, t, a, page_order, valid): P2mLock, Nothing => lookup::get_entry;
    header p2m_set_entry(p, sgfn, nr, smfn, t, a): P2mWriteLock, Nothing => map::insert_locked;
    #[cfg(declared_p2m_clear_root_pages)]
    header p2m_clear_root_pages(p): NoP2mLock, Write => lifecycle::clear_root_pages;
    #[cfg(declared_p2m_domain_creation_finished)]
    header p2m_domain_creation_finished(d): NoP2mLock, Write => fault::creation_finished;
    #[cfg(declared_p2m_invalidate_root)]
    header p2m_invalidate_root(p): NoP2mLock, Write => fault::invalidate_root;
    header p2m_resolve_translation_fault(d, gfn): NoP2mLock, ReadThenWrite => fault::resolve;
    #[cfg(declared_xen_p2m_resolve_permission_fault)]
    header xen_p2m_resolve_permission_fault(gpa, gla, npfec, hsr): NoP2mLock, ReadThenWrite => permission::resolve;
    #[cfg(teardown_plain)]
    header p2m_teardown as p2m_teardown_plain(d): NoP2mLock, Write => lifecycle::teardown;
    #[cfg(teardown_bool)]
    header p2m_teardown as p2m_teardown_bool(d, allow_preemption): NoP2mLock, Write => lifecycle::teardown;
    header p2m_final_teardown(d): NoP2mLock, Paging => lifecycle::final_teardown;
    header p2m_init(d): NoP2mLock, Write => lifecycle::init;
    header relinquish_p2m_mapping(d): NoP2mLock, Write => lifecycle::relinquish;
    header p2m_flush_vm(v): NoP2mLock, ReadThenWrite => cache::flush_vm;
    header setup_virt_paging(): Any, Vmids => setup::all_cpus;
    own xen_p2m_setup_virt_paging_one(data): Any, Nothing => setup::this_cpu;
    #[cfg(declared_p2m_dump_stage2)]
    header p2m_dump_stage2(d, lines): NoP2mLock, Read => stage2::dump;
}

#[cfg(config_altp2m)]
use {
    super::altp2m,
    crate::{
        lifecycle::{view_switch, views},
        map::views::remap,
    },
};

#[cfg(config_altp2m)]
exports! {
    /// Those that altp2m.c of a patch calls: views of a guest's memory.
    ALTP2M = "altp2m.c", altp2m:
    #[cfg(config_altp2m)]
    header p2m_views_set_use(d, uses): NoP2mLock, Write => views::set_use;
    #[cfg(config_altp2m)]
    header p2m_view_create(d, access, view): NoP2mLock, Write => views::create;
    #[cfg(config_altp2m)]
    header p2m_view_destroy(d, view): NoP2mLock, Write => views::destroy;
    #[cfg(config_altp2m)]
    header p2m_view_switch_domain(d, view): NoP2mLock, Write => view_switch::switch_domain;
    #[cfg(config_altp2m)]
    header p2m_view_switch_vcpu(v, view): NoP2mLock, Write => view_switch::switch_vcpu;
    #[cfg(config_altp2m)]
    header p2m_view_set_visible(d, view, visible): NoP2mLock, Write => view_switch::set_visible;
    #[cfg(config_altp2m)]
    header p2m_view_change_gfn(d, view, old, new): NoP2mLock, Write => remap;
}
