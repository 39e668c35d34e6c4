// SPDX-License-Identifier: GPL-2.0-only
//! The access of a frame in a view.
//!
//! It is what was set in that view, or the view's default. The host's access is never copied:
//! docs/altp2m.md says what that means to a monitor. Only pages have an access of their own; a
//! block of a view always has the view's default.

use super::fill::{note, FoundLeaf};
use super::room::{with_any_room, Room};
use super::tables::{place, Place};
use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::views::{Number, ViewWrite};
use crate::types::access::P2mAccess;
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome, Result};
use crate::types::level::Level;
use crate::types::pte::Pte;

/// The access of a frame in a view: of what is copied, or of what will be. `None` if there is
/// no such view, or the host p2m maps nothing there.
pub fn access_of(host: &ReadView, number: Number, gfn: Gfn) -> Option<P2mAccess> {
    let view = host.view(number)?;
    match FoundLeaf::at(view.tables(), gfn) {
        Some(copied) => Some(copied.access()),
        None => FoundLeaf::at(host, gfn).map(|_| view.default_access()),
    }
}

/// Sets the access of one frame in a view. If the host p2m maps nothing there, nothing
/// happens, as for the host's own accesses.
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is no such view; [`Errno::ENOMEM`] if the domain is dying or there
/// is no page for a table, and then the frame's access is what it was.
pub fn set_access(
    write: &mut WriteView<'_>,
    number: Number,
    gfn: Gfn,
    access: P2mAccess,
) -> Result {
    set_accesses(write, number, [Ok((gfn, access))])
}

/// [`set_access`] of many frames, in order, with one barrier and one TLB flush for all of them. If
/// there is no page for a table, room is made, once in a call, which takes another flush.
///
/// # Errors
///
/// Those of [`set_access`], or the first error among `pages`; what comes before stays set.
///
/// (In line, as what it calls: the symbol of an instance, with the type of `pages` in it, would exceed
/// Xen's KSYM_NAME_LEN.)
#[inline(always)]
pub fn set_accesses(
    write: &mut WriteView<'_>,
    number: Number,
    pages: impl IntoIterator<Item = Result<(Gfn, P2mAccess)>>,
) -> Result {
    let mut pages = pages.into_iter();
    let Some((gfn, access)) = set_while_room(write, number, &mut pages)? else {
        return Ok(());
    };
    with_any_room(write, Room::preemptible(), |write| {
        change_access(write, number, gfn, access)
    })?;
    match set_while_room(write, number, &mut pages)? {
        None => Ok(()),
        Some(_no_room_again) => Err(Errno::ENOMEM),
    }
}

/// [`set_accesses`], up to the first frame for which there is no page for a table. Returns that one.
#[inline(always)]
fn set_while_room(
    write: &mut WriteView<'_>,
    number: Number,
    pages: &mut impl Iterator<Item = Result<(Gfn, P2mAccess)>>,
) -> Result<Option<(Gfn, P2mAccess)>> {
    write.refuse_if_dying()?;
    let view = write.view_mut(number).ok_or(Errno::EINVAL)?;
    for page in pages {
        let (gfn, access) = page?;
        let Some(host) = FoundLeaf::at(view.host(), gfn) else {
            continue;
        };
        match set_in(&view, gfn, &host, access) {
            Err(Failure::NoTable) => return Ok(Some((gfn, access))),
            done => done?,
        }
    }
    Ok(None)
}

/// [`set_access`] for who can do something about a failure.
///
/// # Errors
///
/// As there: [`Failure::NoTable`] if there is no page for a table, and [`Failure::Refused`].
pub(in crate::map) fn change_access(
    write: &mut WriteView<'_>,
    number: Number,
    gfn: Gfn,
    access: P2mAccess,
) -> Outcome {
    write.refuse_if_dying()?;
    let host = FoundLeaf::at(write, gfn);
    let missing = Failure::Refused(Errno::EINVAL);
    let view = write.view_mut(number).ok_or(missing)?;
    match host {
        None => Ok(()),
        Some(host) => set_in(&view, gfn, &host, access),
    }
}

fn set_in(view: &ViewWrite<'_>, gfn: Gfn, host: &FoundLeaf, access: P2mAccess) -> Outcome {
    let copy = host.copy(gfn, Level::L3, access);
    let Some(Place { table, old }) = place(view, gfn, Level::L3, copy)? else {
        return Ok(());
    };
    let index = Level::L3.index(gfn);
    if old == Pte::EMPTY {
        table.fill_empty(view, index, 1, copy);
        note(view, gfn, Level::L3);
        return Ok(());
    }
    // What is there may be another frame than the host's, and stays.
    let set = table.set_permissions(view, gfn, index, 1, |old| {
        Some(old.with_rights(old.ty()?, access)).filter(|new| *new != old)
    });
    if let Some(stores) = set.unreported {
        stores.report(view, table, index, 1);
    }
    Ok(())
}
