// SPDX-License-Identifier: GPL-2.0-only
//! Showing a guest in a view another frame than its own (`HVMOP_altp2m_change_gfn`).
//!
//! The other frame is one of the host p2m's, its *source*. As soon as the host's mapping of a
//! source changes, the view must not map it any more. The view remembers a range that all its
//! sources lie in; a change of the host in that range empties the view ([`super::forget`]).

use super::access::access_of;
use super::fill::{note, FoundLeaf};
use super::room::{with_any_room, Room};
use super::tables::{clear, place, Place};
use crate::p2m::lock::WriteView;
use crate::p2m::views::Number;
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome, Result};
use crate::types::level::Level;
use crate::types::p2m_type::P2mType;
use crate::types::pte::Pte;

/// Maps at `gfn` in the view what the host p2m maps at `source`, with the access that `source`
/// has in the view.
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is no such view; [`Errno::ESRCH`] unless the host maps the
/// domain's own writable RAM at both; [`Errno::ENOMEM`] if the domain is dying or there is no
/// page for a table, and then the view maps at `gfn` what it did.
pub fn remap(write: &mut WriteView<'_>, number: Number, gfn: Gfn, source: Gfn) -> Result {
    Ok(with_any_room(write, Room::new(), |write| {
        try_remap(write, number, gfn, source)
    })?)
}

/// [`remap`] for who can do something about a failure.
fn try_remap(write: &mut WriteView<'_>, number: Number, gfn: Gfn, source: Gfn) -> Outcome {
    let refused = Failure::Refused;
    write.refuse_if_dying()?;
    if write.view(number).is_none() {
        return Err(refused(Errno::EINVAL));
    }
    let ram = |at| {
        FoundLeaf::at(write, at)
            .filter(|leaf| leaf.ty() == Some(P2mType::RamRw))
            .ok_or(refused(Errno::ESRCH))
    };
    let (_own, other) = (ram(gfn)?, ram(source)?);
    let access = access_of(write, number, source).ok_or(refused(Errno::ESRCH))?;
    let view = write.view_mut(number).ok_or(refused(Errno::EINVAL))?;
    let leaf = other.copy(source, Level::L3, access);
    let placed = place(&view, gfn, Level::L3, leaf)?;
    // Under the lock with which the entry comes, so no change of the host can miss it.
    view.widen_sources(source);
    let Some(Place { table, old }) = placed else {
        return Ok(());
    };
    if old == Pte::EMPTY {
        table.fill_empty(&view, Level::L3.index(gfn), 1, leaf);
        note(&view, gfn, Level::L3);
    } else {
        let (removed, _no_iommu) = table.replace(&view, gfn, 1, leaf, ());
        removed.inherited();
    }
    Ok(())
}

/// Has the view forget what it maps at `gfn`, so that the host's mapping is copied next
/// (`HVMOP_altp2m_change_gfn` to no frame).
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is no such view.
pub fn forget_remapping(write: &mut WriteView<'_>, number: Number, gfn: Gfn) -> Result {
    let view = write.view_mut(number).ok_or(Errno::EINVAL)?;
    clear(&view, gfn, 1);
    Ok(())
}
