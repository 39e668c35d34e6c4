// SPDX-License-Identifier: GPL-2.0-only
//! Changing the host p2m after one of its views was changed.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::map::views::forget;
use p2m_rs::p2m::P2m;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::views::Number;
use p2m_rs::types::addr::Gfn;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, number: Number, gfn: Gfn) {
    let mut write = p2m.write(cx);
    drop(write.view_mut(number));
    forget(&mut write, gfn, 1);
}

fn main() {}
