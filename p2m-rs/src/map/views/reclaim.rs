// SPDX-License-Identifier: GPL-2.0-only
//! Dropping what views have merely copied, and tables in which they map nothing, once table pages run
//! out.
//!
//! Nobody must be refused a table because of pages that were copied before, and can be copied again: no
//! guest that comes to a page, no monitor that sets something in a view, and nobody who maps
//! something in the host p2m, which was there before there were views. What was *set* in a view is
//! never dropped: it would be lost silently. A level-3 table of a view can be dropped if each of its
//! entries is empty or what the next copy would be: the host's frame at the same guest frame, with the
//! view's default access. A table of a higher level can be dropped once it is empty: else a guest that
//! maps and unmaps single pages all over its address space would fill its pool with these. A table with
//! blocks stays, though a block is a mere copy, too: a guest may run in the blocks of a few tables, and
//! if a call took these, fewer tables than a guest needs would be left, and its next fault would crash it.
//!
//! **The guest gets on.** One instruction of a guest may need the page that it lies in, two pages
//! of data, and the tables of its own stage 1 for these three, four each: 15 pages in 15 tables,
//! all at the same time. If fewer tables than that were dropped, a guest might wait for ever for
//! what its own faults drop. ([`ENOUGH`] is one more: the table that the present
//! fault needs.) So then nothing is gained, and it is crashed as if there were no
//! copies at all. Who can be told -ENOMEM tries again after any table ([`super::room`]).
//! That is a promise for one vCPU, and for tables of level 3. Where a pool is so
//! small that it cannot hold what the instructions of several vCPUs need together, or the tables above
//! 15 pages that are far apart, they may drop each other's tables for a long time: at the cost of that
//! guest alone, since each search has its bound, and it comes only after the tables of the one before
//! were used.
//!
//! **The cost is bounded** as in [`crate::table::sweep`]: a call reads a limited number of entries
//! ([`Search`]), and the next call continues where it stopped. In a first round each view gets an
//! equal share of that number, so that one view in which everything was set does not hide the
//! copies of another; in a second round each view may use all that is left. The views come in turns
//! ([`WriteView::turns`]), so that copies which nobody uses any more are dropped, in whichever view they
//! are, and not always those of one that is in use.

use core::num::NonZeroU64;

use super::fill::FoundLeaf;
use super::tables::drop_table;
use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::views::{Number, ViewRead};
use crate::table::Table;
use crate::types::addr::Gfn;
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::pte::Kind;
use crate::xen::cpu;
use crate::xen::globals::root_level;

/// Entries of views that a call may read: those of 64 tables. (The table that is being read when it is
/// used up is read to its end.)
const BUDGET: u64 = 64 * ENTRIES as u64;

/// The most tables of a view that are dropped in one round.
const BATCH: usize = 32;

/// The fewest tables that are any use to a guest, and with which a search ends.
pub(super) const ENOUGH: usize = 16;

/// What a call may still do to find copies.
pub(super) struct Search {
    /// The number of entries of views that it may read.
    entries: u64,
    /// Whether the search ends when preemption is due. If it then has found nothing, the call returns how
    /// far it got if it can, otherwise -ENOMEM. The next call that needs a table continues the search.
    ends_early: bool,
}

impl Search {
    /// For a call that cannot be preempted.
    pub(super) const fn new() -> Self {
        Self {
            entries: BUDGET,
            ends_early: false,
        }
    }

    /// For a call that checks for preemption: it does so before each table.
    pub(super) const fn preemptible() -> Self {
        Self {
            ends_early: true,
            ..Self::new()
        }
    }

    /// Whether another table may be looked at: more entries than `others` are left.
    fn goes_on(&self, others: u64) -> bool {
        self.entries > others && !(self.ends_early && cpu::general_preempt_check())
    }

    fn has_read(&mut self, entries: u64) {
        self.entries = self.entries.saturating_sub(entries);
    }
}

