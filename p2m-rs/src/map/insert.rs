// SPDX-License-Identifier: GPL-2.0-only
//! Mapping (`p2m_set_entry`, `__p2m_set_entry`).
//!
//! C's `p2m_set_entry` maps, unmaps and changes the access, and tells the three apart by
//! INVALID_MFN and by comparing frames. Here each has its own function: [`insert`] in this
//! file, [`crate::map::remove::remove`] and [`crate::map::set_access::set_access`]. All
//! three walk down to the first table that has to change, and from there visit each table
//! below that the range touches once.
//!
//! A range is mapped with the largest blocks that fit, even if only its
//! middle is aligned. (C derives the size from the length that is left as well, so a gigabyte
//! plus one page is mapped with pages only.) A new table is complete before
//! anything points to it, and so are the tables below it.
//!
//! Where another frame is mapped, the order is always the same: the old entry is removed; the TLB
//! is flushed, once for all entries of the table that wait for it; the IOTLB is flushed; the new entry is written and
//! reported to the IOMMU; last, the references to pages are dropped. [`crate::table`] says
//! when break-before-make is needed, and what is otherwise where a block is split.

use super::release::{leak, release, release_same_frame};
use super::split::{split, split_with, PartialUpdate, When};
use super::views::Room;
use crate::p2m::lock::WriteView;
use crate::table::new::NewTable;
use crate::table::pending::Pending;
use crate::table::{Entry, Table};
use crate::types::access::P2mAccess;
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome, Result};
use crate::types::level::Level;
use crate::types::owner::Forgotten;
use crate::types::progress::Progress;
use crate::types::pte::{Kind, Pte};
use crate::xen::iommu::IotlbFlush;
use crate::xen::target::Target;

/// Maps the frames of `target` from `gfn` on. Existing mappings are
/// replaced, and their references dropped.
///
/// # Errors
///
/// [`Errno::ENOMEM`] for a dying domain (XSA-410) or if there is no page for a table, also
/// after tables were freed ([`super::views`]); [`Errno::EINVAL`] beyond the root. On
/// an error a prefix of the range may be mapped.
//
// No error tells of a mapping that was there. Callers count on that: `xenmem_add_to_physmap_one`
// puts shared pages where RAM is, and says so; drivers map granted pages again.
pub fn insert(
    write: &mut WriteView<'_>,
    forgotten: Forgotten<'_>,
    gfn: Gfn,
    target: Target,
    access: P2mAccess,
) -> Result {
    write.refuse_if_dying()?;
    let nr = target.pages();
    let leaves = Leaves::new(write, gfn, &target, access);
    Ok(Insertion { leaves, forgotten }.insert_all(write, nr)?)
}

/// A range of guest frames and the leaves that map it. Offsets count pages from `gfn`.
#[derive(Clone, Copy)]
pub(super) struct Leaves {
    gfn: Gfn,
    /// A leaf that maps the first frame, with the type and the access of the whole range.
    first: Pte,
    /// The largest leaves that may be used are of this level.
    largest: Level,
}

impl Leaves {
    #[inline(always)]
    pub(super) fn new(write: &WriteView<'_>, gfn: Gfn, target: &Target, access: P2mAccess) -> Self {
        let (mfn, ty) = target.first();
        let mem_access = write.p2m().mem_access_enabled();
        let first = Pte::leaf(mfn, ty, access, Level::L1);
        Self {
            gfn,
            // The entry stores the access only while mem_access is enabled.
            first: if mem_access {
                first.with_access(access)
            } else {
                first
            },
            largest: match (mem_access, ty.is_foreign()) {
                // mem_access sets the access of single pages.
                (true, _) => Level::L3,
                // A foreign block owns one reference per page, and all of them are
                // dropped between two preemption checks (B4).
                (false, true) => Level::L2,
                (false, false) => Level::L1,
            },
        }
    }

    pub(super) fn gfn(&self, offset: u64) -> Gfn {
        self.gfn.add(offset)
    }

    fn offset(&self, gfn: Gfn) -> u64 {
        gfn.raw().wrapping_sub(self.gfn.raw())
    }

