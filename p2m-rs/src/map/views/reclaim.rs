// SPDX-License-Identifier: GPL-2.0-only
//! Dropping what views have merely copied, once table pages run out.
//!
//! A guest that comes to a page must not be crashed because of what was copied before, and can be
//! copied again. What was *set* in a view is never dropped: it would be lost silently. A level-3
//! table of a view can be dropped if each of its entries is what the next copy would be: the
//! host's frame at the same guest frame, with the view's default access.
//!
//! **The guest gets on.** One instruction of a guest may need the page that it lies in, two pages
//! of data, and the tables of its own stage 1 for these three, four each: 15 pages in 15 tables,
//! all at the same time. If fewer tables than that were dropped, a guest might wait for ever for
//! what its own faults drop. So then nothing is gained, and it is crashed as if there were no
//! copies at all.
//!
//! **The cost is bounded** as in [`crate::map::sweep`]: a call reads so many entries and no more,
//! and the next one goes on where it stopped.

use super::fill::HostLeaf;
use super::tables::clear;
use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::views::{Number, ViewRead};
use crate::table::Table;
use crate::types::addr::Gfn;
use crate::types::errno::{Failure, Outcome};
use crate::types::level::{Level, TableIndex, ENTRIES};

/// Entries of views that a call may read: those of 64 tables.
const MOST: u64 = 64 * ENTRIES as u64;

/// The most tables of a view that a call drops.
const BATCH: usize = 32;

/// The fewest tables that are any use.
const ENOUGH: usize = 16;

/// What `change`, for which a guest waits, makes of the view: if it finds no page for a table, it is
/// done once more after copies were dropped.
///
/// # Errors
///
/// Those of `change`; [`Failure::NoTable`] also if there are too few copies.
pub fn with_room<R>(
    write: &mut WriteView<'_>,
    mut change: impl FnMut(&mut WriteView<'_>) -> Outcome<R>,
) -> Outcome<R> {
    match change(write) {
        Err(Failure::NoTable) if drop_copies(write) => change(write),
        result => result,
    }
}

/// Drops tables of any of the views. Returns whether they are enough.
#[cold]
#[inline(never)]
fn drop_copies(write: &mut WriteView<'_>) -> bool {
    let (mut budget, mut dropped) = (MOST, 0);
    for number in Number::all() {
        dropped += drop_in(write, number, &mut budget);
        if dropped >= ENOUGH {
            return true;
        }
    }
    false
}

/// Drops tables of a view. Returns how many.
fn drop_in(write: &mut WriteView<'_>, number: Number, budget: &mut u64) -> usize {
    let Some(start) = write.view_mut(number).map(|view| view.sweep_cursor()) else {
        return 0;
    };
    let mut found = [Gfn::new(0); BATCH];
    let mut count = 0;
    let mut cursor = start;
    if let Some(view) = write.view(number) {
        let end = view.tables().max_mapped_gfn().add(1);
        // From the cursor to the end, then from the beginning to the cursor.
        'search: for (from, to) in [(start, end), (Gfn::new(0), start.min(end))] {
            cursor = from;
            while cursor < to {
                let Some(place) = found.get_mut(count).filter(|_| *budget > 0) else {
                    break 'search;
                };
                if let Some(table) = copies_at(write, view, &mut cursor, budget) {
                    *place = table;
                    count += 1;
                }
            }
        }
    }
    if let Some(view) = write.view_mut(number) {
        view.set_sweep_cursor(cursor);
        for gfn in found.iter().take(count) {
            clear(&view, *gfn, Level::L2.pages());
        }
    }
    count
}

/// Looks at the table or entry of the view that `*at` is in, and advances `*at` beyond it. Returns
/// the first frame of a level-3 table that can be dropped.
fn copies_at(host: &ReadView, view: ViewRead<'_>, at: &mut Gfn, budget: &mut u64) -> Option<Gfn> {
    let gfn = *at;
    let Some(table) = Table::last(view.tables(), gfn) else {
        // Beyond the IPA space, where nothing is mapped.
        *at = Gfn::new(!0);
        return None;
    };
    let level = table.level();
    if level != Level::L3 {
        *at = gfn.next_boundary(level.order());
        *budget = budget.saturating_sub(1);
        return None;
    }
    let first = Gfn::new(gfn.raw() - Level::L2.offset(gfn));
    *at = first.add(Level::L2.pages());
    let hosts = Table::last(host, first)?;
    let mut index = Some(TableIndex::FIRST);
    while let Some(here) = index {
        *budget = budget.saturating_sub(1);
        let (pte, gfn) = (table.load(here), first.add(here.get() as u64));
        let is_copy = || {
            let host = HostLeaf::within(hosts, gfn)?;
            Some(host.copy(gfn, Level::L3, view.default_access()) == pte)
        };
        if pte.is_mapped() && is_copy() != Some(true) {
            return None;
        }
        index = here.advanced(1);
    }
    Some(first)
}
