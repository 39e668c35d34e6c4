// SPDX-License-Identifier: GPL-2.0-only
//! Dropping what views have merely copied, once table pages run out.
//!
//! Nobody must be refused a table because of what was copied before, and can be copied again: no
//! guest that comes to a page, no monitor that sets something in a view, and nobody who maps
//! something in the host p2m, which was there before there were views. What was *set* in a view is
//! never dropped: it would be lost silently. A level-3 table of a view can be dropped if each of its
//! entries is what the next copy would be: the host's frame at the same guest frame, with the
//! view's default access.
//!
//! **The guest gets on.** One instruction of a guest may need the page that it lies in, two pages
//! of data, and the tables of its own stage 1 for these three, four each: 15 pages in 15 tables,
//! all at the same time. If fewer tables than that were dropped, a guest might wait for ever for
//! what its own faults drop. So then nothing is gained, and it is crashed as if there were no
//! copies at all. Who can be told -ENOMEM ([`with_any_room`]) tries again after any table.
//!
//! **The cost is bounded** as in [`crate::map::sweep`]: a call reads so many entries and no more
//! ([`Search`]), and the next one goes on where it stopped. Each view has its share of them, so that
//! one in which everything was set hides no copies of another.

use super::fill::HostLeaf;
use super::tables::clear;
use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::views::{Number, ViewRead};
use crate::table::Table;
use crate::types::addr::Gfn;
use crate::types::errno::{Failure, Outcome};
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::xen::cpu;
use crate::xen::globals::root_level;

/// Entries of views that a call may read: those of 64 tables.
const MOST: u64 = 64 * ENTRIES as u64;

/// The most tables of a view that a call drops.
const BATCH: usize = 32;

/// The fewest tables that are any use to a guest, and with which a search ends.
const ENOUGH: usize = 16;

/// What a call may still do to find copies.
pub(in crate::map) struct Search {
    /// The number of entries of views that it may read.
    entries: u64,
    /// Whether it ends when preemption is due. If it then has found nothing, the call says
    /// -ENOMEM; the next one goes on with the search.
    ends_early: bool,
}

impl Search {
    /// For a call that cannot be preempted.
    pub(in crate::map) const fn new() -> Self {
        Self {
            entries: MOST,
            ends_early: false,
        }
    }

    /// For a call that checks for preemption: it does so before each table.
    pub(in crate::map) const fn preemptible() -> Self {
        Self {
            ends_early: true,
            ..Self::new()
        }
    }

    /// How many entries are left for others, of `views` that have the same share, once one has had
    /// its own.
    fn without_a_share(&self, views: u64) -> u64 {
        self.entries - self.entries / views.max(1)
    }

    /// Whether another table may be looked at, with which no fewer entries than `others` are left.
    fn goes_on(&self, others: u64) -> bool {
        self.entries > others && !(self.ends_early && cpu::hypercall_preempt_check())
    }

    fn has_read(&mut self, entries: u64) {
        self.entries = self.entries.saturating_sub(entries);
    }
}

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
        Err(Failure::NoTable) if drop_copies(write, &mut Search::new()) >= ENOUGH => change(write),
        result => result,
    }
}

/// [`with_room`] for who can be told that there is none.
///
/// # Errors
///
/// Those of `change`; [`Failure::NoTable`] if there is no page for a table, and there are no
/// copies that can be dropped, or too few.
pub(in crate::map) fn with_any_room<R>(
    write: &mut WriteView<'_>,
    mut search: Search,
    mut change: impl FnMut(&mut WriteView<'_>) -> Outcome<R>,
) -> Outcome<R> {
    match change(write) {
        Err(Failure::NoTable) if drop_copies(write, &mut search) > 0 => change(write),
        result => result,
    }
}

/// Drops tables of any of the views. Returns how many: not many more than are enough for a guest.
/// Their pages are in the pool then.
#[cold]
#[inline(never)]
pub(in crate::map) fn drop_copies(write: &mut WriteView<'_>, search: &mut Search) -> usize {
    let exists = |number: &Number| write.view(*number).is_some();
    let (mut views, mut dropped) = (Number::all().filter(exists).count() as u64, 0);
    for number in Number::all() {
        if write.view(number).is_none() {
            continue;
        }
        dropped += drop_in(write, number, search, search.without_a_share(views));
        views -= 1;
        if dropped >= ENOUGH {
            break;
        }
    }
    dropped
}

/// Drops tables of a view, and leaves no fewer than `others` entries to be read. Returns how many.
fn drop_in(write: &mut WriteView<'_>, number: Number, search: &mut Search, others: u64) -> usize {
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
                let Some(place) = found.get_mut(count).filter(|_| search.goes_on(others)) else {
                    break 'search;
                };
                if let Some(table) = copies_at(write, view, &mut cursor, search) {
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
fn copies_at(
    host: &ReadView,
    view: ViewRead<'_>,
    at: &mut Gfn,
    search: &mut Search,
) -> Option<Gfn> {
    let gfn = *at;
    let Some(table) = Table::last(view.tables(), gfn) else {
        // Beyond the IPA space, where nothing is mapped.
        *at = Gfn::new(!0);
        return None;
    };
    let level = table.level();
    search.has_read((1 + level.number() - root_level().number()).into());
    if level != Level::L3 {
        *at = gfn.next_boundary(level.order());
        return None;
    }
    let first = Gfn::new(gfn.raw() - Level::L2.offset(gfn));
    *at = first.add(Level::L2.pages());
    let hosts = Table::last(host, first)?;
    let mut index = Some(TableIndex::FIRST);
    while let Some(here) = index {
        search.has_read(1);
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
