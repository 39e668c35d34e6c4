// SPDX-License-Identifier: GPL-2.0-only
//! Taking the write lock while reading.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::{lock::Unlocked, p2m::P2m};

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m) {
    let _reader = p2m.read(cx);
    let _writer = p2m.write(cx);
}

fn main() {}
