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
use self::views::{forget, without_views};
use crate::p2m::lock::WriteView;
use crate::p2m::token::Unlocked;
use crate::p2m::P2m;
use crate::table::Table;
use crate::types::access::P2mAccess;
use crate::types::addr::{Gfn, Mfn};
use crate::types::errno::Result;
use crate::types::level::Level;
use crate::xen::target::Target;

/// `p2m_insert_mapping`: maps frames with the p2m's default access.
///
/// # Errors
///
/// Those of [`insert::insert`].
pub fn insert_mapping(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn, target: Target) -> Result {
    let mut write = p2m.write(cx);
    let access = write.default_access();
    match without_views(&write) {
        Some(forgotten) => fast_path::insert(&mut write, forgotten, gfn, target, access),
        None => insert_beside_views(&mut write, gfn, target, access),
    }
}

/// A function of its own, so that what it has to keep across a call costs domains without views
/// nothing.
#[cold]
#[inline(never)]
fn insert_beside_views(
    write: &mut WriteView<'_>,
    gfn: Gfn,
    target: Target,
    access: P2mAccess,
) -> Result {
    let forgotten = forget(write, gfn, target.pages());
    fast_path::insert(write, forgotten, gfn, target, access)
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
        // Before the views forget: a call that names the wrong frame must not change them. (One
        // that finds no page for a table has had them forget.)
        check_maps(&write, gfn, nr, mfn, holes)?;
    }
    let forgotten = forget(&mut write, gfn, nr);
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
