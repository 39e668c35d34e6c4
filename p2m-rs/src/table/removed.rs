// SPDX-License-Identifier: GPL-2.0-only
//! [`Removed`]: what an entry owned, after the entry was removed from its table.

use core::marker::PhantomData;

use super::Table;
use crate::p2m::iommu::IotlbFlushed;
use crate::p2m::lock::WriteView;
use crate::p2m::pages::TablePage;
use crate::types::addr::{Gfn, Mfn};
use crate::types::level::{Level, TableIndex};
use crate::types::owner::{Host, Owner};
use crate::types::pte::{Kind, Pte};
use crate::xen::page::{put_pages, Page};

/// An entry, or a run of leaves, as it was before it was cleared or replaced. This value owns
/// what the entry owned, and must be released under the lock by
/// `map::release::release`.
///
/// # Invariants
///
/// The entries are in no table any more, and there is no second value for them. It does not
/// prove that the TLBs, or an IOMMU, have forgotten them.
#[must_use = "owns references or a subtree: release it"]
pub(crate) struct Removed<'w, O = Host> {
    pte: Pte,
    level: Level,
    /// The length of the run of leaves of which `pte` was the first, or 1.
    count: u64,
    _lock: PhantomData<(&'w (), O)>,
}

/// What a [`Removed`] owns.
pub(crate) enum Owned<'w, O = Host> {
    /// Nothing.
    Nothing,
    /// A mapping's references.
    Leaf(RemovedLeaf<'w, O>),
    /// A table and everything below it.
    Table(RemovedTable<'w, O>),
}

/// A leaf, or a run of leaves, that was removed from its table.
///
/// # Invariants
///
/// As of [`Removed`]; the leaves are of a table of `level`, and a foreign one owns a
/// reference to each of its pages.
#[must_use = "owns references"]
pub(crate) struct RemovedLeaf<'w, O = Host> {
    pte: Pte,
    level: Level,
    count: u64,
    _lock: PhantomData<(&'w (), O)>,
}

/// A table that no entry points to any more.
///
/// # Invariants
///
/// Only this value can free the table, which is in `page`, and what is below it. It does not
/// prove that no walk is in it: a walk may be under way, and walk caches may hold it until
/// the flush.
#[must_use = "owns a subtree"]
pub(crate) struct RemovedTable<'w, O = Host> {
    page: Page,
    table: Table<'w>,
    owner: PhantomData<O>,
}

impl<'w, O: Owner> Removed<'w, O> {
    /// For `count` entries that were just removed from a table of `level`: a run of leaves of
    /// which `pte` was the first, or one entry of any kind.
    pub(super) fn run(pte: Pte, level: Level, count: u64) -> Self {
        Self {
            pte,
            level,
            count,
            _lock: PhantomData,
        }
    }

    /// The number of entries that were removed.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether the entry mapped anything.
    pub(super) fn was_mapped(&self) -> bool {
        self.pte.is_mapped()
    }

    /// Whether the entry was live, so that TLBs may hold it.
    pub(crate) fn was_live(&self) -> bool {
        self.pte.valid_bit()
    }

    /// Defers a flush if the entry for `gfn` was live. If the entry pointed to a table, the
    /// TLBs may hold single pages, so the flush's granule is a page.
    pub(super) fn defer_flush(&self, write: &WriteView<'_, O>, gfn: Gfn) {
        if !self.was_live() {
            return;
        }
        let granule = match self.pte.kind(self.level) {
            Kind::Table(_) => Level::L3,
            _ => self.level,
        };
        write.deferred().defer_flush(
            self.level.start(gfn),
            self.count << self.level.order(),
            granule,
        );
    }

    /// Passes ownership to the entry that replaced this one: a mapping of the same frames with
    /// other permissions, or a table of its parts.
    pub(crate) fn inherited(self) {
        let _ = self;
    }

    /// What the entry owned.
    #[inline]
    pub(crate) fn into_owned(self) -> Owned<'w, O> {
        let Self {
            pte, level, count, ..
        } = self;
        match pte.kind(level) {
            Kind::Empty => Owned::Nothing,
            Kind::Leaf => Owned::Leaf(RemovedLeaf::run(pte, level, count)),
            Kind::Table(mfn) => self.into_table(mfn).map_or(Owned::Nothing, Owned::Table),
        }
    }

    #[inline(never)]
    fn into_table(self, mfn: Mfn) -> Option<RemovedTable<'w, O>> {
        let below = self.level.next()?;
        // SAFETY: an entry of the tree pointed to this table, and this value is
        // all that is left of the entry: the table is only freed through it.
        let table = unsafe { Table::map(mfn, below) };
        let page = Page::of(mfn)?;
        Some(RemovedTable {
            page,
            table,
            owner: PhantomData,
        })
    }
}

