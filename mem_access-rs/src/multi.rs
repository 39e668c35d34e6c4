// SPDX-License-Identifier: GPL-2.0-only
//! Setting the accesses of many pages, each with its own (`p2m_set_mem_access_multi`).
//!
//! The C of Arm has nothing here (-EOPNOTSUPP), so the meaning is that of x86's function of
//! the same name: the elements are set in the order of the list, the first that cannot be set
//! ends the call, and those before it stay set.
//!
//! The list lies in the memory of the monitor's domain, and copying from there takes *that*
//! domain's p2m lock. x86 copies each element with the lock held; here the types forbid it
//! ([`p2m_rs::p2m::guest_copy`]), for a good reason: of two domains that are each other's
//! monitor, each would hold the lock that the other one waits for. So up to [`BATCH`] elements
//! are copied first; then the lock is taken once, and one TLB flush at the unlock covers all
//! of them. Neighbours in the list that are neighbours in the guest and get the same access
//! share one walk of the tables.
#![forbid(unsafe_code)]

use p2m_rs::map::fast_path::set_access;
use p2m_rs::map::lookup::end_of_root;
use p2m_rs::map::set_access::Restart;
use p2m_rs::p2m::guest_copy::GuestArray;
use p2m_rs::p2m::lock::WriteView;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::P2m;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::errno::{Errno, Result};
use p2m_rs::xen::cpu;

use crate::settings::Progress;
#[cfg(config_altp2m)]
use crate::views;
use crate::xenmem::XenmemAccess;

/// The most elements that are set under one lock. A call can be continued at its multiples.
const BATCH: u32 = 64;

/// A list of frames, and of the access for each, in the memory of the current domain.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The guest frames.
    pub gfns: GuestArray<u64>,
    /// The access of each (`xenmem_access_t`, in a byte).
    pub accesses: GuestArray<u8>,
    /// The number of elements.
    pub nr: u32,
    /// The number of elements that are done: a restart point that [`set`] returned, or 0.
    pub start: u32,
    /// Restart points must have these bits clear, since the hypercall encodes its
    /// own number in them.
    pub mask: u32,
    /// The view whose accesses are set; 0 for the host p2m's.
    pub view: u32,
}

/// Sets the accesses of the list's frames (`p2m_set_mem_access_multi` of x86). Frames where
/// nothing is mapped are skipped, as by [`crate::settings::set`]; of a frame that is in the
/// list more than once the last element counts.
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is no such view. Otherwise of the first element that cannot be
/// set; those before it are set, those after it are not. [`Errno::EFAULT`] if it cannot be read,
/// [`Errno::EINVAL`] if its access is none or its frame is beyond the root (INVALID_GFN is no
/// frame either, and does not mean the default access here), or what
/// [`p2m_rs::map::set_access::set_access`] returns.
pub fn set(cx: &mut Unlocked<'_>, p2m: &P2m, list: List) -> Result<Progress> {
    #[cfg(config_altp2m)]
    views::must_exist(cx, p2m, list.view)?;
    let (mut gfns, mut accesses) = ([0; BATCH as usize], [0; BATCH as usize]);
    let mut start = list.start;
    while start < list.nr {
        // To the next restart point, or to the end of the list.
        let end = list.nr.min(start.saturating_add(BATCH - start % BATCH));
        let wanted = (end - start) as usize;
        let gfns = gfns.get_mut(..wanted).unwrap_or_default();
        let copied = list.gfns.copy(cx, start, gfns);
        let accesses = accesses.get_mut(..copied).unwrap_or_default();
        let copied = list.accesses.copy(cx, start, accesses);
        let gfns = gfns.get(..copied).unwrap_or_default();
        #[cfg(not(config_altp2m))]
        let set = set_copied(&mut p2m.write(cx), gfns, accesses);
        #[cfg(config_altp2m)]
        let set = match list.view {
            0 => set_copied(&mut p2m.write(cx), gfns, accesses),
            view => views::set_copied(&mut p2m.write(cx), view, gfns, accesses),
        };
        set?;
        if copied < wanted {
            return Err(Errno::EFAULT);
        }
        start = end;
        if start < list.nr && start & list.mask == 0 && cpu::general_preempt_check() {
            return Ok(Progress::RestartAt(start));
        }
    }
    Ok(Progress::Done)
}

/// Sets the accesses of some frames, in order; there is an access for each.
fn set_copied(write: &mut WriteView<'_>, mut gfns: &[u64], mut accesses: &[u8]) -> Result {
    let end = end_of_root();
    while let (Some(&gfn), Some(&raw)) = (gfns.first(), accesses.first()) {
        let access = XenmemAccess::from_c(raw.into()).ok_or(Errno::EINVAL)?;
        let access = access.or_default(|| write.default_access());
        let first = Gfn::new(gfn);
        if first >= end {
            return Err(Errno::EINVAL);
        }
        let mut pages = 0;
        // Each frame of the run is the one after the one before it, with the same access.
        loop {
            pages += 1;
            let next = first.add(pages as u64);
            if gfns.get(pages) != Some(&next.raw())
                || accesses.get(pages) != Some(&raw)
                || next >= end
            {
                break;
            }
        }
        set_access(write, first, pages as u64, access, Restart::NEVER)?;
        gfns = gfns.get(pages..).unwrap_or_default();
        accesses = accesses.get(pages..).unwrap_or_default();
    }
    Ok(())
}
