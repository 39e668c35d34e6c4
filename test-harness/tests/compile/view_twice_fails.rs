// SPDX-License-Identifier: GPL-2.0-only
//! Changing two views at once.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::views::Number;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, one: Number, other: Number) {
    let mut write = p2m.write(cx);
    let _first = write.view_mut(one);
    let _second = write.view_mut(other);
}

fn main() {}
