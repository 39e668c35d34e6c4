// SPDX-License-Identifier: GPL-2.0-only
//! What access a page has, and setting it (`__p2m_get_mem_access`,
//! `p2m_get_mem_access`, `p2m_set_mem_access`).
#![forbid(unsafe_code)]

use p2m_rs::map::fast_path::set_access;
use p2m_rs::map::lookup::lookup;
use p2m_rs::map::set_access::Restart;
use p2m_rs::p2m::lock::ReadView;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::P2m;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::errno::{Errno, Result};

use crate::xenmem::XenmemAccess;

/// A range of pages to set the access of.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first page.
    pub gfn: Gfn,
    /// Number of pages.
    pub nr: u32,
    /// How many of them are done: a restart point that [`set`] returned, or 0.
    pub start: u32,
    /// Restart points must have these bits clear: the hypercall encodes its
    /// own number there (XSA-296).
    pub mask: u32,
}

/// How far [`set`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// To the end.
    Done,
    /// Preempted; go on with this `start`, which is below `nr`.
    RestartAt(u32),
}

/// The access of `gfn`, or the domain's default for none
/// (`__p2m_get_mem_access`). Needs the lock, as the view shows. `None` where
/// nothing is mapped: C has -ESRCH for that.
#[inline(always)]
pub fn get_locked(view: &ReadView, gfn: Option<Gfn>) -> Option<P2mAccess> {
    if !view.p2m().mem_access_enabled() {
        return Some(P2mAccess::Rwx);
    }
    match gfn {
        Some(gfn) => lookup(view, gfn).and_then(|mapping| mapping.access()),
        None => Some(view.default_access()),
    }
}

/// [`get_locked`], taking the lock (`p2m_get_mem_access`).
///
/// # Errors
///
/// Nothing is mapped; the error is the domain's default access at that moment,
/// which is what C leaves in the place of an answer.
#[inline(always)]
pub fn get(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    gfn: Option<Gfn>,
) -> core::result::Result<P2mAccess, P2mAccess> {
    let view = p2m.read(cx);
    get_locked(&view, gfn).ok_or_else(|| view.default_access())
}

/// Sets the access that pages get which are mapped from now on
/// (`p2m_set_mem_access` with INVALID_GFN). Asking for what it is already changes
/// nothing.
pub fn set_default(cx: &mut Unlocked<'_>, p2m: &P2m, access: XenmemAccess) {
    // The lock is held: whoever maps right now has decided on a block size, and
    // must not see this change (B6).
    let mut write = p2m.write(cx);
    if let XenmemAccess::Is(access) = access {
        write.set_default_access(access);
    }
}

/// Sets the access of all mapped pages of a range (`p2m_set_mem_access`).
/// Holes are skipped, and so is what has the access already: a call that changes
/// nothing costs no store and no flush, and does not switch mem_access on. (C
/// sets `mem_access_enabled` before it looks whether anything changes, and never
/// clears it: no block is mapped any more.)
///
/// Preemption is looked for after each table of pages, each hole and each run of blocks,
/// whatever the alignment of the range, once a possible restart point was passed;
/// and `start` is counted in 64 bits, so that it cannot wrap (B8).
///
/// # Errors
///
/// Those of [`p2m_rs::map::set_access::set_access`]; the pages before the
/// failing one have the access.
pub fn set(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    range: Range,
    access: XenmemAccess,
) -> Result<Progress> {
    let mut write = p2m.write(cx);
    let access = match access {
        XenmemAccess::Is(access) => access,
        XenmemAccess::Default => write.default_access(),
    };
    let (start, nr) = (u64::from(range.start), u64::from(range.nr));
    let Some(pages) = nr.checked_sub(start).filter(|&pages| pages > 0) else {
        return Ok(Progress::Done);
    };
    let restart = Restart {
        start,
        mask: range.mask.into(),
    };
    let done = set_access(&mut write, range.gfn.add(start), pages, access, restart)?;
    if done >= pages {
        return Ok(Progress::Done);
    }
    // Below `nr`, which has 32 bits.
    u32::try_from(restart.at(done))
        .map(Progress::RestartAt)
        .map_err(|_| Errno::EINVAL)
}
