// SPDX-License-Identifier: GPL-2.0-only
//! Mapping (`p2m_set_entry`, `__p2m_set_entry`).
//!
//! C has one function for three things, told apart by INVALID_MFN and by
//! comparing frames. Here they are three: [`WriteView::insert`] in this file,
//! [`WriteView::remove`] in [`crate::remove`] and [`WriteView::set_access`] in
//! [`crate::restrict`]. All three go down to the first table that has to change,
//! and from there once into each table below that the range touches.
//!
//! A range is mapped with the largest blocks that fit, also where only its
//! middle is aligned. (C takes one size for the whole of a range, so that one
//! page too many makes pages of a gigabyte.) A new table is complete before
//! anything points to it, and so are the tables below it.
//!
//! Order within a change, whatever the kind: the old entry goes; TLB flush (now or
//! owed); IOTLB flush; the new entry, if there is one, of which an IOMMU is told; and
//! last the references to pages. [`crate::xen::table`] says when a break is needed.
#![forbid(unsafe_code)]

use crate::access::P2mAccess;
use crate::addr::Gfn;
use crate::error::{Errno, Failure, Outcome, Result};
use crate::level::Level;
use crate::lock::WriteView;
use crate::pte::{Kind, Pte};
use crate::split::Change;
use crate::types::P2mType;
use crate::xen::domain::Domain;
use crate::xen::table::{Entry, NewTable, Owned, Pending, Removed, Table};
use crate::xen::target::Target;

/// How much of a range is done, and why no more.
pub(crate) type Progress = (u64, Outcome);

/// What to map where. Offsets are in pages from `gfn` on.
#[derive(Clone, Copy)]
struct Request {
    gfn: Gfn,
    /// The block that would begin with the first frame.
    first: Pte,
    /// Level of the largest blocks.
    largest: Level,
}

