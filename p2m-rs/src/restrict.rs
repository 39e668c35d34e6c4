// SPDX-License-Identifier: GPL-2.0-only
//! Changing the access of what is mapped, for introspection (what
//! `p2m_set_mem_access` makes of `p2m_get_entry` and `p2m_set_entry`).
//!
//! The setting is part of the entry ([`crate::pte`], bits 62:59): C has a radix
//! tree beside the tables for it. Permissions may change in a live entry
//! without break-before-make; one flush at the unlock does for all. A block of
//! which anything is to be restricted is replaced by a table that is restricted
//! already; without an IOMMU one flush serves all blocks of a table. A block whose
//! restriction is lifted as a whole is changed in its place.
#![forbid(unsafe_code)]

use crate::access::P2mAccess;
use crate::addr::Gfn;
use crate::error::{Errno, Failure, Outcome, Result};
use crate::level::{Level, TableIndex};
use crate::lock::WriteView;
use crate::merge::MERGE_FROM;
use crate::pte::Pte;
use crate::split::Change;
use crate::xen::cpu;
use crate::xen::table::{Entry, Pending, Table};

/// A range whose access is to change.
#[derive(Clone, Copy)]
struct Request {
    first: Gfn,
    pages: u64,
    access: P2mAccess,
}

impl Request {
    /// Whether this takes restrictions away, and adds none.
    fn lifts(&self) -> bool {
        self.access == P2mAccess::Rwx
    }

    /// What becomes of a leaf; `None` if it stays: nothing is mapped, or it has the
    /// access already. That one keeps all its bits, also a valid bit that is clear;
    /// an entry that changes is valid, as in C.
    fn becomes(&self, leaf: Pte) -> Option<Pte> {
        let new = leaf.restricted(leaf.ty()?, self.access);
        (new != leaf).then(|| new.with_hw_valid(true))
    }
}

impl Change for Request {
    /// Introspection is by pages; what is lifted may be a block.
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
struct Course {
    done: u64,
    /// All entries of the table of pages that this call went through last were one
    /// run.
    uniform: bool,
    restart: Restart,
}

impl Course {
    fn stops(&self) -> bool {
        self.restart.is_wanted(self.done)
    }
}

/// Whether to go on to the next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Go {
    On,
    /// Not before tables are freed: there are many.
    Settle,
    /// The caller was told to stop.
    Stop,
}

