// SPDX-License-Identifier: GPL-2.0-only
//! `struct p2m_domain`: the fields, and who may touch them when.
//!
//! C keeps the definition (drivers and the rest of Xen use it), so this is a
//! view on C's memory. What needs no lock is a method of [`P2m`]; the rest are
//! methods of [`ReadView`] and [`WriteView`]. Fields that change while the p2m
//! is in use are accessed as relaxed atomics: some are read without the lock
//! elsewhere in Xen, and nothing here orders anything; the lock and the
//! barriers do.

pub(crate) mod deferred;
pub mod fields;
pub(crate) mod iommu;
pub mod lock;
pub mod pages;
pub mod reentry;
pub mod token;
pub mod translate;

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering::Relaxed};

use xen_sys as sys;

use crate::types::access::P2mAccess;
use crate::types::vttbr::Vttbr;
use crate::xen::domain::Domain;
use crate::xen::page::Page;

/// A p2m (`struct p2m_domain`), owned by C.
///
/// # Invariants
///
/// Every reference is to a structure that lives as long as the reference. It does not
/// prove that `p2m_init` has been called, nor that any lock is held.
#[repr(transparent)]
pub struct P2m(UnsafeCell<sys::p2m_domain>);

/// Borrows one field of the C structure as an atomic.
macro_rules! field {
    ($p2m:expr, $atomic:ident, $($place:tt)+) => {{
        let c = $p2m.as_ptr();
        // SAFETY: `c` points to a live p2m_domain, the place lies inside it.
        let place = unsafe { &raw mut (*c).$($place)+ };
        // SAFETY: aligned and live as long as `$p2m`; bool, integers and
        // enumerations of C have the layout of their atomic, and all Rust
        // code uses the atomic.
        unsafe { $atomic::from_ptr(place) }
    }};
}

use field;

impl P2m {
    /// The structure that C hands in.
    ///
    /// # Safety
    ///
    /// `p2m` points to the p2m of a domain that stays alive for `'a`.
    #[inline(always)]
    pub unsafe fn from_ptr<'a>(p2m: *mut sys::p2m_domain) -> &'a Self {
        // SAFETY: repr(transparent) over an UnsafeCell; live by the caller's
        // promise.
        unsafe { &*p2m.cast::<Self>() }
    }

    /// For C.
    #[inline(always)]
    fn as_ptr(&self) -> *mut sys::p2m_domain {
        self.0.get()
    }

    /// The p2m that a domain's vCPUs run on (`p2m_get_hostp2m`). Nothing else knows
    /// where a domain has its p2m.
    #[inline(always)]
    pub fn host_of(domain: &Domain) -> &Self {
        let c = domain.as_ptr();
        // SAFETY: a place inside the live structure.
        let p2m = unsafe { &raw mut (*c).arch.p2m };
        // SAFETY: lives as long as the domain.
        unsafe { Self::from_ptr(p2m) }
    }

    /// The domain, once `p2m_init` has got far enough to set it.
    #[inline(always)]
    pub fn domain(&self) -> Option<&Domain> {
        let c = self.as_ptr();
        // SAFETY: a live structure; written by p2m_init and
        // p2m_final_teardown only, which run alone.
        let domain = unsafe { (*c).domain };
        // SAFETY: set to the owner of this p2m, which outlives it.
        (!domain.is_null()).then(|| unsafe { Domain::from_ptr(domain) })
    }

    /// Sets or clears the back pointer, whose presence says that "trivial"
    /// initialisation is complete.
    pub(crate) fn set_domain(&self, domain: Option<&Domain>) {
        let c = self.as_ptr();
        // SAFETY: as for `domain`.
        unsafe { (*c).domain = domain.map_or(core::ptr::null_mut(), Domain::as_ptr) };
    }

    /// First page of the root, which may be several concatenated pages.
    pub fn root(&self) -> Option<Page> {
        let c = self.as_ptr();
        // SAFETY: a live structure; changes in p2m_init and
        // p2m_final_teardown only.
        let root = unsafe { (*c).root };
        // SAFETY: null or a page that p2m_init allocated.
        unsafe { Page::from_ptr(root) }
    }

