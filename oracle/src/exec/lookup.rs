// SPDX-License-Identifier: GPL-2.0-only
//! Questions to the p2m, which change no mapping.

use std::ptr::{null, null_mut};

use test_harness::symbols::GuestHandle;

use super::outcome::{word, Outcome};
use super::request::Request;
use crate::edits::facts;
use crate::sides::exports::call;

pub(super) fn get_entry(r: Request<'_>) -> Outcome {
    let [gfn, ..] = r.args();
    let (mut t, mut access, mut order, mut valid) = (99, 99, 99, true);
    let (mfn, alone) = r.side.read_locked(r.op.args[0], || {
        let mfn = call!(
            r.exports(),
            p2m_get_entry(r.p2m(), gfn, &mut t, &mut access, &mut order, &mut valid)
        );
        // Who asks for the frame alone.
        let alone = call!(
            r.exports(),
            p2m_get_entry(r.p2m(), gfn, null_mut(), null_mut(), null_mut(), null_mut())
        );
        (mfn, alone)
    });
    vec![
        ("mfn", mfn),
        ("mfn alone", alone),
        ("type", t.into()),
        ("access", access.into()),
        ("order", order.into()),
        ("valid", valid.into()),
    ]
}

pub(super) fn lookup(r: Request<'_>) -> Outcome {
    let [gfn, ..] = r.args();
    let mut t = 99;
    let mfn = call!(r.exports(), p2m_lookup(r.domain(), gfn, &mut t));
    let again = call!(r.exports(), gfn_to_mfn(r.domain(), gfn));
    let alone = call!(r.exports(), p2m_lookup(r.domain(), gfn, null_mut()));
    vec![
        ("mfn", mfn),
        ("type", t.into()),
        ("gfn_to_mfn", again),
        ("mfn alone", alone),
    ]
}

pub(super) fn page_from_gfn(r: Request<'_>) -> Outcome {
    let [gfn, ..] = r.args();
    let mut t = 99;
    let page = call!(r.exports(), p2m_get_page_from_gfn(r.domain(), gfn, &mut t));
    let (mfn, references) = r.side.page(page);
    let alone = call!(
        r.exports(),
        p2m_get_page_from_gfn(r.domain(), gfn, null_mut())
    );
    let (alone, _) = r.side.page(alone);
    vec![
        ("page alone", alone),
        ("page", mfn),
        ("references", references),
        ("type", t.into()),
    ]
}

pub(super) fn dump(r: Request<'_>) -> Outcome {
    let [gfn, ..] = r.args();
    call!(r.exports(), p2m_dump_info(r.domain()));
    if facts::hold("declared_dump_p2m_lookup") {
        call!(r.exports(), dump_p2m_lookup(r.domain(), gfn));
    }
    Vec::new()
}

/// What has one answer on Arm.
pub(super) fn constant(r: Request<'_>) -> Outcome {
    let [gfn, ..] = r.args();
    let (f, ptr) = (r.exports(), r.domain());
    call!(f, memory_type_changed(ptr));
    let nothing = GuestHandle { pointer: null() };
    let multi = call!(
        f,
        p2m_set_mem_access_multi(ptr, nothing, nothing, 1, 0, 0x3F, 0)
    );
    let populate = call!(f, guest_physmap_mark_populate_on_demand(ptr, gfn, 0));
    let decrease = call!(f, p2m_pod_decrease_reservation(ptr, gfn, 0));
    vec![
        ("populate", word(populate)),
        ("decrease", decrease),
        ("multi", multi as u64),
    ]
}
