// SPDX-License-Identifier: GPL-2.0-only
//! Locking another domain's p2m inside this one's.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::p2m::token::Unlocked;

pub fn f(cx: &mut Unlocked<'_>, mine: &P2m, other: &P2m) {
    let _outer = mine.write(cx);
    let _inner = other.write(cx);
}

fn main() {}
