// SPDX-License-Identifier: GPL-2.0-only
//! Mapping and unmapping in a host p2m that can have views.
//!
//! Views forget what the host is about to change. But a guest can empty its pool, and have a page of a
//! block taken away then: the call fails, and the guest keeps the page. What a monitor has set for it in
//! a view must not be lost. So the tables come first: a block of which a part changes is split, then the
//! views forget, and then nothing can fail for want of a table.
//!
//! The functions are not inlined, so that what they keep across calls costs domains without views nothing.

use super::fast_path;
use super::insert::{Insertion, Leaves};
use super::remove::Hole;
use super::split::{split_block, PartialUpdate};
use super::views::{forget, Room};
use crate::p2m::lock::WriteView;
use crate::table::{Entry, Table};
use crate::types::access::P2mAccess;
use crate::types::addr::Gfn;
use crate::types::errno::{Outcome, Result};
use crate::types::level::Level;
use crate::types::owner::Forgotten;
use crate::types::progress::Progress;
use crate::xen::target::Target;

/// [`super::insert::insert`], a part at a time, for which there is a table, or nothing to forget.
///
/// # Errors
///
/// As there. Views have forgotten only the parts that were mapped.
#[cold]
#[inline(never)]
pub(super) fn insert_beside_views(
    write: &mut WriteView<'_>,
    gfn: Gfn,
    target: Target,
    access: P2mAccess,
) -> Result {
    write.refuse_if_dying()?;
    let nr = target.pages();
    if nr == 0 {
        return Ok(());
    }
    let leaves = Leaves::new(write, gfn, &target, access);
    let (mut room, mut done) = (Room::new(), 0);
    if part_of(&leaves, 0, nr) == nr {
        let forgotten = forget_to_insert(write, &mut room, leaves, 0, nr)?;
        return fast_path::insert(write, forgotten, gfn, target, access);
    }
    let outcome = loop {
        let end = done + part_of(&leaves, done, nr);
        let part = match forget_to_insert(write, &mut room, leaves, done, end) {
            Ok(forgotten) => {
                Insertion { leaves, forgotten }.insert_part(write, done, end, &mut room)
            }
            Err(failure) => Progress::failed(failure),
        };
        done += part.pages;
        if done == nr || part.outcome.is_err() {
            break part.outcome;
        }
    };
    leaves.flush_iommu(write, done);
    Ok(outcome?)
}

/// How many pages of `start .. end` are mapped at once: those of one block, or of one level-3 table.
fn part_of(leaves: &Leaves, start: u64, end: u64) -> u64 {
    let pages = end - start;
    match Level::largest(|level| leaves.fits(level, start, pages)) {
        Level::L3 => pages.min(Level::L2.pages_from(leaves.gfn(start))),
        level => level.pages(),
    }
}

/// [`forget`] of the pages `start .. end`, once the block is split that they are a part of.
fn forget_to_insert<'l>(
    write: &mut WriteView<'l>,
    room: &mut Room,
    leaves: Leaves,
    start: u64,
    end: u64,
) -> Outcome<Forgotten<'l>> {
    let (gfn, pages) = (leaves.gfn(start), end - start);
    if !is_in_block_of(write, &leaves, start) {
        split(write, room, gfn, gfn, pages, &leaves)?;
    }
    // There may be no table where nothing is mapped, but there is nothing to forget either.
    Ok(forget(write, gfn, pages))
}

/// Whether a block maps already what is to be mapped at `offset`: then nothing has to be split.
fn is_in_block_of(write: &WriteView<'_>, leaves: &Leaves, offset: u64) -> bool {
    let gfn = leaves.gfn(offset);
    Table::last(write, gfn).is_some_and(|table| {
        let level = table.level();
        match table.entry(level.index(gfn)) {
            Entry::Leaf(block) => leaves.is_mapped_by(block, level, offset),
            _ => false,
        }
    })
}

/// [`forget`] of what is to be removed, once the blocks at both ends are split of which a part stays.
///
/// # Errors
///
/// -ENOMEM for a dying domain, or if there is no page for a table: then views have forgotten nothing.
#[cold]
#[inline(never)]
pub(super) fn forget_to_remove<'l>(
    write: &mut WriteView<'l>,
    gfn: Gfn,
    nr: u64,
) -> Result<Forgotten<'l>> {
    write.refuse_if_dying()?;
    let mut room = Room::new();
    if let Some(last) = nr.checked_sub(1) {
        let last = Gfn::new(gfn.raw().saturating_add(last));
        for end in [gfn, last] {
            split(write, &mut room, end, gfn, nr, &Hole)?;
        }
    }
    Ok(forget(write, gfn, nr))
}

/// [`split_block`], tried again as long as there is room.
fn split(
    write: &mut WriteView<'_>,
    room: &mut Room,
    at: Gfn,
    gfn: Gfn,
    pages: u64,
    update: &dyn PartialUpdate,
) -> Outcome {
    loop {
        match split_block(write, at, gfn, pages, update) {
            Err(failure) if room.make_room(write, failure) => {}
            outcome => return outcome,
        }
    }
}
