// SPDX-License-Identifier: GPL-2.0-only
//! A p2m lock, taken in what runs under the lock of a look-up.
use {mem_access_rs as _, test_harness as _, xen_sys as _};

use p2m_rs::map::lookup::with_mapping;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::P2m;
use p2m_rs::types::addr::Gfn;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, other: &P2m, gfn: Gfn) -> bool {
    with_mapping(cx, p2m, gfn, move |_, found| {
        let _inner = other.read(cx);
        found.is_some()
    })
}

fn main() {}
