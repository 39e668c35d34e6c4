// SPDX-License-Identifier: GPL-2.0-only
//! Views (altp2m): copying from the host p2m, and forgetting what was copied before the host
//! changes.
//!
//! What always holds of a view, under the lock of its host:
//!
//! - **V1**: an entry maps a frame only while the host p2m maps that frame with that type: at
//!   the same guest frame or, for one that was remapped, at its source.
//! - **V2**: once the domain's memory is being relinquished, a view maps nothing.
//!
//! So a view owns no references. For this each change of what the host maps takes what [`forget`]
//! returns. No copy can be made in between, for that takes the same lock.
//!
//! Every entry of a view has its valid bit set. What a guest touches is tracked in the host p2m
//! alone ([`crate::guest::fault`]), and nothing reads it to decide what is cleaned.
#![forbid(unsafe_code)]

#[cfg(config_altp2m)]
mod access;
#[cfg(config_altp2m)]
mod fill;
#[cfg(config_altp2m)]
mod reclaim;
#[cfg(config_altp2m)]
mod remap;
mod room;
#[cfg(config_altp2m)]
mod tables;

#[cfg(config_altp2m)]
pub(super) use self::access::change_access;
pub(super) use self::room::Room;
#[cfg(config_altp2m)]
pub use self::{
    access::{access_of, set_access, set_accesses},
    fill::fill,
    remap::{forget_remapping, remap},
    room::with_room,
    tables::reset,
};

use crate::p2m::lock::WriteView;
use crate::types::addr::Gfn;
use crate::types::owner::Forgotten;

/// Has all views of the p2m forget `pages` frames from `gfn` on, whose mappings are about to
/// change: afterwards no view maps any of them, and neither does a TLB because of a view.
///
/// What was set for these frames in a view is forgotten, too: what is copied later gets the
/// view's default access. A view in which one of them may be mapped somewhere else is emptied. Where
/// the host maps nothing, there is nothing to forget (V1).
#[inline(always)]
pub fn forget<'l>(write: &mut WriteView<'l>, gfn: Gfn, pages: u64) -> Forgotten<'l> {
    if write.has_views() {
        forget_in_all(write, gfn, pages);
    }
    write.forgotten()
}

/// What [`forget`] returns, if there is nothing to do for it: the domain cannot have views.
#[inline(always)]
pub(super) fn without_views<'l>(write: &WriteView<'l>) -> Option<Forgotten<'l>> {
    (!write.has_views()).then(|| write.forgotten())
}

/// [`forget`] of all frames, for a p2m that is about to be emptied. Tables stay: whoever
/// destroys the views frees them.
#[inline(always)]
pub(crate) fn forget_all<'l>(write: &mut WriteView<'l>) -> Forgotten<'l> {
    if write.has_views() {
        empty_all(write);
    }
    write.forgotten()
}

#[cfg(not(config_altp2m))]
fn forget_in_all(_write: &mut WriteView<'_>, _gfn: Gfn, _pages: u64) {}

#[cfg(not(config_altp2m))]
fn empty_all(_write: &mut WriteView<'_>) {}

#[cfg(config_altp2m)]
#[cold]
#[inline(never)]
fn forget_in_all(write: &mut WriteView<'_>, gfn: Gfn, pages: u64) {
    use crate::p2m::views::Number;

    if !tables::maps_any(write, gfn, pages) {
        return;
    }
    // One flush for all views, since they share the VMID: a guest can have a call unmap 512 frames, one by
    // one.
    let mut is_flush_needed = false;
    for number in Number::all() {
        if let Some(mut view) = write.view_mut(number) {
            if view.may_have_remapped(gfn, pages) {
                tables::reset(&mut view);
            } else {
                tables::clear(&view, gfn, pages);
                is_flush_needed |= view.leave_to_host();
            }
        }
    }
    if is_flush_needed {
        write.finish_early();
    }
}

#[cfg(config_altp2m)]
#[cold]
#[inline(never)]
fn empty_all(write: &mut WriteView<'_>) {
    use crate::p2m::views::Number;

    for number in Number::all() {
        if let Some(mut view) = write.view_mut(number) {
            tables::empty(&mut view);
        }
    }
}
