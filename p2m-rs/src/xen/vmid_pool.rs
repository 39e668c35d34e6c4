// SPDX-License-Identifier: GPL-2.0-only
//! Which VMIDs are in use: a bitmap under a lock that is a leaf (no other lock is taken
//! under it). It is static, 8 KiB of .bss, so that there is no allocation that could fail
//! at boot.

use spin::Mutex;

/// `MAX_VMID_8_BIT`: number of VMIDs without FEAT_VMID16.
pub const MAX_VMID_8_BIT: u32 = 1 << 8;

/// `MAX_VMID_16_BIT`: number of VMIDs with FEAT_VMID16.
pub const MAX_VMID_16_BIT: u32 = 1 << 16;

const WORDS: usize = MAX_VMID_16_BIT as usize / 64;

/// One bit a VMID, set when in use.
pub struct VmidPool(Mutex<[u64; WORDS]>);

impl VmidPool {
    /// No VMID in use, not even the reserved one.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new([0; WORDS]))
    }

    /// Takes the lowest free VMID below `max`.
    pub(crate) fn take(&self, max: u32) -> Option<u16> {
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
    pub(crate) fn give_back(&self, vmid: u16) {
        if let Some(word) = self.0.lock().get_mut(usize::from(vmid) / 64) {
            *word &= !(1 << (vmid % 64));
        }
    }

    /// Marks a VMID as in use.
    pub(crate) fn reserve(&self, vmid: u16) {
        if let Some(word) = self.0.lock().get_mut(usize::from(vmid) / 64) {
            *word |= 1 << (vmid % 64);
        }
    }
}
