// SPDX-License-Identifier: GPL-2.0-only
//! Mapping and unmapping for the rest of Xen: `p2m_insert_mapping`, `p2m_remove_mapping` and
//! the functions built on them, and `p2m_set_entry`. Each has the domain's [`views`] forget what it
//! will change, and changes the tables. All but those for `p2m_set_entry` take the write lock before,
//! and flush and release it afterwards. The submodules hold one verb each.
#![forbid(unsafe_code)]

pub mod active;
pub mod believed;
mod beside_views;
pub mod fast_path;
pub mod insert;
pub mod lookup;
mod merge;
mod release;
pub mod remove;
pub mod set_access;
mod split;
pub mod views;

use self::believed::{check_maps, Holes};
use self::beside_views::{forget_to_remove, insert_beside_views};
use self::views::without_views;
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
    let forgotten = match without_views(&write) {
        Some(forgotten) => forgotten,
        None => {
            // Before the views forget: a call that names the wrong frame must not change them.
            check_maps(&write, gfn, nr, mfn, holes)?;
            forget_to_remove(&mut write, gfn, nr)?
        }
    };
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

/// `p2m_set_entry` that maps: its caller holds the lock.
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
        None => insert_beside_views(write, gfn, target, access),
    }
}

/// `p2m_set_entry` that unmaps: its caller holds the lock.
///
/// # Errors
///
/// Those of [`remove::remove`].
pub fn remove_locked(write: &mut WriteView<'_>, gfn: Gfn, nr: u64) -> Result {
    let forgotten = match without_views(write) {
        Some(forgotten) => forgotten,
        None => forget_to_remove(write, gfn, nr)?,
    };
    remove::remove(write, forgotten, gfn, nr)
}