    /// Whether a leaf of `level` may be used at `offset`, with `pages` pages of the range left.
    pub(super) fn fits(&self, level: Level, offset: u64, pages: u64) -> bool {
        let frames = self.gfn(offset).raw() | self.first.advanced(offset).mfn().raw();
        level >= self.largest && pages >= level.pages() && frames & (level.pages() - 1) == 0
    }

    /// Whether `pte`, an entry of `level` that spans `offset`, already maps there what this
    /// range would map; its valid bit does not count. False for foreign mappings: the
    /// caller brings a reference of its own, so the old mapping must be replaced and its
    /// reference dropped.
    pub(super) fn is_mapped_by(&self, pte: Pte, level: Level, offset: u64) -> bool {
        let mapped = pte.advanced(level.offset(self.gfn(offset)));
        mapped.with_valid_bit() == self.leaf(offset, level) && !pte.is_foreign()
    }

    /// Tells an IOMMU that walks the tables that the first `done` pages are mapped.
    #[inline(always)]
    pub(super) fn flush_iommu(&self, write: &WriteView<'_>, done: u64) {
        if done > 0 && write.has_iommu() {
            // The mappings exist and own the caller's references, so a failed
            // IOMMU flush is no failure of the insertion (B11). It was
            // logged, and the domain shut down.
            let _logged = write.iommu_flush(self.gfn, done, IotlbFlush::ADDED);
        }
    }

    /// The leaf at `offset`.
    pub(super) fn leaf(&self, offset: u64, level: Level) -> Pte {
        self.first.advanced(offset).at_level(level)
    }
}

impl PartialUpdate for Leaves {
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool {
        self.fits(level, self.offset(gfn), pages)
    }

    fn entry(&self, _part: Pte, level: Level, gfn: Gfn) -> Pte {
        self.leaf(self.offset(gfn), level)
    }
}

/// The insertion of a range, or of that part of it which views have forgotten.
#[derive(Clone, Copy)]
pub(super) struct Insertion<'l> {
    pub(super) leaves: Leaves,
    pub(super) forgotten: Forgotten<'l>,
}

