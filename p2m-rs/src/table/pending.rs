// SPDX-License-Identifier: GPL-2.0-only
//! Break-before-make for many entries of a table with one flush.
//!
//! The break of an entry writes its *successor without the valid bit*: for the
//! hardware that is an invalid entry, whatever else it says. After one flush
//! for all of them, the make sets the valid bit of each. A new table is linked in the
//! same way where there was nothing before: its entries are complete in memory
//! before the valid bit of the pointer is set, with one barrier for many tables.
//!
//! No more than [`MOST`] entries wait. While they do, a guest that touches the
//! range faults, and waits for the lock in [`crate::guest::fault::resolve`]. Should a make be missing (it cannot: drop
//! does it), that fault would make up for it, for an entry without its valid bit still
//! tells the p2m what is mapped.

use super::change::MOST;
use super::new::NewTable;
use super::removed::Removed;
use super::Table;
use crate::p2m::lock::WriteView;
use crate::types::addr::Gfn;
use crate::types::errno::Outcome;
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::pte::{Kind, Pte};

/// Entries of one table that wait for their valid bit.
///
/// # Invariants
///
/// An entry whose bit in `waiting` is set has its valid bit clear, and all the rest of it
/// says what it will say. Nobody else changes it meanwhile: the write lock is held.
pub(crate) struct Pending<'v> {
    write: &'v WriteView<'v>,
    table: Table<'v>,
    /// One bit an entry.
    waiting: [u64; ENTRIES / 64],
    count: usize,
    /// No entry after this one waits.
    last: usize,
}

impl<'v> Pending<'v> {
    /// None yet, in `table`.
    pub(crate) fn none(write: &'v WriteView<'v>, table: Table<'v>) -> Self {
        Self {
            write,
            table,
            waiting: [0; ENTRIES / 64],
            count: 0,
            last: 0,
        }
    }

    /// The table.
    pub(crate) fn table(&self) -> Table<'v> {
        self.table
    }

    /// The level of the table's entries.
    pub(crate) fn level(&self) -> Level {
        self.table.level
    }

    /// Replaces the entry, at which `gfn` is looked up, by a pointer to a new
    /// table. What was there comes back.
    pub(crate) fn link(&mut self, index: TableIndex, gfn: Gfn, new: NewTable) -> Removed {
        new.complete(self.write);
        self.succeed(index, gfn, new.into_pointer())
    }

    /// Replaces the block at `index`, at which `gfn` is looked up, by a new table,
    /// which inherits what the block owned. Where an IOMMU uses the tables as well
    /// it is done without delay ([`Table::link`]).
    ///
    /// # Errors
    ///
    /// Those of [`Table::link`].
    pub(crate) fn replace_block(&mut self, index: TableIndex, gfn: Gfn, new: NewTable) -> Outcome {
        if self.write.has_iommu() {
            return self.table.link(self.write, gfn, new);
        }
        self.link(index, gfn, new).inherited();
        Ok(())
    }

    /// Replaces the entry, at which `gfn` is looked up, by a leaf. What was
    /// there comes back.
    pub(crate) fn map(&mut self, index: TableIndex, gfn: Gfn, leaf: Pte) -> Removed {
        debug_assert!(matches!(leaf.kind(self.table.level), Kind::Leaf));
        self.succeed(index, gfn, leaf)
    }

    /// The break.
    fn succeed(&mut self, index: TableIndex, gfn: Gfn, successor: Pte) -> Removed {
        if self.count == MOST {
            self.complete();
        }
        let removed = self.table.swap(index, successor.without_valid_bit());
        // Nobody here flushes the IOTLB between break and make.
        debug_assert!(!removed.was_live() || !self.write.has_iommu());
        self.table.stored(self.write, index, 1);
        removed.defer_flush(self.write, gfn);
        if let Some(word) = self.waiting.get_mut(index.get() / 64) {
            *word |= 1 << (index.get() % 64);
        }
        self.count += 1;
        self.last = self.last.max(index.get());
        removed
    }

    /// The make: one flush if anything was live, or else one barrier; then
    /// the valid bits of all.
    pub(crate) fn complete(&mut self) {
        if core::mem::replace(&mut self.count, 0) == 0 {
            return;
        }
        // New tables, and the breaks, before anything is valid.
        self.write.deferred().tlb_flush_sync();
        self.write.deferred().barrier();
        let last = self.last / 64;
        for (base, word) in (0..=last).zip(&mut self.waiting) {
            let base = base as u64 * 64;
            while *word != 0 {
                let index = TableIndex::truncate(base + u64::from(word.trailing_zeros()));
                *word &= *word - 1;
                let pte = self.table.load(index);
                debug_assert!(!pte.valid_bit() && pte.is_mapped());
                self.table.store(index, pte.with_valid_bit());
                self.table.stored(self.write, index, 1);
            }
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.complete();
    }
}
