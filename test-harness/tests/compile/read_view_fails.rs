// SPDX-License-Identifier: GPL-2.0-only
//! Changing a mapping under the read lock.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::map::set_access::{set_access, Restart};
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::Gfn;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) {
    let mut guard = p2m.read(cx);
    let _ = set_access(&mut guard, gfn, 1, P2mAccess::R, Restart::NEVER);
}

fn main() {}
