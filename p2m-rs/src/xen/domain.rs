// SPDX-License-Identifier: GPL-2.0-only
//! `struct domain`, as far as the p2m is concerned.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use xen_sys as sys;

use crate::types::addr::Mfn;

structure! {
    /// A domain (`struct domain`), owned by C.
    ///
    /// # Invariants
    ///
    /// Every reference is to a domain whose structure lives as long as the reference: the
    /// caller of an exported function keeps it. It does not prove that the domain is not
    /// dying, nor that `p2m_init` has been called, nor that any lock is held.
    Domain(domain)
}

/// A domain that nobody else can reach: it is being created, or freed.
///
/// # Invariants
///
/// For `'c`, no other CPU uses the domain, its p2m or its pool. There is no constructor: C passes one to an
/// exported function.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct UnsharedDomain<'c>(&'c Domain);

// SAFETY: `repr(transparent)` over what may stand for the pointer; that nobody else can reach the domain
// is the contract of the function that takes it.
unsafe impl sys::SameAbi<*mut sys::domain> for UnsharedDomain<'_> {}

/// A domain whose vCPUs are paused, and none is running.
///
/// # Invariants
///
/// For `'c`, none of its vCPUs runs, or is let run: `domain_pause` has returned, which waits until each has
/// left its CPU (`domain_pause_nosync` does not). There is no constructor: C passes one to an exported
/// function.
#[cfg(config_altp2m)]
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PausedDomain<'c>(&'c Domain);

// SAFETY: `repr(transparent)` over what may stand for the pointer; that its vCPUs are paused is the
// contract of the function that takes it.
#[cfg(config_altp2m)]
unsafe impl sys::SameAbi<*mut sys::domain> for PausedDomain<'_> {}

#[cfg(config_altp2m)]
impl<'c> PausedDomain<'c> {
    /// The domain.
    pub(crate) fn domain(self) -> &'c Domain {
        self.0
    }
}

impl<'c> UnsharedDomain<'c> {
    /// The domain, for as long as nobody else can reach it.
    pub(crate) fn domain(self) -> &'c Domain {
        self.0
    }
}

sys::fields! {
    unsafe DomainId: domain.domain_id as Cell<u16>, "never changes";
    unsafe IsDying: domain.is_dying as AtomicU32, "set by another CPU, and only ever further on";
    unsafe Paging: domain.arch.paging as sys::Opaque<sys::paging_domain>, "a place";
}

impl Domain {
    /// The domain's number.
    pub fn id(&self) -> u16 {
        self.c().field(DomainId).get()
    }

    /// The pool that table pages come from.
    #[inline(always)]
    pub(super) fn paging(&self) -> &sys::Opaque<sys::paging_domain> {
        self.c().field(Paging)
    }

    /// Whether teardown has begun: no mapping may be added any more.
    #[inline(always)]
    pub fn is_dying(&self) -> bool {
        self.c().field(IsDying).load(Relaxed) != 0
    }

    /// Whether the domain has crashed or shut down, or is about to.
    pub(crate) fn is_shutting_down(&self) -> bool {
        sys::xs_domain_is_shutting_down(self.c())
    }

    /// Whether this is the hardware domain, whose tables come from the heap, without a limit.
    #[inline(always)]
    pub fn is_hardware_domain(&self) -> bool {
        sys::is_hardware_domain(self.c())
    }

    /// Whether somebody has paused the domain.
    pub fn is_paused(&self) -> bool {
        sys::xs_domain_is_paused(self.c())
    }

    /// Whether the domain may map this frame of I/O memory.
    pub fn iomem_access_permitted(&self, mfn: Mfn) -> bool {
        sys::xs_iomem_access_permitted(self.c(), mfn.raw())
    }

    /// RAM was taken away: device models must drop what they have mapped.
    pub(crate) fn invalidate_ioreq_mapcache(&self) {
        sys::xs_ioreq_mapcache_invalidate(self.c());
    }

    /// Shuts the domain down as crashed, without the stack dump that
    /// `domain_crash` makes: that would read guest memory, which takes the
    /// p2m lock.
    pub(crate) fn shut_down_as_crashed(&self) {
        // SHUTDOWN_crash is a small code of the public interface.
        #[allow(clippy::cast_possible_truncation)]
        const CRASH: u8 = sys::SHUTDOWN_crash as u8;
        sys::domain_shutdown(self.c(), CRASH);
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}
