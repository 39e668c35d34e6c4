// SPDX-License-Identifier: GPL-2.0-only
//! Walking the guest's own tables, which takes the p2m lock, with the lock dropped.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::xen::{reentry::guest_walk, vcpu::Vcpu};
use p2m_rs::{addr::Gva, lock::Unlocked, p2m::P2m};

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, vcpu: &Vcpu, gva: Gva) {
    drop(p2m.read(cx));
    let _ = guest_walk(cx, vcpu, gva);
}

fn main() {}
