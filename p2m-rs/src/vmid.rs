// SPDX-License-Identifier: GPL-2.0-only
//! The VMID allocator (`p2m_vmid_allocator_init`, `p2m_alloc_vmid`,
//! `p2m_free_vmid`).
//!
//! A VMID tags a domain's TLB entries. There are 256 of them, or 65536 with
//! FEAT_VMID16; VMID 0 is reserved. They are handed out lowest first and
//! belong to a domain for its life. The bitmap is static (8 KiB of .bss), so
//! that there is no allocation that could fail at boot. Its lock is a leaf: no
//! other lock is taken under it.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use spin::Mutex;

use crate::error::{Errno, Result};
use crate::globals::{max_vmid, vmids, MAX_VMID_16_BIT};
use crate::p2m::P2m;
use crate::xen::console;
use crate::xen::domain::Domain;

const WORDS: usize = MAX_VMID_16_BIT as usize / 64;

/// One bit a VMID, set when in use.
pub struct VmidPool(Mutex<[u64; WORDS]>);

impl VmidPool {
    /// No VMID in use, not even the reserved one.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new([0; WORDS]))
    }

    /// Takes the lowest free VMID below `max`.
    fn take(&self, max: u32) -> Option<u16> {
        let mut words = self.0.lock();
        let (index, word) = words.iter_mut().enumerate().find(|(_, w)| **w != !0)?;
        let bit = word.trailing_ones();
        let vmid = u32::try_from(index).ok()? * 64 + bit;
        if vmid >= max {
            return None;
        }
        *word |= 1 << bit;
        u16::try_from(vmid).ok()
    }

    /// Gives a VMID back.
    fn give_back(&self, vmid: u16) {
        if let Some(word) = self.0.lock().get_mut(usize::from(vmid) / 64) {
            *word &= !(1 << (vmid % 64));
        }
    }

    /// Marks a VMID as in use.
    fn reserve(&self, vmid: u16) {
        if let Some(word) = self.0.lock().get_mut(usize::from(vmid) / 64) {
            *word |= 1 << (vmid % 64);
        }
    }
}

/// `p2m_vmid_allocator_init`: boot time, before any domain exists.
pub fn init() {
    vmids().reserve(P2m::INVALID_VMID);
}

/// `p2m_alloc_vmid`: gives the domain a VMID for life.
///
/// # Errors
///
/// [`Errno::BUSY`] when all are in use.
pub fn alloc(domain: &Domain) -> Result {
    let Some(vmid) = vmids().take(max_vmid().load(Relaxed)) else {
        console::vmid_pool_exhausted(domain);
        return Err(Errno::BUSY);
    };
    domain.p2m().set_vmid(vmid);
    Ok(())
}

/// `p2m_free_vmid`: gives the VMID back, if there is one. The domain's TLB
/// entries may outlive this: the next owner flushes before first use.
pub fn free(domain: &Domain) {
    let vmid = domain.p2m().vmid();
    if vmid != P2m::INVALID_VMID {
        vmids().give_back(vmid);
    }
}
