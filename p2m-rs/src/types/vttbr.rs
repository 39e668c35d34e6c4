// SPDX-License-Identifier: GPL-2.0-only
//! [`Vttbr`]: a value of VTTBR_EL2, which holds the root of a stage-2 translation and the VMID
//! that tags its TLB entries (DDI 0487K, D24.2; C's `generate_vttbr`).

use super::addr::{Mfn, PAGE_SHIFT};

/// VTTBR_EL2.VMID is bits 63:48.
const VMID_SHIFT: u32 = 48;

/// Bits 47:12: the page-aligned bits of VTTBR_EL2.BADDR.
const ROOT: u64 = ((1 << 36) - 1) << PAGE_SHIFT;

/// A root and a VMID, in the layout of VTTBR_EL2.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vttbr(u64);

impl Vttbr {
    /// No root and no VMID: the p2m was never initialised, or was destroyed. No initialised p2m
    /// has the value 0, since VMID 0 belongs to no domain.
    pub const NONE: Self = Self(0);

    /// The value for a root, of which `root` is the first page, and a VMID.
    pub const fn new(root: Mfn, vmid: u16) -> Self {
        Self(root.base().raw() | (vmid as u64) << VMID_SHIFT)
    }

    /// The value of the register, or of the field `vttbr` in C's structures.
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The register's value.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The first page of the root; `None` if there is no root.
    #[inline(always)]
    pub const fn root(self) -> Option<Mfn> {
        if self.0 == 0 {
            None
        } else {
            Some(Mfn::new((self.0 & ROOT) >> PAGE_SHIFT))
        }
    }

    /// A word whose bits 47:12 are the address of page `number` of the root, as
    /// a table entry's are the address of the next table; `None` if there is no root.
    #[inline(always)]
    pub const fn root_pointer(self, number: u64) -> Option<u64> {
        if self.0 == 0 {
            None
        } else {
            Some(self.0.wrapping_add(number << PAGE_SHIFT))
        }
    }

    /// Whether the TLB entries of both have the same tag.
    #[inline(always)]
    pub const fn has_vmid_of(self, other: Self) -> bool {
        (self.0 ^ other.0) >> VMID_SHIFT == 0
    }

    /// The same VMID with another root.
    #[must_use]
    pub const fn with_root(self, root: Mfn) -> Self {
        Self(self.0 >> VMID_SHIFT << VMID_SHIFT | root.base().raw())
    }
}
