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

    /// The entry that was removed.
    pub fn pte(&self) -> Pte {
        self.pte
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
            (Kind::Table(mfn), Some(next)) => match (Page::of(mfn), Table::map(mfn, next)) {
                (Some(page), Some(table)) => Owned::Table(RemovedTable { page, table }),
                _ => Owned::Nothing,
            },
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

    /// Drops no reference: a device may still reach the pages.
    pub fn leak(self) {
        let _ = self;
    }
}

impl RemovedTable {
    /// What entry `index` held.
    pub fn take(&mut self, index: TableIndex) -> Removed {
        Removed {
            pte: self.table.load(index),
            level: self.table.level,
        }
    }

    /// Gives the page back. All entries were taken, and the TLBs were flushed:
    /// hence the exclusive view, with which no [`Table`] is left.
    pub(crate) fn free(self, write: &mut WriteView<'_>) {
        debug_assert!(!write.need_flush(), "a table is freed before the flush");
        // SAFETY: no entry points here, nothing is cached, and no handle is
        // left, as argued above.
        let page = unsafe { TablePage::from_removed(self.page) };
        write.free_table_page(page);
    }
}
