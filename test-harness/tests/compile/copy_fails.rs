// SPDX-License-Identifier: GPL-2.0-only
//! Copying from the memory of a hypercall's caller, which takes the p2m lock of that guest,
//! with the lock of the guest that it is about held.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::p2m::guest_copy::GuestArray;
use p2m_rs::p2m::token::Unlocked;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, list: GuestArray<u64>, to: &mut [u64]) {
    let _guard = p2m.write(cx);
    let _ = list.copy(cx, 0, to);
}

fn main() {}
