// SPDX-License-Identifier: GPL-2.0-only
//! Changing one entry that may be live. The parent's documentation has the
//! picture.
//!
//! What was in an entry is what the store replaced, looked at again at that
//! moment: two slots for one entry cannot both come to own it.

use super::{Removed, RemovedLeaf, Table};
use crate::addr::Gfn;
use crate::level::TableIndex;
use crate::lock::WriteView;
use crate::pte::{Kind, Pte};

impl<'v> Table<'v> {
    /// The entry as a place to write to.
    pub fn slot(self, _write: &WriteView<'_>, index: TableIndex) -> Slot<'v> {
        let place = Place { table: self, index };
        if self.load(index).hw_valid() {
            Slot::Live(Live(place))
        } else {
            Slot::Vacant(Vacant(place))
        }
    }

    /// Writes `leaf` to the entry for `gfn`, if that is empty and no flush is
    /// owed. Says whether it did.
    #[inline]
    pub(crate) fn fill_one(self, write: &WriteView<'_>, gfn: Gfn, leaf: Pte) -> bool {
        let index = self.level.index(gfn);
        if self.load(index) != Pte::EMPTY || write.owes_flush() {
            return false;
        }
        self.store(index, leaf);
        write.stored(self, index, 1);
        true
    }

    /// Writes `leaf` and those that map the frames after it to empty entries
    /// from `first` on, up to the first that is not empty, `limit` at most.
    /// Returns how many.
    #[inline]
    pub(crate) fn fill_empty(
        self,
        write: &WriteView<'_>,
        first: TableIndex,
        limit: u64,
        leaf: Pte,
    ) -> u64 {
        if self.load(first) != Pte::EMPTY {
            return 0;
        }
        // An entry may have been cleared under this lock: its flush comes
        // before anything new.
        write.tlb_flush_sync();
        let (mut filled, mut pte) = (0, leaf);
        for index in first.run(limit) {
            if self.load(index) != Pte::EMPTY {
                break;
            }
            self.store(index, pte);
            pte = pte.advanced(self.level.pages());
            filled += 1;
        }
        if filled > 0 {
            write.stored(self, first, filled);
        }
        filled
    }
}

impl Table<'_> {
    /// Clears the leaf at `first` and those after it that map the frames after it
    /// with the same rights, `limit` at most. None if there is no leaf. The caller
    /// reports the stores, and owes the flush if they were live.
    pub(crate) fn take_run(
        self,
        _write: &WriteView<'_>,
        first: TableIndex,
        limit: u64,
    ) -> Option<RemovedLeaf> {
        let leaf = self.load(first);
        if leaf.kind(self.level) != Kind::Leaf {
            return None;
        }
        let (mut next, mut count) = (leaf, 0);
        for index in first.run(limit) {
            if self.load(index) != next {
                break;
            }
            self.store(index, Pte::EMPTY);
            next = next.advanced(self.level.pages());
            count += 1;
        }
        Some(RemovedLeaf::run(leaf, self.level, count))
    }

    /// Gives `count` entries from `first` on, at which `gfn` is looked up, other
    /// permissions: what `change` makes of each, or as they are for `None`.
    /// No break is needed for that; an entry that would change in more stays as
    /// it is. A flush is owed if one was live; the caller reports the stores.
    #[inline]
    pub(crate) fn set_permissions(
        self,
        write: &WriteView<'_>,
        gfn: Gfn,
        first: TableIndex,
        count: u64,
        mut change: impl FnMut(Pte) -> Option<Pte>,
    ) -> Permissions {
        let mut set = Permissions {
            any: false,
            any_live: false,
            alike: true,
        };
        // What would go on from the last entry alike.
        let mut next = Pte::NONE;
        let (mut at, mut done) = (Some(first), 0);
        while let Some(index) = at.filter(|_| done < count) {
            let old = self.load(index);
            let new = change(old).filter(|new| {
                let is_legal = new.differs_only_in_permissions(old.with_hw_valid(true));
                debug_assert!(is_legal, "{new:?} differs from {old:?}");
                is_legal
            });
            let mut run = 1;
            match new {
                Some(new) => {
                    run = self.set_run(index, old, new, count - done);
                    set.alike &= new == next || index == first;
                    set.any = true;
                    set.any_live |= old.hw_valid();
                    next = new.advanced(run << self.level.order());
                }
                None => set.alike = false,
            }
            done += run;
            at = index.advanced(run);
        }
        if set.any_live {
            write.owe_flush(gfn, count << self.level.order(), self.level);
        }
        set
    }
}

