// SPDX-License-Identifier: GPL-2.0-only
//! The VMID allocator (`p2m_vmid_allocator_init`, `p2m_alloc_vmid`,
//! `p2m_free_vmid`).
//!
//! A VMID tags a domain's TLB entries. There are 256 VMIDs, or 65536 with
//! FEAT_VMID16; VMID 0 is reserved. A domain gets the lowest free VMID and
//! keeps it for its life ([`crate::xen::vmid_pool`]).
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use crate::p2m::{P2m, UnsharedP2m};
use crate::types::errno::{Errno, Result};
use crate::xen::console;
use crate::xen::domain::UnsharedDomain;
use crate::xen::globals::{max_vmid, vmids};

/// `p2m_vmid_allocator_init`: reserves VMID 0, at boot, before any domain exists.
pub(crate) fn init() {
    vmids().reserve(P2m::INVALID_VMID);
}

/// `p2m_alloc_vmid`: gives the domain a VMID for life.
///
/// # Errors
///
/// [`Errno::EBUSY`] if all VMIDs are in use.
pub(crate) fn alloc(domain: UnsharedDomain<'_>) -> Result {
    let Some(vmid) = vmids().take(max_vmid().load(Relaxed)) else {
        console::vmid_pool_exhausted(domain.domain());
        return Err(Errno::EBUSY);
    };
    UnsharedP2m::of(domain).set_vmid(vmid);
    Ok(())
}

/// `p2m_free_vmid`: gives the VMID back, if there is one, of a domain that will not run with it again (it
/// is still part of VTTBR_EL2's value). TLB entries with this VMID may remain; the next owner flushes them
/// before first use.
pub(crate) fn free(domain: UnsharedDomain<'_>) {
    let p2m = UnsharedP2m::of(domain);
    let vmid = p2m.vmid();
    if vmid != P2m::INVALID_VMID {
        vmids().give_back(vmid);
        // It is another domain's from now on.
        p2m.set_vmid(P2m::INVALID_VMID);
    }
}
