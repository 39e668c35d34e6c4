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
use crate::error::{Errno, Result};
use crate::level::{Level, TableIndex, ENTRIES};
use crate::lock::WriteView;
use crate::pte::Pte;
use crate::retire::Retired;
use crate::update::Progress;
use crate::xen::table::{NewTable, Owned, Pending, Removed, Table};

/// What becomes of a part of a block.
pub(crate) trait Change {
    /// Whether entries of `level` are small enough for the `pages` pages from
    /// `gfn` on.
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool;

    /// The entry at `gfn` in the place of `part`, which has the right size.
    fn entry(&self, part: Pte, level: Level, gfn: Gfn) -> Pte;

    /// Whether `entry` takes the place of what `part` mapped, which is released
    /// then, or maps the same.
    fn replaces(&self) -> bool;
}

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
        let mut new = match self.split_unlinked(block, level) {
            Ok(new) => new,
            Err(errno) => return (None, (0, Err(errno))),
        };
        let part = new.level();
        let mut done = 0;
        let mut result = Ok(());
        while done < pages && result.is_ok() {
            let gfn = start.add(done);
            let (index, span) = (part.index(gfn), part.pages_from(gfn));
            if change.fits(part, gfn, pages - done) {
                let count = ((pages - done) >> part.order()).min(index.room());
                self.reshape_entries(&mut new, index, gfn, count, change);
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

    fn reshape_entries(
        &self,
        new: &mut NewTable,
        first: TableIndex,
        gfn: Gfn,
        count: u64,
        change: &dyn Change,
    ) {
        let level = new.level();
        let mut retired = Retired::at(self, level);
        let mut done = 0;
        let mut mapped = 0;
        new.change(first, count, |part| {
            let entry = change.entry(part, level, gfn.add(done));
            done += level.pages();
            let stays = entry.is_mapped() && entry.mfn() == part.mfn();
            if change.replaces() && !stays {
                mapped += u64::from(entry.is_mapped());
                if let Owned::Leaf(leaf) = Removed::of_unlinked(part, level).into_owned() {
                    retired.add(leaf);
                }
            }
            entry
        });
        self.count_mapped(level, mapped);
    }

    /// Replaces the block at `index`, at which `gfn` is looked up, by a table
    /// of its 512 parts, which change afterwards.
    ///
    /// # Errors
    ///
    /// [`Errno::NoMem`]; nothing has changed.
    // UPSTREAM-DEFECT: B18: a device whose IOMMU shares the tables may fault
    // between the break and the make.
    pub(crate) fn split<'v>(
        &'v self,
        table: Table<'v>,
        index: TableIndex,
        gfn: Gfn,
    ) -> Result<Table<'v>> {
        let new = self.split_unlinked(table.load(index), table.level())?;
        Pending::none(self, table).link(index, gfn, new).inherited();
        table.next(table.load(index)).ok_or(Errno::NoMem)
    }

    /// A new table of the parts of a block of `level`, counted as if it were
    /// linked.
    ///
    /// # Errors
    ///
    /// [`Errno::NoMem`]; nothing has changed.
    pub(crate) fn split_unlinked(&self, block: Pte, level: Level) -> Result<NewTable> {
        let part = level.next().ok_or(Errno::NoMem)?;
        let page = self.alloc_table_page().ok_or(Errno::NoMem)?;
        let new = NewTable::split_of(page, block, part).ok_or(Errno::NoMem)?;
        self.count_shattered(level, 1);
        self.count_unmapped(level, 1);
        self.count_mapped(part, ENTRIES as u64);
        Ok(new)
    }

    /// The new table will not be linked: the block stays.
    pub(crate) fn uncount_split(&self, level: Level) {
        let Some(part) = level.next() else { return };
        self.count_shattered(level, 1_u64.wrapping_neg());
        self.count_mapped(level, 1);
        self.count_unmapped(part, ENTRIES as u64);
    }
}
