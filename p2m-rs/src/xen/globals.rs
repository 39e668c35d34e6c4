// SPDX-License-Identifier: GPL-2.0-only
//! What is set up once for the whole machine.
//!
//! Four of these variables are C symbols, because other C code reads them:
//! `p2m_root_order` and `p2m_root_level` (SMMU drivers), `p2m_ipa_bits`
//! (domain builders, SMMU drivers) and `max_vmid`. In the hypervisor all are
//! plain statics; each has a function of the same name that borrows it. On the
//! host every thread has a set of its own, for each test thread stands for a
//! machine of its own.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use xen_sys as sys;

use crate::types::addr::{Gfn, Mfn, PAGE_SHIFT};
use crate::types::level::Level;
use crate::xen::vmid_pool::{VmidPool, MAX_VMID_8_BIT};

const CPUS: usize = sys::XS_NR_CPUS as usize;

macro_rules! machine_wide {
    ($($(#[$meta:meta])* $kind:ident $name:ident: $ty:ty = $init:expr;)*) => {
        #[cfg(target_os = "none")]
        #[allow(non_upper_case_globals)] // C's names.
        mod storage {
            use super::*;
            $(machine_wide!(@static $kind $name: $ty = $init);)*
        }

        /// One machine's set; the host's tests have one for each thread.
        #[cfg(not(target_os = "none"))]
        struct Storage { $($name: $ty,)* }

        #[cfg(not(target_os = "none"))]
        impl Storage {
            fn new() -> &'static Self {
                Box::leak(Box::new(Self { $($name: $init,)* }))
            }
        }

        $(
            $(#[$meta])*
            #[inline(always)]
            pub(crate) fn $name() -> &'static $ty {
                #[cfg(target_os = "none")]
                return &storage::$name;
                #[cfg(not(target_os = "none"))]
                return &STORAGE.get().$name;
            }
        )*
    };
    // A static that C knows by this name.
    (@static exported $name:ident: $ty:ty = $init:expr) => {
        #[no_mangle]
        #[link_section = ".data.read_mostly"]
        pub(super) static $name: $ty = $init;
    };
    // The same, where the headers declare it: up to 4.18 C has it as a static of its own.
    (@static declared $name:ident: $ty:ty = $init:expr) => {
        #[cfg_attr(declared_max_vmid, no_mangle)]
        #[link_section = ".data.read_mostly"]
        pub(super) static $name: $ty = $init;
    };
    (@static private $name:ident: $ty:ty = $init:expr) => {
        pub(super) static $name: $ty = $init;
    };
}

machine_wide! {
    /// log2 of the number of concatenated pages that make the root.
    exported p2m_root_order: AtomicU32 = AtomicU32::new(0);
    /// Lookup level of the root: 0 or 1.
    exported p2m_root_level: AtomicU32 = AtomicU32::new(0);
    /// Bits of an IPA. Drivers may lower it before `setup_virt_paging`.
    exported p2m_ipa_bits: AtomicU32 = AtomicU32::new(sys::XS_PADDR_BITS);
    /// Number of VMIDs.
    declared max_vmid: AtomicU32 = AtomicU32::new(MAX_VMID_8_BIT);
    /// log2 of the frames that one page of the root spans.
    private root_page_order: AtomicU32 = AtomicU32::new(0);
    /// VTCR_EL2's value, for every CPU.
    private vtcr: AtomicU64 = AtomicU64::new(0);
    /// Root page without entries, for ARM64_WORKAROUND_AT_SPECULATE; 0 if the
    /// machine does not need it.
    private empty_root_mfn: AtomicU64 = AtomicU64::new(0);
    /// Whether an IOTLB flush has ever failed. From then on entries that already are as a caller
    /// asks are flushed too, since the IOTLB may still hold older ones.
    private iotlb_in_doubt: AtomicBool = AtomicBool::new(false);
    /// The VMIDs in use.
    private vmids: VmidPool = VmidPool::new();
    /// Which CPU holds a p2m lock that this code took; debug builds only.
    private p2m_lock_held: [AtomicBool; CPUS] = [const { AtomicBool::new(false) }; CPUS];
}

/// The headers declare those that C reads with the type that they have here.
#[cfg(target_os = "none")]
fn _as_in_the_headers() -> [*const core::ffi::c_uint; 3] {
    [
        &raw const sys::p2m_root_order,
        &raw const sys::p2m_root_level,
        &raw const sys::p2m_ipa_bits,
    ]
}

#[cfg(not(target_os = "none"))]
std::thread_local! {
    static STORAGE: core::cell::Cell<&'static Storage> = core::cell::Cell::new(Storage::new());
}

/// A fresh machine for the calling thread.
#[cfg(not(target_os = "none"))]
pub fn reset_for_test() {
    STORAGE.set(Storage::new());
}

/// Whether the MMU translates the frame's address. The root may have entries for more than the IPA space (a level-0
/// table has entries for 48 bits, one of level 1 for 39, whatever `p2m_ipa_bits` is), and VTCR_EL2.T0SZ refuses the
/// rest.
pub(crate) fn is_translated(gfn: Gfn) -> bool {
    gfn.raw() >> (p2m_ipa_bits().load(Relaxed) - PAGE_SHIFT) == 0
}

/// What C and drivers see of what `setup_virt_paging` has decided: `p2m_ipa_bits`,
/// `max_vmid`, `p2m_root_order` and `p2m_root_level`.
#[cfg(not(target_os = "none"))]
pub fn exported_for_test() -> [u32; 4] {
    [
        p2m_ipa_bits().load(Relaxed),
        max_vmid().load(Relaxed),
        p2m_root_order().load(Relaxed),
        p2m_root_level().load(Relaxed),
    ]
}

/// A handle on the calling thread's machine, for [`attach_for_test`].
#[cfg(not(target_os = "none"))]
#[derive(Clone, Copy)]
pub struct Machine(&'static Storage);

/// The calling thread's machine.
#[cfg(not(target_os = "none"))]
pub fn machine_for_test() -> Machine {
    Machine(STORAGE.get())
}

/// Makes the calling thread one of `machine`'s CPUs.
#[cfg(not(target_os = "none"))]
pub fn attach_for_test(machine: Machine) {
    STORAGE.set(machine.0);
}

/// Lookup level of the root (`P2M_ROOT_LEVEL`).
#[inline(always)]
pub(crate) fn root_level() -> Level {
    Level::from_number(p2m_root_level().load(Relaxed))
}

/// Number of pages of the root (`P2M_ROOT_PAGES`).
#[inline(always)]
pub(crate) fn root_pages() -> u64 {
    1 << p2m_root_order().load(Relaxed)
}

/// The empty root's frame (`empty_root_mfn`).
pub(crate) fn empty_root() -> Mfn {
    Mfn::new(empty_root_mfn().load(Relaxed))
}
