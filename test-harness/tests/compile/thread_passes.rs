// SPDX-License-Identifier: GPL-2.0-only
//! Lending the token to another thread never: it makes its own.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::token::{unlocked_entry, Unlocked};

fn borrow(_: &mut Unlocked<'_>) {}

pub fn f(cx: &mut Unlocked<'_>) {
    let _ = &cx;
    std::thread::scope(|scope| {
        // SAFETY: never run.
        scope.spawn(|| unsafe { unlocked_entry(|own| borrow(own)) });
        scope.spawn(|| ());
    });
}

fn main() {}
