// SPDX-License-Identifier: GPL-2.0-only
//! Changing entries of the tree. The parent module's documentation lists the ways to write.
//!
//! Each function here reads an old entry at the moment of replacing it, so no two callers can
//! come to own what the same entry owned.

use super::new::NewTable;
use super::removed::{Removed, RemovedLeaf};
use super::run::Series;
use super::{Table, Unreported};
use crate::p2m::iommu::IotlbFlushed;
use crate::p2m::lock::WriteView;
use crate::types::addr::Gfn;
use crate::types::errno::Outcome;
use crate::types::level::{TableIndex, ENTRIES};
use crate::types::owner::Owner;
use crate::types::pte::{Kind, Pte};
use crate::xen::iommu::IotlbFlush;

/// The largest number of entries that are broken at a time. The limit of half a table bounds
/// how long a guest may find an entry broken, and the work between two preemption checks.
pub(super) const MAX_BROKEN: usize = ENTRIES / 2;

impl<'v> Table<'v> {
    /// Writes `leaf` to the entry for `gfn`, if that entry is empty and no flush is
    /// deferred. Returns whether the leaf was written.
    #[inline]
    pub(crate) fn fill_one(self, write: &WriteView<'_, impl Owner>, gfn: Gfn, leaf: Pte) -> bool {
        debug_assert!(leaf.kind(self.level) == Kind::Leaf);
        let index = self.level.index(gfn);
        if self.load(index) != Pte::EMPTY || write.deferred().is_flush_needed() {
            return false;
        }
        self.store(index, leaf);
        self.stored(write, index, 1);
        true
    }

    /// Writes `leaf`, and the leaves that map the frames after it, to the entries
    /// from `first` on, up to the first entry that is not empty, `limit` entries at most.
    /// Returns the number of entries written.
    #[inline]
    pub(crate) fn fill_empty(
        self,
        write: &WriteView<'_, impl Owner>,
        first: TableIndex,
        limit: u64,
        leaf: Pte,
    ) -> u64 {
        debug_assert!(leaf.kind(self.level) == Kind::Leaf);
        if self.load(first) != Pte::EMPTY {
            return 0;
        }
        // An entry may have been cleared under this lock: its flush must precede
        // any new entry.
        write.deferred().tlb_flush_sync();
        let (empty, full) = (
            Series::of(Pte::EMPTY, self.level),
            Series::of(leaf, self.level),
        );
        let filled = self.rewrite_while(first, limit, empty, full);
        if filled > 0 {
            self.stored(write, first, filled);
        }
        filled
    }
}

impl<'v> Table<'v> {
    /// Clears the run of leaves that begins at `first`, `limit` leaves at most. `None` if there
    /// is no leaf at `first`. The caller defers the flush if the leaves were live.
    pub(crate) fn take_run<O: Owner>(
        self,
        _write: &WriteView<'_, O>,
        first: TableIndex,
        limit: u64,
        _may: O::MayRemove<'_>,
    ) -> Option<(RemovedLeaf<'v, O>, Unreported)> {
        let leaf = self.load(first);
        if leaf.kind(self.level) != Kind::Leaf {
            return None;
        }
        let (full, empty) = (
            Series::of(leaf, self.level),
            Series::of(Pte::EMPTY, self.level),
        );
        let count = self.rewrite(first, limit, full, empty);
        Some((RemovedLeaf::run(leaf, self.level, count), Unreported(())))
    }

