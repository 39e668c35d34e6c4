// SPDX-License-Identifier: GPL-2.0-only
//! Walkers see what was stored, in time; see [`crate::books::visible`]. Rules:
//!
//! - T8: while a table could not be walked to, its stores may wait; all are
//!   published before an entry makes it reachable;
//! - T9: all stores to reachable tables are published when the write lock is
//!   dropped, and before the IOMMU is told; those to the host p2m's tables, which
//!   devices walk, by a DSB SY then.

use super::State;
use crate::books::tables::Table;
use crate::books::visible::Stores;
use crate::ground::config::Iommu;
use crate::ground::event::Mfn;

impl State {
    /// A store to a page of a table, or of one to be.
    pub(crate) fn unpublished(&mut self, cpu: usize, mfn: Mfn) {
        if self.config.iommu != Iommu::Off {
            self.visible.for_devices.insert(mfn, cpu);
        }
        let is_live = self.tables.live.contains(mfn);
        if is_live && self.walkable(mfn) {
            self.visible.reachable.insert(mfn, cpu);
            self.check_published_below(cpu);
        } else {
            self.visible.private.insert(mfn, cpu);
        }
    }

    /// A store may have made tables reachable.
    fn check_published_below(&mut self, cpu: usize) {
        let early: Vec<Mfn> = self
            .visible
            .private
            .pages()
            .filter(|&mfn| self.tables.live.contains(mfn) && self.walkable(mfn))
            .collect();
        for mfn in early {
            self.visible.private.remove(mfn);
            self.visible.reachable.insert(mfn, cpu);
            self.broken(
                "T8",
                format!("CPU {cpu} makes table {mfn:#x} reachable before its entries are visible"),
            );
        }
    }

    /// A DSB that covers all walkers.
    pub(crate) fn publish(&mut self, cpu: usize) {
        self.visible.private.0.retain(|(_, by)| *by != cpu);
        self.visible.reachable.0.retain(|(_, by)| *by != cpu);
    }

    /// A DSB SY, which covers devices that walk the tables as well.
    pub(crate) fn publish_to_devices(&mut self, cpu: usize) {
        self.publish(cpu);
        self.visible.for_devices.0.retain(|(_, by)| *by != cpu);
    }

    /// The page is no table any more.
    pub(crate) fn forget_stores(&mut self, mfn: Mfn) {
        self.visible.for_devices.remove(mfn);
        self.visible.private.remove(mfn);
        self.visible.reachable.remove(mfn);
    }

    /// Rule T9, at the points where walkers must see all.
    pub(crate) fn check_published(&mut self, domain: usize, when: &str) {
        let late = self.late(&self.visible.reachable, |table| table.domain == domain);
        if late > 0 {
            self.broken(
                "T9",
                format!("walkers may not see the stores to {late} tables {when}"),
            );
            self.visible.reachable.0.clear();
        }
    }

    /// Rule T9, where the IOMMU is told.
    pub(crate) fn check_published_to_devices(&mut self, domain: usize) {
        // Devices walk the host p2m's tables, never a view's.
        let late = self.late(&self.visible.for_devices, |table| table.tree == domain);
        if late > 0 {
            self.broken(
                "T9",
                format!("no DSB SY between the stores to {late} tables and the IOTLB flush"),
            );
            self.visible.for_devices.0.clear();
        }
    }

    /// How many of these pages are such tables.
    fn late(&self, stores: &Stores, is_such: impl Fn(&Table) -> bool) -> usize {
        let is_meant = |&mfn: &Mfn| self.tables.live.get(mfn).is_some_and(&is_such);
        stores.pages().filter(is_meant).count()
    }
}