    /// Sets the root.
    pub(crate) fn set_root(&self, root: Option<Page>) {
        let c = self.as_ptr();
        // SAFETY: as for `root`.
        unsafe { (*c).root = root.map_or(core::ptr::null_mut(), Page::as_ptr) };
    }

    /// The VMID; `INVALID_VMID` (0) if there is none.
    pub fn vmid(&self) -> u16 {
        let c = self.as_ptr();
        // SAFETY: a live structure; changes in p2m_init only.
        unsafe { (*c).vmid }
    }

    /// Sets the VMID.
    pub(crate) fn set_vmid(&self, vmid: u16) {
        let c = self.as_ptr();
        // SAFETY: as for `vmid`.
        unsafe { (*c).vmid = vmid };
    }

    /// VTTBR_EL2's value for this p2m: where its tables begin, and its VMID.
    #[inline(always)]
    pub fn vttbr(&self) -> Vttbr {
        Vttbr::from_bits(field!(self, AtomicU64, vttbr).load(Relaxed))
    }

    /// Sets VTTBR_EL2's value.
    pub(crate) fn set_vttbr(&self, vttbr: Vttbr) {
        field!(self, AtomicU64, vttbr).store(vttbr.bits(), Relaxed);
    }

    /// Whether mem_access has ever restricted an access. Racy without the
    /// lock, as callers know: it only ever goes from false to true.
    #[inline(always)]
    pub fn mem_access_enabled(&self) -> bool {
        field!(self, AtomicBool, mem_access_enabled).load(Relaxed)
    }

    /// Whether an access violation without a monitor crashes the domain.
    pub fn access_required(&self) -> bool {
        field!(self, AtomicBool, access_required).load(Relaxed)
    }

    /// Sets [`Self::access_required`]; the domain is paused.
    pub fn set_access_required(&self, required: bool) {
        field!(self, AtomicBool, access_required).store(required, Relaxed);
    }

    /// Whether table entries must be cleaned to memory for an IOMMU that
    /// walks the same tables without snooping the caches.
    #[inline(always)]
    pub fn clean_pte(&self) -> bool {
        field!(self, AtomicBool, clean_pte).load(Relaxed)
    }

    /// Whether C's unlock must flush the TLBs; under the write lock.
    #[inline(always)]
    pub(crate) fn need_flush(&self) -> bool {
        field!(self, AtomicBool, need_flush).load(Relaxed)
    }

    /// Leaves a TLB flush to C's unlock, or notes that it is done ([`deferred`]); under the
    /// write lock.
    pub(crate) fn set_need_flush(&self, need: bool) {
        field!(self, AtomicBool, need_flush).store(need, Relaxed);
    }

    /// Which vCPU of the domain ran last on `cpu`.
    pub(crate) fn last_vcpu_ran(&self, cpu: usize) -> Option<&AtomicU8> {
        let c = self.as_ptr();
        // SAFETY: a place inside the live structure.
        let place = unsafe { &raw mut (*c).last_vcpu_ran };
        let len = place.cast::<[AtomicU8; sys::XS_NR_CPUS as usize]>();
        // SAFETY: AtomicU8 has u8's layout, the array has NR_CPUS elements,
        // and only this function's callers touch it.
        unsafe { &*len }.get(cpu)
    }

    /// First initialisation of what needs no allocation (start of `p2m_init`).
    /// Nothing else can reach the domain yet.
    pub(crate) fn init_fields(&self, clean_pte: bool) {
        self.set_vmid(Self::INVALID_VMID);
        field!(self, AtomicU64, max_mapped_gfn).store(0, Relaxed);
        field!(self, AtomicU64, lowest_mapped_gfn).store(!0, Relaxed);
        field!(self, AtomicU32, default_access).store(P2mAccess::Rwx.to_c(), Relaxed);
        field!(self, AtomicBool, mem_access_enabled).store(false, Relaxed);
        field!(self, AtomicBool, clean_pte).store(clean_pte, Relaxed);
    }

    /// VMID 0 belongs to no domain (`INVALID_VMID`).
    // A 32-bit C enumerator whose value is 0.
    #[allow(clippy::cast_possible_truncation)]
    pub const INVALID_VMID: u16 = sys::XS_INVALID_VMID as u16;
}
