// SPDX-License-Identifier: GPL-2.0-only
//! Lending the token to another thread by reference.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::token::{unlocked_entry, Unlocked};

fn borrow(_: &mut Unlocked<'_>) {}

pub fn f(cx: &mut Unlocked<'_>) {
    let _ = &cx;
    std::thread::scope(|scope| {
        // SAFETY: never run.
        scope.spawn(|| unsafe { unlocked_entry(|own| borrow(own)) });
        scope.spawn(|| borrow(cx));
    });
}

fn main() {}
