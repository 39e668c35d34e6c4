// SPDX-License-Identifier: GPL-2.0-only
//! Walkers see what was stored, in time; see [`crate::books::visible`]. Rules:
//!
//! - T8: while a table could not be walked to, its stores may wait; all are
//!   published before an entry makes it reachable;
//! - T9: all stores to reachable tables are published when the write lock is
//!   dropped, and before the IOMMU is told.

use super::State;
use crate::ground::event::Mfn;

impl State {
    /// A store to a page of a table, or of one to be.
    pub(crate) fn unpublished(&mut self, cpu: usize, mfn: Mfn) {
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

    /// The page is no table any more.
    pub(crate) fn forget_stores(&mut self, mfn: Mfn) {
        self.visible.private.remove(mfn);
        self.visible.reachable.remove(mfn);
    }

    /// Rule T9, at the points where walkers must see all.
    pub(crate) fn check_published(&mut self, domain: usize, when: &str) {
        let of_domain = |mfn: &Mfn| {
            let table = self.tables.live.get(*mfn);
            table.is_some_and(|table| table.domain == domain)
        };
        let late = self.visible.reachable.pages().filter(of_domain).count();
        if late > 0 {
            self.broken(
                "T9",
                format!("walkers may not see the stores to {late} tables {when}"),
            );
            self.visible.reachable.0.clear();
        }
    }
}
