// SPDX-License-Identifier: GPL-2.0-only
//! Translation tables in memory: reading, and the only ways to write.
//!
//! **Reading** needs a view, that is the lock; a [`Table`] borrows it.
//!
//! **Writing** a live entry follows break-before-make (Arm ARM, D8.16.1): what
//! the TLBs may hold of the old entry must be gone before a new one with
//! another address, type or size is written. The steps are types:
//!
//! ```text
//! Table::slot ─┬─ Vacant ────────────────────────────── make / link ─► Removed
//!              └─ Live ── break_ ─► Broken ── flush ─► Vacant
//!                 │                   └── leave_empty ─► Removed (flush owed)
//!                 └── set_permissions (no break needed)
//! ```
//!
//! [`Vacant`] means that bit 0 was clear: no TLB holds the entry, though the
//! p2m may know a mapping there.
//!
//! **What was in the slot** comes back as a [`Removed`]: it owns the references
//! of a leaf, or the whole subtree, and must be released
//! ([`crate::retire`]).
//!
//! **Barriers.** Stores are plain; [`WriteView::publish`] makes them visible
//! to the walkers. A table that is not linked yet ([`NewTable`]) is filled
//! without any; linking it orders all of its stores first.
//!
//! On Arm64 Xen maps all memory, so a table needs no unmap (helpers.c refuses
//! to compile where that is not so).

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;

use xen_sys as sys;
use xen_sys::arch;

use crate::addr::{Gfn, Mfn, PAGE_SIZE};
use crate::globals::{root_level, root_pages};
use crate::level::{Level, TableIndex, ENTRIES, TABLE_SHIFT};
use crate::lock::{ReadView, WriteView};
use crate::pte::{Kind, Pte};
use crate::types::P2mType;
use crate::xen::page::{Page, PageRef};
use crate::xen::pool::TablePage;

/// A table of the tree, while the lock is held.
#[derive(Clone, Copy)]
pub struct Table<'v> {
    entries: NonNull<u64>,
    level: Level,
    _lock: PhantomData<&'v P2mTree>,
}

/// Stands for the tree in [`Table`]'s lifetime.
struct P2mTree;

/// What an entry leads to.
pub enum Entry<'v> {
    /// Nothing.
    Empty,
    /// The next table.
    Table(Table<'v>),
    /// A mapping.
    Leaf(Pte),
}

impl ReadView<'_> {
    /// The root page in which `gfn` is looked up (`p2m_get_root_pointer`);
    /// `None` if the frame is beyond the IPA space, or if there is no root
    /// (a domain that p2m_init never saw).
    pub fn root_table(&self, gfn: Gfn) -> Option<Table<'_>> {
        let level = root_level();
        let number = gfn.raw() >> level.order() >> TABLE_SHIFT;
        if number >= root_pages() {
            return None;
        }
        self.root_page_table(number)
    }

    /// Root page `number` as a table.
    fn root_page_table(&self, number: u64) -> Option<Table<'_>> {
        let root = self.p2m().root()?;
        Table::map(root.mfn().add(number), root_level())
    }

    /// All pages of the root.
    pub fn root_tables(&self) -> impl Iterator<Item = Table<'_>> {
        (0..root_pages()).filter_map(|number| self.root_page_table(number))
    }
}

impl<'v> Table<'v> {
    /// Maps a frame that holds a table of `level`. The caller has the frame
    /// from the root or from a live entry.
    fn map(mfn: Mfn, level: Level) -> Option<Self> {
        // SAFETY: Xen maps every page that holds a table.
        let entries = NonNull::new(unsafe { sys::xs_map_domain_page(mfn.raw()) })?;
        Some(Self {
            entries,
            level,
            _lock: PhantomData,
        })
    }

    /// The level of this table's entries.
    pub fn level(self) -> Level {
        self.level
    }

