// SPDX-License-Identifier: GPL-2.0-only
//! Getting and setting the access of pages (`__p2m_get_mem_access`,
//! `p2m_get_mem_access`, `p2m_set_mem_access`).
#![forbid(unsafe_code)]

use core::ffi::c_int;
use core::mem::MaybeUninit;

use p2m_rs::map::fast_path::set_access;
use p2m_rs::map::lookup::with_mapping;
use p2m_rs::map::set_access::Restart;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::P2m;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::errno::{Errno, Result};

use crate::xenmem::XenmemAccess;

/// A range of pages whose access is to be set.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first page.
    pub gfn: Gfn,
    /// The number of pages.
    pub nr: u32,
    /// The number of pages that are done: a restart point that [`set`] returned, or 0.
    pub start: u32,
    /// Restart points must have these bits clear, since the hypercall encodes its
    /// own number in them.
    pub mask: u32,
}

/// How far [`set`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All pages are done.
    Done,
    /// Preempted: the caller must continue with this `start`, which is below `nr`.
    RestartAt(u32),
}

/// The access of `gfn`, or the domain's default access if `gfn` is `None`
/// (`p2m_get_mem_access`, `__p2m_get_mem_access`), as C's value, in `access`. The lock is taken for the look-up alone,
/// and not at all before mem_access is used. Returns what C does: 0, or -ESRCH if nothing is
/// mapped; `access` is the domain's default access then.
///
/// (Not generic: the symbol of an instance would exceed Xen's KSYM_NAME_LEN.)
#[inline(always)]
pub fn get(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    gfn: Option<Gfn>,
    access: &mut MaybeUninit<u32>,
) -> c_int {
    // The flag only goes from false to true: a call that still reads false is ordered before
    // the one that sets it.
    if !p2m.mem_access_enabled() {
        access.write(P2mAccess::Rwx.to_c());
        return 0;
    }
    let Some(gfn) = gfn else {
        access.write(default(cx, p2m).to_c());
        return 0;
    };
    with_mapping(cx, p2m, gfn, |view, found| {
        let (found, rc) = match found.and_then(|found| found.access_to_c()) {
            Some(found) => (found, 0),
            None => (view.default_access().to_c(), Errno::ESRCH.to_c()),
        };
        access.write(found);
        rc
    })
}

/// The domain's default access.
#[cold]
#[inline(never)]
fn default(cx: &mut Unlocked<'_>, p2m: &P2m) -> P2mAccess {
    p2m.read(cx).default_access()
}

/// Sets the domain's default access, that of pages that are mapped from now on
/// (`p2m_set_mem_access` with INVALID_GFN). Setting the current default access changes
/// nothing.
pub fn set_default(cx: &mut Unlocked<'_>, p2m: &P2m, access: XenmemAccess) {
    // Under the write lock: a mapping that is being made has chosen its block size
    // and must not see this change (B6).
    let mut write = p2m.write(cx);
    if let XenmemAccess::Is(access) = access {
        write.set_default_access(access);
    }
}

/// Sets the access of all mapped pages of a range (`p2m_set_mem_access`).
/// Holes, and pages that have the access already, are skipped: a call that changes
/// nothing causes no store and no flush, and does not enable mem_access. (C
/// sets `mem_access_enabled` before it knows whether anything changes, and never
/// clears it, so that no block is mapped from then on.)
///
/// Preemption is checked after each level-3 table, each hole and each run of blocks,
/// whatever the alignment of the range, once a restart point was passed.
/// `start` is counted in 64 bits, so that it cannot wrap (B8).
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
    let access = access.or_default(|| write.default_access());
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
