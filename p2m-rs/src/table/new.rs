// SPDX-License-Identifier: GPL-2.0-only
//! Tables that are not part of the tree yet. No TLB can hold anything of them, and
//! one barrier, before anything points to them, covers all of their stores.

use xen_sys as sys;

use super::run::Series;
use super::Table;
use crate::p2m::lock::WriteView;
use crate::p2m::pages::TablePage;
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::owner::Owner;
use crate::types::pte::{Kind, Pte};

/// A table that nothing points to yet.
///
/// # Invariants
///
/// Only this value can reach the table and the tables attached to it; `pointer` is the entry
/// that will point to the table. A `NewTable` does not prove that its entries are visible to
/// walkers: that takes [`Self::complete`] and a barrier.
#[must_use = "a new table must be linked or given back"]
pub(crate) struct NewTable<'w> {
    page: TablePage<'w>,
    table: Table<'w>,
    /// The entry that will point to the table.
    pointer: Pte,
}

impl<'w> NewTable<'w> {
    /// A table of `level` whose entries are all empty (`p2m_create_table`).
    pub(crate) fn empty(page: TablePage<'w>, level: Level) -> Self {
        let new = Self::uninitialised(page, level);
        // SAFETY: the page is this table's alone.
        unsafe { sys::xs_clear_page(new.table.entries.cast()) };
        new
    }

    /// A table of `level` with `leaf` and the leaves that map the frames after it.
    pub(crate) fn full(page: TablePage<'w>, level: Level, leaf: Pte) -> Self {
        let mut new = Self::uninitialised(page, level);
        new.fill(TableIndex::FIRST, ENTRIES as u64, leaf);
        new
    }

    /// A table of `level` that maps the same as `block`, in 512 parts.
    pub(crate) fn split_of(page: TablePage<'w>, block: Pte, level: Level) -> Self {
        Self::full(page, level, block.at_level(level))
    }

    fn uninitialised(page: TablePage<'w>, level: Level) -> Self {
        let mfn = page.page().mfn();
        // SAFETY: the page is this table's alone, until it is linked; then it
        // is the tree's, and this value is gone.
        let table = unsafe { Table::map(mfn, level) };
        let pointer = Pte::table(mfn);
        Self {
            page,
            table,
            pointer,
        }
    }

    /// The level of the table's entries.
    pub(crate) fn level(&self) -> Level {
        self.table.level
    }

    /// Where the entries are.
    pub(super) fn entries(&self) -> *mut u64 {
        self.table.entries
    }

    /// Reads entry `index`.
    pub(crate) fn load(&self, index: TableIndex) -> Pte {
        self.table.load(index)
    }

    /// Writes `leaf` and the leaves that map the frames after it to the `count` entries
    /// from `first` on; or empties these entries, if `leaf` is empty.
    pub(crate) fn fill(&mut self, first: TableIndex, count: u64, leaf: Pte) {
        let new = Series::of(leaf, self.table.level);
        self.table.write(first, count, new);
    }

    /// Points entry `index` at `below`, a new table one level further down, which becomes part
    /// of this one.
    pub(crate) fn attach(
        &mut self,
        write: &WriteView<'_, impl Owner>,
        index: TableIndex,
        below: Self,
    ) {
        // The barrier before the link of this table also covers these stores.
        below.complete(write);
        let pointer = below.into_pointer();
        self.table.store(index, pointer);
    }

    /// Reports the stores to the table once all entries are written. The barrier that this
    /// defers must come before anything points to the table.
    pub(super) fn complete(&self, write: &WriteView<'_, impl Owner>) {
        self.table.stored(write, TableIndex::FIRST, ENTRIES as u64);
    }

    /// Whether the first and the last entry map no other frames than `block`, an entry of the level above,
    /// does; for an assertion.
    pub(super) fn has_parts_of(&self, block: Pte) -> bool {
        let level = self.table.level;
        [0, ENTRIES as u64 - 1].into_iter().all(|index| {
            let part = self.load(TableIndex::truncate(index));
            let mfn = block.mfn().add(index << level.order());
            part.kind(level) != Kind::Leaf || part.mfn() == mfn
        })
    }

    /// Turns this value into the entry that points to the table.
    pub(super) fn into_pointer(self) -> Pte {
        self.pointer
    }

    /// Gives the page back. No table may have been attached: its page would not be
    /// reused until teardown.
    pub(crate) fn discard(self, write: &WriteView<'_, impl Owner>) {
        debug_assert!(self.points_to_no_table());
        write.deferred().pages().free(self.page);
    }

    /// (A loop: the symbol of an iterator's method with a closure in it would exceed KSYM_NAME_LEN.)
    fn points_to_no_table(&self) -> bool {
        for index in TableIndex::all() {
            if let Kind::Table(_) = self.load(index).kind(self.table.level) {
                return false;
            }
        }
        true
    }
}
