// SPDX-License-Identifier: GPL-2.0-only
//! Making a token.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::token::Unlocked;

pub fn f(cx: &mut Unlocked<'_>) {
    let token = Unlocked(std::marker::PhantomData);
    let _ = token;
}

fn main() {}
