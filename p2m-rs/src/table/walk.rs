// SPDX-License-Identifier: GPL-2.0-only
//! [`Walk`]: a walk of the tables from the root down. Every operation begins with
//! one, so a step takes as few instructions as possible.
//!
//! A walk consists of the address of a table, which is mapped when an entry is read, and the
//! order of the table's entries. Where Xen's direct map is contiguous
//! ([`sys::DirectMap`]) a step calls no function.

use core::marker::PhantomData;
use core::sync::atomic::Ordering::Relaxed;

use xen_sys as sys;

use super::{Slot, Table};
use crate::p2m::lock::ReadView;
use crate::types::addr::Gfn;
use crate::types::level::{Level, TableIndex, TABLE_SHIFT};
use crate::types::pte::Pte;
use crate::xen::globals::{root_page_order, root_pages};

/// A walk from the root down: the table that it has reached.
///
/// # Invariants
///
/// Bits 47:12 of `pointer` are the address of a table of the tree whose entries span
/// 2^`order` pages each, and which is not freed during `'v`: a lock of its p2m is held. It
/// does not prove that the entry that led there is still what it was.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'v> {
    /// Bits 47:12 are the table's address: this is the entry that pointed to the table, or
    /// VTTBR_EL2's value for the root.
    pointer: Pte,
    /// [`Level::order`] of the table's level, which is all that a step needs of the level.
    order: u32,
    map: sys::DirectMap,
    _lock: PhantomData<&'v ()>,
}

impl<'v> Walk<'v> {
    /// A walk at the root page that holds the entry for `gfn`; `None` beyond the root,
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

    /// A walk towards `gfn`, at the table of `level`, or at the last table above that level if
    /// it does not exist. `None` beyond the root.
    #[inline(always)]
    pub(crate) fn towards(view: &'v ReadView, gfn: Gfn, level: Level) -> Option<Self> {
        let mut walk = Self::from_root(view, gfn)?;
        while walk.order() > level.order() && walk.step(gfn).1 {}
        Some(walk)
    }

    /// log2 of the number of pages that an entry of the table spans.
    #[inline(always)]
    pub(crate) fn order(&self) -> u32 {
        self.order
    }

    /// The table that the walk has reached.
    #[inline(always)]
    pub(crate) fn table(&self) -> Table<'v> {
        self.table_of(Level::of_order(self.order))
    }

    /// The table that the walk has reached, for callers that know its level.
    #[inline(always)]
    pub(crate) fn table_of(&self, level: Level) -> Table<'v> {
        debug_assert!(level.order() == self.order);
        // INVARIANT: a page of the root, which lives as long as the p2m; or a table to
        // which an entry of the tree points, as in `Table::next`.
        Table {
            entries: self.map.page_of_entry(self.pointer.bits()),
            level,
            _lock: PhantomData,
        }
    }

    /// Whether each step calls Xen, which it does on a machine with a hole in its direct map.
    #[inline(always)]
    pub(crate) fn calls_for_each_table(&self) -> bool {
        self.map.has_hole()
    }

    /// The table's entry for `gfn`.
    #[inline(always)]
    pub(crate) fn slot(&self, gfn: Gfn) -> Slot<'v> {
        // INVARIANT: as in `table_of`. (The level does not matter for one entry.)
        let table = Table {
            entries: self.map.page_of_entry(self.pointer.bits()),
            level: Level::L3,
            _lock: PhantomData,
        };
        table.slot(TableIndex::truncate(gfn.raw() >> self.order))
    }

    /// Reads the table's entry for `gfn`. Returns the entry and whether it points to another
    /// table; if so, the walk has moved to that table.
    #[inline(always)]
    pub(crate) fn step(&mut self, gfn: Gfn) -> (Pte, bool) {
        let pte = self.slot(gfn).load();
        (pte, self.follow(pte))
    }

    /// Moves on to the table that `pte` points to. `pte` must be the entry for the walk's frame
    /// that was just read. Returns false, without a move, if it points to no table.
    #[inline(always)]
    pub(crate) fn follow(&mut self, pte: Pte) -> bool {
        let descended = self.order > 0 && pte.has_table_bit();
        if descended {
            // INVARIANT: the entry that was read under the lock points to a table of the tree.
            self.pointer = pte;
            self.order -= TABLE_SHIFT;
        }
        descended
    }
}

impl<'v> Table<'v> {
    /// The table of `level` on the walk to `gfn`, or the last table above that level if it does
    /// not exist. `None` beyond the root.
    #[inline(never)]
    pub(crate) fn towards(view: &'v ReadView, gfn: Gfn, level: Level) -> Option<Self> {
        Walk::towards(view, gfn, level).map(|walk| walk.table())
    }

    /// The table whose entry ends the walk to `gfn`. `None` beyond the root.
    pub(crate) fn last(view: &'v ReadView, gfn: Gfn) -> Option<Self> {
        Self::towards(view, gfn, Level::L3)
    }

    /// The table of `level` on the walk to `gfn`, if it exists.
    #[inline(always)]
    pub(crate) fn of_level(view: &'v ReadView, gfn: Gfn, level: Level) -> Option<Self> {
        Walk::towards(view, gfn, level)
            .filter(|walk| walk.order() == level.order())
            .map(|walk| walk.table_of(level))
    }
}