impl Table<'_> {
    /// Writes `new` over `old`, the leaf at `first`, and likewise for those after it
    /// that map the frames after it alike, `limit` at most. Returns how many.
    #[inline]
    fn set_run(self, first: TableIndex, old: Pte, new: Pte, limit: u64) -> u64 {
        let (mut like, mut made, mut count) = (old, new, 0);
        for index in first.run(limit) {
            if self.load(index) != like {
                break;
            }
            self.store(index, made);
            like = like.advanced(self.level.pages());
            made = made.advanced(self.level.pages());
            count += 1;
        }
        count
    }
}

/// Which entries [`Table::set_permissions`] changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permissions {
    /// Any.
    pub(crate) any: bool,
    /// Any that the hardware may have used.
    pub(crate) any_live: bool,
    /// All map consecutive frames, alike in everything.
    pub(crate) alike: bool,
}

/// Where an entry is.
pub(super) struct Place<'v> {
    pub(super) table: Table<'v>,
    pub(super) index: TableIndex,
}

impl Place<'_> {
    /// Writes the entry; returns what was there.
    pub(super) fn swap(&self, pte: Pte) -> Removed {
        let old = self.table.load(self.index);
        self.table.store(self.index, pte);
        Removed::new(old, self.table.level)
    }
}

/// An entry by what the hardware may have cached of it.
pub enum Slot<'v> {
    /// Nothing, unless a flush is owed: bit 0 is clear.
    Vacant(Vacant<'v>),
    /// Possibly the entry and all below it.
    Live(Live<'v>),
}

/// An entry without bit 0.
pub struct Vacant<'v>(Place<'v>);

/// An entry that TLBs may hold.
pub struct Live<'v>(Place<'v>);

impl<'v> Slot<'v> {
    /// Clears the slot, at which `gfn` is looked up. A flush is owed if it was
    /// live.
    pub fn clear(self, write: &WriteView<'_>, gfn: Gfn) -> Removed {
        let (Self::Vacant(Vacant(place)) | Self::Live(Live(place))) = self;
        // XSA-393: also what has no bit 0.
        if place.table.load(place.index) == Pte::EMPTY {
            return Removed::new(Pte::EMPTY, place.table.level);
        }
        let removed = place.swap(Pte::EMPTY);
        write.stored(place.table, place.index, 1);
        removed.owe_flush(write, gfn);
        removed
    }
}

impl<'v> Live<'v> {
    /// Replaces the entry, at which `gfn` is looked up, by one that differs in
    /// permissions only. A flush is owed, and paid at the latest when the lock
    /// is released; the caller reports the store. Any other difference wants
    /// break-before-make: then the slot comes back.
    ///
    /// What comes back owns what the old entry owned.
    pub fn set_permissions(
        self,
        write: &WriteView<'_>,
        gfn: Gfn,
        pte: Pte,
    ) -> Result<Removed, Self> {
        let Place { table, index } = self.0;
        if !pte.differs_only_in_permissions(table.load(index)) {
            return Err(self);
        }
        write.owe_flush(gfn, table.level.pages(), table.level);
        Ok(self.0.swap(pte))
    }

    /// Replaces the entry, at which `gfn` is looked up, by any other leaf: break,
    /// flush, make, at once. For many entries with one flush there is
    /// [`super::Pending`]. What was there comes back.
    pub fn replace(self, write: &WriteView<'_>, gfn: Gfn, leaf: Pte) -> Removed {
        let Place { table, index } = self.0;
        let removed = self.0.swap(leaf.with_hw_valid(false));
        write.stored(table, index, 1);
        removed.owe_flush(write, gfn);
        write.tlb_flush_sync();
        table.store(index, leaf);
        write.stored(table, index, 1);
        removed
    }
}

impl<'v> Vacant<'v> {
    /// Writes a leaf; the caller reports the store. What it held comes back.
    pub fn make(self, write: &WriteView<'_>, leaf: Pte) -> Removed {
        debug_assert!(matches!(leaf.kind(self.0.table.level), Kind::Leaf));
        if self.0.table.load(self.0.index) == Pte::EMPTY {
            write.tlb_flush_sync();
        }
        self.0.swap(leaf)
    }
}
