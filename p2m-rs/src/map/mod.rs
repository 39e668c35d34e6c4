// SPDX-License-Identifier: GPL-2.0-only
//! Mapping and unmapping for the rest of Xen: `p2m_insert_mapping`, `p2m_remove_mapping` and
//! the functions built on them. Each takes the write lock, has the domain's [`views`] forget what
//! it will change, changes the tables, flushes and releases the lock. The submodules hold one verb
//! each.
#![forbid(unsafe_code)]

pub mod active;
pub mod believed;
pub mod fast_path;
pub mod insert;
pub mod lookup;
mod merge;
mod progress;
mod release;
pub mod remove;
pub mod set_access;
mod split;
pub mod views;

use self::believed::{check_maps, Holes};
use self::insert::{Insertion, Leaves};
use self::progress::Progress;
use self::views::{forget, without_views, Room};
use crate::p2m::lock::WriteView;
use crate::p2m::token::Unlocked;
use crate::p2m::P2m;
use crate::table::Table;
use crate::types::access::P2mAccess;
use crate::types::addr::{Gfn, Mfn};
use crate::types::errno::{Outcome, Result};
use crate::types::level::Level;
use crate::types::owner::Forgotten;
use crate::types::pte::Pte;
use crate::xen::target::Target;

/// `p2m_insert_mapping`: maps frames with the p2m's default access.
///
/// # Errors
///
/// Those of [`insert::insert`].
pub fn insert_mapping(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn, target: Target) -> Result {
    let mut write = p2m.write(cx);
    let (access, nr) = (write.default_access(), target.pages());
    let leaves = Leaves::new(&write, gfn, target, access);
    match without_views(&write) {
        Some(forgotten) => fast_path::insert(&mut write, forgotten, leaves, nr),
        None => insert_beside_views(&mut write, leaves, nr),
    }
}

/// `p2m_remove_mapping`: unmaps `nr` frames, which the caller believes to map
/// `mfn` and the frames after it.
///
/// # Errors
///
/// -EILSEQ if RAM in the range is not what the caller believes, as two CPUs may be removing the same
/// page; with [`Holes::Refuse`] and a page that is named, if anything else is there, or nothing. Then
/// nothing has changed. Otherwise those of [`remove::remove`].
///
/// Apart from that, frames of MMIO are not compared with what the caller believes: x86 warns and
/// unmaps them, too (`clear_mmio_p2m_entry`). Only a toolstack and the emulation of PCI get here with
/// such a frame, for a range that they have mapped.
pub fn remove_mapping(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    gfn: Gfn,
    nr: u64,
    mfn: Option<Mfn>,
    holes: Holes,
) -> Result {
    let mut write = p2m.write(cx);
    if write.has_views() {
        // Before the views forget: a call that fails must not change them.
        check_maps(&write, gfn, nr, mfn, holes)?;
    }
    let forgotten = forget_to_remove(&mut write, gfn, nr)?;
    if nr == 1 {
        let table = Table::of_level(&write, gfn, Level::L3);
        let removed = table.and_then(|t| fast_path::remove(&write, forgotten, t, gfn, mfn));
        if let Some(removed) = removed {
            return removed;
        }
    }
    check_maps(&write, gfn, nr, mfn, holes)?;
    remove::remove(&mut write, forgotten, gfn, nr)
}

/// `p2m_set_entry` that maps: the caller holds the lock.
///
/// # Errors
///
/// Those of [`insert::insert`].
pub fn insert_locked(
    write: &mut WriteView<'_>,
    gfn: Gfn,
    target: Target,
    access: P2mAccess,
) -> Result {
    match without_views(write) {
        Some(forgotten) => insert::insert(write, forgotten, gfn, target, access),
        None => {
            let nr = target.pages();
            let leaves = Leaves::new(write, gfn, target, access);
            insert_beside_views(write, leaves, nr)
        }
    }
}

/// `p2m_set_entry` that unmaps: the caller holds the lock.
///
/// # Errors
///
/// Those of [`remove::remove`].
pub fn remove_locked(write: &mut WriteView<'_>, gfn: Gfn, nr: u64) -> Result {
    let forgotten = forget_to_remove(write, gfn, nr)?;
    remove::remove(write, forgotten, gfn, nr)
}

/// A guest may have emptied its pool, and what a monitor has set in a view must not be lost by a call
/// that changes nothing. So there is a table for all that is to change before views forget it: pages are
/// mapped a table at a time, and the block that they are a part of is split before.
//
// A function of its own, so that what it has to keep across a call costs domains without views
// nothing.
#[cold]
#[inline(never)]
fn insert_beside_views(write: &mut WriteView<'_>, leaves: Leaves, nr: u64) -> Result {
    write.refuse_if_dying()?;
    let mut room = Room::new();
    if leaves.pages_of_a_table(0, nr) == nr {
        let forgotten = forget_to_insert(write, &mut room, leaves, 0, nr)?;
        return fast_path::insert(write, forgotten, leaves, nr);
    }
    let mut done = 0;
    let outcome = loop {
        let end = done + leaves.pages_of_a_table(done, nr - done);
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
    leaves.report(write, done);
    Ok(outcome?)
}

/// [`forget`] of the pages `start .. end`, for which one table of a level is enough, once the block is
/// split that they are a part of.
fn forget_to_insert<'l>(
    write: &mut WriteView<'l>,
    room: &mut Room,
    leaves: Leaves,
    start: u64,
    end: u64,
) -> Outcome<Forgotten<'l>> {
    let (gfn, pages) = (leaves.gfn(start), end - start);
    split_for(write, room, gfn, &|level, block| {
        leaves.fits(level, start, pages) || leaves.is_mapped_by(block, level, start)
    })?;
    // Where nothing is mapped, there may be no table yet; but there is nothing to forget either.
    Ok(forget(write, gfn, pages))
}

/// [`forget`] of what is to be removed, once the blocks are split of which a part is to stay.
#[inline(always)]
fn forget_to_remove<'l>(write: &mut WriteView<'l>, gfn: Gfn, nr: u64) -> Result<Forgotten<'l>> {
    if write.has_views() {
        split_to_remove(write, gfn, nr)?;
    }
    Ok(forget(write, gfn, nr))
}

#[cold]
#[inline(never)]
fn split_to_remove(write: &mut WriteView<'_>, gfn: Gfn, nr: u64) -> Result {
    write.refuse_if_dying()?;
    let mut room = Room::new();
    for border in [gfn, Gfn::new(gfn.raw().saturating_add(nr))] {
        split_for(write, &mut room, border, &|level, _block| {
            level.offset(border) == 0
        })?;
    }
    Ok(())
}

/// [`split::split_block`], tried again as long as there is room.
fn split_for(
    write: &mut WriteView<'_>,
    room: &mut Room,
    gfn: Gfn,
    is_small: &dyn Fn(Level, Pte) -> bool,
) -> Outcome {
    loop {
        match split::split_block(write, gfn, is_small) {
            Err(failure) if room.make_room(write, failure) => {}
            outcome => return outcome,
        }
    }
}