impl WriteView<'_> {
    /// Restricts the access to `pages` pages from `first` on, or lifts the
    /// restriction. The mappings and what they own stay; pages that are not mapped
    /// are skipped, and so is what has the access already. After each table of pages,
    /// each hole and each block it looks for preemption, if a restart point was
    /// passed. Returns the number of pages done.
    ///
    /// What is restricted becomes pages. A block whose restriction is lifted as a
    /// whole is put together again ([`crate::merge`]); lifting one that is a block
    /// still changes it in its place, and needs no memory.
    ///
    /// # Errors
    ///
    /// As for [`WriteView::insert`]; the pages before the failing one have the
    /// access then. Or those of the IOMMU's flush; then the access is set.
    pub fn set_access(
        &mut self,
        first: Gfn,
        pages: u64,
        access: P2mAccess,
        restart: Restart,
    ) -> Result<u64> {
        let request = Request {
            first,
            pages,
            access,
        };
        let mut course = Course {
            done: 0,
            uniform: false,
            restart,
        };
        if pages == 1 {
            let table = self.table_towards(first, Level::L3);
            if let Some(table) = table.filter(|table| table.level() == Level::L3) {
                let index = Level::L3.index(first);
                self.restrict_leaves(table, index, 1, &request, &mut course)?;
                return Ok(course.done);
            }
        }
        while course.done < pages {
            let gfn = first.add(course.done);
            if let Some(level) = self.hole_beyond_max(gfn) {
                course.done += level.pages_from(gfn);
                if course.stops() {
                    break;
                }
                continue;
            }
            let rest = pages - course.done;
            let is_whole = |level: Level| level.offset(gfn) == 0 && rest >= level.pages();
            // From the root on, if the last table on the way may be a block again.
            let level = if request.lifts() && rest >= MERGE_FROM {
                Level::L0
            } else {
                Level::largest(is_whole)
            };
            let table = self.table_towards(gfn, level).ok_or(Errno::INVAL)?;
            match self.restrict_in(table, &request, &mut course) {
                Ok(go @ (Go::On | Go::Settle)) => {
                    if go == Go::Settle {
                        self.settle();
                    }
                    if course.done < pages && course.stops() {
                        break;
                    }
                }
                Ok(Go::Stop) => break,
                // Tables that were taken out wait to be freed.
                Err(Failure::NoTable(_)) if self.owes_tables() => self.settle(),
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(course.done.min(pages))
    }

    /// Goes on in a table of the tree, to its end.
    fn restrict_in(&self, table: Table<'_>, request: &Request, course: &mut Course) -> Outcome<Go> {
        let level = table.level();
        let first = level.index(request.first.add(course.done));
        if level == Level::L3 {
            let count = first.room().min(request.pages - course.done);
            self.restrict_leaves(table, first, count, request, course)?;
            return Ok(Go::On);
        }
        let mut pending = Pending::none(self, table);
        let mut at = Some(first);
        while let Some(index) = at.filter(|_| course.done < request.pages) {
            let before = course.done;
            let gfn = request.first.add(before);
            let go = match table.entry(index) {
                Entry::Empty => {
                    course.done += level.pages_from(gfn);
                    Go::On
                }
                Entry::Table(below) => self.restrict_in(below, request, course)?,
                Entry::Leaf(block) => {
                    self.restrict_block(&mut pending, index, block, request, course)?
                }
            };
            let reached = course.done - before;
            let is_at_end = reached >= level.pages_from(gfn) || course.done >= request.pages;
            // It may be a block again.
            let merged = request.lifts()
                && is_at_end
                && reached >= MERGE_FROM
                && self.merge(&mut pending, table, index, gfn, course.uniform);
            course.uniform = false;
            // After the last one too, if the table above may be merged next.
            let asks = merged || course.done < request.pages;
            if go != Go::On {
                return Ok(go);
            }
            if asks && course.stops() {
                return Ok(Go::Stop);
            }
            if self.owes_many_tables() {
                return Ok(Go::Settle);
            }
            at = index.advanced((level.offset(gfn) + reached) >> level.order());
        }
        Ok(Go::On)
    }

    /// Goes on in a block: past it, and those after it that go on alike, if they have
    /// the access already; changes them in their place, if that may be; or replaces it
    /// by tables.
    fn restrict_block(
        &self,
        pending: &mut Pending<'_>,
        index: TableIndex,
        block: Pte,
        request: &Request,
        course: &mut Course,
    ) -> Outcome<Go> {
        let (table, level) = (pending.table(), pending.level());
        let gfn = request.first.add(course.done);
        let rest = request.pages - course.done;
        let changes = request.becomes(block).is_some();
        if !changes || request.fits(level, gfn, rest) {
            let most = (level.offset(gfn) + rest).div_ceil(level.pages());
            let whole = if changes { rest >> level.order() } else { most };
            let count = table.run_of(index, block, whole);
            self.restrict_leaves(table, index, count, request, course)?;
            return Ok(Go::On);
        }
        let before = course.done;
        self.restrict_part(pending, index, block, request, course)?;
        // Of a larger block only the first 2 MiB: on with the rest of it, if there
        // is one.
        if level == Level::L2 {
            return Ok(Go::On);
        }
        pending.complete();
        if course.done < request.pages && course.stops() {
            return Ok(Go::Stop);
        }
        let is_left = course.done - before < level.pages_from(gfn);
        match table.next(table.load(index)) {
            Some(below) if is_left => self.restrict_in(below, request, course),
            _ => Ok(Go::On),
        }
    }

    /// Replaces a block by tables, down to what has the access for the first 2 MiB of
    /// the range in it.
    fn restrict_part(
        &self,
        pending: &mut Pending<'_>,
        index: TableIndex,
        block: Pte,
        request: &Request,
        course: &mut Course,
    ) -> Outcome {
        self.refuse_if_dying()?;
        let gfn = request.first.add(course.done);
        let pages = Level::L2.pages_from(gfn).min(request.pages - course.done);
        let (new, (done, result)) = self.reshape(block, pending.level(), gfn, pages, request);
        let Some(new) = new else { return result };
        self.enable_mem_access();
        let told = pending.replace_block(index, gfn, new);
        course.done += done;
        told.and(result)
    }

    /// Gives the access to `count` leaves of a table, which hold the part of the range
    /// that comes next: pages, holes among them, or whole blocks that go on alike.
    fn restrict_leaves(
        &self,
        table: Table<'_>,
        first: TableIndex,
        count: u64,
        request: &Request,
        course: &mut Course,
    ) -> Outcome {
        let level = table.level();
        let gfn = request.first.add(course.done);
        let alive = self.refuse_if_dying();
        let mut refused = Ok(());
        let set = table.set_permissions(self, gfn, first, count, |old| {
            let new = request.becomes(old)?;
            if alive.is_err() {
                refused = alive;
                return None;
            }
            self.enable_mem_access();
            Some(new)
        });
        refused?;
        let pages = level.pages_from(gfn) + ((count - 1) << level.order());
        course.done += pages;
        course.uniform = set.uniform;
        if !set.any {
            return self.iommu_flush_in_doubt(gfn, pages);
        }
        self.stored(table, first, count);
        self.iommu_flush(gfn, pages, set.any_live, true)
    }
}
