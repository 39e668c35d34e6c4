// SPDX-License-Identifier: GPL-2.0-only
//! The same names as the real face, in plain Rust.
//!
//! Types carry the fields that the p2m touches and opaque words for the rest;
//! the functions are declared here and defined by the test harness
//! (`#[no_mangle]`), which keeps a machine model behind them.

// C's names, and types whose meaning is C's: documented there.
#![allow(missing_docs, non_camel_case_types, non_upper_case_globals)]

use core::ffi::{c_int, c_uint, c_ulong, c_void, CStr};

pub type gfn_t = c_ulong;
pub type mfn_t = c_ulong;
pub type paddr_t = u64;
pub type vaddr_t = u64;
pub type register_t = u64;
pub type domid_t = u16;
pub type p2m_type_t = c_uint;
pub type p2m_access_t = c_uint;
pub type xenmem_access_t = c_uint;

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident: $words:literal;)*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug, Default)]
        pub struct $name { pub words: [u64; $words] }
    )*};
}

opaque! {
    /// Xen's queued rwlock; the words belong to the harness.
    rwlock_t: 2;
    spinlock_t: 2;
    page_list_head: 2;
    radix_tree_root: 2;
    page_info: 4;
    vm_event_domain: 1;
    cpu_user_regs: 1;
}

#[repr(C)]
#[derive(Debug, Default)]
pub struct p2m_stats {
    pub mappings: [c_ulong; 4],
    pub shattered: [c_ulong; 4],
}

pub const XS_NR_CPUS: xs_const = 8;

#[repr(C)]
#[derive(Debug)]
pub struct p2m_domain {
    pub lock: rwlock_t,
    pub pages: page_list_head,
    pub root: *mut page_info,
    pub vmid: u16,
    pub vttbr: u64,
    pub max_mapped_gfn: gfn_t,
    pub lowest_mapped_gfn: gfn_t,
    pub clean_pte: bool,
    pub need_flush: bool,
    pub stats: p2m_stats,
    pub access_required: bool,
    pub mem_access_enabled: bool,
    pub default_access: p2m_access_t,
    pub mem_access_settings: radix_tree_root,
    pub domain: *mut domain,
    pub last_vcpu_ran: [u8; XS_NR_CPUS as usize],
}

#[repr(C)]
#[derive(Debug, Default)]
pub struct paging_domain {
    pub lock: spinlock_t,
    pub p2m_freelist: page_list_head,
    pub p2m_total_pages: c_ulong,
}

#[repr(C)]
#[derive(Debug)]
pub struct arch_domain {
    pub p2m: p2m_domain,
    pub paging: paging_domain,
}

#[repr(C)]
#[derive(Debug)]
pub struct domain {
    pub domain_id: domid_t,
    pub is_dying: c_uint,
    pub is_shutting_down: bool,
    pub vm_event_monitor: *mut vm_event_domain,
    pub arch: arch_domain,
}

#[repr(C)]
#[derive(Debug, Default)]
pub struct arch_vcpu {
    pub sctlr: register_t,
    pub hcr_el2: register_t,
    pub need_flush_to_ram: bool,
}

#[repr(C)]
#[derive(Debug)]
pub struct vcpu {
    pub vcpu_id: c_int,
    pub domain: *mut domain,
    pub arch: arch_vcpu,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union hsr {
    pub bits: register_t,
}

/// Bits as in C's bitfield: read, write, fetch, present, gla_valid, kind (2).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct npfec {
    pub bits: c_uint,
}

impl npfec {
    pub fn read_access(&self) -> c_uint {
        self.bits & 1
    }
    pub fn write_access(&self) -> c_uint {
        self.bits >> 1 & 1
    }
    pub fn insn_fetch(&self) -> c_uint {
        self.bits >> 2 & 1
    }
    pub fn gla_valid(&self) -> c_uint {
        self.bits >> 4 & 1
    }
    pub fn kind(&self) -> c_uint {
        self.bits >> 5 & 3
    }
}

