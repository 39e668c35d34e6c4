// SPDX-License-Identifier: GPL-2.0-only
//! `struct domain`, as far as the p2m is concerned.

use core::cell::UnsafeCell;

use xen_sys as sys;

use crate::types::addr::Mfn;

/// A domain, owned by C. The caller of an exported function keeps it alive.
#[repr(transparent)]
pub struct Domain(UnsafeCell<sys::domain>);

impl Domain {
    /// The domain that C hands in.
    ///
    /// # Safety
    ///
    /// `domain` points to a domain that stays alive for `'a`.
    #[inline(always)]
    pub unsafe fn from_ptr<'a>(domain: *mut sys::domain) -> &'a Self {
        // SAFETY: repr(transparent) over an UnsafeCell; live by the caller's
        // promise.
        unsafe { &*domain.cast::<Self>() }
    }

    /// For C.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut sys::domain {
        self.0.get()
    }

    /// The domain's number.
    pub fn id(&self) -> u16 {
        let c = self.as_ptr();
        // SAFETY: a live structure; the id never changes.
        unsafe { (*c).domain_id }
    }

    /// The pool that table pages come from.
    pub(crate) fn paging_ptr(&self) -> *mut sys::paging_domain {
        let c = self.as_ptr();
        // SAFETY: a place inside the live structure.
        unsafe { &raw mut (*c).arch.paging }
    }

    /// Whether teardown has begun: no mapping may be added any more.
    #[inline(always)]
    pub fn is_dying(&self) -> bool {
        let c = self.as_ptr();
        // SAFETY: a place inside the live structure.
        let is_dying = unsafe { &raw const (*c).is_dying };
        // SAFETY: written by another CPU, but one way only; either value is
        // handled.
        unsafe { is_dying.read_volatile() != 0 }
    }

    /// Whether the domain has crashed or shut down, or is about to.
    pub(crate) fn is_shutting_down(&self) -> bool {
        let c = self.as_ptr();
        // SAFETY: a place inside the live structure.
        let is_shutting_down = unsafe { &raw const (*c).is_shutting_down };
        // SAFETY: as for `is_dying`.
        unsafe { is_shutting_down.read_volatile() }
    }

    /// The hardware domain takes its tables from the heap, without limit.
    #[inline(always)]
    pub fn is_hardware_domain(&self) -> bool {
        // SAFETY: looks at the live structure.
        unsafe { sys::is_hardware_domain(self.as_ptr()) }
    }

    /// Whether somebody has paused the domain.
    pub fn is_paused(&self) -> bool {
        // SAFETY: reads a counter of the live structure.
        unsafe { sys::xs_domain_is_paused(self.as_ptr()) }
    }

    /// Whether the domain may map this frame of I/O memory.
    pub fn iomem_access_permitted(&self, mfn: Mfn) -> bool {
        // SAFETY: asks the domain's range set, which has its own lock.
        unsafe { sys::xs_iomem_access_permitted(self.as_ptr(), mfn.raw()) }
    }

    /// RAM was taken away: device models must drop what they have mapped.
    pub(crate) fn invalidate_ioreq_mapcache(&self) {
        // SAFETY: sets a flag on each vCPU of the live domain.
        unsafe { sys::xs_ioreq_mapcache_invalidate(self.as_ptr()) };
    }

    /// Shuts the domain down as crashed, without the stack dump that
    /// `domain_crash` makes: that would read guest memory, which takes the
    /// p2m lock.
    pub(crate) fn shut_down_as_crashed(&self) {
        // SHUTDOWN_crash is a small code of the public interface.
        #[allow(clippy::cast_possible_truncation)]
        const CRASH: u8 = sys::SHUTDOWN_crash as u8;
        // SAFETY: a live domain; takes its shutdown lock, under which no p2m
        // lock is ever taken.
        unsafe { sys::domain_shutdown(self.as_ptr(), CRASH) };
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}
