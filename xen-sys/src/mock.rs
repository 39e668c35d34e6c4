// SPDX-License-Identifier: GPL-2.0-only
//! The same names as the real face, in plain Rust.
//!
//! Types carry the fields that the p2m touches and opaque words for the rest;
//! the functions are declared here and defined by the test harness
//! (`#[no_mangle]`), which keeps a machine model behind them.

// C's names, and types whose meaning is C's: documented there.
#![allow(missing_docs, non_camel_case_types, non_upper_case_globals)]

use core::ffi::{c_int, c_uint, c_ulong, CStr};

use crate::{xs_map_domain_page, Opaque};

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
    page_info: 4;
    vm_event_domain: 1;
    cpu_user_regs: 1;
}

#[repr(C)]
#[derive(Debug, Default)]
pub struct radix_tree_root {
    pub height: c_uint,
    pub rnode: u64,
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
    pub views: *mut p2m_views,
}

pub const XS_P2M_VIEWS: xs_const = 10;
pub const XS_P2M_NO_VIEW: xs_const = 0xffff;

#[repr(C)]
#[derive(Debug)]
pub struct p2m_view {
    pub p2m: p2m_domain,
    pub first_source: gfn_t,
    pub last_source: gfn_t,
}

#[repr(C)]
#[derive(Debug)]
pub struct p2m_views {
    pub last_ran: [u16; XS_NR_CPUS as usize],
    pub active: bool,
    pub nr: u16,
    pub visible: u16,
    pub reclaim: u16,
    pub view: [*mut p2m_view; XS_P2M_VIEWS as usize],
}

#[repr(C)]
#[derive(Debug, Default)]
pub struct paging_domain {
    pub lock: spinlock_t,
    pub p2m_freelist: page_list_head,
    pub p2m_total_pages: c_ulong,
}

/// `HVM_NR_PARAMS`.
pub const HVM_PARAMS: usize = 39;

/// No business of the p2m's: HVM_PARAM_ALTP2M is altp2m.c's.
#[repr(C)]
#[derive(Debug)]
pub struct hvm_domain {
    pub params: [u64; HVM_PARAMS],
}

