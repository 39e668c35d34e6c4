// SPDX-License-Identifier: GPL-2.0-only
//! `struct p2m_domain`: the fields, and who may touch them when.
//!
//! C keeps the definition (drivers and the rest of Xen use it), so this is a
//! view on C's memory. What needs no lock is a method of [`P2m`]; the rest are
//! methods of [`ReadView`] and [`WriteView`]. Fields that change while the p2m
//! is in use are accessed as relaxed atomics: some are read without the lock
//! elsewhere in Xen, and nothing here orders anything; the lock and the
//! barriers do. (`need_flush` and the sweep's cursor are exceptions: both are used under the
//! write lock only.)

pub(crate) mod deferred;
pub mod fields;
pub mod guest_copy;
pub(crate) mod iommu;
pub mod lock;
#[cfg(config_mem_access)]
pub mod monitor;
pub mod pages;
pub mod reentry;
pub mod token;
pub mod translate;
pub mod views;

use core::cell::Cell;
use core::ops::Deref;
use core::sync::atomic::{
    AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicU8, Ordering::Relaxed,
};

use xen_sys as sys;
use xen_sys::Opaque;

use crate::types::access::P2mAccess;
use crate::types::vttbr::Vttbr;
use crate::xen::domain::{Domain, UnsharedDomain};
use crate::xen::page::Page;
use crate::xen::pool::Root;
use crate::xen::structure;

structure! {
    /// A p2m (`struct p2m_domain`), owned by C.
    ///
    /// # Invariants
    ///
    /// Every reference is to a structure that lives as long as the reference. It does not
    /// prove that `p2m_init` has been called, nor that any lock is held.
    P2m(p2m_domain)
}

sys::fields! {
    unsafe HostP2m: domain.arch.p2m as Opaque<sys::p2m_domain>, "a place";
    unsafe Lock: p2m_domain.lock as Opaque<sys::rwlock_t>, "a place";
    unsafe Pages: p2m_domain.pages as Opaque<sys::page_list_head>, "a place";
    unsafe BackPointer: p2m_domain.domain as Cell<*mut sys::domain>, "written while nobody else can reach the p2m";
    unsafe RootPage: p2m_domain.root as Cell<*mut sys::page_info>, "written while nobody else can reach the p2m";
    unsafe Vmid: p2m_domain.vmid as AtomicU16, "written while nobody else can reach the p2m";
    unsafe VttbrEl2: p2m_domain.vttbr as AtomicU64, "read without the lock by context switches";
    unsafe MaxMappedGfn: p2m_domain.max_mapped_gfn as AtomicU64, "written under the write lock";
    unsafe LowestMappedGfn: p2m_domain.lowest_mapped_gfn as AtomicU64, "written under the write lock";
    unsafe CleanPte: p2m_domain.clean_pte as AtomicBool, "written while nobody else can reach the p2m";
    unsafe NeedFlush: p2m_domain.need_flush as AtomicBool, "under the write lock";
    unsafe Mappings: p2m_domain.stats.mappings as [AtomicU64; 4], "written under the write lock";
    unsafe Shattered: p2m_domain.stats.shattered as [AtomicU64; 4], "written under the write lock";
    unsafe AccessRequired: p2m_domain.access_required as AtomicBool, "read without a lock";
    unsafe MemAccessEnabled: p2m_domain.mem_access_enabled as AtomicBool, "read without the lock, and only ever set";
    unsafe DefaultAccess: p2m_domain.default_access as AtomicU32, "under the lock";
    unsafe SweepCursor: p2m_domain.mem_access_settings.height as Cell<u32>, "under the write lock; of C's radix tree of accesses, which nothing here uses and no other C knows";
    unsafe LastVcpuRan: p2m_domain.last_vcpu_ran as [AtomicU8; sys::XS_NR_CPUS as usize], "each CPU has its own";
}

impl P2m {
    /// The p2m that a domain's vCPUs run on (`p2m_get_hostp2m`). Nothing else knows
    /// where a domain has its p2m.
    #[inline(always)]
    pub fn host_of(domain: &Domain) -> &Self {
        Self::of(domain.c().field(HostP2m))
    }

    /// The domain, once `p2m_init` has got far enough to set it.
    #[inline(always)]
    pub fn domain(&self) -> Option<&Domain> {
        let domain = self.c().field(BackPointer).get();
        // SAFETY: set to the owner of this p2m, which outlives it.
        (!domain.is_null()).then(|| unsafe { Domain::from_ptr(domain) })
    }

    /// First page of the root, which may be several concatenated pages: for those who clear,
    /// print or free it. The field is what C and drivers know, and is null until the root is
    /// allocated. Walks begin with [`Self::vttbr`], as the MMU's do, which needs no look into
    /// the frame table.
    pub fn root(&self) -> Option<Page> {
        let root = self.c().field(RootPage).get();
        // SAFETY: a page that p2m_init allocated.
        (!root.is_null()).then(|| Page::from_c(unsafe { Opaque::from_ptr(root) }))
    }

    /// The VMID; `INVALID_VMID` (0) if there is none.
    pub fn vmid(&self) -> u16 {
        self.c().field(Vmid).load(Relaxed)
    }

