// SPDX-License-Identifier: GPL-2.0-only
//! The exports twice: the Rust's, and the C's with their prefix, or in the form
//! that they have here whatever the release's is (`ours.rs`; `c/vmid.h`, `c/lifecycle.h`).

use std::ffi::{c_int, c_long, c_uint, c_ulong};

use super::ours;
use test_harness::symbols as rust;
use xen_sys::{
    cpu_user_regs, domain, gfn_t, mfn_t, npfec, p2m_access_t, p2m_domain, p2m_type_t, paddr_t,
    page_info, vaddr_t, vcpu, xenmem_access_t,
};
macro_rules! exports {
    ($($name:ident = $c:literal ($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// One implementation.
        pub(crate) struct Exports {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        mod c {
            use super::*;
            unsafe extern "C" {
                $(
                    #[link_name = $c]
                    pub(super) fn $name($(_: $argument),*) $(-> $result)?;
                )*
            }
        }

        /// This project's.
        pub(crate) static RUST: Exports = Exports { $($name: ours::$name,)* };

        /// Xen's.
        pub(crate) static C: Exports = Exports { $($name: c::$name,)* };
    };
}

exports! {
    p2m_write_unlock = "c_p2m_write_unlock" (*mut p2m_domain);
    memory_type_changed = "c_memory_type_changed" (*mut domain);
    p2m_lookup = "c_p2m_lookup" (*mut domain, gfn_t, *mut p2m_type_t) -> mfn_t;
    p2m_get_page_from_gfn = "c_p2m_get_page_from_gfn" (*mut domain, gfn_t, *mut p2m_type_t) -> *mut page_info;
    guest_physmap_mark_populate_on_demand = "c_guest_physmap_mark_populate_on_demand" (*mut domain, c_ulong, c_uint) -> c_int;
    p2m_pod_decrease_reservation = "c_p2m_pod_decrease_reservation" (*mut domain, gfn_t, c_uint) -> c_ulong;
    p2m_insert_mapping = "c_p2m_insert_mapping" (*mut domain, gfn_t, c_ulong, mfn_t, p2m_type_t) -> c_int;
    map_regions_p2mt = "c_map_regions_p2mt" (*mut domain, gfn_t, c_ulong, mfn_t, p2m_type_t) -> c_int;
    unmap_regions_p2mt = "c_unmap_regions_p2mt" (*mut domain, gfn_t, c_ulong, mfn_t) -> c_int;
    map_mmio_regions = "c_map_mmio_regions" (*mut domain, gfn_t, c_ulong, mfn_t) -> c_int;
    unmap_mmio_regions = "c_unmap_mmio_regions" (*mut domain, gfn_t, c_ulong, mfn_t) -> c_int;
    map_dev_mmio_page = "c_map_dev_mmio_page" (*mut domain, gfn_t, mfn_t) -> c_int;
    guest_physmap_add_entry = "c_guest_physmap_add_entry" (*mut domain, gfn_t, mfn_t, c_ulong, p2m_type_t) -> c_int;
    guest_physmap_remove_page = "c_guest_physmap_remove_page" (*mut domain, gfn_t, mfn_t, c_uint) -> c_int;
    set_foreign_p2m_entry = "c_set_foreign_p2m_entry" (*mut domain, *const domain, c_ulong, mfn_t) -> c_int;
    p2m_alloc_vmid = "oracle_alloc_vmid" (*mut domain) -> c_int;
    p2m_free_vmid = "oracle_free_vmid" (*mut domain);
    p2m_cache_flush_range = "c_p2m_cache_flush_range" (*mut domain, *mut gfn_t, gfn_t) -> c_int;
    p2m_set_way_flush = "oracle_set_way_flush" (*mut vcpu, *mut cpu_user_regs);
    p2m_toggle_cache = "c_p2m_toggle_cache" (*mut vcpu, bool);
    gfn_to_mfn = "c_gfn_to_mfn" (*mut domain, gfn_t) -> mfn_t;
    get_page_from_gva = "c_get_page_from_gva" (*mut vcpu, vaddr_t, c_ulong) -> *mut page_info;
    arch_get_paging_mempool_size = "c_arch_get_paging_mempool_size" (*mut domain, *mut u64) -> c_int;
    p2m_set_allocation = "oracle_set_allocation" (*mut domain, c_ulong) -> c_int;
    arch_set_paging_mempool_size = "c_arch_set_paging_mempool_size" (*mut domain, u64) -> c_int;
    p2m_teardown_allocation = "c_p2m_teardown_allocation" (*mut domain) -> c_int;
    p2m_dump_info = "c_p2m_dump_info" (*mut domain);
    dump_p2m_lookup = "oracle_dump_p2m_lookup" (*mut domain, paddr_t);
    p2m_save_state = "c_p2m_save_state" (*mut vcpu);
    p2m_restore_state = "c_p2m_restore_state" (*mut vcpu);
    p2m_force_tlb_flush_sync = "oracle_force_tlb_flush_sync" (*mut p2m_domain);
    p2m_tlb_flush_sync = "c_p2m_tlb_flush_sync" (*mut p2m_domain);
    p2m_get_entry = "c_p2m_get_entry" (*mut p2m_domain, gfn_t, *mut p2m_type_t, *mut p2m_access_t, *mut c_uint, *mut bool) -> mfn_t;
    p2m_set_entry = "c_p2m_set_entry" (*mut p2m_domain, gfn_t, c_ulong, mfn_t, p2m_type_t, p2m_access_t) -> c_int;
    p2m_clear_root_pages = "oracle_clear_root_pages" (*mut domain);
    p2m_domain_creation_finished = "oracle_creation_finished" (*mut domain);
    p2m_resolve_translation_fault = "c_p2m_resolve_translation_fault" (*mut domain, gfn_t) -> bool;
    p2m_teardown = "oracle_teardown" (*mut domain) -> c_int;
    p2m_final_teardown = "c_p2m_final_teardown" (*mut domain);
    p2m_init = "c_p2m_init" (*mut domain) -> c_int;
    relinquish_p2m_mapping = "c_relinquish_p2m_mapping" (*mut domain) -> c_int;
    p2m_flush_vm = "c_p2m_flush_vm" (*mut vcpu);
    setup_virt_paging = "c_setup_virt_paging" ();
    p2m_mem_access_check_and_get_page = "c_p2m_mem_access_check_and_get_page" (vaddr_t, c_ulong, *const vcpu) -> *mut page_info;
    p2m_mem_access_check = "c_p2m_mem_access_check" (paddr_t, vaddr_t, npfec) -> bool;
    p2m_set_mem_access = "c_p2m_set_mem_access" (*mut domain, gfn_t, u32, u32, u32, xenmem_access_t, c_uint) -> c_long;
    p2m_set_mem_access_multi = "c_p2m_set_mem_access_multi" (*mut domain, rust::GuestHandle, rust::GuestHandle, u32, u32, u32, c_uint) -> c_long;
    p2m_get_mem_access = "c_p2m_get_mem_access" (*mut domain, gfn_t, *mut xenmem_access_t, c_uint) -> c_int;
    arch_p2m_set_access_required = "c_arch_p2m_set_access_required" (*mut domain, bool);
}

/// Calls an export of a exports.
macro_rules! call {
    ($exports:expr, $name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: handles are to structures that the world keeps alive, other
        // pointers to locals; the operation's arguments keep the contract.
        unsafe { ($exports.$name)($($argument),*) }
    }};
}
pub(crate) use call;
