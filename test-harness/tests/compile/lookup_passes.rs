// SPDX-License-Identifier: GPL-2.0-only
//! Keeping a frame number, on purpose, after the lock was dropped (XSA-473).
use {mem_access_rs as _, test_harness as _};

use p2m_rs::{addr::Gfn, lock::Unlocked, p2m::P2m};

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) {
    let _kept = {
        let guard = p2m.read(cx);
        guard.get(gfn).mfn()
    };
}

fn main() {}