/// Insertion into tables of the tree.
impl Insertion<'_> {
    /// Maps the first `nr` pages of the range.
    #[inline(never)]
    pub(super) fn insert_all(&self, write: &mut WriteView<'_>, nr: u64) -> Outcome {
        self.insert_with(write, nr, Room::new())
    }

    /// [`Self::insert_all`] after an attempt with `failure`, which has changed nothing.
    #[cold]
    #[inline(never)]
    pub(super) fn insert_after(
        &self,
        write: &mut WriteView<'_>,
        nr: u64,
        failure: Failure,
    ) -> Outcome {
        let mut room = Room::new();
        if !room.make_room(write, failure) {
            return Err(failure);
        }
        self.insert_with(write, nr, room)
    }

    fn insert_with(&self, write: &mut WriteView<'_>, nr: u64, mut room: Room) -> Outcome {
        let part = self.insert_part(write, 0, nr, &mut room);
        self.leaves.flush_iommu(write, part.pages);
        part.outcome
    }

    /// Maps the pages `start .. end`, which [`Leaves::flush_iommu`] has to follow.
    #[inline(always)]
    pub(super) fn insert_part(
        &self,
        write: &mut WriteView<'_>,
        start: u64,
        end: u64,
        room: &mut Room,
    ) -> Progress {
        let mut at = start;
        loop {
            let more = self.insert_from(write, at, end);
            at += more.pages;
            match more.outcome {
                Err(failure) if room.make_room(write, failure) => {}
                outcome => return Progress::of(at - start, outcome),
            }
        }
    }

    fn insert_from(&self, write: &WriteView<'_>, start: u64, end: u64) -> Progress {
        let mut at = start;
        while at < end {
            let gfn = self.leaves.gfn(at);
            let fits = |level| self.leaves.fits(level, at, end - at);
            let Some(table) = Table::towards(write, gfn, Level::largest(fits)) else {
                return Progress::of(at - start, Err(Failure::Refused(Errno::EINVAL)));
            };
            let more = self.insert_in(write, table, at, end);
            at += more.pages;
            if more.outcome.is_err() {
                return Progress::of(at - start, more.outcome);
            }
        }
        Progress::done(at - start)
    }

    /// Maps the part of `start .. end` that `table`, a table of the tree, spans.
    fn insert_in(&self, write: &WriteView<'_>, table: Table<'_>, start: u64, end: u64) -> Progress {
        let level = table.level();
        let mut pending = Pending::none(write, table);
        let (mut at, mut index) = (start, Some(level.index(self.leaves.gfn(start))));
        while let Some(first) = index.filter(|_| at < end) {
            let gfn = self.leaves.gfn(at);
            let more = if self.leaves.fits(level, at, end - at) {
                Progress::done(self.map_run(write, table, at, end))
            } else {
                let part_end = end.min(at + level.pages_from(gfn));
                self.insert_below(write, &mut pending, at, part_end)
            };
            at += more.pages;
            if more.outcome.is_err() {
                return Progress::of(at - start, more.outcome);
            }
            index = first.advanced((level.offset(gfn) + more.pages) >> level.order());
        }
        Progress::done(at - start)
    }

    /// Maps leaves of the table's level, over one run of empty entries, one run of
    /// mappings, or one entry that points to a table. Returns the number of pages mapped.
    fn map_run(&self, write: &WriteView<'_>, table: Table<'_>, at: u64, end: u64) -> u64 {
        let level = table.level();
        let (gfn, first) = (self.leaves.gfn(at), level.index(self.leaves.gfn(at)));
        let (leaf, most) = (self.leaves.leaf(at, level), (end - at) >> level.order());
        let filled = table.fill_empty(write, first, most, leaf);
        if filled > 0 {
            count_and_note(write, level, gfn, filled);
            return filled << level.order();
        }
        replace(write, table, gfn, most, leaf, self.forgotten) << level.order()
    }

    /// Maps `at .. end`, a part of what one entry spans, in the table below that entry. The
    /// table is created if it does not exist.
    fn insert_below(
        &self,
        write: &WriteView<'_>,
        pending: &mut Pending<'_>,
        at: u64,
        end: u64,
    ) -> Progress {
        let (table, level, gfn) = (pending.table(), pending.level(), self.leaves.gfn(at));
        let index = level.index(gfn);
        match table.entry(index) {
            Entry::Table(below) => self.insert_in(write, below, at, end),
            Entry::Empty => {
                let (new, progress) = self.build(write, level, at, end);
                if let Some(new) = new {
                    pending.link(index, gfn, new).inherited();
                }
                progress
            }
            // A foreign block is split first: each page that is replaced drops its
            // reference after the flush.
            Entry::Leaf(block) if block.is_foreign() => match split(write, table, index, gfn) {
                Ok(below) => self.insert_in(write, below, at, end),
                Err(failure) => Progress::failed(failure),
            },
            Entry::Leaf(block) if self.leaves.is_mapped_by(block, level, at) => {
                Progress::done(end - at)
            }
            Entry::Leaf(block) => {
                // Where an IOMMU walks the tables, the parts map first what the block did: devices
                // go on reaching those that are not replaced ([`crate::table`]).
                let when = if write.has_iommu() {
                    When::After
                } else {
                    When::Before
                };
                let (new, progress) =
                    split_with(write, block, level, gfn, end - at, &self.leaves, when);
                match new {
                    None => {}
                    Some(new) if when == When::After => {
                        // The insertion succeeds even if the IOTLB flush fails (B11).
                        let below = table.link_whatever_the_iommu_says(write, gfn, new);
                        let replaced = self.insert_in(write, below, at, at + progress.pages);
                        debug_assert!(replaced.outcome.is_ok(), "all tables are there");
                    }
                    Some(new) => {
                        write.note_mapped(gfn, gfn.add(progress.pages - 1));
                        // The block owned no references.
                        pending.link(index, gfn, new).inherited();
                    }
                }
                progress
            }
        }
    }
}

