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

/// What is to be added to a machine address; 0 until it is known, and with a
/// hole.
static OFFSET: AtomicU64 = AtomicU64::new(0);

/// Finds out what [`map_domain_page`] may rely on. Once, before stage 2 is used.
///
/// # Safety
///
/// The direct map is set up, and does not change any more.
pub unsafe fn note_direct_map() {
    // SAFETY: looks at variables that are constant from now on.
    let offset = unsafe { xs_directmap_offset() };
    OFFSET.store(offset, Relaxed);
}

/// The first byte of a frame of memory that Xen manages.
///
/// # Safety
///
/// `mfn` is such a frame.
#[inline(always)]
pub unsafe fn map_domain_page(mfn: mfn_t) -> *mut u64 {
    let offset = OFFSET.load(Relaxed);
    if offset == 0 {
        // SAFETY: the caller's promise.
        return unsafe { xs_map_domain_page(mfn) };
    }
    let page = offset.wrapping_add(mfn << XS_PAGE_SHIFT);
    // A 64-bit target.
    let page = core::ptr::with_exposed_provenance_mut(page as usize);
    // SAFETY: the caller's promise.
    debug_assert!(core::ptr::eq(page, unsafe { xs_map_domain_page(mfn) }));
    page
}
