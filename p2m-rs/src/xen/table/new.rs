// SPDX-License-Identifier: GPL-2.0-only
//! Tables that are not part of the tree yet.

use xen_sys as sys;

use super::Table;
use crate::level::{Level, TableIndex, ENTRIES};
use crate::lock::WriteView;
use crate::pte::Pte;
use crate::xen::pool::TablePage;

/// A table that nothing points to yet. Its stores need no barrier.
#[must_use = "a new table must be linked or given back"]
pub struct NewTable {
    page: TablePage,
    table: Table<'static>,
}

impl NewTable {
    /// A table of `level` without entries (`p2m_create_table`).
    pub(crate) fn empty(page: TablePage, level: Level) -> Option<Self> {
        let new = Self::uninitialised(page, level)?;
        // SAFETY: the page is this table's alone.
        unsafe { sys::xs_clear_page(new.table.entries.as_ptr().cast()) };
        Some(new)
    }

    /// A table of `level` that maps what `block` maps, in 512 parts.
    pub(crate) fn split_of(page: TablePage, block: Pte, level: Level) -> Option<Self> {
        let new = Self::uninitialised(page, level)?;
        for index in TableIndex::all() {
            new.table
                .store(index, block.child(index.get() as u64, level));
        }
        Some(new)
    }

    fn uninitialised(page: TablePage, level: Level) -> Option<Self> {
        // SAFETY: the page is this table's alone, until it is linked; then it
        // is the tree's, and this value is gone.
        let table = unsafe { Table::map(page.page().mfn(), level) }?;
        Some(Self { page, table })
    }

    /// The entry that points here.
    pub(super) fn pointer(&self) -> Pte {
        Pte::table(self.page.page().mfn())
    }

    /// The table, to be filled or linked.
    pub(super) fn table<'v>(&self) -> Table<'v> {
        self.table
    }

    /// Entry `index`, which a split has filled.
    pub(crate) fn load(&self, index: TableIndex) -> Pte {
        self.table.load(index)
    }

    /// Replaces a block of this table by a table of its parts.
    pub(crate) fn replace_by(&mut self, write: &WriteView<'_>, index: TableIndex, lower: Self) {
        // Ordered before the link of this table, by that link's barrier; the
        // lower table must be clean on its own for a non-coherent walker.
        if write.p2m().clean_pte() {
            write.publish(lower.table, TableIndex::FIRST, ENTRIES as u64);
        }
        self.table.store(index, lower.pointer());
    }
}
