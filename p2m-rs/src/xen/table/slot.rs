// SPDX-License-Identifier: GPL-2.0-only
//! Changing an entry that may be live: break-before-make, as types. The
//! parent's documentation has the picture.

use super::{NewTable, Removed, Table};
use crate::level::{TableIndex, ENTRIES};
use crate::lock::WriteView;
use crate::pte::{Kind, Pte};

impl<'v> Table<'v> {
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
}

/// An entry's place and what was in it.
struct Place<'v> {
    table: Table<'v>,
    index: TableIndex,
    old: Pte,
}

impl Place<'_> {
    fn removed(&self) -> Removed {
        Removed::new(self.old, self.table.level)
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
        write.publish(new.table(), TableIndex::FIRST, ENTRIES as u64);
        place.table.store(place.index, new.pointer());
        write.publish(place.table, place.index, 1);
        (place.removed(), new.table())
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
