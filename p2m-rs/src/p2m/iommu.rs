// SPDX-License-Identifier: GPL-2.0-only
//! Telling the IOMMU that may use the p2m's own tables what has changed in them.

use core::sync::atomic::Ordering::Relaxed;

use super::lock::WriteView;
use crate::types::addr::Gfn;
use crate::types::errno::{Failure, Outcome};
use crate::types::owner::Owner;
use crate::xen::console;
use crate::xen::domain::Domain;
use crate::xen::globals::iotlb_in_doubt;
use crate::xen::iommu::IotlbFlush;

/// Proof that no IOMMU holds what entries said before they changed.
///
/// # Invariants
///
/// The domain has no IOMMU, or no entry that changed could be in its TLB, or an IOTLB flush
/// has succeeded under this lock. It does not prove *which* frames that was about: whoever
/// makes one uses it at once, for those.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IotlbFlushed(());

impl<O: Owner> WriteView<'_, O> {
    /// Whether an IOMMU may hold entries of this p2m.
    #[inline(always)]
    pub(crate) fn has_iommu(&self) -> bool {
        self.without_iommu().is_none()
    }

    /// If no IOMMU can hold entries of this p2m: the proof that no IOTLB flush is needed.
    #[inline(always)]
    pub(crate) fn without_iommu(&self) -> Option<IotlbFlushed> {
        let has_iommu =
            O::IS_SHARED_WITH_IOMMU && self.p2m().domain().is_some_and(Domain::is_iommu_enabled);
        (!has_iommu).then_some(IotlbFlushed(()))
    }

    /// Makes the IOMMU forget `pages` frames from `gfn` on
    /// (`iommu_iotlb_flush`), if there is anything to tell.
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
        flush: IotlbFlush,
    ) -> Outcome<IotlbFlushed> {
        match self.p2m().domain() {
            Some(domain)
                if O::IS_SHARED_WITH_IOMMU && flush.is_any() && domain.is_iommu_enabled() =>
            {
                self.iommu_flush_now(domain, gfn, pages, flush)
            }
            _ => Ok(IotlbFlushed(())),
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
        self.iommu_flush(gfn, pages, IotlbFlush::MODIFIED.and_added())?;
        Ok(())
    }

    #[inline(never)]
    fn iommu_flush_now(
        &self,
        domain: &Domain,
        gfn: Gfn,
        pages: u64,
        flush: IotlbFlush,
    ) -> Outcome<IotlbFlushed> {
        // The stores to the tables come first: an SMMU is told by a write to a
        // device register, which nothing else orders after them.
        self.deferred().barrier_for_devices();
        let result = domain.iotlb_flush(gfn, pages, flush);
        if let Err(errno) = result {
            iotlb_in_doubt().store(true, Relaxed);
            console::iotlb_flush_failed(domain, errno, gfn, pages, flush);
            if !domain.is_hardware_domain() {
                domain.shut_down_as_crashed();
            }
        }
        result.map_err(Failure::Iommu).map(|()| IotlbFlushed(()))
    }
}
