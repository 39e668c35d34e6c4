// SPDX-License-Identifier: GPL-2.0-only
//! `map_domain_page()`: where a machine frame is in Xen's direct map.
//!
//! On Arm64 that is arithmetic on five variables that are constant after boot
//! (`maddr_to_virt` in asm/mm.h, `maddr_to_directmapoff` in xen/pdx.h). A walk
//! does it once a level, which is why it is here and not behind a call of
//! `xs_map_domain_page`; debug builds compare the two each time.

use crate::{mfn_t, xs_map_domain_page};

/// The first byte of a frame of memory that Xen manages.
///
/// # Safety
///
/// `mfn` is such a frame.
#[inline(always)]
#[cfg(config_pdx_compression)]
pub unsafe fn map_domain_page(mfn: mfn_t) -> *mut u64 {
    use crate::{
        directmap_base_pdx, directmap_virt_start, ma_top_mask, ma_va_bottom_mask,
        pfn_pdx_hole_shift, XS_PAGE_SHIFT,
    };
    let maddr = mfn << XS_PAGE_SHIFT;
    // SAFETY: written at boot, before there are domains.
    let top = unsafe { ma_top_mask };
    // SAFETY: as above.
    let bottom = unsafe { ma_va_bottom_mask };
    // SAFETY: as above.
    let shift = unsafe { pfn_pdx_hole_shift };
    // SAFETY: as above.
    let base = unsafe { directmap_base_pdx };
    // SAFETY: as above.
    let start = unsafe { directmap_virt_start };
    let offset = (maddr & top) >> shift | maddr & bottom;
    let page = start
        .wrapping_sub(base << XS_PAGE_SHIFT)
        .wrapping_add(offset);
    let page = core::ptr::with_exposed_provenance_mut(usize::try_from(page).unwrap_or(0));
    // SAFETY: the caller's promise.
    debug_assert!(core::ptr::eq(page, unsafe { xs_map_domain_page(mfn) }));
    page
}

/// The first byte of a frame of memory that Xen manages.
///
/// # Safety
///
/// `mfn` is such a frame.
#[inline(always)]
#[cfg(not(config_pdx_compression))]
pub unsafe fn map_domain_page(mfn: mfn_t) -> *mut u64 {
    // SAFETY: the caller's promise.
    unsafe { xs_map_domain_page(mfn) }
}
