// SPDX-License-Identifier: GPL-2.0-only
//! Splitting a block, so that a part of it can change
//! (`p2m_split_superpage`).
//!
//! All memory is had before anything changes: a split succeeds as a whole or
//! leaves block, references and statistics as they were (XSA-222; C drops the
//! references of a foreign block here, see docs/differences.md, B2).
#![forbid(unsafe_code)]

use crate::addr::Gfn;
use crate::error::{Errno, Result};
use crate::level::{Level, TableIndex, ENTRIES};
use crate::lock::WriteView;
use crate::xen::pool::TablePage;
use crate::xen::table::{NewTable, Table};

impl WriteView<'_> {
    /// Replaces the block at `index` by a table of its 512 parts; if `target`
    /// is two levels down, also splits the part that holds `gfn`. Returns the
    /// upper new table.
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
        target: Level,
    ) -> Result<Table<'v>> {
        let block = table.load(index);
        let level = table.level();
        let part = level.next().ok_or(Errno::NoMem)?;
        let below = part.next().filter(|_| part < target);

        let (upper_page, lower_page) = self.alloc_pages(below.is_some())?;
        let mut upper = NewTable::split_of(upper_page, block, part).ok_or(Errno::NoMem)?;
        if let (Some(page), Some(below)) = (lower_page, below) {
            let middle = part.index(gfn);
            let lower = NewTable::split_of(page, upper.load(middle), below).ok_or(Errno::NoMem)?;
            upper.replace_by(self, middle, lower);
            self.count_split(part, below);
        }
        self.count_split(level, part);

        // Break, flush, make: the size changes.
        let (old, upper) = table.slot(self, index).vacate(self).link(self, upper);
        old.inherited();
        Ok(upper)
    }

    /// One page, or two.
    fn alloc_pages(&self, two: bool) -> Result<(TablePage, Option<TablePage>)> {
        let first = self.alloc_table_page().ok_or(Errno::NoMem)?;
        if !two {
            return Ok((first, None));
        }
        match self.alloc_table_page() {
            Some(second) => Ok((first, Some(second))),
            None => {
                self.free_table_page(first);
                Err(Errno::NoMem)
            }
        }
    }

    fn count_split(&self, level: Level, part: Level) {
        self.count_shattered(level);
        self.count_unmapped(level);
        self.count_mapped(part, ENTRIES as u64);
    }
}
