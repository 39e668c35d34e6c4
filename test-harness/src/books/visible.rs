// SPDX-License-Identifier: GPL-2.0-only
//! Which stores to tables a walker may not see yet.
//!
//! A table walker is an observer of its own: it sees a store for sure only
//! after a DSB by the CPU that made it (Arm ARM, B2.3.10 and D8.2.6) whose domain
//! holds the walker: ISHST, ISH or SY, and not NSH. The TLBI helpers and the
//! cleaning of a range begin with one.

use crate::ground::event::Mfn;

/// Pages, and the CPU that made the stores. They are few, and come and go with
/// every entry that is written.
#[derive(Debug, Default)]
pub(crate) struct Stores(pub(crate) Vec<(Mfn, usize)>);

impl Stores {
    pub(crate) fn insert(&mut self, mfn: Mfn, cpu: usize) {
        // The last one is the likeliest.
        match self.0.iter_mut().rev().find(|(page, _)| *page == mfn) {
            Some((_, by)) => *by = cpu,
            None => self.0.push((mfn, cpu)),
        }
    }

    pub(crate) fn remove(&mut self, mfn: Mfn) {
        self.0.retain(|(page, _)| *page != mfn);
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = Mfn> + '_ {
        self.0.iter().map(|(page, _)| *page)
    }
}

/// Pages with stores that no DSB has followed.
#[derive(Debug, Default)]
pub(crate) struct Visible {
    /// Made while no walker could get there.
    pub(crate) private: Stores,
    /// Made to reachable tables.
    pub(crate) reachable: Stores,
    /// Made to any tables since the CPU's last DSB SY, if there is an IOMMU: a device that
    /// walks them may be outside of the domains of the other barriers.
    pub(crate) for_devices: Stores,
}
