// SPDX-License-Identifier: GPL-2.0-only
//! Unmapping (`p2m_set_entry` with INVALID_MFN).
//!
//! An entry whose whole span is unmapped is cleared at its own level: a table
//! goes with all that is below it. A block of which a part is unmapped is
//! replaced by a table that has the hole already, so that one flush does for
//! split and removal.
#![forbid(unsafe_code)]

use crate::addr::Gfn;
use crate::error::{Errno, Failure, Outcome, Result};
use crate::level::{Level, TableIndex};
use crate::lock::WriteView;
use crate::pte::{Kind, Pte};
use crate::retire::Retired;
use crate::split::Change;
use crate::types::P2mType;
use crate::update::Progress;
use crate::xen::page::Page;
use crate::xen::table::{Entry, Table};

/// Nothing in the place of a part of a block.
struct Hole;

impl Change for Hole {
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool {
        level.offset(gfn) == 0 && pages >= level.pages()
    }

    fn entry(&self, _part: Pte, _level: Level, _gfn: Gfn) -> Pte {
        Pte::EMPTY
    }

    fn replaces(&self) -> bool {
        true
    }
}

impl WriteView<'_> {
    /// Unmaps `nr` frames from `gfn` on. Holes are no error.
    ///
    /// # Errors
    ///
    /// As for [`Self::insert`]; a block that cannot be split stays whole
    /// (XSA-222). Also if the IOMMU may still reach what was unmapped; then no
    /// reference is dropped.
    pub fn remove(&mut self, gfn: Gfn, nr: u64) -> Result {
        self.refuse_if_dying()?;
        Ok(self.remove_any(gfn, nr)?)
    }

    /// [`Self::remove`], also of a dying domain.
    pub(crate) fn remove_any(&mut self, gfn: Gfn, nr: u64) -> Outcome {
        let mut done = 0;
        while done < nr {
            let (gfn, rest) = (gfn.add(done), nr - done);
            let is_whole = |level: Level| is_whole(level, gfn, rest);
            let table = self
                .table_towards(gfn, Level::largest(is_whole))
                .ok_or(Failure::Refused(Errno::INVAL))?;
            let (more, result) = self.remove_in(table, gfn, rest);
            done += more;
            match result {
                // Tables that were taken out wait to be freed.
                Err(Failure::NoTable(_)) if self.owes_tables() => self.settle(),
                result => result?,
            }
        }
        Ok(())
    }

    /// Unmaps the page at the entry for `gfn` in a table of pages; `page` is the
    /// page of what is mapped there, if that is RAM.
    ///
    /// # Errors
    ///
    /// As for [`Self::remove`].
    pub(crate) fn clear_page(&self, table: Table<'_>, gfn: Gfn, page: Option<Page>) -> Outcome {
        self.refuse_if_dying()?;
        let index = Level::L3.index(gfn);
        let Some(page) = page.filter(|_| !self.has_iommu()) else {
            return self.clear_run(table, index, gfn, 1).1;
        };
        if !owns_nothing(table.load(index), Level::L3) {
            return self.clear_run(table, index, gfn, 1).1;
        }
        if let Some(leaf) = table.take_run(self, index, 1) {
            self.stored(table, index, 1);
            if leaf.was_live() {
                self.owe_flush(gfn, 1, Level::L3);
            }
            Retired::at(self, Level::L3).add_page(leaf, page);
        }
        Ok(())
    }

    /// Unmaps the part of the range that a table of the tree spans.
    fn remove_in(&self, table: Table<'_>, start: Gfn, pages: u64) -> Progress {
        let level = table.level();
        let (mut done, mut index) = (0, Some(level.index(start)));
        while let Some(entry) = index.filter(|_| done < pages) {
            let gfn = start.add(done);
            let (rest, span) = (pages - done, level.pages_from(gfn));
            let (more, result) = if is_whole(level, gfn, rest) {
                self.clear_run(table, entry, gfn, rest >> level.order())
            } else {
                self.remove_below(table, entry, gfn, rest.min(span))
            };
            done += more;
            if result.is_err() {
                return (done, result);
            }
            index = entry.advanced((level.offset(gfn) + more) >> level.order());
        }
        (done, Ok(()))
    }

    /// Unmaps a part of what one entry spans.
    fn remove_below(&self, table: Table<'_>, index: TableIndex, gfn: Gfn, pages: u64) -> Progress {
        match table.entry(index) {
            Entry::Empty => (pages, self.iommu_flush_in_doubt(gfn, pages)),
            Entry::Table(below) => self.remove_in(below, gfn, pages),
            // References of a part of it are dropped one by one, after the
            // IOMMU has forgotten it.
            Entry::Leaf(block) if block.ty().is_some_and(P2mType::is_foreign) => {
                match self.split(table, index, gfn) {
                    Ok(below) => self.remove_in(below, gfn, pages),
                    Err(errno) => (0, Err(errno)),
                }
            }
            Entry::Leaf(block) => {
                let (new, (done, result)) = self.reshape(block, table.level(), gfn, pages, &Hole);
                let told = new.map_or(Ok(()), |new| table.link(self, gfn, new));
                (done, told.and(result))
            }
        }
    }

    /// Clears at most `count` entries of the table's level: as many as own nothing,
    /// or one table, or consecutive foreign pages, or one foreign block, which is as
    /// many references as a table of pages (B4). Also where it fails for the IOMMU:
    /// then what the entries owned is kept for ever.
    pub(crate) fn clear_run(
        &self,
        table: Table<'_>,
        first: TableIndex,
        gfn: Gfn,
        count: u64,
    ) -> Progress {
        let level = table.level();
        let (cleared, result) = self.clear_plain(table, first, gfn, count);
        if cleared > 0 {
            return (cleared << level.order(), result);
        }
        let limit = if level == Level::L3 { count } else { 1 };
        let removed = table.clear(self, gfn, limit);
        let pages = removed.count() << level.order();
        let forgotten = self.iommu_flush(gfn, pages, removed.was_live(), false);
        if forgotten.is_ok() {
            self.release(removed);
        } else {
            // A device may still reach the pages: keep the references.
            self.leak(removed);
        }
        (pages, forgotten)
    }

    /// Clears entries that are empty or whose mapping owns no reference, up to
    /// the first other one. Returns how many.
    fn clear_plain(&self, table: Table<'_>, first: TableIndex, gfn: Gfn, limit: u64) -> Progress {
        let level = table.level();
        let mut cleared = 0;
        let (mut was_mapped, mut was_live) = (false, false);
        let mut retired = Retired::at(self, level);
        while let Some(index) = first.advanced(cleared).filter(|_| cleared < limit) {
            if !owns_nothing(table.load(index), level) {
                break;
            }
            let Some(leaf) = table.take_run(self, index, limit - cleared) else {
                cleared += 1;
                continue;
            };
            (was_mapped, was_live) = (true, was_live | leaf.was_live());
            cleared += leaf.count();
            retired.add(leaf);
        }
        drop(retired);
        let pages = cleared << level.order();
        if !was_mapped {
            return (cleared, self.iommu_flush_in_doubt(gfn, pages));
        }
        self.stored(table, first, cleared);
        if was_live {
            self.owe_flush(gfn, pages, level);
        }
        (cleared, self.iommu_flush(gfn, pages, was_live, false))
    }
}

/// Whether an entry of `level` goes as a whole. Not 512 GiB at once: C does no
/// more than 1 GiB between two looks at what is there.
fn is_whole(level: Level, gfn: Gfn, pages: u64) -> bool {
    level != Level::L0 && level.offset(gfn) == 0 && pages >= level.pages()
}

/// Whether the entry is empty, or a mapping without references.
fn owns_nothing(pte: Pte, level: Level) -> bool {
    match pte.kind(level) {
        Kind::Empty => true,
        Kind::Table(_) => false,
        Kind::Leaf => !pte.ty().is_some_and(P2mType::is_foreign),
    }
}