pub const npfec_kind_unknown: c_uint = 0;
pub const npfec_kind_in_gpt: c_uint = 1;
pub const npfec_kind_with_gla: c_uint = 2;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct vm_event_mem_access {
    pub gfn: u64,
    pub offset: u64,
    pub gla: u64,
    pub flags: u32,
    pub _pad: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union vm_event_payload {
    pub mem_access: vm_event_mem_access,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_event_st {
    pub version: u32,
    pub flags: u32,
    pub reason: u32,
    pub vcpu_id: u32,
    pub u: vm_event_payload,
}

pub const VM_EVENT_REASON_MEM_ACCESS: u32 = 1;
pub const MEM_ACCESS_R: u32 = 1 << 0;
pub const MEM_ACCESS_W: u32 = 1 << 1;
pub const MEM_ACCESS_X: u32 = 1 << 2;
pub const MEM_ACCESS_GLA_VALID: u32 = 1 << 3;
pub const MEM_ACCESS_FAULT_WITH_GLA: u32 = 1 << 4;
pub const MEM_ACCESS_FAULT_IN_GPT: u32 = 1 << 5;

pub const SHUTDOWN_crash: u32 = 3;

pub type xs_const = c_uint;
pub const XS_MEMF_no_owner: xs_const = 1 << 5;
pub const XS_HCR_TVM: xs_const = 1 << 26;
pub const XS_HCR_VM: xs_const = 1 << 0;
pub const XS_SCTLR_M_C: xs_const = 1 << 0 | 1 << 2;
pub const XS_PADDR_BITS: xs_const = 48;
pub const XS_GV2M_WRITE: xs_const = 1 << 0;
pub const XS_INVALID_VCPU_ID: xs_const = 128;
pub const XS_IOMMU_FLUSHF_added: xs_const = 1 << 0;
pub const XS_IOMMU_FLUSHF_modified: xs_const = 1 << 1;
pub const XS_INVALID_VMID: xs_const = 0;
pub const XS_VTCR_BASE: xs_const = 1 << 31 | 3 << 12 | 1 << 10 | 1 << 8;
pub const XS_VTCR_VS: xs_const = 1 << 19;

pub mod config {
    pub const MEM_ACCESS: bool = true;
}

unsafe extern "C" {
    pub fn xs_rwlock_init(l: *mut rwlock_t);
    pub fn xs_read_lock(l: *mut rwlock_t);
    pub fn xs_read_unlock(l: *mut rwlock_t);
    pub fn xs_write_lock(l: *mut rwlock_t);
    pub fn xs_write_unlock(l: *mut rwlock_t);
    pub fn xs_rw_is_locked(l: *const rwlock_t) -> bool;
    pub fn xs_rw_is_write_locked(l: *const rwlock_t) -> bool;
    pub fn xs_spin_lock_init(l: *mut spinlock_t);
    pub fn xs_spin_lock(l: *mut spinlock_t);
    pub fn xs_spin_unlock(l: *mut spinlock_t);
    pub fn xs_spin_is_locked(l: *const spinlock_t) -> bool;

    pub fn xs_page_to_mfn(pg: *const page_info) -> mfn_t;
    pub fn xs_mfn_to_page(mfn: mfn_t) -> *mut page_info;
    pub fn xs_page_of(mfn: mfn_t) -> *mut page_info;
    pub fn xs_is_xen_heap_page(pg: *const page_info) -> bool;
    pub fn xs_put_pages(mfn: c_ulong, nr: c_ulong);
    pub fn xs_before_xen_heap(mfn: c_ulong, nr: c_ulong) -> c_ulong;
    pub fn xs_page_set_xenheap_gfn(pg: *mut page_info, gfn: gfn_t);
    pub fn xs_map_domain_page(mfn: mfn_t) -> *mut u64;
    pub fn xs_clear_page(page: *mut c_void);
    pub fn xs_init_page_list_head(head: *mut page_list_head);
    pub fn xs_page_list_add(pg: *mut page_info, head: *mut page_list_head);
    pub fn xs_page_list_add_tail(pg: *mut page_info, head: *mut page_list_head);
    pub fn xs_page_list_del(pg: *mut page_info, head: *mut page_list_head);
    pub fn xs_page_list_remove_head(head: *mut page_list_head) -> *mut page_info;
    pub fn xs_page_list_last(head: *const page_list_head) -> *mut page_info;
    pub fn xs_page_list_empty(head: *const page_list_head) -> bool;
    pub fn alloc_domheap_pages(d: *mut domain, order: c_uint, memflags: c_uint) -> *mut page_info;
    pub fn free_domheap_pages(pg: *mut page_info, order: c_uint);
    pub fn get_page(page: *mut page_info, d: *const domain) -> bool;
    pub fn put_page(page: *mut page_info);
    pub fn page_get_owner_and_reference(page: *mut page_info) -> *mut domain;
    pub fn clear_and_clean_page(page: *mut page_info);
    pub fn flush_page_to_ram(mfn: c_ulong, sync_icache: bool);

    pub fn radix_tree_init(tree: *mut radix_tree_root);
    pub fn radix_tree_insert(tree: *mut radix_tree_root, key: c_ulong, item: *mut c_void) -> c_int;
    pub fn radix_tree_delete(tree: *mut radix_tree_root, key: c_ulong) -> *mut c_void;
    pub fn radix_tree_lookup(tree: *mut radix_tree_root, key: c_ulong) -> *mut c_void;
    pub fn radix_tree_lookup_slot(tree: *mut radix_tree_root, key: c_ulong) -> *mut *mut c_void;
    pub fn radix_tree_destroy(
        tree: *mut radix_tree_root,
        slot_free: Option<unsafe extern "C" fn(*mut c_void)>,
    );
    pub fn xs_radix_tree_int_to_ptr(val: c_int) -> *mut c_void;
    pub fn xs_radix_tree_ptr_to_int(ptr: *mut c_void) -> c_int;
    pub fn xs_radix_tree_replace_slot(slot: *mut *mut c_void, item: *mut c_void);

    pub fn xs_clean_dcache_va_range(p: *const c_void, size: c_ulong);
    pub fn xs_flush_frames_to_ram(mfn: c_ulong, nr: c_ulong);
    pub fn xs_invalidate_icache();
    pub fn xs_flush_guest_tlb();
    pub fn xs_flush_guest_tlb_by_ipa(gfn: u64, count: u64, order: c_uint);
    pub fn xs_flush_guest_tlb_range(gfn: u64, nr: u64);
    pub fn xs_has_tlb_range() -> bool;
    pub fn xs_flush_guest_stage1_tlb_local();
    pub fn xs_flush_guest_tlb_local();
    pub fn xs_flush_all_guests_tlb_local();
    pub fn xs_has_at_speculate() -> bool;
    pub fn xs_gvirt_to_maddr(va: vaddr_t, pa: *mut paddr_t, flags: c_uint) -> u64;
    pub fn xs_gva_to_ipa(va: vaddr_t, ipa: *mut paddr_t, flags: c_uint) -> c_int;

    pub fn xs_current() -> *mut vcpu;
    pub fn xs_smp_processor_id() -> c_uint;
    pub fn xs_next_possible_cpu(cpu: c_int) -> c_uint;
    pub fn xs_local_irq_is_enabled() -> bool;
    pub fn xs_local_irq_save() -> c_ulong;
    pub fn xs_local_irq_restore(flags: c_ulong);
    pub fn xs_softirq_pending() -> bool;
    pub fn xs_hypercall_preempt_check() -> bool;
    pub fn xs_general_preempt_check() -> bool;
    pub fn do_softirq();
    pub fn smp_call_function(
        func: Option<unsafe extern "C" fn(*mut c_void)>,
        info: *mut c_void,
        wait: c_int,
    );

    pub fn xs_is_hardware_domain(d: *const domain) -> bool;
    pub fn xs_is_idle_vcpu(v: *const vcpu) -> bool;
    pub fn xs_domain_is_paused(d: *const domain) -> bool;
    pub fn xs_iomem_access_permitted(d: *const domain, mfn: mfn_t) -> bool;
    pub fn xs_ioreq_mapcache_invalidate(d: *mut domain);
    pub fn xs_inject_undef_exception(regs: *mut cpu_user_regs, hsr: hsr);
    pub fn __domain_crash(d: *mut domain);
    pub fn domain_shutdown(d: *mut domain, reason: u8) -> c_int;
    pub fn guest_walk_tables(
        v: *const vcpu,
        gva: vaddr_t,
        ipa: *mut paddr_t,
        perms: *mut c_uint,
    ) -> bool;
    pub fn dump_pt_walk(ttbr: paddr_t, addr: paddr_t, root_level: c_uint, nr_root_tables: c_uint);
    pub fn vm_event_check_ring(ved: *mut vm_event_domain) -> bool;
    pub fn monitor_traps(v: *mut vcpu, sync: bool, req: *mut vm_event_st) -> c_int;

    pub fn xs_is_iommu_enabled(d: *const domain) -> bool;
    pub fn xs_iommu_coherent_walk(d: *mut domain) -> bool;
    pub fn xs_iommu_use_hap_pt(d: *const domain) -> bool;
    pub fn xs_iommu_iotlb_flush(d: *mut domain, dfn: c_ulong, nr: c_ulong, flags: c_uint) -> c_int;

    pub fn xs_cpuinfo_pa_range() -> c_uint;
    pub fn xs_cpuinfo_vmid_16_bits() -> bool;
    pub fn xs_bug() -> !;
    pub fn printk_ratelimit() -> c_int;
}

unsafe extern "Rust" {
    /// Stands for the variadic `printk`.
    pub fn xs_mock_printk(format: &CStr, arguments: &[PrintkArg]);
    /// Stands for the variadic `panic`.
    pub fn xs_mock_panic(format: &CStr, arguments: &[PrintkArg]) -> !;
}

/// An argument of [`printk!`], widened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintkArg {
    Unsigned(u64),
    Signed(i64),
    Pointer(usize),
}

macro_rules! printk_arg {
    ($($ty:ty => $variant:ident),*) => {$(
        impl From<$ty> for PrintkArg {
            fn from(value: $ty) -> Self { Self::$variant(value.into()) }
        }
    )*};
}
printk_arg!(u32 => Unsigned, u64 => Unsigned, i32 => Signed, i64 => Signed);

impl<T> From<*const T> for PrintkArg {
    fn from(value: *const T) -> Self {
        Self::Pointer(value.addr())
    }
}
impl<T> From<*mut T> for PrintkArg {
    fn from(value: *mut T) -> Self {
        Self::Pointer(value.addr())
    }
}

/// As in the real face; formatted by the harness.
#[macro_export]
macro_rules! printk {
    ($format:expr $(, $argument:expr)* $(,)?) => {
        $crate::xs_mock_printk($format, &[$($crate::PrintkArg::from($argument)),*])
    };
}

/// As in the real face; ends the test that calls it.
#[macro_export]
macro_rules! panic_xen {
    ($format:expr $(, $argument:expr)* $(,)?) => {
        $crate::xs_mock_panic($format, &[$($crate::PrintkArg::from($argument)),*])
    };
}

/// The machine model maps pages by itself.
///
/// # Safety
///
/// Always safe.
pub unsafe fn note_direct_map() {}

/// What PAR_EL1 says beside the address: normal write-back memory, inner
/// shareable; bit 11 is RES1.
const PAR_ATTRIBUTES: u64 = 0xff << 56 | 1 << 11 | 3 << 7;

/// `gva_to_ma_par()`: PAR_EL1 with the page's address, or with bit 0.
///
/// # Safety
///
/// Always safe: an event of the machine model.
pub unsafe fn xs_gva_to_ma_par(va: vaddr_t, flags: c_uint) -> u64 {
    let mut maddr = 0;
    // SAFETY: writes to a local.
    let par = unsafe { xs_gvirt_to_maddr(va, &raw mut maddr, flags) };
    if par == 0 {
        maddr & !0xfff | PAR_ATTRIBUTES
    } else {
        par
    }
}

/// The model has nothing to patch.
pub fn has_at_speculate() -> bool {
    // SAFETY: an event of the machine model.
    unsafe { xs_has_at_speculate() }
}

std::thread_local! {
    static HOLE: core::cell::Cell<bool> = const { core::cell::Cell::new(false) };
}

/// Whether the calling thread's machine has a hole in its direct map, so that a
/// lookup goes the other way. The model answers the same in both.
pub fn mock_direct_map_hole(has: bool) {
    HOLE.set(has);
}

/// The machine model's direct map.
#[derive(Clone, Copy)]
pub struct DirectMap;

impl DirectMap {
    /// For a walk.
    pub fn get() -> Self {
        Self
    }

    /// See [`mock_direct_map_hole`].
    pub fn has_hole(self) -> bool {
        HOLE.get()
    }

    /// The first byte of the page that bits 47:12 of `entry` are the address of.
    ///
    /// # Safety
    ///
    /// Always safe: the model knows its pages.
    pub unsafe fn page_of_entry(self, entry: u64) -> *mut u64 {
        // SAFETY: an event of the machine model.
        unsafe { xs_map_domain_page(entry >> 12 & 0xf_ffff_ffff) }
    }
}

/// Barriers, system registers and table entries: events of the machine model.
pub mod arch {
    unsafe extern "C" {
        pub fn xs_mock_read_vttbr_el2() -> u64;
        pub fn xs_mock_write_vttbr_el2(value: u64);
        pub fn xs_mock_read_vtcr_el2() -> u64;
        pub fn xs_mock_write_vtcr_el2(value: u64);
        pub fn xs_mock_read_hcr_el2() -> u64;
        pub fn xs_mock_write_hcr_el2(value: u64);
        pub fn xs_mock_read_sctlr_el1() -> u64;
        pub fn xs_mock_write_sctlr_el1(value: u64);
        pub fn xs_mock_isb();
        pub fn xs_mock_dsb_sy();
        pub fn xs_mock_dsb_ishst();
        pub fn xs_mock_dsb_ish();
        pub fn xs_mock_dsb_nsh();
        pub fn xs_mock_pte_load(entry: *const u64) -> u64;
        pub fn xs_mock_pte_store(entry: *mut u64, value: u64);
    }
    pub use super::{
        xs_flush_guest_stage1_tlb_local as flush_stage1_local,
        xs_local_irq_restore as local_irq_restore, xs_local_irq_save as local_irq_save,
    };

    pub use self::{
        xs_mock_pte_load as pte_load, xs_mock_pte_store as pte_store,
        xs_mock_read_hcr_el2 as read_hcr_el2, xs_mock_read_sctlr_el1 as read_sctlr_el1,
        xs_mock_read_vtcr_el2 as read_vtcr_el2, xs_mock_read_vttbr_el2 as read_vttbr_el2,
        xs_mock_write_hcr_el2 as write_hcr_el2, xs_mock_write_sctlr_el1 as write_sctlr_el1,
        xs_mock_write_vtcr_el2 as write_vtcr_el2, xs_mock_write_vttbr_el2 as write_vttbr_el2,
    };

    /// Four entries, one after the other.
    ///
    /// # Safety
    ///
    /// As for `pte_load`, for the entry and the three after it.
    pub unsafe fn pte_load_four(entry: *const u64) -> [u64; 4] {
        // SAFETY: the caller's promise.
        [0, 1, 2, 3].map(|n| unsafe { pte_load(entry.wrapping_add(n)) })
    }

    /// Four entries, one after the other.
    ///
    /// # Safety
    ///
    /// As for `pte_store`, for the entry and the three after it.
    pub unsafe fn pte_store_four(entry: *mut u64, values: [u64; 4]) {
        for (n, value) in values.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { pte_store(entry.wrapping_add(n), value) };
        }
    }

    /// Instruction Synchronization Barrier.
    pub fn isb() {
        // SAFETY: an event of the machine model, no memory is touched.
        unsafe { xs_mock_isb() }
    }

    /// DSB SY.
    pub fn dsb_sy() {
        // SAFETY: as for `isb`.
        unsafe { xs_mock_dsb_sy() }
    }

    /// DSB ISHST.
    pub fn dsb_ishst() {
        // SAFETY: as for `isb`.
        unsafe { xs_mock_dsb_ishst() }
    }

    /// DSB ISH.
    pub fn dsb_ish() {
        // SAFETY: as for `isb`.
        unsafe { xs_mock_dsb_ish() }
    }

    /// DSB NSH.
    pub fn dsb_nsh() {
        // SAFETY: as for `isb`.
        unsafe { xs_mock_dsb_nsh() }
    }
}
