// SPDX-License-Identifier: GPL-2.0-only
//! Every symbol that C calls, a file for each C file, in the C's order; those whose prototype
//! differs between releases, in [`forms`]; and what they share.
//!
//! A body converts, calls, converts back. What its caller promises is in the types of its
//! arguments, which may stand for those of the header's prototype ([`xen_sys::SameAbi`]
//! says why, once for each type):
//!
//! | argument | the caller |
//! |---|---|
//! | [`CalledUnlocked`](crate::p2m::token::CalledUnlocked) | holds no p2m lock |
//! | [`ReadLockedByC`](crate::p2m::lock::ReadLockedByC) | holds the p2m lock, for reading at least |
//! | [`WriteLockedByC`](crate::p2m::lock::WriteLockedByC) | holds the p2m's write lock |
//! | [`WriteLockGivenUpByC`](crate::p2m::lock::WriteLockGivenUpByC) | the same, and releases it by the call |
//! | [`PoolLockedByC`](crate::xen::pool::PoolLockedByC) | holds the paging lock |
//! | `&Domain`, `&Vcpu` | has one that is alive |
//! | [`UnsharedDomain`](crate::xen::domain::UnsharedDomain) | creates or frees it, and nobody else can reach it |
//! | `PausedDomain`, `PausedVcpu` (views) | has paused the vCPUs and waited until they run no more |
//! | [`CurrentVcpu`](crate::xen::vcpu::CurrentVcpu) | is the vCPU that this CPU runs |
//! | [`SwitchedVcpu`](crate::xen::vcpu::SwitchedVcpu) | switches this CPU from it, or to it |
//! | [`VouchedMfn`](crate::xen::target::VouchedMfn) | vouches for the frames |
//! | [`Out`] | wants an answer there, or null for no |
//!
//! Those that stand for a lock, or for a moment, cannot be made in Rust (but for the current vCPU, which a
//! token knows), and a [`VouchedMfn`] only by unsafe code. A function that is `unsafe` relies on
//! more than its arguments say, and documents it. [`exports`] has the whole of it as data.
//!
//! The prototypes are in asm/p2m.h, asm/mmu/p2m.h, xen/p2m-common.h and xen/domain.h.

use core::mem::MaybeUninit;

use xen_sys as sys;

use crate::xen::page::PageRef;

#[cfg(config_altp2m)]
pub mod altp2m;
#[cfg(target_os = "none")]
mod checks;
#[macro_use]
pub mod contract;
pub mod exports;
pub mod forms;
pub mod mmu_p2m;
pub mod p2m;

/// An output parameter that may be null.
pub type Out<'c, T> = Option<&'c mut MaybeUninit<T>>;

/// Stores through an output parameter that may be null.
#[inline(always)]
pub(crate) fn output<T>(place: Out<'_, T>, value: T) {
    if let Some(place) = place {
        place.write(value);
    }
}

/// For C, null for none.
#[inline(always)]
pub fn page_to_c(page: Option<PageRef>) -> *mut sys::page_info {
    page.map_or(core::ptr::null_mut(), PageRef::into_raw)
}