impl Request {
    #[inline(always)]
    fn new(write: &WriteView<'_>, gfn: Gfn, target: Target, access: P2mAccess) -> Self {
        let (mfn, ty) = target.into_parts();
        let introspected = write.p2m().mem_access_enabled();
        let first = Pte::leaf(mfn, ty, access, Level::L1);
        Self {
            gfn,
            // The access is remembered while introspection is in use.
            first: if introspected {
                first.with_setting(access)
            } else {
                first
            },
            largest: match (introspected, ty.is_foreign()) {
                // Introspection is by pages.
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
    fn fits(&self, level: Level, offset: u64, pages: u64) -> bool {
        let frames = self.gfn(offset).raw() | self.first.advanced(offset).mfn().raw();
        level >= self.largest && pages >= level.pages() && frames & (level.pages() - 1) == 0
    }

    /// Whether `pte`, an entry of `level` on the way to `offset`, maps there already
    /// what is asked for, its valid bit left aside. A foreign mapping is taken for another one all the same:
    /// it owns references, and so does what the caller brings.
    fn is_mapped_by(&self, pte: Pte, level: Level, offset: u64) -> bool {
        let mapped = pte.advanced(level.offset(self.gfn(offset)));
        mapped.with_hw_valid(true) == self.leaf(offset, level)
            && !pte.ty().is_some_and(P2mType::is_foreign)
    }

    /// The leaf at `offset`.
    fn leaf(&self, offset: u64, level: Level) -> Pte {
        self.first.advanced(offset).at_level(level)
    }
}

impl Change for Request {
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

impl WriteView<'_> {
    /// Maps `nr` frames from `gfn` on to `target`. What was mapped there is
    /// replaced (and its references dropped).
    ///
    /// # Errors
    ///
    /// [`Errno::NO_MEM`] for a dying domain (XSA-410) or if a block cannot be
    /// split, [`Errno::NO_ENT`] if a table cannot be created, [`Errno::INVAL`]
    /// beyond the IPA space. A prefix of the range may be mapped then.
    // UPSTREAM-DEFECT: B16: an existing mapping is replaced without a word.
    pub fn insert(&mut self, gfn: Gfn, nr: u64, target: Target, access: P2mAccess) -> Result {
        self.refuse_if_dying()?;
        let request = Request::new(self, gfn, target, access);
        Ok(self.insert_all(&request, nr)?)
    }

    /// The same, at once where one leaf is asked for: what most calls of a domain
    /// builder ask for.
    #[inline(always)]
    pub(crate) fn insert_quickly(
        &mut self,
        gfn: Gfn,
        nr: u64,
        target: Target,
        access: P2mAccess,
    ) -> Result {
        let domain = self.living_domain()?;
        let request = Request::new(self, gfn, target, access);
        let level = Level::of_pages(nr).filter(|&level| request.fits(level, 0, level.pages()));
        let walk = level.and_then(|level| self.walk_to(gfn, level));
        let (Some(level), Some(walk)) = (level, walk) else {
            return Ok(self.insert_all(&request, nr)?);
        };
        if walk.order() != level.order() {
            let result = match self.insert_in_new(walk.table(), &request, nr) {
                Some(result) => result,
                None => self.insert_all(&request, nr),
            };
            return Ok(result?);
        }
        let (table, leaf) = (walk.table_of(level), request.leaf(0, level));
        if !domain.is_iommu_enabled() && table.fill_one(self, gfn, leaf) {
            self.account(level, gfn, 1);
        } else {
            self.replace(table, gfn, 1, leaf);
        }
        Ok(())
    }

    /// Maps `nr` frames in a new table, or several, if what ended the walk, an
    /// entry of `table`, is empty, and there is no IOMMU to be told. Not after other
    /// changes under this lock: should tables run out, it does not look for such as
    /// wait to be freed.
    #[inline(never)]
    fn insert_in_new(&self, table: Table<'_>, request: &Request, nr: u64) -> Option<Outcome> {
        debug_assert!(!self.owes_tables());
        let end = table.load(table.level().index(request.gfn));
        if end != Pte::EMPTY || self.has_iommu() {
            return None;
        }
        let (new, (_, result)) = self.build(table.level(), request, 0, nr);
        if let Some(new) = new {
            // There is no IOMMU to be told.
            let _done = table.link(self, request.gfn, new);
        }
        Some(result)
    }

    #[inline(never)]
    fn insert_all(&mut self, request: &Request, nr: u64) -> Outcome {
        let mut done = 0;
        let result = loop {
            let (more, result) = self.insert_from(request, done, nr);
            done += more;
            match result {
                // Tables that were taken out wait to be freed.
                Err(Failure::NoTable(_)) if self.owes_tables() => self.settle(),
                result => break result,
            }
        };
        if done > 0 && self.has_iommu() {
            // The mappings are there and own what the caller gave: an IOMMU
            // that did not flush is no failure of the insertion (B11). It was
            // logged, and the domain shut down.
            let _logged = self.iommu_flush(request.gfn, done, false, true);
        }
        result
    }

    /// No mapping may appear once relinquishing has begun.
    pub(crate) fn refuse_if_dying(&self) -> Outcome {
        self.living_domain().map(|_| ())
    }

    #[inline(always)]
    fn living_domain(&self) -> Outcome<&Domain> {
        match self.p2m().domain() {
            Some(domain) if !domain.is_dying() => Ok(domain),
            _ => Err(Failure::Refused(Errno::NO_MEM)),
        }
    }

    fn insert_from(&self, request: &Request, start: u64, end: u64) -> Progress {
        let mut at = start;
        while at < end {
            let gfn = request.gfn(at);
            let fits = |level| request.fits(level, at, end - at);
            let Some(table) = self.table_towards(gfn, Level::largest(fits)) else {
                return (at - start, Err(Failure::Refused(Errno::INVAL)));
            };
            let (more, result) = self.insert_in(table, request, at, end);
            at += more;
            if result.is_err() {
                return (at - start, result);
            }
        }
        (at - start, Ok(()))
    }

    /// Maps the part of `start .. end` that a table of the tree spans.
    fn insert_in(&self, table: Table<'_>, request: &Request, start: u64, end: u64) -> Progress {
        let level = table.level();
        let mut pending = Pending::none(self, table);
        let (mut at, mut index) = (start, Some(level.index(request.gfn(start))));
        while let Some(entry) = index.filter(|_| at < end) {
            let gfn = request.gfn(at);
            let (more, result) = if request.fits(level, at, end - at) {
                (self.map_run(table, request, at, end), Ok(()))
            } else {
                let part_end = end.min(at + level.pages_from(gfn));
                self.insert_below(table, &mut pending, request, at, part_end)
            };
            at += more;
            if result.is_err() {
                return (at - start, result);
            }
            index = entry.advanced((level.offset(gfn) + more) >> level.order());
        }
        (at - start, Ok(()))
    }

    /// Maps leaves of the table's level: as many as there are empty entries, or
    /// mappings that go on alike, or one table.
    fn map_run(&self, table: Table<'_>, request: &Request, at: u64, end: u64) -> u64 {
        let level = table.level();
        let (gfn, first) = (request.gfn(at), level.index(request.gfn(at)));
        let (leaf, most) = (request.leaf(at, level), (end - at) >> level.order());
        let filled = table.fill_empty(self, first, most, leaf);
        if filled > 0 {
            self.account(level, gfn, filled);
            return filled << level.order();
        }
        self.replace(table, gfn, most, leaf) << level.order()
    }

    /// Maps a part of what one entry spans, in the table below it, which is
    /// created if need be.
    fn insert_below(
        &self,
        table: Table<'_>,
        pending: &mut Pending<'_>,
        request: &Request,
        at: u64,
        end: u64,
    ) -> Progress {
        let gfn = request.gfn(at);
        let index = table.level().index(gfn);
        match table.entry(index) {
            Entry::Table(below) => self.insert_in(below, request, at, end),
            Entry::Empty => {
                let (new, progress) = self.build(table.level(), request, at, end);
                if let Some(new) = new {
                    pending.link(index, gfn, new).inherited();
                }
                progress
            }
            // References of a part of it are dropped one by one, after the
            // flush.
            Entry::Leaf(block) if block.ty().is_some_and(P2mType::is_foreign) => {
                match self.split(table, index, gfn) {
                    Ok(below) => self.insert_in(below, request, at, end),
                    Err(errno) => (0, Err(errno)),
                }
            }
            Entry::Leaf(block) if request.is_mapped_by(block, table.level(), at) => {
                (end - at, Ok(()))
            }
            Entry::Leaf(block) => {
                let (new, progress) = self.reshape(block, table.level(), gfn, end - at, request);
                if let Some(new) = new {
                    self.note_mapped(gfn, gfn.add(progress.0 - 1));
                    // What was mapped there owned no reference, and the insertion
                    // succeeds whatever the IOMMU answers (B11).
                    let _logged = pending.replace_block(index, gfn, new);
                }
                progress
            }
        }
    }

    /// A new table under an entry of level `above`, in which `at .. end` is
    /// mapped, or a prefix.
    // UPSTREAM-DEFECT: B9: no memory is reported as -ENOENT, and what was
    // mapped by the same call stays. B10: an intermediate table that becomes
    // empty again may be kept.
    fn build(
        &self,
        above: Level,
        request: &Request,
        at: u64,
        end: u64,
    ) -> (Option<NewTable>, Progress) {
        let (Some(level), Some(page)) = (above.next(), self.alloc_table_page()) else {
            return (None, (0, Err(Failure::NoTable(Errno::NO_ENT))));
        };
        let gfn = request.gfn(at);
        if end - at == above.pages() && request.fits(level, at, end - at) {
            let leaf = request.leaf(at, level);
            let new = NewTable::full(page, level, leaf);
            self.account(level, gfn, (end - at) >> level.order());
            return (Some(new), (end - at, Ok(())));
        }
        let mut new = NewTable::empty(page, level);
        let progress = self.build_parts(&mut new, request, at, end);
        (Some(new), progress)
    }

    /// Maps `start .. end` in an empty new table.
    fn build_parts(&self, new: &mut NewTable, request: &Request, start: u64, end: u64) -> Progress {
        let level = new.level();
        let mut at = start;
        while at < end {
            let gfn = request.gfn(at);
            let index = level.index(gfn);
            if request.fits(level, at, end - at) {
                let count = (end - at) >> level.order();
                let leaf = request.leaf(at, level);
                new.fill(index, count, leaf);
                self.account(level, gfn, count);
                at += count << level.order();
                continue;
            }
            let part_end = end.min(at + level.pages_from(gfn));
            let (below, (more, result)) = self.build(level, request, at, part_end);
            if let Some(below) = below {
                new.attach(self, index, below);
            }
            at += more;
            if result.is_err() {
                return (at - start, result);
            }
        }
        (at - start, Ok(()))
    }

    /// Replaces the mapping or the table at the entry for `gfn`, and the mappings that
    /// go on like it; `most` leaves at most. An IOMMU is told of each before what
    /// was there is let go of. What is as it should be already stays. Returns how
    /// many are done.
    #[inline(never)]
    fn replace(&self, table: Table<'_>, gfn: Gfn, most: u64, leaf: Pte) -> u64 {
        let level = table.level();
        let index = level.index(gfn);
        let old = table.load(index);
        let is_leaf = old.kind(level) == Kind::Leaf;
        if old == leaf && !leaf.ty().is_some_and(P2mType::is_foreign) {
            return table.run_of(index, leaf, most);
        }
        let most = if is_leaf && !self.has_iommu() {
            most
        } else {
            1
        };
        let (removed, forgotten) = table.replace(self, gfn, most, leaf);
        let count = removed.count();
        self.account(level, gfn, count);
        if forgotten.is_err() {
            // The new mapping is there and owns what the caller gave (B11).
            // But a device may still reach what was there before: keep that.
            self.leak(removed);
        } else if is_leaf && old.mfn() == leaf.mfn() {
            self.release_same_frame(removed);
        } else {
            self.release(removed);
        }
        count
    }

    /// Releases a mapping whose place another mapping of the same frame took:
    /// its references go (B3), the page stays where it is.
    fn release_same_frame(&self, removed: Removed) {
        if let Owned::Leaf(leaf) = removed.into_owned() {
            self.count_unmapped(leaf.level(), leaf.count());
            // Where only permissions changed the flush is owed: first that, as for
            // every foreign page (B15).
            if leaf.ty().is_some_and(P2mType::is_foreign) {
                self.tlb_flush_sync();
            }
            leaf.put_references();
        }
    }

    /// Counts `count` new leaves of `level` from `gfn` on.
    fn account(&self, level: Level, gfn: Gfn, count: u64) {
        self.count_mapped(level, count);
        self.note_mapped(gfn, gfn.add((count << level.order()) - 1));
    }
}