    /// VTTBR_EL2's value for this p2m: where its tables begin, and its VMID.
    #[inline(always)]
    pub fn vttbr(&self) -> Vttbr {
        Vttbr::from_bits(self.c().field(VttbrEl2).load(Relaxed))
    }

    /// Whether mem_access has ever restricted an access. Racy without the
    /// lock, as callers know: it only ever goes from false to true.
    #[inline(always)]
    pub fn mem_access_enabled(&self) -> bool {
        self.c().field(MemAccessEnabled).load(Relaxed)
    }

    /// Whether an access violation without a monitor crashes the domain.
    pub fn access_required(&self) -> bool {
        self.c().field(AccessRequired).load(Relaxed)
    }

    /// Sets [`Self::access_required`]; the domain is paused.
    pub fn set_access_required(&self, required: bool) {
        self.c().field(AccessRequired).store(required, Relaxed);
    }

    /// Whether table entries must be cleaned to memory for an IOMMU that
    /// walks the same tables without snooping the caches.
    #[inline(always)]
    pub fn clean_pte(&self) -> bool {
        self.c().field(CleanPte).load(Relaxed)
    }

    /// Whether C's unlock must flush the TLBs; under the write lock.
    #[inline(always)]
    pub(crate) fn need_flush(&self) -> bool {
        self.c().field(NeedFlush).load(Relaxed)
    }

    /// Leaves a TLB flush to C's unlock, or notes that it is done ([`deferred`]); under the
    /// write lock.
    pub(in crate::p2m) fn set_need_flush(&self, need: bool) {
        self.c().field(NeedFlush).store(need, Relaxed);
    }

    /// Which vCPU of the domain ran last on `cpu`.
    pub(crate) fn last_vcpu_ran(&self, cpu: usize) -> Option<&AtomicU8> {
        self.c().field(LastVcpuRan).get(cpu)
    }

    /// VMID 0 belongs to no domain (`INVALID_VMID`).
    // A 32-bit C enumerator whose value is 0.
    #[allow(clippy::cast_possible_truncation)]
    pub const INVALID_VMID: u16 = sys::XS_INVALID_VMID as u16;
}

/// A p2m that nobody else can reach: its domain is being created or freed, or it is that of a view
/// which is in no slot.
///
/// # Invariants
///
/// For `'c`, no other CPU uses it, and no vCPU runs on its tables.
#[derive(Clone, Copy)]
pub(crate) struct UnsharedP2m<'c>(&'c P2m);

impl<'c> UnsharedP2m<'c> {
    /// The domain's.
    pub(crate) fn of(domain: UnsharedDomain<'c>) -> Self {
        Self(P2m::host_of(domain.domain()))
    }

    /// First initialisation of what needs no allocation (start of `p2m_init`).
    pub(crate) fn init_fields(self, clean_pte: bool) {
        self.set_vmid(P2m::INVALID_VMID);
        self.c().field(MaxMappedGfn).store(0, Relaxed);
        self.c().field(LowestMappedGfn).store(!0, Relaxed);
        self.c()
            .field(DefaultAccess)
            .store(P2mAccess::Rwx.to_c(), Relaxed);
        self.c().field(MemAccessEnabled).store(false, Relaxed);
        self.c().field(CleanPte).store(clean_pte, Relaxed);
        self.c().field(SweepCursor).set(0);
    }

    /// Sets the access that mappings get in a view.
    #[cfg(config_altp2m)]
    pub(crate) fn set_view_default_access(self, access: P2mAccess) {
        self.c().field(DefaultAccess).store(access.to_c(), Relaxed);
        self.c().field(MemAccessEnabled).store(true, Relaxed);
    }

    /// Sets or clears the back pointer, whose presence says that "trivial"
    /// initialisation is complete.
    pub(crate) fn set_domain(self, domain: Option<&Domain>) {
        let domain = domain.map_or(core::ptr::null_mut(), |domain| domain.c().as_ptr());
        self.c().field(BackPointer).set(domain);
    }

    /// Sets the VMID.
    pub(crate) fn set_vmid(self, vmid: u16) {
        self.c().field(Vmid).store(vmid, Relaxed);
    }

    /// Keeps a root, and sets VTTBR_EL2's value, which names it and the VMID.
    pub(crate) fn set_root(self, root: Root) {
        let vttbr = Vttbr::new(root.mfn(), self.vmid());
        self.c().field(RootPage).set(root.into_page().c().as_ptr());
        self.c().field(VttbrEl2).store(vttbr.bits(), Relaxed);
    }

    /// Takes the root out, if there is one.
    pub(crate) fn take_root(self) -> Option<Root> {
        let root = self.root()?;
        self.c().field(RootPage).set(core::ptr::null_mut());
        self.c().field(VttbrEl2).store(Vttbr::NONE.bits(), Relaxed);
        // SAFETY: `set_root` has put it there, and now it is there no more.
        Some(unsafe { Root::again(root) })
    }
}

impl Deref for UnsharedP2m<'_> {
    type Target = P2m;

    fn deref(&self) -> &P2m {
        self.0
    }
}
