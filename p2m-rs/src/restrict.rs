// SPDX-License-Identifier: GPL-2.0-only
//! Changing the access of what is mapped, for introspection (what
//! `p2m_set_mem_access` makes of `p2m_get_entry` and `p2m_set_entry`).
//!
//! The setting is part of the entry ([`crate::pte`], bits 62:59): C has a radix
//! tree beside the tables for it. Permissions may change in a live entry
//! without break-before-make; one flush at the unlock does for all. A block is
//! replaced by a table that is restricted already, and all blocks that one
//! table holds by one flush.
#![forbid(unsafe_code)]

use crate::access::P2mAccess;
use crate::addr::Gfn;
use crate::error::{Errno, Result};
use crate::level::{Level, TableIndex};
use crate::lock::WriteView;
use crate::pte::{Kind, Pte};
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

impl Change for Request {
    fn fits(&self, level: Level, _gfn: Gfn, _pages: u64) -> bool {
        level == Level::L3
    }

    fn entry(&self, part: Pte, _level: Level, _gfn: Gfn) -> Pte {
        match part.ty() {
            Some(ty) => part.restricted(ty, self.access).with_hw_valid(true),
            None => part,
        }
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
    /// The last table, as far as this call went through it, maps consecutive
    /// frames by leaves that are alike in everything else.
    alike: bool,
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
    /// restriction. The mappings and what they own stay; pages that are not
    /// mapped are skipped. After each table of pages and each hole it looks for
    /// preemption, if a restart point was passed. Returns the number of pages
    /// done.
    ///
    /// A block whose restriction is lifted as a whole is put together again
    /// ([`crate::merge`]).
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
            alike: false,
            restart,
        };
        if pages == 1 {
            let table = self.table_towards(first, Level::L3);
            if let Some(table) = table.filter(|table| table.level() == Level::L3) {
                let index = Level::L3.index(first);
                self.restrict_pages(table, index, &request, &mut course)?;
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
            let table = self
                .table_towards(gfn, Level::largest(is_whole))
                .ok_or(Errno::INVAL)?;
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
                // Tables ran out, while some wait to be freed.
                Err(Errno::NO_MEM) if self.owes_tables() => self.settle(),
                Err(errno) => return Err(errno),
            }
        }
        Ok(course.done.min(pages))
    }

    /// Goes on in a table of the tree, to its end.
    fn restrict_in(&self, table: Table<'_>, request: &Request, course: &mut Course) -> Result<Go> {
        let level = table.level();
        let first = level.index(request.first.add(course.done));
        if level == Level::L3 {
            return self.restrict_pages(table, first, request, course);
        }
        let mut pending = Pending::none(self, table);
        let (mut alike, mut like) = (true, None);
        for index in first.run(u64::MAX) {
            if course.done >= request.pages {
                break;
            }
            let before = course.done;
            let gfn = request.first.add(before);
            let go = match table.entry(index) {
                Entry::Empty => {
                    course.done += level.pages_from(gfn);
                    Go::On
                }
                Entry::Table(below) => self.restrict_in(below, request, course)?,
                Entry::Leaf(block) => {
                    self.restrict_block(&mut pending, index, block, request, course)?;
                    // Of a larger block only the first 2 MiB: on with the rest of
                    // it, if there is one.
                    if level < Level::L2 {
                        pending.complete();
                    }
                    let is_left = course.done - before < level.pages_from(gfn);
                    match table.next(table.load(index)) {
                        Some(below) if level < Level::L2 && is_left => {
                            self.restrict_in(below, request, course)?
                        }
                        _ => Go::On,
                    }
                }
            };
            // All of the entry in one call: it may be a block again.
            let whole = level.offset(gfn) == 0 && course.done - before >= level.pages();
            let merges = whole && request.access == P2mAccess::Rwx;
            if merges {
                self.merge(&mut pending, table, index, gfn, course.alike);
            }
            let now = table.load(index);
            alike &= now.kind(level) == Kind::Leaf && like.is_none_or(|like| like == now);
            like = Some(now.advanced(level.pages()));
            course.alike = alike;
            // After the last one too, if the table above may be merged next.
            let asks = merges || course.done < request.pages;
            if go != Go::On {
                return Ok(go);
            }
            if asks && course.stops() {
                return Ok(Go::Stop);
            }
            if self.owes_many_tables() {
                return Ok(Go::Settle);
            }
        }
        Ok(Go::On)
    }

    /// Replaces a block by tables, down to pages for the first 2 MiB of the
    /// range in it: these have the access.
    fn restrict_block(
        &self,
        pending: &mut Pending<'_>,
        index: TableIndex,
        block: Pte,
        request: &Request,
        course: &mut Course,
    ) -> Result {
        self.refuse_if_dying()?;
        let gfn = request.first.add(course.done);
        let pages = Level::L2.pages_from(gfn).min(request.pages - course.done);
        let (new, (done, result)) = self.reshape(block, pending.level(), gfn, pages, request);
        if let Some(new) = new {
            pending.link(index, gfn, new).inherited();
            course.done += done;
            if self.has_iommu() {
                pending.complete();
            }
            self.iommu_flush(gfn, done, block.hw_valid(), true)?;
        }
        result
    }

    /// Gives the access to the pages of the range that are mapped in a table
    /// of pages.
    fn restrict_pages(
        &self,
        table: Table<'_>,
        first: TableIndex,
        request: &Request,
        course: &mut Course,
    ) -> Result<Go> {
        let gfn = request.first.add(course.done);
        let count = first.room().min(request.pages - course.done);
        let alive = self.refuse_if_dying();
        let mut refused = Ok(());
        let set = table.set_permissions(self, gfn, first, count, |old| {
            let ty = old.ty()?;
            if alive.is_err() {
                refused = alive;
                return None;
            }
            Some(old.restricted(ty, request.access).with_hw_valid(true))
        });
        refused?;
        course.done += count;
        course.alike = set.alike;
        if set.any {
            self.stored(table, first, count);
            self.iommu_flush(gfn, count, set.any_live, true)?;
        }
        Ok(Go::On)
    }
}
