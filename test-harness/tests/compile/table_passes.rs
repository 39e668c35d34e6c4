// SPDX-License-Identifier: GPL-2.0-only
//! Keeping a table's level after the lock was dropped.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::table::Table;
use p2m_rs::types::addr::Gfn;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) {
    let _kept = {
        let guard = p2m.read(cx);
        Table::root(&guard, gfn).map(|table| table.level())
    };
}

fn main() {}
