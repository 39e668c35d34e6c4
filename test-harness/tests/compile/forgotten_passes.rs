// SPDX-License-Identifier: GPL-2.0-only
//! Unmapping a frame that all views have forgotten.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::map::remove::remove;
use p2m_rs::map::views::forget;
use p2m_rs::p2m::P2m;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::types::addr::Gfn;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) {
    let mut write = p2m.write(cx);
    let _told = forget(&mut write, gfn, 1);
    let _ = remove(&mut write, _told, gfn, 1);
}

fn main() {}