    /// Replaces the run that begins at the entry for `gfn` by `leaf` and the leaves that map
    /// the frames after it; `limit` entries at most. It must be 1 unless the entry is a leaf.
    ///
    /// Break, flush and make happen at once, for at most [`MAX_BROKEN`] entries. If only
    /// permissions differ, there is no break, and the flush is deferred. Returns what was
    /// removed, and whether the IOTLB flush succeeded.
    #[inline(never)]
    pub(crate) fn replace<O: Owner>(
        self,
        write: &WriteView<'_, O>,
        gfn: Gfn,
        limit: u64,
        leaf: Pte,
        _may: O::MayRemove<'_>,
    ) -> (Removed<'v, O>, Outcome<IotlbFlushed>) {
        debug_assert!(leaf.kind(self.level) == Kind::Leaf);
        let first = self.level.index(gfn);
        let old = self.load(first);
        debug_assert!(limit == 1 || old.kind(self.level) == Kind::Leaf);
        let breaks = !old.differs_only_in_permissions(leaf);
        let step = if breaks {
            leaf.without_valid_bit()
        } else {
            leaf
        };
        let series = |pte| Series::of(pte, self.level);
        let (was, step, leaf) = (series(old), series(step), series(leaf));
        let count = self.rewrite(first, limit.min(MAX_BROKEN as u64), was, step);
        self.stored(write, first, count);
        let removed = Removed::run(old, self.level, count);
        removed.defer_flush(write, gfn);
        let (pages, was_live) = (count << self.level.order(), old.valid_bit());
        if !breaks {
            return (
                removed,
                write.iommu_flush(gfn, pages, IotlbFlush::modified_if(was_live).and_added()),
            );
        }
        write.deferred().tlb_flush_sync();
        let after_break = write.iommu_flush(gfn, pages, IotlbFlush::modified_if(was_live));
        self.rewrite(first, count, step, leaf);
        self.stored(write, first, count);
        // If the flush before the make failed, this one covers the old entries again.
        let again = was_live && after_break.is_err();
        let after_make = write.iommu_flush(gfn, pages, IotlbFlush::modified_if(again).and_added());
        (removed, if again { after_make } else { after_break })
    }

    /// Replaces the entry for `gfn`, a leaf or empty, by a pointer to a new table, which
    /// inherits what the entry owned. Break, flush and make happen at once;
    /// [`super::pending::Pending`] combines them for many tables.
    ///
    /// Where an IOMMU walks these tables, the table maps no other frames than the leaf did, so
    /// the IOTLB is flushed after the make ([`super`] says why). If the entry was empty, the
    /// caller reports the new mappings to the IOMMU.
    ///
    /// # Errors
    ///
    /// That of the IOTLB flush; the table is linked all the same.
    #[inline(never)]
    pub(crate) fn link<O: Owner>(
        self,
        write: &WriteView<'_, O>,
        gfn: Gfn,
        new: NewTable<'_>,
    ) -> Outcome {
        let index = self.level.index(gfn);
        let old = self.load(index);
        debug_assert!(self.level.next() == Some(new.level()));
        debug_assert!(!matches!(old.kind(self.level), Kind::Table(_)));
        debug_assert!(!old.is_mapped() || !write.has_iommu() || new.has_parts_of(old));
        new.complete(write);
        let pointer = new.into_pointer();
        if old.valid_bit() {
            let removed = self.swap::<O>(index, pointer.without_valid_bit());
            self.stored(write, index, 1);
            removed.defer_flush(write, gfn);
            removed.inherited();
        }
        // The break and the new table's entries must be visible before the pointer.
        write.deferred().tlb_flush_sync();
        write.deferred().barrier();
        self.store(index, pointer);
        self.stored(write, index, 1);
        if !old.is_mapped() {
            return Ok(());
        }
        let (first, pages) = (self.level.start(gfn), self.level.pages());
        let flush = IotlbFlush::modified_if(old.valid_bit()).and_added();
        write.iommu_flush(first, pages, flush).map(|_flushed| ())
    }

    /// [`Self::link`] for whoever goes on in the new table: even if the IOTLB flush fails, what
    /// devices reach is mapped.
    pub(crate) fn link_whatever_the_iommu_says(
        self,
        write: &WriteView<'_>,
        gfn: Gfn,
        new: NewTable<'_>,
    ) -> Self {
        let (entries, level) = (new.entries(), new.level());
        let _logged = self.link(write, gfn, new);
        // INVARIANT: it is part of the tree now, as this table is.
        Self {
            entries,
            level,
            ..self
        }
    }

