// SPDX-License-Identifier: GPL-2.0-only
//! What an entry owned, once it is out of its table.

use super::Table;
use crate::addr::Mfn;
use crate::level::{Level, TableIndex};
use crate::lock::WriteView;
use crate::pte::{Kind, Pte};
use crate::types::P2mType;
use crate::xen::page::{Page, PageRef};
use crate::xen::pool::TablePage;

/// What an entry held before it was cleared or replaced. It owns what the
/// entry owned, so it must be released, under the lock, by
/// [`WriteView::release`].
#[must_use = "owns references or a subtree: release it"]
pub struct Removed {
    pte: Pte,
    level: Level,
}

/// What a [`Removed`] owns.
pub enum Owned {
    /// Nothing.
    Nothing,
    /// A mapping's references.
    Leaf(RemovedLeaf),
    /// A table and all below.
    Table(RemovedTable),
}

/// A leaf that is in no table any more.
#[must_use = "owns references"]
pub struct RemovedLeaf {
    pte: Pte,
    level: Level,
}

/// A table that no entry points to any more.
#[must_use = "owns a subtree"]
pub struct RemovedTable {
    page: Page,
    table: Table<'static>,
}

impl Removed {
    /// Of an entry that was just taken out of a table of `level`.
    pub(super) fn new(pte: Pte, level: Level) -> Self {
        Self { pte, level }
    }

    /// Whether the hardware may have used it.
    pub fn was_live(&self) -> bool {
        self.pte.hw_valid()
    }

    /// Gives up ownership to the entry that took its place: one with other
    /// permissions, or a table of its parts.
    pub fn inherited(self) {
        let _ = self;
    }

    /// What it owned.
    pub fn into_owned(self) -> Owned {
        let Self { pte, level } = self;
        match (pte.kind(level), level.next()) {
            (Kind::Empty, _) => Owned::Nothing,
            (Kind::Table(mfn), Some(next)) => {
                // SAFETY: an entry of the tree pointed to this table, and this
                // value is all that is left of the entry: the table is only
                // freed through it.
                let table = unsafe { Table::map(mfn, next) };
                match (Page::of(mfn), table) {
                    (Some(page), Some(table)) => Owned::Table(RemovedTable { page, table }),
                    _ => Owned::Nothing,
                }
            }
            _ => Owned::Leaf(RemovedLeaf { pte, level }),
        }
    }
}

impl RemovedLeaf {
    /// The level that it was at.
    pub fn level(&self) -> Level {
        self.level
    }

    /// First frame that it mapped.
    pub fn mfn(&self) -> Mfn {
        self.pte.mfn()
    }

    /// Its type.
    pub fn ty(&self) -> Option<P2mType> {
        self.pte.ty()
    }

    /// Drops the references that a foreign mapping owns, one a page.
    pub fn put_references(self) {
        if !self.ty().is_some_and(P2mType::is_foreign) {
            return;
        }
        for n in 0..self.level.pages() {
            let page = Page::of(self.mfn().add(n));
            debug_assert!(page.is_some(), "a foreign mapping of no page");
            if let Some(page) = page {
                // SAFETY: the insertion was given a reference to each page
                // (`Target::vouched`); the leaf is gone, and `self` with it.
                drop(unsafe { PageRef::adopt(page) });
            }
        }
    }
}

impl RemovedTable {
    /// Hands what its entries hold to `each`, and leaves the table alone: it
    /// stays on the list of pages, and is freed at teardown.
    pub(crate) fn leak<'l>(self, write: &WriteView<'l>, each: fn(&WriteView<'l>, Removed)) {
        for index in TableIndex::all() {
            each(
                write,
                Removed::new(self.table.load(index), self.table.level),
            );
        }
    }

    /// Frees the table, handing what its entries hold to `release`.
    ///
    /// No walk that begins now finds the table; one flush makes sure that none
    /// is under way, and that no walk cache holds it. The view is exclusive, so
    /// no handle on the table is left in this code.
    pub(crate) fn free<'l>(
        self,
        write: &mut WriteView<'l>,
        release: fn(&mut WriteView<'l>, Removed),
    ) {
        write.tlb_flush_sync();
        for index in TableIndex::all() {
            let entry = Removed::new(self.table.load(index), self.table.level);
            release(write, entry);
        }
        // SAFETY: no entry points here, nothing is cached, and no handle is
        // left, as argued above.
        let page = unsafe { TablePage::from_removed(self.page) };
        write.free_table_page(page);
    }
}