    fn at(self, index: TableIndex) -> *mut u64 {
        // SAFETY: the index is below 512, the table has 512 entries.
        unsafe { self.entries.add(index.get()) }.as_ptr()
    }

    /// The entry, raw.
    #[inline]
    pub fn load(self, index: TableIndex) -> Pte {
        // SAFETY: an entry of a live table: the lock is held for 'v.
        Pte::from_bits(unsafe { arch::pte_load(self.at(index)) })
    }

    /// Writes an entry. No barrier.
    fn store(self, index: TableIndex, pte: Pte) {
        // SAFETY: an entry of a live table; all callers have a WriteView, or
        // own the table.
        unsafe { arch::pte_store(self.at(index), pte.bits()) };
    }

    /// What the entry leads to.
    #[inline]
    pub fn entry(self, index: TableIndex) -> Entry<'v> {
        let pte = self.load(index);
        match (pte.kind(self.level), self.level.next()) {
            (Kind::Table(mfn), Some(next)) => match Self::map(mfn, next) {
                Some(table) => Entry::Table(table),
                None => Entry::Empty,
            },
            (Kind::Empty, _) => Entry::Empty,
            _ => Entry::Leaf(pte),
        }
    }

    /// The entry as a place to write to.
    pub fn slot(self, _write: &'v WriteView<'_>, index: TableIndex) -> Slot<'v> {
        let slot = Place {
            table: self,
            index,
            old: self.load(index),
        };
        if slot.old.hw_valid() {
            Slot::Live(Live(slot))
        } else {
            Slot::Vacant(Vacant(slot))
        }
    }

    /// Clears or sets bit 0 of an entry. The rest of the entry stays, so this
    /// is no change that wants break-before-make; the caller owes a flush if
    /// it clears.
    pub(crate) fn set_hw_valid(self, _write: &WriteView<'_>, index: TableIndex, valid: bool) {
        self.store(index, self.load(index).with_hw_valid(valid));
    }
}

/// An entry's place and what was in it.
struct Place<'v> {
    table: Table<'v>,
    index: TableIndex,
    old: Pte,
}

impl Place<'_> {
    fn removed(&self) -> Removed {
        Removed {
            pte: self.old,
            level: self.table.level,
        }
    }
}

/// An entry by what the hardware may have cached of it.
pub enum Slot<'v> {
    /// Nothing: bit 0 was clear.
    Vacant(Vacant<'v>),
    /// Possibly the entry and all below it.
    Live(Live<'v>),
}

/// An entry that no TLB holds.
#[must_use = "an entry that was broken must be made or left empty"]
pub struct Vacant<'v>(Place<'v>);

/// An entry that TLBs may hold.
pub struct Live<'v>(Place<'v>);

/// An entry that was cleared, and that TLBs may still hold.
#[must_use = "TLBs may hold this entry: flush, or leave it empty and owe the flush"]
pub struct Broken<'v>(Place<'v>);

impl<'v> Slot<'v> {
    /// What was in the slot.
    pub fn old(&self) -> Pte {
        match self {
            Self::Vacant(Vacant(place)) | Self::Live(Live(place)) => place.old,
        }
    }