/// Drops tables of any of the views. Returns how many: not many more than are enough for a guest.
/// Their pages are in the pool then.
#[cold]
#[inline(never)]
pub(super) fn drop_copies(write: &mut WriteView<'_>, search: &mut Search) -> usize {
    let mut dropped = 0;
    let exists = |number: &Number| write.view(*number).is_some();
    let views = Number::all().filter(exists).count() as u64;
    let views = NonZeroU64::new(views).unwrap_or(NonZeroU64::MIN);
    // To each an equal share, then to each all that is left. (What is not zero is divided by without
    // a check, and so without a panic.)
    for parts in [views, NonZeroU64::MIN] {
        let share = search.entries / parts;
        for number in write.turns() {
            let others = search.entries.saturating_sub(share);
            dropped += drop_in(write, number, search, others);
            if dropped >= ENOUGH {
                write.end_turn_of(number);
                return dropped;
            }
        }
    }
    dropped
}

/// A table of a view that can be dropped.
#[derive(Clone, Copy)]
struct Found {
    /// The first frame that it spans.
    first: Gfn,
    level: Level,
}

/// Drops tables of a view, as long as more entries than `others` may be read. Returns how many.
fn drop_in(write: &mut WriteView<'_>, number: Number, search: &mut Search, others: u64) -> usize {
    let Some(start) = write.view_mut(number).map(|view| view.sweep_cursor()) else {
        return 0;
    };
    let mut found = [None; BATCH];
    let mut count = 0;
    let mut cursor = start;
    if let Some(view) = write.view(number) {
        let end = view.tables().max_mapped_gfn().add(1);
        // From the cursor to the end, then from the beginning to the cursor.
        'search: for (from, to) in [(start, end), (Gfn::new(0), start.min(end))] {
            cursor = from;
            while cursor < to {
                let Some(place) = found.get_mut(count).filter(|_| search.goes_on(others)) else {
                    break 'search;
                };
                *place = look(write, view, &mut cursor, search);
                count += usize::from(place.is_some());
            }
        }
    }
    if let Some(view) = write.view_mut(number) {
        view.set_sweep_cursor(cursor);
        for Found { first, level } in found.into_iter().flatten() {
            drop_table(&view, first, level);
        }
    }
    count
}

/// Looks at the table of the view in which the walk to `*at` ends, and advances `*at` beyond what needs
/// no other look: all of a table of level 3, or the entries of a higher one before the next that is a
/// table, blocks among them. Returns the table if it can be dropped.
fn look(host: &ReadView, view: ViewRead<'_>, at: &mut Gfn, search: &mut Search) -> Option<Found> {
    let gfn = *at;
    let Some(table) = Table::last(view.tables(), gfn) else {
        // Beyond the IPA space, where nothing is mapped.
        *at = Gfn::new(!0);
        return None;
    };
    let level = table.level();
    search.has_read((1 + level.number() - root_level().number()).into());
    if level == Level::L3 {
        let first = Level::L2.start(gfn);
        *at = first.add(Level::L2.pages());
        return only_copies(host, view, table, first, search).then_some(Found { first, level });
    }
    let (mut passed, mut empty) = (0, 0);
    let mut index = Some(level.index(gfn));
    while let Some(here) = index {
        match table.load(here).kind(level) {
            Kind::Table(_) => break,
            Kind::Leaf => {}
            Kind::Empty => empty += 1,
        }
        passed += 1;
        index = here.advanced(1);
    }
    search.has_read(passed);
    let first = level.start(gfn);
    // The first of them ends the walk, so it is no table. If it were, the search would still end.
    *at = first.add(passed.max(1) << level.order());
    let is_empty = empty == ENTRIES as u64 && level != root_level();
    is_empty.then_some(Found { first, level })
}

/// Whether each entry of a table of level 3, whose first frame is `first`, is empty or what the next copy
/// would be.
fn only_copies(
    host: &ReadView,
    view: ViewRead<'_>,
    table: Table<'_>,
    first: Gfn,
    search: &mut Search,
) -> bool {
    let Some(hosts) = Table::last(host, first) else {
        return false;
    };
    let mut index = Some(TableIndex::FIRST);
    while let Some(here) = index {
        search.has_read(1);
        let (pte, gfn) = (table.load(here), first.add(here.get() as u64));
        let is_copy = || {
            let host = FoundLeaf::within(hosts, gfn)?;
            Some(host.copy(gfn, Level::L3, view.default_access()) == pte)
        };
        if pte.is_mapped() && is_copy() != Some(true) {
            return false;
        }
        index = here.advanced(1);
    }
    true
}