impl<'w, O: Owner> RemovedLeaf<'w, O> {
    /// For `count` leaves that were just removed from a table of `level`: a run of which
    /// `pte` was the first.
    pub(super) fn run(pte: Pte, level: Level, count: u64) -> Self {
        Self {
            pte,
            level,
            count,
            _lock: PhantomData,
        }
    }

    /// These leaves as a [`Removed`].
    pub(super) fn into_removed(self) -> Removed<'w, O> {
        Removed::run(self.pte, self.level, self.count)
    }

    /// The number of leaves.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The level of the leaves.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Whether the leaves were live, so that TLBs may hold them.
    pub(crate) fn was_live(&self) -> bool {
        self.pte.valid_bit()
    }

    /// The first frame that the leaves mapped.
    pub(crate) fn mfn(&self) -> Mfn {
        self.pte.mfn()
    }

    /// Whether the pages are the domain's own RAM.
    #[inline]
    pub(crate) fn is_ram(&self) -> bool {
        self.pte.is_ram()
    }

    /// Whether the mapping owns references.
    #[inline]
    pub(crate) fn is_foreign(&self) -> bool {
        self.pte.is_foreign()
    }
}

impl RemovedLeaf<'_, Host> {
    /// Drops the references that a foreign mapping owns, one per page
    /// (`p2m_put_foreign_page`). The IOTLB holds the mapping no more.
    #[inline]
    pub(crate) fn put_references(self, _flushed: IotlbFlushed) {
        if self.is_foreign() {
            self.put_foreign();
        }
    }

    #[inline(never)]
    fn put_foreign(self) {
        // SAFETY: the insertion brought one reference per page (`Target::vouched`), which a split
        // passed on to the parts. The entries are in no table, and `self` is the only value for them. The
        // callers have flushed the TLBs, unless the domain will not run again (B15).
        unsafe { put_pages(self.mfn(), self.count << self.level.order()) };
    }
}

impl<'w, O: Owner> RemovedTable<'w, O> {
    /// Passes what the table's entries own to `each`. The table itself
    /// stays on the list of pages, and is freed at teardown.
    pub(crate) fn leak(self, each: impl Fn(Removed<'w, O>)) {
        for index in TableIndex::all() {
            each(Removed::run(self.table.load(index), self.table.level, 1));
        }
    }

    /// Passes what the table's entries own to `each`, leaves as runs, and defers the freeing of
    /// the table until after the TLB flush, before the lock is released. A walk that
    /// begins now cannot reach the table, but one that began earlier may be in it, and walk
    /// caches may hold the table until the flush.
    #[inline]
    pub(crate) fn free(
        self,
        write: &WriteView<'_, O>,
        flushed: IotlbFlushed,
        mut each: impl FnMut(Owned<'w, O>),
    ) {
        let Table { level, .. } = self.table;
        let mut at = Some(TableIndex::FIRST);
        while let Some(index) = at {
            let pte = self.table.load(index);
            let mut count = 1;
            if pte.kind(level) == Kind::Leaf {
                count = self.table.run_of(index, pte, u64::MAX);
                each(Owned::Leaf(RemovedLeaf::run(pte, level, count)));
            } else if pte.is_mapped() {
                each(Removed::run(pte, level, 1).into_owned());
            }
            at = index.advanced(count);
        }
        self.free_only(write, flushed);
    }

    /// [`Self::free`] for a table that owns nothing: its mappings were taken over by a block, or
    /// it has none, or it is a view's and has no table below.
    pub(crate) fn free_only(self, write: &WriteView<'_, O>, _flushed: IotlbFlushed) {
        // SAFETY: no entry points here any more; TLBs may, until the flush, which
        // comes before the page is freed.
        let page = unsafe { TablePage::from_removed(self.page) };
        write.deferred().pages().free_later(page);
    }

    /// The level of the table's entries.
    pub(crate) fn level(&self) -> Level {
        self.table.level
    }
}
