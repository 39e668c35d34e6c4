// SPDX-License-Identifier: GPL-2.0-only
//! The IOMMU that may walk the same tables.

use core::sync::atomic::Ordering::Relaxed;

use xen_sys as sys;

use crate::addr::Gfn;
use crate::error::{Errno, Failure, Outcome};
use crate::globals::iotlb_in_doubt;
use crate::lock::WriteView;
use crate::xen::console;
use crate::xen::domain::Domain;

impl Domain {
    /// Whether devices of the domain are behind an IOMMU (`is_iommu_enabled`).
    #[inline(always)]
    pub fn is_iommu_enabled(&self) -> bool {
        // SAFETY: looks at the live structure.
        unsafe { sys::is_iommu_enabled(self.as_ptr()) }
    }

    /// Whether the IOMMU's walks snoop the CPUs' caches.
    pub fn has_coherent_iommu_walk(&self) -> bool {
        // SAFETY: looks at the live structure.
        unsafe { sys::xs_iommu_coherent_walk(self.as_ptr()) }
    }

    /// Whether the IOMMU uses the p2m's own tables (`iommu_use_hap_pt`).
    pub fn iommu_shares_tables(&self) -> bool {
        // SAFETY: looks at the live structure.
        unsafe { sys::xs_iommu_use_hap_pt(self.as_ptr()) }
    }
}

impl WriteView<'_> {
    /// Whether an IOMMU may hold entries of this p2m.
    #[inline(always)]
    pub(crate) fn has_iommu(&self) -> bool {
        self.p2m().domain().is_some_and(Domain::is_iommu_enabled)
    }

    /// Makes the IOMMU forget `pages` frames from `gfn` on
    /// (`iommu_iotlb_flush`). `was_live` and `is_live` say whether the
    /// hardware could use the old entries, and can use the new ones; if
    /// neither, there is nothing to do.
    ///
    /// # Errors
    ///
    /// [`Failure::Iommu`]: devices may reach what was mapped before. The domain is
    /// shut down, unless it is the hardware domain. (C's function calls
    /// `domain_crash`, which dumps the guest's stack and so takes the p2m lock
    /// that is held here.)
    #[inline]
    pub(crate) fn iommu_flush(
        &self,
        gfn: Gfn,
        pages: u64,
        was_live: bool,
        is_live: bool,
    ) -> Outcome {
        match self.p2m().domain() {
            Some(domain) if (was_live || is_live) && domain.is_iommu_enabled() => {
                self.iommu_flush_now(domain, gfn, pages, was_live, is_live)
            }
            _ => Ok(()),
        }
    }

    /// Makes the IOMMU forget `pages` frames from `gfn` on, whose entries are what a
    /// caller asks for already, if it may have failed to do so when they changed.
    ///
    /// # Errors
    ///
    /// As [`Self::iommu_flush`].
    pub(crate) fn iommu_flush_in_doubt(&self, gfn: Gfn, pages: u64) -> Outcome {
        if pages == 0 || !iotlb_in_doubt().load(Relaxed) {
            return Ok(());
        }
        self.iommu_flush(gfn, pages, true, true)
    }

    #[inline(never)]
    fn iommu_flush_now(
        &self,
        domain: &Domain,
        gfn: Gfn,
        pages: u64,
        was_live: bool,
        is_live: bool,
    ) -> Outcome {
        let mut flags = 0;
        if was_live {
            flags |= sys::XS_IOMMU_FLUSHF_modified;
        }
        if is_live {
            flags |= sys::XS_IOMMU_FLUSHF_added;
        }
        // The stores to the tables come first: an SMMU is told by a write to a
        // device register, which nothing else orders after them.
        self.barrier_for_devices();
        // SAFETY: a live domain; the drivers take their own locks, inside the
        // p2m lock.
        let rc = unsafe { sys::xs_iommu_iotlb_flush(domain.as_ptr(), gfn.raw(), pages, flags) };
        let result = Errno::check(rc).map_err(Failure::Iommu);
        if result.is_err() {
            iotlb_in_doubt().store(true, Relaxed);
            console::iotlb_flush_failed(domain, rc, gfn, pages, flags);
            if !domain.is_hardware_domain() {
                domain.shut_down_as_crashed();
            }
        }
        result
    }
}
