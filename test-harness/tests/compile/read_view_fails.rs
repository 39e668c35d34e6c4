// SPDX-License-Identifier: GPL-2.0-only
//! Changing a mapping under the read lock.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::map::remove::remove;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::types::addr::Gfn;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) {
    let mut guard = p2m.read(cx);
    let _ = remove(&mut guard, gfn, 1);
}

fn main() {}
