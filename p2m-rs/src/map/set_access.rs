// SPDX-License-Identifier: GPL-2.0-only
//! Changing the access of what is mapped (what `p2m_set_mem_access` makes of
//! `p2m_get_entry` and `p2m_set_entry`).
//!
//! The setting is part of the entry ([`crate::types::pte`], bits 62:59): C has a radix
//! tree beside the tables for it. Permissions may change in a live entry
//! without break-before-make; one flush at the unlock covers all. A block of
//! which anything is to be restricted is replaced by a table that is restricted
//! already; without an IOMMU one flush serves all blocks of a table. A block whose
//! restriction is lifted as a whole is changed in its place.

use super::lookup::hole_beyond_max;
use super::merge::{merge, Entries, MERGE_FROM};
use super::split::{split_with, PartialUpdate};
use crate::p2m::lock::WriteView;
use crate::table::pending::Pending;
use crate::table::{Entry, Table};
use crate::types::access::P2mAccess;
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome, Result};
use crate::types::level::{Level, TableIndex};
use crate::types::pte::Pte;
use crate::xen::cpu;
use crate::xen::iommu::IotlbFlush;

/// Restricts the access to `pages` pages from `first` on, or lifts the
/// restriction. The mappings and what they own stay; pages that are not mapped
/// are skipped, and so is what has the access already. After each table of pages,
/// each hole and each block it looks for preemption, if a restart point was
/// passed. Returns the number of pages done.
///
/// What is restricted becomes pages. A block whose restriction is lifted as a
/// whole is put together again ([`crate::map::merge`]); lifting one that is a block
/// still changes it in its place, and needs no memory.
///
/// # Errors
///
/// As for [`crate::map::insert::insert`]; the pages before the failing one have the
/// access then. Or those of the IOMMU's flush; then the access is set.
pub fn set_access(
    write: &mut WriteView<'_>,
    first: Gfn,
    pages: u64,
    access: P2mAccess,
    restart: Restart,
) -> Result<u64> {
    let change = AccessChange::new(first, pages, access);
    let mut position = Position::new(restart);
    change.run(write, &mut position)?;
    Ok(position.done.min(pages))
}

/// A range whose access is to change.
#[derive(Clone, Copy)]
pub(super) struct AccessChange {
    first: Gfn,
    pages: u64,
    access: P2mAccess,
}

impl AccessChange {
    pub(super) const fn new(first: Gfn, pages: u64, access: P2mAccess) -> Self {
        Self {
            first,
            pages,
            access,
        }
    }

    /// Whether this takes restrictions away, and adds none.
    fn lifts(&self) -> bool {
        self.access == P2mAccess::Rwx
    }

    /// What becomes of a leaf; `None` if it stays: nothing is mapped, or it has the
    /// access already. That one keeps all its bits, also a valid bit that is clear;
    /// an entry that changes is valid, as in C.
    fn becomes(&self, leaf: Pte) -> Option<Pte> {
        let new = leaf.with_rights(leaf.ty()?, self.access);
        (new != leaf).then(|| new.with_valid_bit())
    }
}

impl PartialUpdate for AccessChange {
    /// Accesses are by pages; what is lifted may be a block.
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool {
        level == Level::L3 || self.lifts() && level.offset(gfn) == 0 && pages >= level.pages()
    }

    fn entry(&self, part: Pte, _level: Level, _gfn: Gfn) -> Pte {
        self.becomes(part).unwrap_or(part)
    }

    fn replaces(&self) -> bool {
        false
    }
}

/// Where a preempted caller may go on, counted in pages of its own range.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// Where the call begins.
    pub start: u64,
    /// Restart points have these bits clear.
    pub mask: u64,
}

impl Restart {
    /// The last restart point when `done` more pages are done.
    pub fn at(self, done: u64) -> u64 {
        self.start.saturating_add(done) & !self.mask
    }

    /// Whether to stop there: only where that gets on.
    fn is_wanted(self, done: u64) -> bool {
        self.at(done) > self.start && cpu::hypercall_preempt_check()
    }
}

/// How far a call got, and whether it should go on.
pub(super) struct Position {
    done: u64,
    /// What is known of the table of pages that this call went through last.
    entries: Entries,
    restart: Restart,
}

impl Position {
    pub(super) const fn new(restart: Restart) -> Self {
        Self {
            done: 0,
            entries: Entries::Unknown,
            restart,
        }
    }

    fn stops(&self) -> bool {
        self.restart.is_wanted(self.done)
    }
}

/// Whether to go on to the next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    On,
    /// Not before removed tables are freed: there are many.
    FinishEarly,
    /// The caller was told to stop.
    Stop,
}

