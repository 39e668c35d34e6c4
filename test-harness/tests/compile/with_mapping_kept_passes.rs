// SPDX-License-Identifier: GPL-2.0-only
//! The frame alone, as a hint.
use {mem_access_rs as _, test_harness as _, xen_sys as _};

use p2m_rs::map::lookup::with_mapping;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::P2m;
use p2m_rs::types::addr::Gfn;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) -> bool {
    let mut kept = None;
    with_mapping(cx, p2m, gfn, |_, found| {
        kept = found.and_then(|found| found.mfn())
    });
    kept.is_some()
}

fn main() {}
