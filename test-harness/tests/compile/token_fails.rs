// SPDX-License-Identifier: GPL-2.0-only
//! Carrying the token out of an entry.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::token::unlocked_entry;

pub fn f() {
    let mut _kept = None;
    // SAFETY: never run.
    unsafe {
        unlocked_entry(|cx| {
            _kept = Some(cx);
        });
    }
}

fn main() {}
