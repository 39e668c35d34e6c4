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
use p2m_rs::map::lookup::is_in_ipa_space;
use p2m_rs::map::set_access::Restart;
use p2m_rs::p2m::guest_copy::GuestArray;
use p2m_rs::p2m::lock::WriteView;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::P2m;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::errno::{Errno, Result};
use p2m_rs::xen::cpu;

use crate::settings::Progress;
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
    /// own number in them (XSA-296).
    pub mask: u32,
}

/// Sets the accesses of the list's frames (`p2m_set_mem_access_multi` of x86). Frames where
/// nothing is mapped are skipped, as by [`crate::settings::set`]; of a frame that is in the
/// list more than once the last element counts.
///
/// # Errors
///
/// Of the first element that cannot be set; those before it are set, those after it are not.
/// [`Errno::EFAULT`] if it cannot be read, [`Errno::EINVAL`] if its access is none or its frame
/// is beyond the IPA space (INVALID_GFN is no frame either, and does not mean the default
/// access here), or what [`p2m_rs::map::set_access::set_access`] returns.
pub fn set(cx: &mut Unlocked<'_>, p2m: &P2m, list: List) -> Result<Progress> {
    let mut start = list.start;
    while start < list.nr {
        let batch = Batch::copy(cx, list, start);
        batch.set(&mut p2m.write(cx))?;
        start = batch.end;
        if start < list.nr && start & list.mask == 0 && cpu::hypercall_preempt_check() {
            return Ok(Progress::RestartAt(start));
        }
    }
    Ok(Progress::Done)
}

/// Some elements of a list, copied.
struct Batch {
    gfns: [u64; BATCH as usize],
    accesses: [u8; BATCH as usize],
    /// The number of elements that could be copied.
    copied: usize,
    /// The number of elements that were to be copied.
    wanted: usize,
    /// Where the next batch begins.
    end: u32,
}

impl Batch {
    /// Copies the elements from `start` on to the next restart point, or to the end of the list.
    fn copy(cx: &mut Unlocked<'_>, list: List, start: u32) -> Self {
        let most = BATCH - start % BATCH;
        let end = list.nr.min(start.saturating_add(most));
        let wanted = (end - start) as usize;
        let (mut gfns, mut accesses) = ([0; BATCH as usize], [0; BATCH as usize]);
        let to_gfns = gfns.get_mut(..wanted).unwrap_or_default();
        let copied = list.gfns.copy(cx, start, to_gfns);
        let to_accesses = accesses.get_mut(..copied).unwrap_or_default();
        let copied = list.accesses.copy(cx, start, to_accesses);
        Self {
            gfns,
            accesses,
            copied,
            wanted,
            end,
        }
    }

    /// The elements that could be copied.
    fn elements(&self) -> impl Iterator<Item = (u64, u8)> + '_ {
        let elements = self.gfns.iter().zip(&self.accesses);
        elements
            .take(self.copied)
            .map(|(&gfn, &access)| (gfn, access))
    }

    /// Sets them, in order.
    fn set(&self, write: &mut WriteView<'_>) -> Result {
        let mut elements = self.elements().peekable();
        while let Some((first, raw)) = elements.next() {
            let access = access_of(write, raw)?;
            let first = Gfn::new(first);
            if !is_in_ipa_space(write, first) {
                return Err(Errno::EINVAL);
            }
            let mut pages = 1;
            let is_next = |&(gfn, next): &(u64, u8), pages| {
                let expected = first.add(pages);
                next == raw && Gfn::new(gfn) == expected && is_in_ipa_space(write, expected)
            };
            while elements.next_if(|next| is_next(next, pages)).is_some() {
                pages += 1;
            }
            set_access(write, first, pages, access, Restart::NEVER)?;
        }
        if self.copied < self.wanted {
            return Err(Errno::EFAULT);
        }
        Ok(())
    }
}

/// The access that an element asks for.
fn access_of(write: &WriteView<'_>, raw: u8) -> Result<P2mAccess> {
    match XenmemAccess::from_c(raw.into()).ok_or(Errno::EINVAL)? {
        XenmemAccess::Is(access) => Ok(access),
        XenmemAccess::Default => Ok(write.default_access()),
    }
}
