// SPDX-License-Identifier: GPL-2.0-only
//! Walking down to the table in which an entry is to change, creating or
//! splitting on the way (`p2m_next_level`, `p2m_create_table`, first half of
//! `__p2m_set_entry`).
#![forbid(unsafe_code)]

use crate::addr::Gfn;
use crate::error::{Errno, Result};
use crate::level::{Level, TableIndex};
use crate::lock::WriteView;
use crate::xen::table::{Entry, NewTable, Table};

/// What to do where a table is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Create it: something is to be mapped below.
    Create,
    /// Stop: there is nothing to change below.
    Stop,
}

/// Where the walk ended.
pub enum Reached<'v> {
    /// At the table of the wanted level.
    Table(Table<'v>),
    /// At an empty entry of a level above the wanted one.
    Hole(Level),
}

impl WriteView<'_> {
    /// Walks to the table of `target` level for `gfn`. A larger block on the
    /// way is split.
    ///
    /// # Errors
    ///
    /// [`Errno::Inval`] beyond the IPA space, [`Errno::NoEnt`] if a table
    /// cannot be created, [`Errno::NoMem`] if a block cannot be split; then
    /// nothing that was mapped has changed.
    pub(crate) fn walk_to(&self, gfn: Gfn, target: Level, missing: Missing) -> Result<Reached<'_>> {
        let mut table = self.root_table(gfn).ok_or(Errno::Inval)?;
        while table.level() < target {
            let index = table.level().index(gfn);
            table = match (table.entry(index), missing) {
                (Entry::Table(next), _) => next,
                (Entry::Leaf(_), _) => self.split(table, index, gfn, target)?,
                (Entry::Empty, Missing::Create) => self.create_table(table, index)?,
                (Entry::Empty, Missing::Stop) => return Ok(Reached::Hole(table.level())),
            };
        }
        Ok(Reached::Table(table))
    }

    /// Links an empty table at an empty entry.
    // UPSTREAM-DEFECT: B9: no memory is reported as -ENOENT, and what was
    // mapped by the same call stays. B10: an intermediate table that becomes
    // empty again is kept.
    fn create_table<'v>(&'v self, table: Table<'v>, index: TableIndex) -> Result<Table<'v>> {
        let level = table.level().next().ok_or(Errno::NoEnt)?;
        let page = self.alloc_table_page().ok_or(Errno::NoEnt)?;
        let new = NewTable::empty(page, level).ok_or(Errno::NoEnt)?;
        let (nothing, next) = table.slot(self, index).vacate(self).link(self, new);
        nothing.inherited();
        Ok(next)
    }
}
