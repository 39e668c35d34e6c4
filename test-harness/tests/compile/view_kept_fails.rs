// SPDX-License-Identifier: GPL-2.0-only
//! Keeping a view after its host's lock was dropped.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::views::Number;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, number: Number) {
    let _kept = {
        let guard = p2m.read(cx);
        guard.view(number)
    };
}

fn main() {}
