// SPDX-License-Identifier: GPL-2.0-only
//! Which pages an operation may change. The rest is compared before and after it on
//! the Rust's side: what both sides did alike, and should not have, no comparison of
//! the two can tell.

use test_harness::Reach;

use crate::ops::op::{Kind, Op};
use crate::sides::side::{Side, VCPUS};

/// Each so many operations are looked at: it takes longer than the operation.
pub(crate) const EVERY: usize = 64;

/// The reach of `op`; none of those that change everything.
pub(crate) fn of(side: &Side, op: &Op) -> Option<Reach> {
    let [d, a, b, c, ..] = op.args;
    // A range may come round to frame 0.
    let pages = |gfn: u64, nr: u64| Some(Reach::of(side.d(d), gfn..gfn.checked_add(nr)?));
    Some(match op.kind {
        Kind::Insert
        | Kind::MapRegions
        | Kind::MapMmio
        | Kind::SetEntry
        | Kind::ClearEntry
        | Kind::UnmapRegions
        | Kind::UnmapMmio => pages(a, b)?,
        Kind::AddEntry | Kind::RemovePage => pages(a, 1 << c.min(36))?,
        Kind::MapDev | Kind::XenHeap => pages(a, 1)?,
        Kind::Foreign => pages(b, 1)?,
        Kind::SetAccess | Kind::SetAccessFully if a == u64::MAX => Reach::nothing(),
        Kind::SetAccess => pages(a.checked_add(c)?, b.saturating_sub(c))?,
        Kind::SetAccessFully => pages(a, b)?,
        Kind::CheckAccess => match VCPUS[side.current()] {
            Some(running) => {
                let gfn = d >> 12;
                Reach::of(side.d(running as u64), gfn..gfn.saturating_add(1))
            }
            None => Reach::nothing(),
        },
        Kind::Finished | Kind::Resolve | Kind::FlushVm => Reach::valid_bits(),
        Kind::Boot
        | Kind::Fail
        | Kind::Preempt
        // May come round to frame 0.
        | Kind::Sparse
        // In two places.
        | Kind::MoveEntry
        | Kind::Relinquish
        | Kind::Destroy
        | Kind::Vmids => return None,
        _ => Reach::nothing(),
    })
}
