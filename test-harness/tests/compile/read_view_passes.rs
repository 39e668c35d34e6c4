// SPDX-License-Identifier: GPL-2.0-only
//! Changing a mapping under the write lock.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::{addr::Gfn, lock::Unlocked, p2m::P2m};

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) {
    let mut guard = p2m.write(cx);
    let _ = guard.remove(gfn, 1);
}

fn main() {}
