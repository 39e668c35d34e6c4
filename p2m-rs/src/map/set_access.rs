// SPDX-License-Identifier: GPL-2.0-only
//! Changing the access of mapped pages (what `p2m_set_mem_access` does with
//! `p2m_get_entry` and `p2m_set_entry`).
//!
//! The access is stored in the entry ([`crate::types::pte`], bits 62:59), where C has a radix
//! tree beside the tables. Permissions may change in a live entry
//! without break-before-make; one flush at the unlock covers all such changes. A block of
//! which any part is to be restricted is replaced by a table whose entries are already
//! restricted; without an IOMMU one flush covers all blocks of a table. A block whose
//! restriction is lifted as a whole is changed in place.

use super::lookup::hole_beyond_max;
use super::merge::{merge, Entries, MERGE_FROM};
use super::split::{split_with, PartialUpdate, When};
use super::views::Room;
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

/// Sets the access of `pages` pages from `first` on: restricts them, or lifts the
/// restriction ([`P2mAccess::Rwx`]). The mappings and what they own stay. Pages that are not
/// mapped, or have the access already, are skipped. After each level-3 table, hole
/// and run of blocks, the function checks for preemption, if a restart point was
/// passed. Returns the number of pages done.
///
/// Blocks that are restricted are split into pages. A table whose restrictions are lifted as a
/// whole may be merged into a block ([`crate::map::merge`]). A block whose
/// restriction is lifted as a whole is changed in place, which needs no memory.
///
/// # Errors
///
/// Those of [`crate::map::insert::insert`]; then the pages before the failing one have the
/// access. Or those of the IOTLB flush; then the pages that it was for have it as well, and
/// those after them have not.
#[inline(never)]
pub fn set_access(
    write: &mut WriteView<'_>,
    first: Gfn,
    pages: u64,
    access: P2mAccess,
    restart: Restart,
) -> Result<u64> {
    let change = AccessChange::new(first, pages, access);
    let mut position = Position::new(restart);
    change.change_all(write, &mut position)?;
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

    /// Whether this change lifts restrictions and adds none.
    fn lifts(&self) -> bool {
        self.access == P2mAccess::Rwx
    }

    /// The new value of a leaf; `None` if the leaf stays as it is, since it maps nothing or
    /// has the access already. A leaf that stays keeps all its bits, also a clear valid bit; a
    /// leaf that changes becomes valid, as in C.
    pub(super) fn becomes(&self, leaf: Pte) -> Option<Pte> {
        let new = leaf.with_rights(leaf.ty()?, self.access);
        (new != leaf).then(|| new.with_valid_bit())
    }
}

impl PartialUpdate for AccessChange {
    /// Restrictions need pages; where they are lifted, a block may stay a block.
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool {
        level == Level::L3 || self.lifts() && level.is_covered_by(gfn, pages)
    }

    fn entry(&self, part: Pte, _level: Level, _gfn: Gfn) -> Pte {
        self.becomes(part).unwrap_or(part)
    }
}

/// The points at which a preempted caller can restart, counted in pages of its own range.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// The page with which this call begins.
    pub start: u64,
    /// A page is a restart point if these bits of its number are clear.
    pub mask: u64,
}

impl Restart {
    /// There are none: the call goes on to its end. For ranges of few pages.
    pub const NEVER: Self = Self { start: 0, mask: !0 };

    /// The last restart point that is reached once `done` pages from `start` on are done.
    pub fn at(self, done: u64) -> u64 {
        self.start.saturating_add(done) & !self.mask
    }
}

/// How far a call has got, and whether it should continue.
pub(super) struct Position {
    done: u64,
    /// What is known of the level-3 table that this call changed last.
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

    /// Whether to stop at that point: only if progress was made and preemption is due.
    fn stops(&self) -> bool {
        self.has_restart_point() && cpu::general_preempt_check()
    }

    /// Whether a restart point was passed.
    fn has_restart_point(&self) -> bool {
        self.restart.at(self.done) > self.restart.start
    }
}

/// What to do after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Continue with the next entry.
    On,
    /// Free the removed tables first, since there are many, then continue.
    FinishEarly,
    /// Stop: the caller should be preempted.
    Stop,
}

/// The change in tables of the tree.
impl AccessChange {
    /// Changes the range to its end, or to the point where the caller should be preempted.
    fn change_all(&self, write: &mut WriteView<'_>, position: &mut Position) -> Outcome {
        let mut room = Room::preemptible();
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
            let is_whole = |level: Level| level.is_covered_by(gfn, rest);
            // Start at the root if the last table of the walk may be merged.
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
                Err(Failure::NoTable) => {
                    // The retry is a step of its own, so preemption is checked before it. It is
                    // checked before -ENOMEM as well: the search may have ended early because
                    // preemption is due, and not because there is no room.
                    let has_room = room.make_room(write, Failure::NoTable);
                    if cpu::general_preempt_check() && position.has_restart_point() {
                        break;
                    }
                    if !has_room {
                        return Err(Failure::NoTable);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Changes the part of the range that `table`, a table of the tree, spans.
    fn change_in(
        &self,
        write: &WriteView<'_>,
        table: Table<'_>,
        position: &mut Position,
    ) -> Outcome<Step> {
        let level = table.level();
        let first = level.index(self.first.add(position.done));
        if level == Level::L3 {
            let count = first.entries_left().min(self.pages - position.done);
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
            // The table below this entry may be merged.
            let merged = self.lifts()
                && is_at_end
                && reached >= MERGE_FROM
                && merge(write, &mut pending, table, index, gfn, position.entries);
            position.entries = Entries::Unknown;
            // After a merge, check for preemption even at the end of the range: the next merge
            // comes after it. (The table above may be merged even if the answer is to stop.)
            let checks_preemption = merged || position.done < self.pages;
            if step != Step::On {
                return Ok(step);
            }
            if checks_preemption && position.stops() {
                return Ok(Step::Stop);
            }
            if write.deferred().pages().many_removed() {
                return Ok(Step::FinishEarly);
            }
            at = index.advanced((level.offset(gfn) + reached) >> level.order());
        }
        Ok(Step::On)
    }

    /// Changes the part of the range in `block`. If the block has the access already, it is
    /// skipped, with the run of blocks that it begins. If the range covers it and it need not
    /// be split, it is changed in place, with that run. Otherwise it is replaced by tables.
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
        // A block larger than 2 MiB: only its first 2 MiB in the range are done. Continue with
        // the rest of the block, if the range covers more of it.
        if level == Level::L2 {
            return Ok(Step::On);
        }
        pending.complete();
        if position.done < self.pages && position.stops() {
            return Ok(Step::Stop);
        }
        let is_left = position.done - before < level.pages_from(gfn);
        match table.below(index) {
            Some(below) if is_left => self.change_in(write, below, position),
            _ => Ok(Step::On),
        }
    }

    /// Replaces `block` by tables in which the first pages of the range, up to the next 2 MiB
    /// boundary, have the access.
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
        let (new, progress) = split_with(
            write,
            block,
            pending.level(),
            gfn,
            pages,
            self,
            When::Before,
        );
        let Some(new) = new else {
            return progress.outcome;
        };
        write.enable_mem_access();
        let flushed = pending.replace_block(index, gfn, new);
        position.done += progress.pages;
        flushed.and(progress.outcome)
    }

    /// Sets the access of `count` entries of `table` from `first` on, with which the part of
    /// the range that is left begins. They are pages and holes, or one run of blocks.
    fn change_leaves(
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