    /// Clears the entry for `gfn` (`p2m_remove_pte`); if it is a leaf, clears the run that it
    /// begins, `limit` entries at most. Entries are cleared even if their valid bit is clear
    /// (XSA-393). A flush is deferred if they were live.
    pub(crate) fn clear<O: Owner>(
        self,
        write: &WriteView<'_, O>,
        gfn: Gfn,
        limit: u64,
        may: O::MayRemove<'_>,
    ) -> Removed<'v, O> {
        let index = self.level.index(gfn);
        let removed = match self.take_run(write, index, limit, may) {
            Some((leaves, unreported)) => {
                unreported.report(write, self, index, leaves.count());
                leaves.into_removed()
            }
            None => {
                let removed = self.swap(index, Pte::EMPTY);
                if removed.was_mapped() {
                    self.stored(write, index, 1);
                }
                removed
            }
        };
        removed.defer_flush(write, gfn);
        removed
    }

    /// Writes the entry, without a barrier. Returns what the old entry owned.
    pub(super) fn swap<O: Owner>(self, index: TableIndex, pte: Pte) -> Removed<'v, O> {
        let old = self.load(index);
        self.store(index, pte);
        Removed::run(old, self.level, 1)
    }

    /// [`Self::set_permissions`] for one entry, the one for `gfn`, which is `old` and becomes `new`.
    #[inline(always)]
    pub(crate) fn set_permission(
        self,
        write: &WriteView<'_>,
        gfn: Gfn,
        index: TableIndex,
        old: Pte,
        new: Pte,
    ) {
        if !may_become(old, new) {
            return;
        }
        self.store(index, new);
        self.stored(write, index, 1);
        if old.valid_bit() {
            write.deferred().defer_flush(gfn, 1, self.level);
        }
    }

    /// Changes the permissions of the `count` entries from `first`, the index of `gfn`, on.
    /// `change` returns the new value of an entry, or `None` if the entry stays. It is called
    /// once for each run.
    ///
    /// No break is needed, since only permissions change: an entry of which `change` would
    /// change more stays as it is. A flush is deferred for entries that were live.
    #[inline]
    pub(crate) fn set_permissions(
        self,
        write: &WriteView<'_, impl Owner>,
        gfn: Gfn,
        first: TableIndex,
        count: u64,
        mut change: impl FnMut(Pte) -> Option<Pte>,
    ) -> Permissions {
        let mut set = Permissions {
            unreported: None,
            any_live: false,
            is_one_run: false,
        };
        let (mut at, mut done) = (Some(first), 0);
        while let Some(index) = at.filter(|_| done < count) {
            let old = self.load(index);
            let new = change(old).filter(|&new| may_become(old, new));
            let left = count - done;
            let run = match new {
                Some(new) => {
                    let (like, made) = (Series::of(old, self.level), Series::of(new, self.level));
                    let run = self.rewrite(index, left, like, made);
                    set.unreported = Some(Unreported(()).merge(set.unreported.take()));
                    if old.valid_bit() {
                        set.any_live = true;
                        let changed = gfn.add(done << self.level.order());
                        write.deferred().defer_flush(
                            changed,
                            run << self.level.order(),
                            self.level,
                        );
                    }
                    run
                }
                None if left == 1 => 1,
                None => self.run_of(index, old, left),
            };
            set.is_one_run = run == ENTRIES as u64;
            done += run;
            at = index.advanced(run);
        }
        set
    }
}

/// Whether the entry `old`, live or not, may become `new` without a break.
fn may_become(old: Pte, new: Pte) -> bool {
    let is_legal = new.differs_only_in_permissions(old.with_valid_bit());
    debug_assert!(is_legal, "{new:?} differs from {old:?}");
    is_legal
}

/// What [`Table::set_permissions`] did and found.
#[derive(Debug)]
pub(crate) struct Permissions {
    /// The stores, if any entry changed.
    pub(crate) unreported: Option<Unreported>,
    /// Whether any changed entry was live.
    pub(crate) any_live: bool,
    /// Whether all entries of the table were one run: they map consecutive frames with the
    /// same attributes and valid bits, or all are empty.
    pub(crate) is_one_run: bool,
}
