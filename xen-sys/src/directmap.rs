// SPDX-License-Identifier: GPL-2.0-only
//! `map_domain_page()`: where a machine frame is in Xen's direct map.
//!
//! On Arm64 that is arithmetic (`maddr_to_virt` in asm/mm.h): one addition, but on
//! machines with a hole in their RAM that Xen leaves out of its direct map
//! (`maddr_to_directmapoff` in xen/pdx.h). A walk does it once a level, which is
//! why the addition is here and not behind a call of `xs_map_domain_page`; with
//! a hole it is that call. Debug builds compare the two each time.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{mfn_t, xs_directmap_offset, xs_map_domain_page, XS_PAGE_SHIFT};

/// Bits 47:12: where a table's entry has an address.
const ADDRESS: u64 = ((1 << 36) - 1) << XS_PAGE_SHIFT;

/// See [`DirectMap`].
static OFFSET: AtomicU64 = AtomicU64::new(0);

/// Finds out what the rest of this file may rely on. Once, before stage 2 is
/// used.
///
/// # Safety
///
/// The direct map is set up, and does not change any more.
pub unsafe fn note_direct_map() {
    OFFSET.store(xs_directmap_offset(), Relaxed);
}

/// What is to be added to a machine address; 0 with a hole.
#[derive(Clone, Copy)]
pub struct DirectMap(u64);

impl DirectMap {
    /// For a walk.
    #[inline(always)]
    pub fn get() -> Self {
        Self(OFFSET.load(Relaxed))
    }

    /// Whether Xen must be asked for each page.
    #[inline(always)]
    pub fn has_hole(self) -> bool {
        self.0 == 0
    }

    /// The first byte of the page that bits 47:12 of `entry` are the address of, if it is
    /// a page of memory that Xen manages. Nothing is read there.
    #[inline(always)]
    pub fn page_of_entry(self, entry: u64) -> *mut u64 {
        let address = entry & ADDRESS;
        if self.has_hole() {
            return with_hole(address);
        }
        // A 64-bit target.
        let page = self.0.wrapping_add(address) as usize;
        let page = core::ptr::with_exposed_provenance_mut(page);
        debug_assert!(core::ptr::eq(page, with_hole(address)));
        page
    }
}

/// Apart, so that the compiler keeps it out of the way of all other machines.
#[cold]
#[inline(never)]
fn with_hole(address: u64) -> *mut u64 {
    xs_map_domain_page(address >> XS_PAGE_SHIFT)
}

/// The first byte of a frame, if it is memory that Xen manages. Nothing is read there.
#[inline(never)]
pub fn map_domain_page(mfn: mfn_t) -> *mut u64 {
    DirectMap::get().page_of_entry(mfn << XS_PAGE_SHIFT)
}
