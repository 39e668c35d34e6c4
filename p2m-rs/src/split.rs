// SPDX-License-Identifier: GPL-2.0-only
//! Changing a part of a block (`p2m_split_superpage`).
//!
//! The block is replaced by a table of its 512 parts *with the change made
//! already*: one break-before-make does for split and change, and for as many
//! levels as the part wants.
//!
//! The memory for the first part that changes is had before anything does: a
//! block that cannot be split stays as it is, with its references and
//! statistics (XSA-222; C drops the references of a foreign block here, see
//! docs/differences.md, B2).
#![forbid(unsafe_code)]

use crate::addr::Gfn;
use crate::error::{Errno, Failure, Outcome};
use crate::level::{Level, TableIndex, ENTRIES};
use crate::lock::WriteView;
use crate::pte::Pte;
use crate::retire::Retired;
use crate::update::Progress;
use crate::xen::pool::TablePage;
use crate::xen::table::{NewTable, Table};

/// What becomes of a part of a block.
pub(crate) trait Change {
    /// Whether entries of `level` are small enough for the `pages` pages from
    /// `gfn` on.
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool;

    /// The entry at `gfn` in the place of `part`, which has the right size. Those
    /// of the parts that follow map the frames that follow.
    fn entry(&self, part: Pte, level: Level, gfn: Gfn) -> Pte;

    /// Whether `entry` takes the place of what `part` mapped, which is released
    /// then, or maps the same.
    fn replaces(&self) -> bool;
}

/// A block that cannot be split for want of a table: C answers -ENOMEM.
const NO_TABLE: Failure = Failure::NoTable(Errno::NO_MEM);

impl WriteView<'_> {
    /// A table for the place of a block of `level`, with `change` made to the
    /// pages from `start` on; or, if memory lacks, to a prefix of them. None if
    /// there is no such prefix.
    pub(crate) fn reshape(
        &self,
        block: Pte,
        level: Level,
        start: Gfn,
        pages: u64,
        change: &dyn Change,
    ) -> (Option<NewTable>, Progress) {
        let (part, page) = match self.split_page(level) {
            Ok(split) => split,
            Err(errno) => return (None, (0, Err(errno))),
        };
        if pages == level.pages() && change.fits(part, start, pages) {
            let entry = self.reshaped(block.child(0, part), part, start, ENTRIES as u64, change);
            let new = NewTable::full(page, part, entry);
            return (Some(new), (pages, Ok(())));
        }
        let mut new = NewTable::split_of(page, block, part);
        let mut done = 0;
        let mut result = Ok(());
        while done < pages && result.is_ok() {
            let gfn = start.add(done);
            let (index, span) = (part.index(gfn), part.pages_from(gfn));
            if change.fits(part, gfn, pages - done) {
                let count = ((pages - done) >> part.order()).min(index.room());
                let entry = self.reshaped(new.load(index), part, gfn, count, change);
                new.fill(index, count, entry);
                done += count << part.order();
                continue;
            }
            let pages = span.min(pages - done);
            let (below, progress) = self.reshape(new.load(index), part, gfn, pages, change);
            if let Some(below) = below {
                new.attach(self, index, below);
            }
            done += progress.0;
            result = progress.1;
        }
        if done == 0 {
            self.uncount_split(level);
            new.discard(self);
            return (None, (0, result));
        }
        (Some(new), (done, result))
    }

    /// What takes the place of `part`, at `gfn`, the first of `count` parts of a
    /// block that change; releases what they mapped, if that changes.
    fn reshaped(&self, part: Pte, level: Level, gfn: Gfn, count: u64, change: &dyn Change) -> Pte {
        let entry = change.entry(part, level, gfn);
        let is_mapped = entry.is_mapped();
        let stays = is_mapped && entry.mfn() == part.mfn();
        if change.replaces() && !stays {
            if is_mapped {
                self.count_mapped(level, count);
            }
            Retired::at(self, level).add_parts(part, count);
        }
        entry
    }

    /// Replaces the block at `index`, at which `gfn` is looked up, by a table
    /// of its 512 parts, which change afterwards.
    ///
    /// A device whose IOMMU shares the tables may fault between the break and the
    /// make ([`crate::xen::table`]).
    ///
    /// # Errors
    ///
    /// [`Failure::NoTable`]; nothing has changed.
    pub(crate) fn split<'v>(
        &'v self,
        table: Table<'v>,
        index: TableIndex,
        gfn: Gfn,
    ) -> Outcome<Table<'v>> {
        let (part, page) = self.split_page(table.level())?;
        let new = NewTable::split_of(page, table.load(index), part);
        // Whatever the IOMMU still knows leads to the frames that are mapped now.
        let _logged = table.link(self, gfn, new);
        table.next(table.load(index)).ok_or(NO_TABLE)
    }

    /// A page for the table of a block of `level`, and the level of its parts,
    /// which are counted as if they were linked.
    ///
    /// # Errors
    ///
    /// [`Failure::NoTable`]; nothing has changed.
    fn split_page(&self, level: Level) -> Outcome<(Level, TablePage)> {
        let part = level.next().ok_or(NO_TABLE)?;
        let page = self.alloc_table_page().ok_or(NO_TABLE)?;
        self.count_shattered(level, 1);
        self.count_unmapped(level, 1);
        self.count_mapped(part, ENTRIES as u64);
        Ok((part, page))
    }

    /// The new table will not be linked: the block stays.
    fn uncount_split(&self, level: Level) {
        let Some(part) = level.next() else { return };
        self.count_shattered(level, 1_u64.wrapping_neg());
        self.count_mapped(level, 1);
        self.count_unmapped(part, ENTRIES as u64);
    }
}
