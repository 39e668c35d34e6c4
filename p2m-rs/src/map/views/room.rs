// SPDX-License-Identifier: GPL-2.0-only
//! Room for a table, once the pool has no page left: what is tried, and in which order.
//!
//! First empty tables of the host p2m go ([`crate::table::sweep`]): nobody misses them. Views of the guest's
//! memory (altp2m) take their tables from the same pool. So if there is no empty table, pages that views
//! have merely copied are dropped ([`super::reclaim`]). That holds for whoever needs a table, in the host p2m
//! or in a view.

#[cfg(config_altp2m)]
use super::reclaim::{drop_copies, Search, ENOUGH};
use crate::p2m::lock::WriteView;
use crate::table::sweep::Sweep;
use crate::types::errno::Failure;
#[cfg(config_altp2m)]
use crate::types::errno::Outcome;

/// What a call may still do to find a table page.
pub(in crate::map) struct Room {
    empty: Sweep,
    #[cfg(config_altp2m)]
    copies: Search,
}

impl Room {
    /// For a call that cannot be preempted.
    pub(in crate::map) const fn new() -> Self {
        Self {
            empty: Sweep::new(),
            #[cfg(config_altp2m)]
            copies: Search::new(),
        }
    }

    /// For a call that checks for preemption, and does so once more after the search.
    pub(in crate::map) const fn preemptible() -> Self {
        Self {
            empty: Sweep::preemptible(),
            #[cfg(config_altp2m)]
            copies: Search::preemptible(),
        }
    }

    /// Frees tables, if `failure` is [`Failure::NoTable`]. Returns whether any was freed, so that
    /// another attempt may succeed.
    #[cold]
    #[inline(never)]
    pub(in crate::map) fn make_room(
        &mut self,
        write: &mut WriteView<'_>,
        failure: Failure,
    ) -> bool {
        matches!(failure, Failure::NoTable)
            && (self.empty.free_some(write) || self.drop_some_copies(write))
    }

    #[cfg(config_altp2m)]
    fn drop_some_copies(&mut self, write: &mut WriteView<'_>) -> bool {
        drop_copies(write, &mut self.copies) > 0
    }

    #[cfg(not(config_altp2m))]
    fn drop_some_copies(&mut self, _write: &mut WriteView<'_>) -> bool {
        false
    }
}

/// What `change` makes of a view, tried again as long as there is room.
///
/// # Errors
///
/// Those of `change`; [`Failure::NoTable`] if there is no page for a table, and nothing gave way.
#[cfg(config_altp2m)]
pub(super) fn with_any_room<R>(
    write: &mut WriteView<'_>,
    mut room: Room,
    mut change: impl FnMut(&mut WriteView<'_>) -> Outcome<R>,
) -> Outcome<R> {
    loop {
        match change(write) {
            Err(failure) if room.make_room(write, failure) => {}
            result => return result,
        }
    }
}

/// [`with_any_room`] for a change that a guest waits for, which must not wait for ever: copies have given way
/// only if they are enough.
///
/// # Errors
///
/// Those of `change`; [`Failure::NoTable`] also if there are too few copies.
#[cfg(config_altp2m)]
pub fn with_room<R>(
    write: &mut WriteView<'_>,
    mut change: impl FnMut(&mut WriteView<'_>) -> Outcome<R>,
) -> Outcome<R> {
    let has_no_table = |outcome: &Outcome<R>| matches!(outcome, Err(Failure::NoTable));
    let mut outcome = change(write);
    if has_no_table(&outcome) && Sweep::new().free_some(write) {
        outcome = change(write);
    }
    if has_no_table(&outcome) && drop_copies(write, &mut Search::new()) >= ENOUGH {
        outcome = change(write);
    }
    outcome
}
