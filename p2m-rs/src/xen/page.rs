// SPDX-License-Identifier: GPL-2.0-only
//! Pages of memory that Xen manages (`struct page_info`), and references to
//! them.

use core::ptr::NonNull;

use xen_sys as sys;
use xen_sys::Opaque;

use crate::types::addr::{Gfn, Mfn};
use crate::xen::cpu;
use crate::xen::domain::Domain;
use crate::xen::vcpu::NoGuest;

/// A page of memory that Xen manages.
///
/// # Invariants
///
/// An entry of the frame table: always there, whoever uses the page. It does not prove
/// that the page is allocated, to whom it belongs, nor that it stays so: only a
/// [`PageRef`] says that it cannot go away.
#[derive(Clone, Copy)]
pub struct Page(&'static Opaque<sys::page_info>);

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.0, other.0)
    }
}

impl Eq for Page {}

impl Page {
    /// From C.
    #[inline(always)]
    pub(crate) const fn from_c(page: &'static Opaque<sys::page_info>) -> Self {
        Self(page)
    }

    /// For C.
    #[inline(always)]
    pub(crate) const fn c(self) -> &'static Opaque<sys::page_info> {
        self.0
    }

    /// The page of a frame that has an entry in the frame table
    /// (`mfn_valid`, `mfn_to_page`).
    pub fn of(mfn: Mfn) -> Option<Self> {
        sys::xs_page_of(mfn.raw()).map(Self)
    }

    /// Whether the page belongs to Xen's heap (`is_xen_heap_page`).
    pub(crate) fn is_of_xen_heap(self) -> bool {
        sys::xs_is_xen_heap_page(self.0)
    }

    /// Whether the frame has an entry (`mfn_valid`).
    pub fn exists(mfn: Mfn) -> bool {
        Self::of(mfn).is_some()
    }

    /// The page's frame (`page_to_mfn`).
    pub fn mfn(self) -> Mfn {
        Mfn::new(sys::xs_page_to_mfn(self.0))
    }

    /// To be called once, at boot, before any page is looked into.
    pub(crate) fn ready(_: &NoGuest<'_>) {
        // SAFETY: a CPU that comes up has the direct map.
        unsafe { sys::note_direct_map() };
    }

    /// Where the page's contents begin.
    pub(crate) fn first_word(self) -> Option<NonNull<u64>> {
        NonNull::new(sys::map_domain_page(self.mfn().raw()))
    }

    /// The page `n` frames further on, in a multi-page allocation.
    pub(crate) fn nth(self, n: u64) -> Option<Self> {
        Self::of(self.mfn().add(n))
    }

    /// Takes a reference if `domain` owns the page (`get_page`).
    pub fn get(self, domain: &Domain) -> Option<PageRef> {
        // Not `then_some`: it would make the PageRef in any case, and its drop puts a reference.
        sys::get_page(self.0, domain.c()).then(|| PageRef(self))
    }

    /// [`Self::of`] and [`Self::get`] at once.
    #[inline(always)]
    pub fn get_at(mfn: Mfn, domain: &Domain) -> Option<PageRef> {
        sys::xs_get_page_at(mfn.raw(), domain.c()).map(|page| PageRef(Self(page)))
    }

    /// Takes a reference whoever owns the page, and says whether that is
    /// `domain` (`page_get_owner_and_reference`). `None` if nobody does.
    pub fn get_any(self, domain: &Domain) -> Option<(PageRef, bool)> {
        let owner = sys::page_get_owner_and_reference(self.0);
        (!owner.is_null()).then(|| (PageRef(self), owner == domain.c().as_ptr()))
    }

    /// Forgets at which guest frame `domain` has this page of Xen's heap mapped (`page_set_xenheap_gfn(page,
    /// INVALID_GFN)`), if the page is such a one, and the domain's.
    ///
    /// The tables of a dying domain still map frames that were freed, which may have become another domain's shared
    /// page, or be in use by the heap: there a reference keeps the page what it is meanwhile. There is none to be had
    /// of a page that the guest has given up (`XENMEM_decrease_reservation`), such as the one that
    /// `XENMAPSPACE_shared_info` maps. But Xen goes on using that for the domain, and frees it when the domain is
    /// gone; and before a living domain's page is freed it is unmapped.
    pub(crate) fn forget_xenheap_gfn(self, domain: &Domain) {
        let reference = self.get(domain);
        let is_of_xen_heap = self.is_of_xen_heap();
        // What has become a page of the heap was freed before, and before that the domain began to die: whoever
        // sees the former must see the latter.
        cpu::loads_are_in_order();
        let is_kept = || sys::xs_page_is_owned_by(self.0, domain.c()) && !domain.is_dying();
        if is_of_xen_heap && (reference.is_some() || is_kept()) {
            // SAFETY: the page is allocated, as above; the update is a cmpxchg.
            unsafe { sys::xs_page_set_xenheap_gfn(self.0, Gfn::to_c(None)) };
        }
    }

    /// Fills the page with zeroes and cleans it to memory.
    ///
    /// # Safety
    ///
    /// The page belongs to the caller, or is a root whose lock is held for
    /// writing, and on which no guest runs.
    pub(crate) unsafe fn clear_and_clean(self) {
        // SAFETY: by the caller's promise nobody else uses the contents.
        unsafe { sys::clear_and_clean_page(self.0) };
    }
}

/// How many of `pages` frames from `mfn` on come before the first that belongs
/// to Xen's heap (`is_xen_heap_mfn`); all if none does.
pub(crate) fn pages_before_xen_heap(mfn: Mfn, pages: u64) -> u64 {
    sys::xs_before_xen_heap(mfn.raw(), pages)
}

/// Cleans and invalidates frames in the data caches (`flush_page_to_ram`): of memory
/// that a guest has mapped as RAM.
pub(crate) fn flush_to_ram(mfn: Mfn, pages: u64) {
    // SAFETY: what is mapped as RAM is memory that Xen has mapped too.
    unsafe { sys::xs_flush_frames_to_ram(mfn.raw(), pages) };
}

/// Gives one reference to each of `pages` frames from `mfn` on back.
///
/// # Safety
///
/// The caller owns them, and gives them up.
pub(crate) unsafe fn put_pages(mfn: Mfn, pages: u64) {
    // SAFETY: by the caller's promise.
    unsafe { sys::xs_put_pages(mfn.raw(), pages) };
}

/// A reference to a page; dropped with it.
///
/// # Invariants
///
/// The value owns one reference (`get_page`): the page stays allocated, and its owner's,
/// for as long. It does not prove who the owner is, nor what the page holds.
#[derive(PartialEq, Eq)]
pub struct PageRef(Page);

impl PageRef {
    /// Hands the reference over to C.
    pub fn into_raw(self) -> *mut sys::page_info {
        core::mem::ManuallyDrop::new(self).0 .0.as_ptr()
    }

    /// Takes over a reference that somebody else held.
    ///
    /// # Safety
    ///
    /// The caller owns a reference to the page and gives it up.
    pub(crate) unsafe fn adopt(page: Page) -> Self {
        Self(page)
    }
}

impl Drop for PageRef {
    fn drop(&mut self) {
        // SAFETY: this value owned the reference.
        unsafe { sys::put_page(self.0 .0) };
    }
}