#[repr(C)]
#[derive(Debug)]
pub struct arch_domain {
    pub p2m: p2m_domain,
    pub paging: paging_domain,
    pub hvm: hvm_domain,
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
    pub p2m_view: u16,
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
    pub fn set_read_access(&mut self, is: c_uint) {
        self.bits = self.bits & !1 | is & 1;
    }
    pub fn set_write_access(&mut self, is: c_uint) {
        self.bits = self.bits & !2 | (is & 1) << 1;
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

// What is no call in the hypervisor; and what else the tests call, and Xen's own C when it
// runs beside the Rust on the host.
unsafe extern "C" {
    pub safe fn xs_current() -> *mut vcpu;
    pub safe fn xs_smp_processor_id() -> c_uint;
    pub safe fn xs_is_hardware_domain(d: &Opaque<domain>) -> bool;
    pub safe fn xs_is_idle_vcpu(v: &Opaque<vcpu>) -> bool;
    pub safe fn xs_is_iommu_enabled(d: &Opaque<domain>) -> bool;
    pub safe fn xs_has_at_speculate() -> bool;
    pub safe fn xs_found_at_speculate() -> bool;
    pub safe fn xs_local_irq_save() -> u64;
    pub fn xs_local_irq_restore(flags: u64);
    pub safe fn xs_flush_guest_stage1_tlb_local();
    pub safe fn xs_gvirt_to_maddr(va: vaddr_t, pa: &mut paddr_t, flags: c_uint) -> u64;
    pub safe fn xs_mfn_to_page(mfn: mfn_t) -> *mut page_info;
    pub fn flush_page_to_ram(mfn: c_ulong, sync_icache: bool);
}

/// A function of the machine model by the name that the hypervisor has for it.
macro_rules! model {
    ($($(#[$doc:meta])* $name:ident = $shim:path: ($($a:ident: $t:ty),*) $(-> $r:ty)?;)*) => {$(
        $(#[$doc])*
        pub fn $name($($a: $t),*) $(-> $r)? {
            $shim($($a),*)
        }
    )*};
}

model! {
    current_vcpu = xs_current: () -> *mut vcpu;
    smp_processor_id = xs_smp_processor_id: () -> c_uint;
    is_hardware_domain = xs_is_hardware_domain: (d: &Opaque<domain>) -> bool;
    is_idle_vcpu = xs_is_idle_vcpu: (v: &Opaque<vcpu>) -> bool;
    is_iommu_enabled = xs_is_iommu_enabled: (d: &Opaque<domain>) -> bool;
    found_at_speculate = xs_found_at_speculate: () -> bool;
    has_at_speculate = xs_has_at_speculate: () -> bool;
    map_domain_page = xs_map_domain_page: (mfn: mfn_t) -> *mut u64;
}

unsafe extern "Rust" {
    /// Stands for the variadic `printk`.
    pub fn xs_mock_printk(format: &CStr, arguments: &[PrintkArg]);
    /// What the machine's release is like.
    pub safe fn xs_mock_facts() -> crate::Facts;
    /// Stands for the variadic `panic`.
    pub fn xs_mock_panic(format: &CStr, arguments: &[PrintkArg]) -> !;
}

/// An argument of [`printk!`](crate::printk!), widened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintkArg {
    Unsigned(u64),
    Signed(i64),
    Pointer(usize),
}

/// What may be an argument of [`printk!`](crate::printk!).
pub trait PrintkArgument: Into<PrintkArg> {}
impl<T: Into<PrintkArg>> PrintkArgument for T {}

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
        $crate::xs_mock_printk($format, &[$(Into::<$crate::PrintkArg>::into($argument)),*])
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
    pub fn page_of_entry(self, entry: u64) -> *mut u64 {
        xs_map_domain_page(entry >> 12 & 0xf_ffff_ffff)
    }
}

/// Barriers, system registers and table entries: events of the machine model.
pub mod arch {
    use super::{xs_flush_guest_stage1_tlb_local, xs_local_irq_restore, xs_local_irq_save};

    unsafe extern "C" {
        safe fn xs_mock_read_vttbr_el2() -> u64;
        fn xs_mock_write_vttbr_el2(value: u64);
        fn xs_mock_write_vtcr_el2(value: u64);
        safe fn xs_mock_read_hcr_el2() -> u64;
        fn xs_mock_write_hcr_el2(value: u64);
        safe fn xs_mock_read_sctlr_el1() -> u64;
        fn xs_mock_write_sctlr_el1(value: u64);
        safe fn xs_mock_isb();
        safe fn xs_mock_dsb_sy();
        safe fn xs_mock_dsb_ishst();
        safe fn xs_mock_dsb_ish();
        safe fn xs_mock_dsb_nsh();
        safe fn xs_mock_dmb_ishld();
        fn xs_mock_pte_load(entry: *const u64) -> u64;
        fn xs_mock_pte_store(entry: *mut u64, value: u64);
    }

    model! {
        read_vttbr_el2 = xs_mock_read_vttbr_el2: () -> u64;
        read_hcr_el2 = xs_mock_read_hcr_el2: () -> u64;
        read_sctlr_el1 = xs_mock_read_sctlr_el1: () -> u64;
        isb = xs_mock_isb: ();
        dsb_sy = xs_mock_dsb_sy: ();
        dsb_ishst = xs_mock_dsb_ishst: ();
        dsb_ish = xs_mock_dsb_ish: ();
        dsb_nsh = xs_mock_dsb_nsh: ();
        dmb_ishld = xs_mock_dmb_ishld: ();
        local_irq_save = xs_local_irq_save: () -> u64;
        flush_stage1_local = xs_flush_guest_stage1_tlb_local: ();
    }

    macro_rules! unsafe_model {
        ($($name:ident = $shim:ident: ($($a:ident: $t:ty),*) $(-> $r:ty)?;)*) => {$(
            /// # Safety
            ///
            /// As in the hypervisor.
            pub unsafe fn $name($($a: $t),*) $(-> $r)? {
                // SAFETY: the caller's promise.
                unsafe { $shim($($a),*) }
            }
        )*};
    }

    unsafe_model! {
        write_vttbr_el2 = xs_mock_write_vttbr_el2: (value: u64);
        write_vtcr_el2 = xs_mock_write_vtcr_el2: (value: u64);
        write_hcr_el2 = xs_mock_write_hcr_el2: (value: u64);
        write_sctlr_el1 = xs_mock_write_sctlr_el1: (value: u64);
        local_irq_restore = xs_local_irq_restore: (flags: u64);
        pte_load = xs_mock_pte_load: (entry: *const u64) -> u64;
        pte_store = xs_mock_pte_store: (entry: *mut u64, value: u64);
    }

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
}
