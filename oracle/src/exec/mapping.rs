// SPDX-License-Identifier: GPL-2.0-only
//! Pages that are mapped, and unmapped.

use std::ptr::null_mut;

use test_harness::abi::{access, p2mt};

use super::outcome::{word, Outcome};
use super::request::{returned, Request};
use crate::ops::machine::MMIO;
use crate::ops::op::{Kind, Op, MATCHING};
use crate::sides::exports::call;
use crate::sides::side::Side;

/// The frame that a removal names: what is mapped, or what the operation says.
pub(crate) fn named_frame(side: &Side, op: &Op) -> u64 {
    let named = match op.kind {
        Kind::UnmapRegions | Kind::UnmapMmio => op.args[3],
        Kind::RemovePage => op.args[2],
        _ => return 0,
    };
    if named != MATCHING {
        return named;
    }
    let mut t = 0;
    let mfn = call!(
        side.exports,
        p2m_lookup(side.domain(op.args[0]), op.args[1], &mut t)
    );
    if mfn == u64::MAX {
        MMIO[0]
    } else {
        mfn
    }
}

/// What maps pages, and returns 0 or an error. The caller brings the references that foreign mappings own, and
/// keeps none of those that are not mapped in the end.
fn with_references(
    r: Request<'_>,
    t: u64,
    mfn: u64,
    nr: u64,
    map: impl FnOnce() -> i32,
) -> Outcome {
    let world = &r.side.world;
    let owns = p2mt::is_foreign(t as u32);
    if owns {
        world.take_references(mfn, nr);
    }
    let rc = map();
    let mut outcome = returned(rc);
    if owns && rc != 0 {
        // Compared as they are, before.
        let left = (mfn..mfn + nr).map(|frame| world.references(frame)).sum();
        outcome.push(("references", left));
        world.give_back_references(mfn, nr);
    }
    outcome
}

pub(super) fn insert(r: Request<'_>) -> Outcome {
    let [gfn, nr, mfn, t, _] = r.args();
    with_references(r, t, mfn, nr, || {
        call!(
            r.exports(),
            p2m_insert_mapping(r.domain(), gfn, nr, mfn, t as u32)
        )
    })
}

pub(super) fn map_regions(r: Request<'_>) -> Outcome {
    let [gfn, nr, mfn, t, _] = r.args();
    with_references(r, t, mfn, nr, || {
        call!(
            r.exports(),
            map_regions_p2mt(r.domain(), gfn, nr, mfn, t as u32)
        )
    })
}

pub(super) fn set_entry(r: Request<'_>) -> Outcome {
    let [gfn, nr, mfn, t, access] = r.args();
    let set = || {
        call!(
            r.exports(),
            p2m_set_entry(r.p2m(), gfn, nr, mfn, t as u32, access as u32)
        )
    };
    with_references(r, t, mfn, nr, || r.write_locked(set))
}

pub(super) fn clear_entry(r: Request<'_>) -> Outcome {
    let [gfn, nr, ..] = r.args();
    returned(r.write_locked(|| {
        call!(
            r.exports(),
            p2m_set_entry(r.p2m(), gfn, nr, u64::MAX, p2mt::INVALID, access::RWX)
        )
    }))
}

/// Several calls under a lock that the caller holds: a flush that one owes is the next one's, or the unlock's.
pub(super) fn move_entry(r: Request<'_>) -> Outcome {
    let [gfn, to, ..] = r.args();
    let set = |gfn, mfn, t| {
        let rc = call!(
            r.exports(),
            p2m_set_entry(r.p2m(), gfn, 1, mfn, t, access::RWX)
        );
        r.side.world.call_is_over(r.side.d(r.op.args[0]));
        rc
    };
    r.write_locked(|| {
        let mut t = 99;
        let (no_access, no_order, no_bit) = (null_mut(), null_mut(), null_mut());
        let mfn = call!(
            r.exports(),
            p2m_get_entry(r.p2m(), gfn, &mut t, no_access, no_order, no_bit)
        );
        let removed = set(gfn, u64::MAX, p2mt::INVALID);
        // The reference that a foreign mapping owned has gone with it.
        let is_moved = removed == 0 && mfn != u64::MAX && !p2mt::is_foreign(t);
        let rc = if is_moved { set(to, mfn, t) } else { 0 };
        vec![
            ("mfn", mfn),
            ("type", t.into()),
            ("removed", word(removed)),
            ("return", word(rc)),
        ]
    })
}

pub(super) fn add_entry(r: Request<'_>) -> Outcome {
    let [gfn, mfn, order, t, _] = r.args();
    with_references(r, t, mfn, 1 << order, || {
        call!(
            r.exports(),
            guest_physmap_add_entry(r.domain(), gfn, mfn, order, t as u32)
        )
    })
}

pub(super) fn map_mmio(r: Request<'_>) -> Outcome {
    let [gfn, nr, mfn, ..] = r.args();
    returned(call!(
        r.exports(),
        map_mmio_regions(r.domain(), gfn, nr, mfn)
    ))
}

pub(super) fn map_dev(r: Request<'_>) -> Outcome {
    let [gfn, mfn, ..] = r.args();
    returned(call!(r.exports(), map_dev_mmio_page(r.domain(), gfn, mfn)))
}

/// One page in each of many 2 MiB regions.
pub(super) fn sparse(r: Request<'_>) -> Outcome {
    let [gfn, count, mfn, ..] = r.args();
    let one = |n: u64| {
        let gfn = gfn.wrapping_add(n << 9);
        let rc = call!(
            r.exports(),
            p2m_insert_mapping(r.domain(), gfn, 1, mfn + n, p2mt::RAM_RW)
        );
        ("return", word(rc))
    };
    (0..count).map(one).collect()
}

pub(super) fn foreign(r: Request<'_>) -> Outcome {
    let [owner, gfn, mfn, ..] = r.args();
    let owner = r.side.domain(owner);
    returned(call!(
        r.exports(),
        set_foreign_p2m_entry(r.domain(), owner, gfn, mfn)
    ))
}

/// A Xen heap page, and its M2P as the callers set it.
pub(super) fn xenheap(r: Request<'_>) -> Outcome {
    let [gfn, mfn, ..] = r.args();
    let rc = call!(
        r.exports(),
        p2m_insert_mapping(r.domain(), gfn, 1, mfn, p2mt::RAM_RW)
    );
    if rc == 0 {
        r.side.world.set_xenheap_gfn(mfn, gfn);
    }
    returned(rc)
}

pub(super) fn unmap_regions(r: Request<'_>) -> Outcome {
    let [gfn, nr, ..] = r.args();
    returned(call!(
        r.exports(),
        unmap_regions_p2mt(r.domain(), gfn, nr, r.there)
    ))
}

pub(super) fn unmap_mmio(r: Request<'_>) -> Outcome {
    let [gfn, nr, ..] = r.args();
    returned(call!(
        r.exports(),
        unmap_mmio_regions(r.domain(), gfn, nr, r.there)
    ))
}

pub(super) fn remove_page(r: Request<'_>) -> Outcome {
    let [gfn, _, order, ..] = r.args();
    returned(call!(
        r.exports(),
        guest_physmap_remove_page(r.domain(), gfn, r.there, order as u32)
    ))
}
