// SPDX-License-Identifier: GPL-2.0-only
//! Mapping (`p2m_set_entry`, `__p2m_set_entry`).
//!
//! C has one function for three things, told apart by INVALID_MFN and by
//! comparing frames. Here they are three: [`insert`] in this file,
//! [`crate::map::remove::remove`] and [`crate::map::set_access::set_access`]. All three
//! go down to the first table that has to change, and from there once into each table
//! below that the range touches.
//!
//! A range is mapped with the largest blocks that fit, also where only its
//! middle is aligned. (C takes one size for the whole of a range, so that one
//! page too many makes pages of a gigabyte.) A new table is complete before
//! anything points to it, and so are the tables below it.
//!
//! Order within a change, whatever the kind: the old entry goes; TLB flush (now or
//! deferred); IOTLB flush; the new entry, if there is one, of which an IOMMU is told; and
//! last the references to pages. [`crate::table`] says when a break is needed.

use super::progress::Progress;
use super::release::{leak, release, release_same_frame};
use super::split::{split, split_with, PartialUpdate};
use crate::p2m::lock::WriteView;
use crate::table::new::NewTable;
use crate::table::pending::Pending;
use crate::table::{Entry, Table};
use crate::types::access::P2mAccess;
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome, Result};
use crate::types::level::Level;
use crate::types::p2m_type::P2mType;
use crate::types::pte::{Kind, Pte};
use crate::xen::iommu::IotlbFlush;
use crate::xen::target::Target;

/// Maps `nr` frames from `gfn` on to `target`. What was mapped there is
/// replaced (and its references dropped).
///
/// # Errors
///
/// [`Errno::ENOMEM`] for a dying domain (XSA-410) or if a block cannot be
/// split, [`Errno::ENOENT`] if a table cannot be created, [`Errno::EINVAL`]
/// beyond the IPA space. A prefix of the range may be mapped then.
// UPSTREAM-DEFECT: B16: an existing mapping is replaced without a word.
pub fn insert(
    write: &mut WriteView<'_>,
    gfn: Gfn,
    nr: u64,
    target: Target,
    access: P2mAccess,
) -> Result {
    write.refuse_if_dying()?;
    Ok(Insertion::new(write, gfn, target, access).run(write, nr)?)
}

/// What to map where. Offsets are in pages from `gfn` on.
#[derive(Clone, Copy)]
pub(super) struct Insertion {
    gfn: Gfn,
    /// The block that would begin with the first frame.
    first: Pte,
    /// Level of the largest blocks.
    largest: Level,
}

/// What is mapped where.
impl Insertion {
    #[inline(always)]
    pub(super) fn new(write: &WriteView<'_>, gfn: Gfn, target: Target, access: P2mAccess) -> Self {
        let (mfn, ty) = target.into_parts();
        let mem_access = write.p2m().mem_access_enabled();
        let first = Pte::leaf(mfn, ty, access, Level::L1);
        Self {
            gfn,
            // The access is remembered while mem_access is in use.
            first: if mem_access {
                first.with_access(access)
            } else {
                first
            },
            largest: match (mem_access, ty.is_foreign()) {
                // Accesses are by pages.
                (true, _) => Level::L3,
                // Each page of a foreign block owns a reference, and a block
                // is dropped between two preemption checks (B4).
                (false, true) => Level::L2,
                (false, false) => Level::L1,
            },
        }
    }

    fn gfn(&self, offset: u64) -> Gfn {
        self.gfn.add(offset)
    }

    fn offset(&self, gfn: Gfn) -> u64 {
        gfn.raw().wrapping_sub(self.gfn.raw())
    }

    /// Whether what remains at `offset` may begin with a leaf of `level`.
    pub(super) fn fits(&self, level: Level, offset: u64, pages: u64) -> bool {
        let frames = self.gfn(offset).raw() | self.first.advanced(offset).mfn().raw();
        level >= self.largest && pages >= level.pages() && frames & (level.pages() - 1) == 0
    }