/// Insertion into new tables.
impl Insertion<'_> {
    /// Builds a new table, for an entry of level `above`, that maps `at .. end`, or a prefix
    /// of that if table pages run out. `None` if that prefix is empty.
    pub(super) fn build<'w>(
        &self,
        write: &'w WriteView<'_>,
        above: Level,
        at: u64,
        end: u64,
    ) -> (Option<NewTable<'w>>, Progress) {
        let (Some(level), Some(page)) = (above.next(), write.deferred().pages().alloc()) else {
            return (None, Progress::failed(Failure::NoTable));
        };
        let gfn = self.leaves.gfn(at);
        if end - at == above.pages() && self.leaves.fits(level, at, end - at) {
            let leaf = self.leaves.leaf(at, level);
            let new = NewTable::full(page, level, leaf);
            count_and_note(write, level, gfn, (end - at) >> level.order());
            return (Some(new), Progress::done(end - at));
        }
        let mut new = NewTable::empty(page, level);
        let progress = self.build_parts(write, &mut new, at, end);
        if progress.pages == 0 {
            new.discard(write);
            return (None, progress);
        }
        (Some(new), progress)
    }

    /// Maps `start .. end` in `new`, which is empty.
    fn build_parts<'w>(
        &self,
        write: &'w WriteView<'_>,
        new: &mut NewTable<'w>,
        start: u64,
        end: u64,
    ) -> Progress {
        let level = new.level();
        let mut at = start;
        while at < end {
            let gfn = self.leaves.gfn(at);
            let index = level.index(gfn);
            if self.leaves.fits(level, at, end - at) {
                let count = (end - at) >> level.order();
                let leaf = self.leaves.leaf(at, level);
                new.fill(index, count, leaf);
                count_and_note(write, level, gfn, count);
                at += count << level.order();
                continue;
            }
            let part_end = end.min(at + level.pages_from(gfn));
            let (below, more) = self.build(write, level, at, part_end);
            if let Some(below) = below {
                new.attach(write, index, below);
            }
            at += more.pages;
            if more.outcome.is_err() {
                return Progress::of(at - start, more.outcome);
            }
        }
        Progress::done(at - start)
    }
}

/// Replaces the entry for `gfn` (empty, a table, or the first of a run of mappings) by `leaf` and the
/// leaves that map the frames after it; `most` entries at most, and one unless it is a run. The IOMMU is
/// flushed before the old mappings are released. Entries that already are as they should be
/// stay. Returns the number of entries done.
#[inline(never)]
pub(super) fn replace(
    write: &WriteView<'_>,
    table: Table<'_>,
    gfn: Gfn,
    most: u64,
    leaf: Pte,
    forgotten: Forgotten<'_>,
) -> u64 {
    let level = table.level();
    let index = level.index(gfn);
    let old = table.load(index);
    let is_leaf = old.kind(level) == Kind::Leaf;
    if old == leaf && !leaf.is_foreign() {
        return table.run_of(index, leaf, most);
    }
    let most = if is_leaf { most } else { 1 };
    let (removed, flushed) = table.replace(write, gfn, most, leaf, forgotten);
    let count = removed.count();
    count_and_note(write, level, gfn, count);
    // If the flush failed, the new mapping exists and owns the caller's reference all the same
    // (B11), but a device may still reach the old pages: their references are kept for ever.
    match flushed {
        flushed if is_leaf && old.mfn() == leaf.mfn() => {
            release_same_frame(write, removed, flushed.ok());
        }
        Ok(flushed) => release(write, removed, flushed),
        Err(_logged) => leak(write, removed),
    }
    count
}

/// [`note_one`] of `count` leaves that follow each other.
#[inline(never)]
fn count_and_note(write: &WriteView<'_>, level: Level, gfn: Gfn, count: u64) {
    write.count_mapped(level, count);
    write.note_mapped(gfn, gfn.add((count << level.order()) - 1));
}

/// Adds a new leaf of `level` at `gfn` to the p2m's statistics and bounds.
#[inline(always)]
pub(super) fn note_one(write: &WriteView<'_>, level: Level, gfn: Gfn) {
    write.count_mapped(level, 1);
    write.note_mapped(gfn, gfn.add(level.pages() - 1));
}
