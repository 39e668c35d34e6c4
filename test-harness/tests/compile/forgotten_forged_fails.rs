// SPDX-License-Identifier: GPL-2.0-only
//! Saying that all views have forgotten a frame.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::map::remove::remove;
use p2m_rs::p2m::P2m;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::owner::Forgotten;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) {
    let mut write = p2m.write(cx);
    let forgotten: Forgotten<'_> = Forgotten::promised();
    let _ = remove(&mut write, forgotten, gfn, 1);
}

fn main() {}