    /// Break and flush if need be; then a new entry may be written.
    pub fn vacate(self, write: &WriteView<'_>) -> Vacant<'v> {
        match self {
            Self::Vacant(vacant) => vacant,
            Self::Live(live) => live.break_(write).flush(write),
        }
    }

    /// Clears the slot; a flush is owed if it was live.
    pub fn clear(self, write: &WriteView<'_>) -> Removed {
        match self {
            Self::Vacant(vacant) => vacant.clear(write),
            Self::Live(live) => live.break_(write).leave_empty(write),
        }
    }
}

impl<'v> Live<'v> {
    /// The break: clears the entry.
    pub fn break_(self, write: &WriteView<'_>) -> Broken<'v> {
        let Place { table, index, .. } = self.0;
        table.store(index, Pte::EMPTY);
        if write.p2m().clean_pte() {
            write.publish(table, index, 1);
        }
        Broken(self.0)
    }

    /// Replaces the entry by one that differs in permissions only. A flush is
    /// owed, and paid at the latest when the lock is released. Says whether it
    /// was done: any other difference wants break-before-make.
    pub fn set_permissions(&self, write: &WriteView<'_>, pte: Pte) -> bool {
        if !pte.differs_only_in_permissions(self.0.old) {
            return false;
        }
        self.0.table.store(self.0.index, pte);
        write.set_need_flush(true);
        true
    }
}

impl<'v> Broken<'v> {
    /// The TLBs forget the old entry. The helper starts with a DSB that
    /// completes the break.
    pub fn flush(self, write: &WriteView<'_>) -> Vacant<'v> {
        write.force_tlb_flush_sync();
        Vacant(self.0)
    }

    /// No new entry: the flush may wait until the lock is released.
    pub fn leave_empty(self, write: &WriteView<'_>) -> Removed {
        write.set_need_flush(true);
        self.0.removed()
    }
}

impl<'v> Vacant<'v> {
    /// The make: writes a leaf. The caller publishes.
    pub fn make(self, _write: &WriteView<'_>, leaf: Pte) -> Removed {
        debug_assert!(matches!(leaf.kind(self.0.table.level), Kind::Leaf));
        self.0.table.store(self.0.index, leaf);
        self.0.removed()
    }

    /// The make: writes a pointer to a new table, whose entries are complete
    /// in memory before.
    pub fn link(self, write: &'v WriteView<'_>, new: NewTable) -> (Removed, Table<'v>) {
        let place = self.0;
        write.publish(new.table, TableIndex::FIRST, ENTRIES as u64);
        place
            .table
            .store(place.index, Pte::table(new.page.page().mfn()));
        write.publish(place.table, place.index, 1);
        (place.removed(), new.table)
    }

    /// Clears what the p2m knew here (XSA-393: also when bit 0 was clear).
    pub fn clear(self, write: &WriteView<'_>) -> Removed {
        let place = self.0;
        if place.old != Pte::EMPTY {
            place.table.store(place.index, Pte::EMPTY);
            if write.p2m().clean_pte() {
                write.publish(place.table, place.index, 1);
            }
        }
        place.removed()
    }
}

impl WriteView<'_> {
    /// Makes the stores to `count` entries from `first` on visible to every
    /// walker: to the CPUs' and a coherent SMMU's by a DSB over the inner
    /// shareable domain (Arm ARM, D8.2.6: a walk is an explicit observer), to
    /// any other SMMU's by cleaning to the point of coherency.
    pub fn publish(&self, table: Table<'_>, first: TableIndex, count: u64) {
        debug_assert!(count <= first.room());
        if self.p2m().clean_pte() {
            let start = table.at(first).cast::<c_void>();
            // SAFETY: part of a mapped table. The helper begins and ends with
            // DSB SY.
            unsafe { sys::xs_clean_dcache_va_range(start, count * size_of::<u64>() as u64) };
        } else {
            arch::dsb_ishst();
        }
    }
}

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
        let table = Table::map(page.page().mfn(), level)?;
        Some(Self { page, table })
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
        self.table.store(index, Pte::table(lower.page.page().mfn()));
    }
}

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

impl WriteView<'_> {
    /// Clears all pages of the root and cleans them to memory. A flush is
    /// owed. The tables below stay on the list of pages.
    pub(crate) fn clear_root(&mut self) {
        self.set_need_flush(true);
        let Some(root) = self.p2m().root() else {
            return;
        };
        for page in (0..root_pages()).filter_map(|n| root.nth(n)) {
            // SAFETY: a root page of this p2m, and the write lock is held.
            unsafe { page.clear_and_clean() };
        }
    }
}

/// A table fills its page.
const _: () = assert!(ENTRIES as u64 * size_of::<u64>() as u64 == PAGE_SIZE);
