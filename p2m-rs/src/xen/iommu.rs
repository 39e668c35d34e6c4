// SPDX-License-Identifier: GPL-2.0-only
//! The IOMMU that a domain's devices are behind, and its TLB.

use xen_sys as sys;

use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Result};
use crate::xen::domain::Domain;

/// The kinds of change that an IOTLB flush is for (C's `IOMMU_FLUSHF_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IotlbFlush {
    modified: bool,
    added: bool,
}

impl IotlbFlush {
    /// Entries that were empty before can be used now.
    pub const ADDED: Self = Self {
        modified: false,
        added: true,
    };

    /// Entries that could be used before say something else now.
    pub const MODIFIED: Self = Self::modified_if(true);

    /// [`Self::MODIFIED`] if the entries could be used before, else nothing to tell.
    #[inline(always)]
    pub const fn modified_if(was_live: bool) -> Self {
        Self {
            modified: was_live,
            added: false,
        }
    }

    /// And the entries can be used now.
    #[must_use]
    #[inline(always)]
    pub const fn and_added(self) -> Self {
        Self {
            added: true,
            ..self
        }
    }

    /// Whether there is anything to tell.
    #[inline(always)]
    pub const fn is_any(self) -> bool {
        self.modified || self.added
    }

    /// For C.
    pub(crate) const fn to_c(self) -> u32 {
        let modified = if self.modified {
            sys::XS_IOMMU_FLUSHF_modified
        } else {
            0
        };
        let added = if self.added {
            sys::XS_IOMMU_FLUSHF_added
        } else {
            0
        };
        modified | added
    }
}

impl Domain {
    /// Whether devices of the domain are behind an IOMMU (`is_iommu_enabled`).
    #[inline(always)]
    pub fn is_iommu_enabled(&self) -> bool {
        sys::is_iommu_enabled(self.c())
    }

    /// Whether the IOMMU's walks snoop the CPUs' caches.
    pub fn has_coherent_iommu_walk(&self) -> bool {
        sys::xs_iommu_coherent_walk(self.c())
    }

    /// Whether the IOMMU uses the p2m's own tables (`iommu_use_hap_pt`).
    pub fn iommu_shares_tables(&self) -> bool {
        sys::xs_iommu_use_hap_pt(self.c())
    }

    /// Makes the IOMMU forget `pages` frames from `gfn` on (`iommu_iotlb_flush`, but for
    /// what that does when it fails).
    ///
    /// # Errors
    ///
    /// The driver's.
    pub(crate) fn iotlb_flush(&self, gfn: Gfn, pages: u64, flush: IotlbFlush) -> Result {
        let rc = sys::xs_iommu_iotlb_flush(self.c(), gfn.raw(), pages, flush.to_c());
        Errno::check(rc)
    }
}
