// SPDX-License-Identifier: GPL-2.0-only
//! Taking the write lock after reading.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::p2m::token::Unlocked;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m) {
    drop(p2m.read(cx));
    let _writer = p2m.write(cx);
}

fn main() {}
