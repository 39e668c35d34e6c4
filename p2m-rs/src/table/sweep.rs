// SPDX-License-Identifier: GPL-2.0-only
//! Giving back the tables in which nothing is mapped any more, once table pages run out.
//!
//! An unmapping that empties a table keeps the table, as in C: finding out that it is empty
//! takes a look at all of its entries, and mostly the guest soon maps something there
//! again. So a guest that maps and unmaps single pages all over its address space fills its
//! pool with empty tables (docs/differences.md, B10). When a table cannot be allocated, they
//! are looked for and freed, and the operation is tried again.
//!
//! **The cost is bounded, for a guest can have every call run out of pages.** A call reads a
//! limited number of entries ([`Sweep`]), whatever the size of the tree. A table that is in use
//! mostly shows that with its first entry. Where a call stops, the next one goes on (the
//! cursor in `struct p2m_domain`), so an empty table is found after some calls, wherever it is,
//! and a table that was looked at in vain is looked at again only after all others.
//!
//! **The order** is that of each removal: the pointer to the table is cleared, the TLBs and
//! the IOTLB are flushed, the table is freed. An IOMMU that walks these tables finds nothing
//! there before and after. If its flush fails, the table is kept until teardown.

use super::removed::Owned;
use super::Table;
use crate::p2m::lock::WriteView;
use crate::types::addr::Gfn;
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::pte::{Kind, Pte};
use crate::xen::cpu;
use crate::xen::globals::root_level;
use crate::xen::iommu::IotlbFlush;

/// Entries that a call may read to find empty tables: those of 64 tables. Unmapping a 1 GiB range
/// of pages takes those of 512.
const BUDGET: u64 = 64 * ENTRIES as u64;

/// Entries that a call which can be preempted reads on its way to a table, before it checks
/// for preemption and looks at all of the table.
const BETWEEN_CHECKS: u64 = 16;

/// What a call may still do to find a table page.
pub(crate) struct Sweep {
    /// The number of entries that it may read.
    entries: u64,
    /// Whether the search ends when preemption is due.
    preemption: Preemption,
    /// With [`Preemption::Ends`]: the next check is due once no more entries are left than so many.
    check_at: u64,
}

/// What a search does where preemption is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preemption {
    /// It goes on: the call cannot be preempted.
    Ignored,
    /// The search ends. The call then returns how far it got if it can, otherwise -ENOMEM. The
    /// next call that needs a table continues the search.
    Ends,
}

impl Sweep {
    /// For a call that cannot be preempted.
    pub(crate) const fn new() -> Self {
        Self {
            entries: BUDGET,
            preemption: Preemption::Ignored,
            check_at: BUDGET,
        }
    }

    /// For a call that checks for preemption, and does so once more after the search.
    pub(crate) const fn preemptible() -> Self {
        Self {
            preemption: Preemption::Ends,
            ..Self::new()
        }
    }

    /// Frees the tables that were removed before under this lock or, if there are none, empty
    /// tables of the tree. Returns whether any was freed.
    #[inline(always)]
    pub(crate) fn free_some(&mut self, write: &mut WriteView<'_>) -> bool {
        if !write.deferred().pages().any_removed() {
            self.sweep(write);
        }
        let any = write.deferred().pages().any_removed();
        if any {
            write.finish_early();
        }
        any
    }

    /// Removes empty tables from the tree, from the cursor on: all, or as many as the
    /// entries that may be read allow.
    fn sweep(&mut self, write: &WriteView<'_>) {
        let max = write.max_mapped_gfn();
        let start = Some(write.sweep_cursor()).filter(|&start| start <= max);
        let start = start.unwrap_or(Gfn::new(0));
        let (mut at, mut wrapped) = (start, false);
        // Whether a table below the one at `at` was just removed.
        let mut look = false;
        while !(wrapped && at >= start) {
            let Some(table) = self.table_at(write, at) else {
                break;
            };
            let base = base_of(table, at);
            let is_root = table.level() == root_level();
            if !is_root && (look || base == at) {
                match self.is_empty(table) {
                    None => break,
                    Some(true) => {
                        remove(write, at, table.level());
                        // Now the table above may be empty.
                        look = true;
                        continue;
                    }
                    Some(false) => {}
                }
            }
            look = false;
            at = self.next_table(table, at);
            if at > max {
                // A step over holes may pass `start` and `max` at once.
                if wrapped {
                    break;
                }
                (at, wrapped) = (Gfn::new(0), true);
            }
        }
        write.set_sweep_cursor(at);
    }

    /// The table that the walk to `gfn` ends in. `None` if no more entries may be read.
    fn table_at<'v>(&mut self, write: &'v WriteView<'_>, gfn: Gfn) -> Option<Table<'v>> {
        let table = Table::last(write, gfn)?;
        let walked = 1 + table.level().number() - root_level().number();
        self.entries = self.entries.checked_sub(walked.into())?;
        Some(table)
    }

    /// Whether all entries are empty. `None` if not so many may be read, or preemption is due.
    fn is_empty(&mut self, table: Table<'_>) -> Option<bool> {
        if self.preemption == Preemption::Ends && self.entries <= self.check_at {
            if cpu::general_preempt_check() {
                return None;
            }
            self.check_at = self.entries.saturating_sub(BETWEEN_CHECKS);
        }
        let allowed = self.entries.min(ENTRIES as u64);
        let empty = table.run_of(TableIndex::FIRST, Pte::EMPTY, allowed);
        self.entries -= allowed.min(empty + 1);
        if empty < allowed {
            return Some(false);
        }
        (allowed == ENTRIES as u64).then_some(true)
    }

    /// The first frame after `at` for which an entry of `table` points to a table, or the frame
    /// after those that the table spans, or where no more entries may be read.
    fn next_table(&mut self, table: Table<'_>, at: Gfn) -> Gfn {
        let level = table.level();
        if level == Level::L3 {
            return base_of(table, at).add(ENTRIES as u64);
        }
        let mut gfn = at.add(level.pages_from(at));
        let mut index = level.index(at).advanced(1);
        while let Some(here) = index {
            if self.entries == 0 || matches!(table.load(here).kind(level), Kind::Table(_)) {
                break;
            }
            self.entries -= 1;
            gfn = gfn.add(level.pages());
            index = here.advanced(1);
        }
        gfn
    }
}

/// The first frame that the table spans, of which `gfn` is one.
fn base_of(table: Table<'_>, gfn: Gfn) -> Gfn {
    let pages = table.level().pages() * ENTRIES as u64;
    Gfn::new(gfn.raw() & !(pages - 1))
}

/// Removes the empty table of `level` on the walk to `gfn`, which is no root, from the tree.
fn remove(write: &WriteView<'_>, gfn: Gfn, level: Level) {
    let above = Level::from_number(level.number().saturating_sub(1));
    // (Not by `Table::of_level`, which is in line wherever it is used.)
    let found = Table::towards(write, gfn, above);
    let Some(above) = found.filter(|table| table.level() == above) else {
        return;
    };
    let span = above.level();
    let removed = above.clear(write, gfn, 1, write.nothing_to_forget());
    let flush = IotlbFlush::modified_if(removed.was_live());
    let flushed = write.iommu_flush(span.start(gfn), span.pages(), flush);
    let Owned::Table(table) = removed.into_owned() else {
        return;
    };
    match flushed {
        Ok(flushed) => table.free_only(write, flushed),
        // A device may be walking the table, in which nothing is.
        Err(_logged) => table.leak(|entry| {
            let _nothing = entry.into_owned();
        }),
    }
}
