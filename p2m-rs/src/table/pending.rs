// SPDX-License-Identifier: GPL-2.0-only
//! Break-before-make for many entries of a table with one flush.
//!
//! The break of an entry writes the entry's *successor with the valid bit clear*, which is an
//! invalid entry for the hardware. After one flush
//! for all of them, the make sets the valid bit of each. A new table in the place of an empty
//! entry is linked in the same way: the table's entries are visible to walkers
//! before the valid bit of the pointer is set, with one barrier for many tables.
//!
//! At most [`MAX_BROKEN`] entries are pending at a time. Meanwhile, a guest that touches the
//! range faults, and waits for the lock in [`crate::guest::fault::resolve`]. The make cannot
//! be forgotten, since drop does it. Even without it the fault would set the valid bits, for
//! an entry whose valid bit is clear still tells the p2m what is mapped.

use super::change::MAX_BROKEN;
use super::new::NewTable;
use super::removed::Removed;
use super::Table;
use crate::p2m::lock::WriteView;
use crate::types::addr::Gfn;
use crate::types::errno::Outcome;
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::owner::{Host, Owner};
use crate::types::pte::{Kind, Pte};

/// Entries of one table whose valid bits are still to be set.
///
/// # Invariants
///
/// An entry whose bit in `waiting` is set has its valid bit clear and all its other bits at
/// their final values. Nobody else changes the entry meanwhile: the write lock is held.
pub(crate) struct Pending<'v, O: Owner = Host> {
    write: &'v WriteView<'v, O>,
    table: Table<'v>,
    /// One bit for each entry, set while the entry is pending.
    waiting: [u64; ENTRIES / 64],
    count: usize,
    /// No entry after this index is pending.
    last: usize,
}

impl<'v, O: Owner> Pending<'v, O> {
    /// No pending entries yet, in `table`.
    pub(crate) fn none(write: &'v WriteView<'v, O>, table: Table<'v>) -> Self {
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

    /// Replaces entry `index`, the index of `gfn`, by a pointer to a new
    /// table. Returns what the old entry owned.
    pub(crate) fn link(
        &mut self,
        index: TableIndex,
        gfn: Gfn,
        new: NewTable<'_>,
    ) -> Removed<'v, O> {
        new.complete(self.write);
        self.succeed(index, gfn, new.into_pointer())
    }

    /// Replaces the block at `index`, the index of `gfn`, by a new table,
    /// which inherits what the block owned. Where an IOMMU walks these tables,
    /// the make is not delayed ([`Table::link`]).
    ///
    /// # Errors
    ///
    /// Those of [`Table::link`].
    pub(crate) fn replace_block(
        &mut self,
        index: TableIndex,
        gfn: Gfn,
        new: NewTable<'_>,
    ) -> Outcome {
        if self.write.has_iommu() {
            return self.table.link(self.write, gfn, new);
        }
        self.link(index, gfn, new).inherited();
        Ok(())
    }

    /// Replaces entry `index`, the index of `gfn`, by a leaf. Returns what the old entry
    /// owned.
    pub(crate) fn map(
        &mut self,
        index: TableIndex,
        gfn: Gfn,
        leaf: Pte,
        _may: O::MayRemove<'_>,
    ) -> Removed<'v, O> {
        debug_assert!(matches!(leaf.kind(self.table.level), Kind::Leaf));
        self.succeed(index, gfn, leaf)
    }

    /// Breaks entry `index`: writes its successor with the valid bit clear.
    fn succeed(&mut self, index: TableIndex, gfn: Gfn, successor: Pte) -> Removed<'v, O> {
        if self.count == MAX_BROKEN {
            self.complete();
        }
        let removed = self.table.swap(index, successor.without_valid_bit());
        // A pending entry gets no IOTLB flush between break and make.
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

    /// Makes all pending entries: one flush if any old entry was live, otherwise one barrier;
    /// then sets the valid bits.
    pub(crate) fn complete(&mut self) {
        if core::mem::replace(&mut self.count, 0) == 0 {
            return;
        }
        // Walkers must see the new tables and the breaks before any valid bit is set.
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

impl<O: Owner> Drop for Pending<'_, O> {
    fn drop(&mut self) {
        self.complete();
    }
}
