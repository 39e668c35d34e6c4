// SPDX-License-Identifier: GPL-2.0-only
//! `struct p2m_domain`: the fields, and who may touch them when.
//!
//! C keeps the definition (drivers and the rest of Xen use it), so this is a
//! view on C's memory. What needs no lock is a method of [`P2m`]; the rest are
//! methods of [`ReadView`] and [`WriteView`]. Fields that change while the p2m
//! is in use are accessed as relaxed atomics: some are read without the lock
//! elsewhere in Xen, and nothing here orders anything; the lock and the
//! barriers do.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering::Relaxed};

use xen_sys as sys;

use crate::access::P2mAccess;
use crate::addr::{Gfn, Mfn};
use crate::level::Level;
use crate::lock::{ReadView, WriteView};
use crate::pte::Pte;
use crate::xen::domain::Domain;
use crate::xen::page::Page;

/// A domain's p2m (`struct p2m_domain`), owned by C.
#[repr(transparent)]
pub struct P2m(UnsafeCell<sys::p2m_domain>);

/// Borrows one field of the C structure as an atomic.
macro_rules! field {
    ($p2m:expr, $atomic:ident, $($place:tt)+) => {{
        let c = $p2m.0.get();
        // SAFETY: `c` points to a live p2m_domain, the place lies inside it.
        let place = unsafe { &raw mut (*c).$($place)+ };
        // SAFETY: aligned and live as long as `$p2m`; bool, integers and
        // enumerations of C have the layout of their atomic, and all Rust
        // code uses the atomic.
        unsafe { $atomic::from_ptr(place) }
    }};
}

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

    /// The C lock.
    #[inline(always)]
    pub(crate) fn lock_ptr(&self) -> *mut sys::rwlock_t {
        let c = self.0.get();
        // SAFETY: a place inside the live structure.
        unsafe { &raw mut (*c).lock }
    }

    /// The list of all table pages but the root.
    pub(crate) fn pages_ptr(&self) -> *mut sys::page_list_head {
        let c = self.0.get();
        // SAFETY: a place inside the live structure.
        unsafe { &raw mut (*c).pages }
    }

    /// The domain, once `p2m_init` has got far enough to set it.
    #[inline(always)]
    pub fn domain(&self) -> Option<&Domain> {
        let c = self.0.get();
        // SAFETY: a live structure; written by p2m_init and
        // p2m_final_teardown only, which run alone.
        let domain = unsafe { (*c).domain };
        // SAFETY: set to the owner of this p2m, which outlives it.
        (!domain.is_null()).then(|| unsafe { Domain::from_ptr(domain) })
    }

    /// Sets or clears the back pointer, whose presence says that "trivial"
    /// initialisation is complete.
    pub(crate) fn set_domain(&self, domain: Option<&Domain>) {
        let c = self.0.get();
        // SAFETY: as for `domain`.
        unsafe { (*c).domain = domain.map_or(core::ptr::null_mut(), Domain::as_ptr) };
    }

    /// First page of the root, which may be several concatenated pages.
    pub fn root(&self) -> Option<Page> {
        let c = self.0.get();
        // SAFETY: a live structure; changes in p2m_init and
        // p2m_final_teardown only.
        let root = unsafe { (*c).root };
        // SAFETY: null or a page that p2m_init allocated.
        unsafe { Page::from_ptr(root) }
    }

    /// The frame of the root's first page. From VTTBR_EL2's value, which says
    /// it as well: cheaper than to go by way of the frame table. It is 0 when
    /// there is no root, and never else: no VMID in use is 0.
    #[inline(always)]
    pub fn root_frame(&self) -> Option<Mfn> {
        let vttbr = self.vttbr();
        (vttbr != 0).then(|| Pte::from_bits(vttbr).mfn())
    }

    /// Sets the root.
    pub(crate) fn set_root(&self, root: Option<Page>) {
        let c = self.0.get();
        // SAFETY: as for `root`.
        unsafe { (*c).root = root.map_or(core::ptr::null_mut(), Page::as_ptr) };
    }

    /// The VMID; `INVALID_VMID` (0) if there is none.
    pub fn vmid(&self) -> u16 {
        let c = self.0.get();
        // SAFETY: a live structure; changes in p2m_init only.
        unsafe { (*c).vmid }
    }

    /// Sets the VMID.
    pub(crate) fn set_vmid(&self, vmid: u16) {
        let c = self.0.get();
        // SAFETY: as for `vmid`.
        unsafe { (*c).vmid = vmid };
    }

    /// VTTBR_EL2 for this domain: root and VMID.
    #[inline(always)]
    pub fn vttbr(&self) -> u64 {
        field!(self, AtomicU64, vttbr).load(Relaxed)
    }

    /// Sets VTTBR_EL2's value.
    pub(crate) fn set_vttbr(&self, vttbr: u64) {
        field!(self, AtomicU64, vttbr).store(vttbr, Relaxed);
    }

    /// Whether introspection has ever restricted an access. Racy without the
    /// lock, as callers know: it only ever goes from false to true.
    #[inline(always)]
    pub fn mem_access_enabled(&self) -> bool {
        field!(self, AtomicBool, mem_access_enabled).load(Relaxed)
    }

    /// Whether an access fault without a listener crashes the domain.
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

    /// Whether C's unlock owes a TLB flush; under the write lock.
    #[inline(always)]
    pub(crate) fn need_flush(&self) -> bool {
        field!(self, AtomicBool, need_flush).load(Relaxed)
    }

    /// Leaves a TLB flush to C's unlock, or pays it ([`crate::owed`]); under the
    /// write lock.
    pub(crate) fn set_need_flush(&self, need: bool) {
        field!(self, AtomicBool, need_flush).store(need, Relaxed);
    }

    /// Which vCPU of the domain ran last on `cpu`.
    pub(crate) fn last_vcpu_ran(&self, cpu: usize) -> Option<&AtomicU8> {
        let c = self.0.get();
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

impl ReadView {
    /// Highest guest frame that was ever mapped.
    #[inline(always)]
    pub fn max_mapped_gfn(&self) -> Gfn {
        Gfn::new(field!(self.p2m(), AtomicU64, max_mapped_gfn).load(Relaxed))
    }

    /// Lowest guest frame that was ever mapped; during teardown, where to
    /// resume.
    pub fn lowest_mapped_gfn(&self) -> Gfn {
        Gfn::new(field!(self.p2m(), AtomicU64, lowest_mapped_gfn).load(Relaxed))
    }

    /// The access that new mappings get.
    pub fn default_access(&self) -> P2mAccess {
        let raw = field!(self.p2m(), AtomicU32, default_access).load(Relaxed);
        match P2mAccess::from_c(raw.into()) {
            Some(access) => access,
            None => P2mAccess::N,
        }
    }

    /// Leaves at `level`, for the statistics.
    pub fn mappings(&self, level: Level) -> u64 {
        field!(self.p2m(), AtomicU64, stats.mappings[level as usize]).load(Relaxed)
    }

    /// How often a leaf of `level` was split.
    pub fn shattered(&self, level: Level) -> u64 {
        field!(self.p2m(), AtomicU64, stats.shattered[level as usize]).load(Relaxed)
    }
}

impl WriteView<'_> {
    /// Widens the range of frames that may be mapped to hold
    /// `first ..= last`.
    pub(crate) fn note_mapped(&self, first: Gfn, last: Gfn) {
        field!(self.p2m(), AtomicU64, max_mapped_gfn).fetch_max_plain(last.raw());
        field!(self.p2m(), AtomicU64, lowest_mapped_gfn).fetch_min_plain(first.raw());
    }

    /// During teardown, where to resume.
    pub(crate) fn set_lowest_mapped_gfn(&mut self, gfn: Gfn) {
        field!(self.p2m(), AtomicU64, lowest_mapped_gfn).store(gfn.raw(), Relaxed);
    }

    /// Introspection is in use from now on: no block mappings any more. To be called
    /// before the first entry, or the default access, becomes anything but what a
    /// domain without introspection has.
    pub(crate) fn enable_mem_access(&self) {
        field!(self.p2m(), AtomicBool, mem_access_enabled).store(true, Relaxed);
    }

    /// The access that new mappings will get. Another one than before begins
    /// introspection.
    pub fn set_default_access(&mut self, access: P2mAccess) {
        if access != self.default_access() {
            self.enable_mem_access();
            field!(self.p2m(), AtomicU32, default_access).store(access.to_c(), Relaxed);
        }
    }

    /// Counts `n` more leaves at `level`.
    pub(crate) fn count_mapped(&self, level: Level, n: u64) {
        let count = field!(self.p2m(), AtomicU64, stats.mappings[level as usize]);
        count.store(count.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Counts `n` leaves fewer at `level`.
    pub(crate) fn count_unmapped(&self, level: Level, n: u64) {
        let count = field!(self.p2m(), AtomicU64, stats.mappings[level as usize]);
        count.store(count.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// Counts `n` more splits of leaves at `level` (modulo 2^64).
    pub(crate) fn count_shattered(&self, level: Level, n: u64) {
        let count = field!(self.p2m(), AtomicU64, stats.shattered[level as usize]);
        count.store(count.load(Relaxed).wrapping_add(n), Relaxed);
    }
}

/// Load, compare, store: the write lock is held, so no read-modify-write
/// instruction is needed.
trait Extremum {
    fn fetch_max_plain(&self, value: u64);
    fn fetch_min_plain(&self, value: u64);
}

impl Extremum for AtomicU64 {
    fn fetch_max_plain(&self, value: u64) {
        if value > self.load(Relaxed) {
            self.store(value, Relaxed);
        }
    }

    fn fetch_min_plain(&self, value: u64) {
        if value < self.load(Relaxed) {
            self.store(value, Relaxed);
        }
    }
}