/// In tables of the tree.
impl AccessChange {
    /// Goes on to the end of the range, or to where the caller should be preempted.
    fn run(&self, write: &mut WriteView<'_>, position: &mut Position) -> Outcome {
        while position.done < self.pages {
            let gfn = self.first.add(position.done);
            if let Some(level) = hole_beyond_max(write, gfn) {
                position.done += level.pages_from(gfn);
                if position.stops() {
                    break;
                }
                continue;
            }
            let rest = self.pages - position.done;
            let is_whole = |level: Level| level.offset(gfn) == 0 && rest >= level.pages();
            // From the root on, if the last table on the way may be a block again.
            let level = if self.lifts() && rest >= MERGE_FROM {
                Level::L0
            } else {
                Level::largest(is_whole)
            };
            let table = Table::towards(write, gfn, level).ok_or(Failure::Refused(Errno::EINVAL))?;
            match self.change_in(write, table, position) {
                Ok(step @ (Step::On | Step::FinishEarly)) => {
                    if step == Step::FinishEarly {
                        write.finish_early();
                    }
                    if position.done < self.pages && position.stops() {
                        break;
                    }
                }
                Ok(Step::Stop) => break,
                // Tables that were taken out wait to be freed.
                Err(Failure::NoTable(_)) if write.deferred().pages().any_removed() => {
                    write.finish_early();
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Goes on in a table of the tree, to its end.
    fn change_in(
        &self,
        write: &WriteView<'_>,
        table: Table<'_>,
        position: &mut Position,
    ) -> Outcome<Step> {
        let level = table.level();
        let first = level.index(self.first.add(position.done));
        if level == Level::L3 {
            let count = first.room().min(self.pages - position.done);
            self.change_leaves(write, table, first, count, position)?;
            return Ok(Step::On);
        }
        let mut pending = Pending::none(write, table);
        let mut at = Some(first);
        while let Some(index) = at.filter(|_| position.done < self.pages) {
            let before = position.done;
            let gfn = self.first.add(before);
            let step = match table.entry(index) {
                Entry::Empty => {
                    position.done += level.pages_from(gfn);
                    Step::On
                }
                Entry::Table(below) => self.change_in(write, below, position)?,
                Entry::Leaf(block) => {
                    self.change_block(write, &mut pending, index, block, position)?
                }
            };
            let reached = position.done - before;
            let is_at_end = reached >= level.pages_from(gfn) || position.done >= self.pages;
            // It may be a block again.
            let merged = self.lifts()
                && is_at_end
                && reached >= MERGE_FROM
                && merge(write, &mut pending, table, index, gfn, position.entries);
            position.entries = Entries::Unknown;
            // After the last one too, if the table above may be merged next.
            let asks = merged || position.done < self.pages;
            if step != Step::On {
                return Ok(step);
            }
            if asks && position.stops() {
                return Ok(Step::Stop);
            }
            if write.deferred().pages().many_removed() {
                return Ok(Step::FinishEarly);
            }
            at = index.advanced((level.offset(gfn) + reached) >> level.order());
        }
        Ok(Step::On)
    }

    /// Goes on in a block: past it, and those after it that go on alike, if they have
    /// the access already; changes them in their place, if that may be; or replaces it
    /// by tables.
    fn change_block(
        &self,
        write: &WriteView<'_>,
        pending: &mut Pending<'_>,
        index: TableIndex,
        block: Pte,
        position: &mut Position,
    ) -> Outcome<Step> {
        let (table, level) = (pending.table(), pending.level());
        let gfn = self.first.add(position.done);
        let rest = self.pages - position.done;
        let changes = self.becomes(block).is_some();
        if !changes || self.fits(level, gfn, rest) {
            let most = (level.offset(gfn) + rest).div_ceil(level.pages());
            let whole = if changes { rest >> level.order() } else { most };
            let count = table.run_of(index, block, whole);
            self.change_leaves(write, table, index, count, position)?;
            return Ok(Step::On);
        }
        let before = position.done;
        self.change_part(write, pending, index, block, position)?;
        // Of a larger block only the first 2 MiB: on with the rest of it, if there
        // is one.
        if level == Level::L2 {
            return Ok(Step::On);
        }
        pending.complete();
        if position.done < self.pages && position.stops() {
            return Ok(Step::Stop);
        }
        let is_left = position.done - before < level.pages_from(gfn);
        match table.next(table.load(index)) {
            Some(below) if is_left => self.change_in(write, below, position),
            _ => Ok(Step::On),
        }
    }

    /// Replaces a block by tables, down to what has the access for the first 2 MiB of
    /// the range in it.
    fn change_part(
        &self,
        write: &WriteView<'_>,
        pending: &mut Pending<'_>,
        index: TableIndex,
        block: Pte,
        position: &mut Position,
    ) -> Outcome {
        write.refuse_if_dying()?;
        let gfn = self.first.add(position.done);
        let pages = Level::L2.pages_from(gfn).min(self.pages - position.done);
        let (new, progress) = split_with(write, block, pending.level(), gfn, pages, self);
        let Some(new) = new else {
            return progress.outcome;
        };
        write.enable_mem_access();
        let told = pending.replace_block(index, gfn, new);
        position.done += progress.pages;
        told.and(progress.outcome)
    }

    /// Gives the access to `count` leaves of a table, which hold the part of the range
    /// that comes next: pages, holes among them, or whole blocks that go on alike.
    pub(super) fn change_leaves(
        &self,
        write: &WriteView<'_>,
        table: Table<'_>,
        first: TableIndex,
        count: u64,
        position: &mut Position,
    ) -> Outcome {
        let level = table.level();
        let gfn = self.first.add(position.done);
        let alive = write.refuse_if_dying();
        let mut refused = Ok(());
        let set = table.set_permissions(write, gfn, first, count, |old| {
            let new = self.becomes(old)?;
            if alive.is_err() {
                refused = alive;
                return None;
            }
            write.enable_mem_access();
            Some(new)
        });
        refused?;
        let pages = level.pages_from(gfn) + ((count - 1) << level.order());
        position.done += pages;
        position.entries = if set.is_one_run {
            Entries::OneRun
        } else {
            Entries::Unknown
        };
        let Some(stores) = set.unreported else {
            return write.iommu_flush_in_doubt(gfn, pages);
        };
        stores.report(write, table, first, count);
        let flush = IotlbFlush::modified_if(set.any_live).and_added();
        write.iommu_flush(gfn, pages, flush)?;
        Ok(())
    }
}
