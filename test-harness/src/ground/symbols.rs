// SPDX-License-Identifier: GPL-2.0-only
//! The C prototypes of what is under test, as Xen 4.20's headers have them, and
//! the forms of other releases.
//!
//! Tests call the code only through these: the C ABI is the interface.

#![allow(missing_docs)] // C's names and meanings: xen/arch/arm/include/asm/p2m.h

use std::ffi::{c_int, c_long, c_uint, c_ulong, c_void};

use xen_sys::{
    cpu_user_regs, domain, gfn_t, hsr, mfn_t, npfec, p2m_access_t, p2m_domain, p2m_type_t, paddr_t,
    page_info, register_t, vaddr_t, vcpu, xenmem_access_t,
};

/// `XEN_GUEST_HANDLE()`: a word that holds a guest pointer.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GuestHandle {
    pub pointer: *const c_void,
}

unsafe extern "C" {
    // p2m.c
    pub fn p2m_write_unlock(p2m: *mut p2m_domain);
    pub fn memory_type_changed(d: *mut domain);
    pub fn p2m_lookup(d: *mut domain, gfn: gfn_t, t: *mut p2m_type_t) -> mfn_t;
    pub fn p2m_get_page_from_gfn(d: *mut domain, gfn: gfn_t, t: *mut p2m_type_t) -> *mut page_info;
    pub fn guest_physmap_mark_populate_on_demand(
        d: *mut domain,
        gfn: c_ulong,
        order: c_uint,
    ) -> c_int;
    pub fn p2m_pod_decrease_reservation(d: *mut domain, gfn: gfn_t, order: c_uint) -> c_ulong;
    pub fn p2m_insert_mapping(
        d: *mut domain,
        start_gfn: gfn_t,
        nr: c_ulong,
        mfn: mfn_t,
        t: p2m_type_t,
    ) -> c_int;
    pub fn map_regions_p2mt(
        d: *mut domain,
        gfn: gfn_t,
        nr: c_ulong,
        mfn: mfn_t,
        p2mt: p2m_type_t,
    ) -> c_int;
    pub fn unmap_regions_p2mt(d: *mut domain, gfn: gfn_t, nr: c_ulong, mfn: mfn_t) -> c_int;
    pub fn map_mmio_regions(d: *mut domain, start_gfn: gfn_t, nr: c_ulong, mfn: mfn_t) -> c_int;
    pub fn unmap_mmio_regions(d: *mut domain, start_gfn: gfn_t, nr: c_ulong, mfn: mfn_t) -> c_int;
    pub fn map_dev_mmio_page(d: *mut domain, gfn: gfn_t, mfn: mfn_t) -> c_int;
    pub fn guest_physmap_add_entry(
        d: *mut domain,
        gfn: gfn_t,
        mfn: mfn_t,
        page_order: c_ulong,
        t: p2m_type_t,
    ) -> c_int;
    pub fn guest_physmap_remove_page(
        d: *mut domain,
        gfn: gfn_t,
        mfn: mfn_t,
        page_order: c_uint,
    ) -> c_int;
    pub fn set_foreign_p2m_entry(
        d: *mut domain,
        fd: *const domain,
        gfn: c_ulong,
        mfn: mfn_t,
    ) -> c_int;
    pub fn p2m_vmid_allocator_init();
    pub fn p2m_alloc_vmid(d: *mut domain) -> c_int;
    pub fn p2m_free_vmid(d: *mut domain);
    pub fn p2m_cache_flush_range(d: *mut domain, pstart: *mut gfn_t, end: gfn_t) -> c_int;
    pub fn p2m_set_way_flush(v: *mut vcpu, regs: *mut cpu_user_regs, hsr: hsr);
    /// `p2m_set_way_flush()` from 4.21 on.
    pub fn p2m_set_way_flush_plain(v: *mut vcpu, regs: *mut cpu_user_regs);
    pub fn p2m_toggle_cache(v: *mut vcpu, was_enabled: bool);
    pub fn gfn_to_mfn(d: *mut domain, gfn: gfn_t) -> mfn_t;
    pub fn get_page_from_gva(v: *mut vcpu, va: vaddr_t, flags: c_ulong) -> *mut page_info;
    pub fn p2m_restrict_ipa_bits(ipa_bits: c_uint);

    // mmu/p2m.c
    pub fn arch_get_paging_mempool_size(d: *mut domain, size: *mut u64) -> c_int;
    pub fn p2m_set_allocation(d: *mut domain, pages: c_ulong, preempted: *mut bool) -> c_int;
    /// `p2m_set_allocation()` from 4.23 on.
    pub fn p2m_set_allocation_bool(d: *mut domain, pages: c_ulong, can_preempt: bool) -> c_int;
    pub fn arch_set_paging_mempool_size(d: *mut domain, size: u64) -> c_int;
    pub fn p2m_teardown_allocation(d: *mut domain) -> c_int;
    pub fn p2m_dump_info(d: *mut domain);
    pub fn dump_p2m_lookup(d: *mut domain, addr: paddr_t);
    pub fn p2m_save_state(p: *mut vcpu);
    pub fn p2m_restore_state(n: *mut vcpu);
    pub fn p2m_force_tlb_flush_sync(p2m: *mut p2m_domain);
    pub fn p2m_tlb_flush_sync(p2m: *mut p2m_domain);
    pub fn p2m_get_entry(
        p2m: *mut p2m_domain,
        gfn: gfn_t,
        t: *mut p2m_type_t,
        a: *mut p2m_access_t,
        page_order: *mut c_uint,
        valid: *mut bool,
    ) -> mfn_t;
    pub fn p2m_set_entry(
        p2m: *mut p2m_domain,
        sgfn: gfn_t,
        nr: c_ulong,
        smfn: mfn_t,
        t: p2m_type_t,
        a: p2m_access_t,
    ) -> c_int;
    pub fn p2m_clear_root_pages(p2m: *mut p2m_domain);
    pub fn p2m_domain_creation_finished(d: *mut domain);
    /// What 4.17 and 4.18 have instead.
    pub fn p2m_invalidate_root(p2m: *mut p2m_domain);
    pub fn p2m_resolve_translation_fault(d: *mut domain, gfn: gfn_t) -> bool;
    pub fn xen_p2m_resolve_permission_fault(
        gpa: paddr_t,
        gla: vaddr_t,
        npfec: npfec,
        hsr: register_t,
    ) -> bool;
    pub fn p2m_teardown(d: *mut domain) -> c_int;
    /// `p2m_teardown()` of 4.17.
    pub fn p2m_teardown_bool(d: *mut domain, allow_preemption: bool) -> c_int;
    pub fn p2m_final_teardown(d: *mut domain);
    pub fn p2m_init(d: *mut domain) -> c_int;
    pub fn relinquish_p2m_mapping(d: *mut domain) -> c_int;
    pub fn p2m_flush_vm(v: *mut vcpu);
    pub fn setup_virt_paging();
    pub fn xen_p2m_setup_virt_paging_one(data: *mut c_void);
    /// With the option for the debug key that prints stage 2.
    pub fn p2m_dump_stage2(d: *mut domain, lines: c_ulong);

    // mem_access.c
    pub fn p2m_mem_access_check_and_get_page(
        gva: vaddr_t,
        flag: c_ulong,
        v: *const vcpu,
    ) -> *mut page_info;
    pub fn p2m_mem_access_check(gpa: paddr_t, gla: vaddr_t, npfec: npfec) -> bool;
    pub fn p2m_set_mem_access(
        d: *mut domain,
        gfn: gfn_t,
        nr: u32,
        start: u32,
        mask: u32,
        access: xenmem_access_t,
        altp2m_idx: c_uint,
    ) -> c_long;
    pub fn p2m_set_mem_access_multi(
        d: *mut domain,
        pfn_list: GuestHandle,
        access_list: GuestHandle,
        nr: u32,
        start: u32,
        mask: u32,
        altp2m_idx: c_uint,
    ) -> c_long;
    pub fn p2m_get_mem_access(
        d: *mut domain,
        gfn: gfn_t,
        access: *mut xenmem_access_t,
        altp2m_idx: c_uint,
    ) -> c_int;
    pub fn arch_p2m_set_access_required(d: *mut domain, access_required: bool);
}

// Of views, which altp2m.c of a patch calls.
unsafe extern "C" {
    pub fn p2m_views_set_use(d: *mut domain, uses: bool) -> c_int;
    pub fn p2m_view_create(d: *mut domain, access: xenmem_access_t, view: *mut u16) -> c_int;
    pub fn p2m_view_destroy(d: *mut domain, view: u16) -> c_int;
    pub fn p2m_view_switch_domain(d: *mut domain, view: u16) -> c_int;
    pub fn p2m_view_switch_vcpu(v: *mut vcpu, view: u16) -> c_int;
    pub fn p2m_view_set_visible(d: *mut domain, view: u16, visible: bool) -> c_int;
    pub fn p2m_view_change_gfn(d: *mut domain, view: u16, old: gfn_t, new: gfn_t) -> c_int;
}
