// SPDX-License-Identifier: GPL-2.0-only
//! Every symbol that C calls, a file for each C file, in the C's order; here
//! is what they share.
//!
//! A body converts, calls, converts back. Its first line says what the caller
//! must hold: `unlocked` mints the token of [`crate::p2m::lock`], `locked_entry_read` and
//! `locked_entry_write` are for functions that C calls with the p2m lock held. The
//! remaining ones take no p2m lock.
//!
//! # Safety
//!
//! All of these trust their caller as the C does: pointers are to live
//! structures of the named type (or null where that is said), and locks are
//! held, or not, as the first line says. The prototypes are in asm/p2m.h,
//! asm/mmu/p2m.h, xen/p2m-common.h and xen/domain.h.

// One contract for all of them, above.
#![allow(clippy::missing_safety_doc)]

use xen_sys as sys;

use crate::p2m::token::{unlocked_entry, Unlocked};
use crate::p2m::P2m;
use crate::types::addr::{Mfn, PAGE_SHIFT};
use crate::types::errno::{Errno, Result};
use crate::types::p2m_type::P2mType;
use crate::xen::domain::Domain;
use crate::xen::page::PageRef;
use crate::xen::target::Target;
use crate::xen::vcpu::Vcpu;

#[cfg(target_os = "none")]
mod checks;
pub mod mmu_p2m;
pub mod p2m;

/// The caller holds no p2m lock.
#[inline(always)]
pub(crate) unsafe fn unlocked<R>(f: impl for<'c> FnOnce(&mut Unlocked<'c>) -> R) -> R {
    // SAFETY: the exported function's contract.
    unsafe { unlocked_entry(f) }
}

/// A live domain of the caller's.
#[inline(always)]
pub(crate) unsafe fn domain<'a>(d: *mut sys::domain) -> &'a Domain {
    // SAFETY: the exported function's contract.
    unsafe { Domain::from_ptr(d) }
}

/// A live p2m of the caller's.
#[inline(always)]
pub(crate) unsafe fn p2m<'a>(p: *mut sys::p2m_domain) -> &'a P2m {
    // SAFETY: the exported function's contract.
    unsafe { P2m::from_ptr(p) }
}

/// A live vCPU of the caller's.
#[inline(always)]
pub(crate) unsafe fn vcpu<'a>(v: *mut sys::vcpu) -> &'a Vcpu {
    // SAFETY: the exported function's contract.
    unsafe { Vcpu::from_ptr(v) }
}

/// Stores through an output parameter that may be null.
#[inline(always)]
pub(crate) unsafe fn output<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: a valid place of the caller's, or null.
        unsafe { place.write(value) };
    }
}

/// `nr` frames that the caller vouches for; an error for what is no type, or
/// beyond all physical memory.
pub(crate) unsafe fn target(mfn: sys::mfn_t, nr: u64, t: sys::p2m_type_t) -> Result<Target> {
    let ty = P2mType::from_c(t.into()).ok_or(Errno::EINVAL)?;
    let end = mfn.checked_add(nr).ok_or(Errno::EINVAL)?;
    if end > 1 << (sys::XS_PADDR_BITS - PAGE_SHIFT) {
        return Err(Errno::EINVAL);
    }
    let mfn = Mfn::new(mfn);
    // SAFETY: the exported function's contract.
    Ok(unsafe { Target::vouched(mfn, ty) })
}

/// For C, null for none.
#[inline(always)]
pub(crate) fn page_to_c(page: Option<PageRef>) -> *mut sys::page_info {
    page.map_or(core::ptr::null_mut(), PageRef::into_raw)
}