    /// Whether `pte`, an entry of `level` on the way to `offset`, maps there already
    /// what is asked for, its valid bit left aside. A foreign mapping is taken for another
    /// one all the same: it owns references, and so does what the caller brings.
    fn is_mapped_by(&self, pte: Pte, level: Level, offset: u64) -> bool {
        let mapped = pte.advanced(level.offset(self.gfn(offset)));
        mapped.with_valid_bit() == self.leaf(offset, level)
            && !pte.ty().is_some_and(P2mType::is_foreign)
    }

    /// The leaf at `offset`.
    pub(super) fn leaf(&self, offset: u64, level: Level) -> Pte {
        self.first.advanced(offset).at_level(level)
    }
}

impl PartialUpdate for Insertion {
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool {
        self.fits(level, self.offset(gfn), pages)
    }

    fn entry(&self, _part: Pte, level: Level, gfn: Gfn) -> Pte {
        self.leaf(self.offset(gfn), level)
    }

    fn replaces(&self) -> bool {
        true
    }
}

/// In tables of the tree.
impl Insertion {
    /// Maps the first `nr` pages.
    #[inline(never)]
    pub(super) fn run(&self, write: &mut WriteView<'_>, nr: u64) -> Outcome {
        let mut done = 0;
        let outcome = loop {
            let more = self.run_from(write, done, nr);
            done += more.pages;
            match more.outcome {
                // Tables that were taken out wait to be freed.
                Err(Failure::NoTable(_)) if write.deferred().pages().any_removed() => {
                    write.finish_early();
                }
                outcome => break outcome,
            }
        };
        if done > 0 && write.has_iommu() {
            // The mappings are there and own what the caller gave: an IOMMU
            // that did not flush is no failure of the insertion (B11). It was
            // logged, and the domain shut down.
            let _logged = write.iommu_flush(self.gfn, done, IotlbFlush::ADDED);
        }
        outcome
    }

    fn run_from(&self, write: &WriteView<'_>, start: u64, end: u64) -> Progress {
        let mut at = start;
        while at < end {
            let gfn = self.gfn(at);
            let fits = |level| self.fits(level, at, end - at);
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

    /// Maps the part of `start .. end` that a table of the tree spans.
    fn insert_in(&self, write: &WriteView<'_>, table: Table<'_>, start: u64, end: u64) -> Progress {
        let level = table.level();
        let mut pending = Pending::none(write, table);
        let (mut at, mut index) = (start, Some(level.index(self.gfn(start))));
        while let Some(entry) = index.filter(|_| at < end) {
            let gfn = self.gfn(at);
            let more = if self.fits(level, at, end - at) {
                Progress::done(self.map_run(write, table, at, end))
            } else {
                let part_end = end.min(at + level.pages_from(gfn));
                self.insert_below(write, &mut pending, at, part_end)
            };
            at += more.pages;
            if more.outcome.is_err() {
                return Progress::of(at - start, more.outcome);
            }
            index = entry.advanced((level.offset(gfn) + more.pages) >> level.order());
        }
        Progress::done(at - start)
    }

    /// Maps leaves of the table's level: as many as there are empty entries, or
    /// mappings that go on alike, or one table.
    fn map_run(&self, write: &WriteView<'_>, table: Table<'_>, at: u64, end: u64) -> u64 {
        let level = table.level();
        let (gfn, first) = (self.gfn(at), level.index(self.gfn(at)));
        let (leaf, most) = (self.leaf(at, level), (end - at) >> level.order());
        let filled = table.fill_empty(write, first, most, leaf);
        if filled > 0 {
            account(write, level, gfn, filled);
            return filled << level.order();
        }
        replace(write, table, gfn, most, leaf) << level.order()
    }

    /// Maps a part of what one entry spans, in the table below it, which is
    /// created if need be.
    fn insert_below(
        &self,
        write: &WriteView<'_>,
        pending: &mut Pending<'_>,
        at: u64,
        end: u64,
    ) -> Progress {
        let (table, level, gfn) = (pending.table(), pending.level(), self.gfn(at));
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
            // References of a part of it are dropped one by one, after the
            // flush.
            Entry::Leaf(block) if block.ty().is_some_and(P2mType::is_foreign) => {
                match split(write, table, index, gfn) {
                    Ok(below) => self.insert_in(write, below, at, end),
                    Err(failure) => Progress::failed(failure),
                }
            }
            Entry::Leaf(block) if self.is_mapped_by(block, level, at) => Progress::done(end - at),
            Entry::Leaf(block) => {
                let (new, progress) = split_with(write, block, level, gfn, end - at, self);
                if let Some(new) = new {
                    write.note_mapped(gfn, gfn.add(progress.pages - 1));
                    // What was mapped there owned no reference, and the insertion
                    // succeeds whatever the IOMMU answers (B11).
                    let _logged = pending.replace_block(index, gfn, new);
                }
                progress
            }
        }
    }
}

/// In new tables.
impl Insertion {
    /// A new table under an entry of level `above`, in which `at .. end` is
    /// mapped, or a prefix.
    // UPSTREAM-DEFECT: B9: no memory is reported as -ENOENT, and what was
    // mapped by the same call stays. B10: an intermediate table that becomes
    // empty again may be kept.
    pub(super) fn build(
        &self,
        write: &WriteView<'_>,
        above: Level,
        at: u64,
        end: u64,
    ) -> (Option<NewTable>, Progress) {
        let (Some(level), Some(page)) = (above.next(), write.deferred().pages().alloc()) else {
            return (None, Progress::failed(Failure::NoTable(Errno::ENOENT)));
        };
        let gfn = self.gfn(at);
        if end - at == above.pages() && self.fits(level, at, end - at) {
            let leaf = self.leaf(at, level);
            let new = NewTable::full(page, level, leaf);
            account(write, level, gfn, (end - at) >> level.order());
            return (Some(new), Progress::done(end - at));
        }
        let mut new = NewTable::empty(page, level);
        let progress = self.build_parts(write, &mut new, at, end);
        (Some(new), progress)
    }

