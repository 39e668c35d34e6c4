// SPDX-License-Identifier: GPL-2.0-only
//! Changing an entry that may be live: break-before-make, as types. The
//! parent's documentation has the picture.
//!
//! What was in an entry is what the store replaced, looked at again at that
//! moment: two slots for one entry cannot both come to own it.

use super::{NewTable, Removed, Table};
use crate::level::{TableIndex, ENTRIES};
use crate::lock::WriteView;
use crate::pte::{Kind, Pte};

impl<'v> Table<'v> {
    /// The entry as a place to write to.
    pub fn slot(self, _write: &'v WriteView<'_>, index: TableIndex) -> Slot<'v> {
        let place = Place { table: self, index };
        if self.load(index).hw_valid() {
            Slot::Live(Live(place))
        } else {
            Slot::Vacant(Vacant {
                place,
                broken: None,
            })
        }
    }
}

/// Where an entry is.
struct Place<'v> {
    table: Table<'v>,
    index: TableIndex,
}

impl Place<'_> {
    /// Writes the entry; returns what was there.
    fn swap(&self, pte: Pte) -> Pte {
        let old = self.table.load(self.index);
        self.table.store(self.index, pte);
        old
    }

    fn removed(&self, old: Pte) -> Removed {
        Removed::new(old, self.table.level)
    }

    /// For an IOMMU that does not snoop, each cleared entry is cleaned at
    /// once; all others see it no later than the flush, which begins with a
    /// barrier.
    fn clean(&self, write: &WriteView<'_>) {
        if write.p2m().clean_pte() {
            write.publish(self.table, self.index, 1);
        }
    }
}

/// An entry by what the hardware may have cached of it.
pub enum Slot<'v> {
    /// Nothing, unless a flush is owed: bit 0 is clear.
    Vacant(Vacant<'v>),
    /// Possibly the entry and all below it.
    Live(Live<'v>),
}

/// An entry without bit 0, or one that was broken and flushed.
#[must_use = "an entry that was broken must be made or left empty"]
pub struct Vacant<'v> {
    place: Place<'v>,
    /// What a break took out of it.
    broken: Option<Pte>,
}

/// An entry that TLBs may hold.
pub struct Live<'v>(Place<'v>);

/// An entry that was cleared, and that TLBs may still hold.
#[must_use = "TLBs may hold this entry: flush, or leave it empty and owe the flush"]
pub struct Broken<'v> {
    place: Place<'v>,
    old: Pte,
}

impl<'v> Slot<'v> {
    /// Break and flush if need be; then a new entry may be written. An empty
    /// entry may have been cleared under this lock, with the flush still owed:
    /// then it is paid.
    pub fn vacate(self, write: &WriteView<'_>) -> Vacant<'v> {
        match self {
            Self::Vacant(vacant) => {
                if vacant.place.table.load(vacant.place.index) == Pte::EMPTY {
                    write.tlb_flush_sync();
                }
                vacant
            }
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
        let Self(place) = self;
        let old = place.swap(Pte::EMPTY);
        place.clean(write);
        Broken { place, old }
    }

    /// Replaces the entry by one that differs in permissions only. A flush is
    /// owed, and paid at the latest when the lock is released; the caller
    /// publishes. Any other difference wants break-before-make: then the slot
    /// comes back.
    pub fn set_permissions(self, write: &WriteView<'_>, pte: Pte) -> Result<(), Self> {
        let Place { table, index } = self.0;
        if !pte.differs_only_in_permissions(table.load(index)) {
            return Err(self);
        }
        table.store(index, pte);
        write.set_need_flush(true);
        Ok(())
    }
}

impl<'v> Broken<'v> {
    /// The TLBs forget the old entry. The helper starts with a DSB that
    /// completes the break.
    pub fn flush(self, write: &WriteView<'_>) -> Vacant<'v> {
        write.force_tlb_flush_sync();
        Vacant {
            place: self.place,
            broken: Some(self.old),
        }
    }

    /// No new entry: the flush may wait until the lock is released.
    pub fn leave_empty(self, write: &WriteView<'_>) -> Removed {
        write.set_need_flush(true);
        self.place.removed(self.old)
    }
}

impl<'v> Vacant<'v> {
    /// Writes the entry; what it held, before the break if there was one,
    /// comes back.
    fn replace(&self, pte: Pte) -> Removed {
        let old = self.place.swap(pte);
        debug_assert!(!old.hw_valid(), "an entry was made twice");
        self.place.removed(self.broken.unwrap_or(old))
    }

    /// The make: writes a leaf. The caller publishes.
    pub fn make(self, _write: &WriteView<'_>, leaf: Pte) -> Removed {
        debug_assert!(matches!(leaf.kind(self.place.table.level), Kind::Leaf));
        self.replace(leaf)
    }

    /// The make: writes a pointer to a new table, whose entries are complete
    /// in memory before.
    pub fn link(self, write: &'v WriteView<'_>, new: NewTable) -> (Removed, Table<'v>) {
        write.publish(new.table(), TableIndex::FIRST, ENTRIES as u64);
        let removed = self.replace(new.pointer());
        write.publish(self.place.table, self.place.index, 1);
        (removed, new.table())
    }

    /// Clears what the p2m knew here (XSA-393: also when bit 0 was clear).
    fn clear(self, write: &WriteView<'_>) -> Removed {
        if self.place.table.load(self.place.index) == Pte::EMPTY {
            return self.place.removed(Pte::EMPTY);
        }
        let removed = self.replace(Pte::EMPTY);
        self.place.clean(write);
        removed
    }
}
