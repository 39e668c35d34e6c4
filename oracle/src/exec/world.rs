// SPDX-License-Identifier: GPL-2.0-only
//! What the rest of the machine does, on both sides alike.

use super::outcome::Outcome;
use super::request::Request;
use crate::ops::machine::{ram, XENHEAP, XENHEAP_FRAMES};

/// From now on nobody gets a reference to a frame, or again.
pub(super) fn saturate(r: Request<'_>) -> Outcome {
    let [mfn, is_full, ..] = r.op.args;
    r.side.world.saturate(mfn, is_full != 0);
    Vec::new()
}

pub(super) fn owner_frees(r: Request<'_>) -> Outcome {
    let [mfn, ..] = r.op.args;
    if (ram(0)..ram(3)).contains(&mfn) || (XENHEAP..XENHEAP + XENHEAP_FRAMES).contains(&mfn) {
        r.side.world.owner_frees(mfn);
    }
    Vec::new()
}

pub(super) fn permit(r: Request<'_>) -> Outcome {
    let [d, mfn, nr, ..] = r.op.args;
    r.side
        .world
        .permit_iomem(r.side.d(d), mfn..mfn + nr.min(64));
    Vec::new()
}
