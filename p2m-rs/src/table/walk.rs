// SPDX-License-Identifier: GPL-2.0-only
//! A walk from the root downwards, as the hardware does it: what every call
//! begins with, so it is made of as few instructions as it can be.
//!
//! A walk is an address, which is mapped when the table is looked into, and the
//! order of the table's entries, of which each step needs no more. Where Xen's
//! direct map is arithmetic ([`sys::DirectMap`]) nothing is called on the way.

use core::marker::PhantomData;
use core::sync::atomic::Ordering::Relaxed;

use xen_sys as sys;

use super::{P2mTree, Table};
use crate::p2m::lock::{ReadView, WriteView};
use crate::types::addr::Gfn;
use crate::types::level::{Level, TableIndex, TABLE_SHIFT};
use crate::types::pte::Pte;
use crate::xen::globals::{root_page_order, root_pages};

/// A walk from the root downwards: the table that it has come to.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'v> {
    /// Bits 47:12 are the table's address: the entry that pointed to it, or
    /// VTTBR_EL2's value.
    pointer: Pte,
    /// [`Level::order`] of the table's level: what each step needs of it.
    order: u32,
    map: sys::DirectMap,
    _lock: PhantomData<&'v P2mTree>,
}

impl<'v> Walk<'v> {
    /// At the page of the root in which `gfn` is looked up; `None` beyond the IPA space,
    /// or if there is no root.
    #[inline(always)]
    pub(crate) fn from_root(view: &'v ReadView, gfn: Gfn) -> Option<Self> {
        let page_order = root_page_order().load(Relaxed);
        let number = gfn.raw() >> page_order;
        let pointer = view.p2m().vttbr().root_pointer(number)?;
        if number >= root_pages() {
            return None;
        }
        Some(Self {
            pointer: Pte::from_bits(pointer),
            order: page_order - TABLE_SHIFT,
            map: sys::DirectMap::get(),
            _lock: PhantomData,
        })
    }

    /// At the table of `level` on the way to `gfn`, or at the last there is above it.
    /// `None` for a frame beyond the root's.
    #[inline(always)]
    pub(crate) fn towards(view: &'v ReadView, gfn: Gfn, level: Level) -> Option<Self> {
        let mut walk = Self::from_root(view, gfn)?;
        let order = level.order();
        if walk.order() <= order {
            return Some(walk);
        }
        loop {
            let (_, goes_on) = walk.step(gfn);
            if !goes_on || walk.order() <= order {
                return Some(walk);
            }
        }
    }

    /// log2 of the pages that an entry of the table spans.
    #[inline(always)]
    pub(crate) fn order(&self) -> u32 {
        self.order
    }

    /// The table.
    #[inline(always)]
    pub(crate) fn table(&self) -> Table<'v> {
        self.table_of(Level::of_order(self.order))
    }

    /// The table, for those who know of which level it is.
    #[inline(always)]
    pub(crate) fn table_of(&self, level: Level) -> Table<'v> {
        debug_assert!(level.order() == self.order);
        // SAFETY: a page of the root, which lives as long as the p2m; or a table to
        // which an entry of the tree points, as in `Table::next`.
        let entries = unsafe { self.map.page_of_entry(self.pointer.bits()) };
        Table {
            entries,
            level,
            _lock: PhantomData,
        }
    }

    /// Whether each step calls Xen, as on a machine with a hole in its direct map.
    #[inline(always)]
    pub(crate) fn calls_for_each_table(&self) -> bool {
        self.map.has_hole()
    }

    /// Where the table has its entry for `gfn`.
    #[inline(always)]
    pub(crate) fn place(&self, gfn: Gfn) -> Place<'v> {
        // SAFETY: as in `table_of`.
        let entries = unsafe { self.map.page_of_entry(self.pointer.bits()) };
        // Any level: who loads or stores an entry does not ask for it.
        let table = Table {
            entries,
            level: Level::L3,
            _lock: PhantomData,
        };
        let index = TableIndex::truncate(gfn.raw() >> self.order);
        Place(Table {
            entries: table.at(index),
            ..table
        })
    }

    /// The table's entry for `gfn`, and whether that points to another table, to
    /// which the walk has gone on then.
    #[inline(always)]
    pub(crate) fn step(&mut self, gfn: Gfn) -> (Pte, bool) {
        let Place(entry) = self.place(gfn);
        let pte = entry.load(TableIndex::FIRST);
        let goes_on = self.order > 0 && pte.has_table_bit();
        if goes_on {
            self.pointer = pte;
            self.order -= TABLE_SHIFT;
        }
        (pte, goes_on)
    }
}

impl<'v> Table<'v> {
    /// The table of `level` on the way to `gfn`, or the last there is above it.
    /// `None` for a frame beyond the root's.
    #[inline(never)]
    pub(crate) fn towards(view: &'v ReadView, gfn: Gfn, level: Level) -> Option<Self> {
        Walk::towards(view, gfn, level).map(|walk| walk.table())
    }

    /// The table whose entry ends the walk to `gfn`. `None` for a frame beyond
    /// the root's.
    pub(crate) fn last(view: &'v ReadView, gfn: Gfn) -> Option<Self> {
        Self::towards(view, gfn, Level::L3)
    }

    /// The table of `level` on the way to `gfn`, if there is one.
    #[inline(always)]
    pub(crate) fn of_level(view: &'v ReadView, gfn: Gfn, level: Level) -> Option<Self> {
        Walk::towards(view, gfn, level)
            .filter(|walk| walk.order() == level.order())
            .map(|walk| walk.table_of(level))
    }
}

/// The place of an entry: the first of a table that begins there.
#[derive(Clone, Copy)]
pub(crate) struct Place<'v>(Table<'v>);

impl Place<'_> {
    /// Sets the entry's valid bit. The rest of it stays, so this change needs no
    /// break-before-make.
    #[inline(never)]
    pub(crate) fn validate(self, write: &WriteView<'_>) {
        let (Self(entry), first) = (self, TableIndex::FIRST);
        let pte = entry.load(first);
        // Bit 0 alone would be a block.
        debug_assert!(pte.is_mapped());
        entry.store(first, pte.with_valid_bit());
        entry.stored(write, first, 1);
    }
}