    /// Maps `start .. end` in an empty new table.
    fn build_parts(
        &self,
        write: &WriteView<'_>,
        new: &mut NewTable,
        start: u64,
        end: u64,
    ) -> Progress {
        let level = new.level();
        let mut at = start;
        while at < end {
            let gfn = self.gfn(at);
            let index = level.index(gfn);
            if self.fits(level, at, end - at) {
                let count = (end - at) >> level.order();
                let leaf = self.leaf(at, level);
                new.fill(index, count, leaf);
                account(write, level, gfn, count);
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

/// Replaces the mapping or the table at the entry for `gfn`, and the mappings that
/// go on like it; `most` leaves at most. An IOMMU is told of each before what
/// was there is let go of. What is as it should be already stays. Returns how
/// many are done.
#[inline(never)]
pub(super) fn replace(
    write: &WriteView<'_>,
    table: Table<'_>,
    gfn: Gfn,
    most: u64,
    leaf: Pte,
) -> u64 {
    let level = table.level();
    let index = level.index(gfn);
    let old = table.load(index);
    let is_leaf = old.kind(level) == Kind::Leaf;
    if old == leaf && !leaf.ty().is_some_and(P2mType::is_foreign) {
        return table.run_of(index, leaf, most);
    }
    let most = if is_leaf && !write.has_iommu() {
        most
    } else {
        1
    };
    let (removed, flushed) = table.replace(write, gfn, most, leaf);
    let count = removed.count();
    account(write, level, gfn, count);
    match flushed {
        // The new mapping is there and owns what the caller gave (B11).
        // But a device may still reach what was there before: keep that.
        Err(_logged) => leak(write, removed),
        Ok(flushed) if is_leaf && old.mfn() == leaf.mfn() => {
            release_same_frame(write, removed, flushed);
        }
        Ok(flushed) => release(write, removed, flushed),
    }
    count
}

/// Counts `count` new leaves of `level` from `gfn` on.
pub(super) fn account(write: &WriteView<'_>, level: Level, gfn: Gfn, count: u64) {
    write.count_mapped(level, count);
    write.note_mapped(gfn, gfn.add((count << level.order()) - 1));
}
