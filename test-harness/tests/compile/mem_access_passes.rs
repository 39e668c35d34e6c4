// SPDX-License-Identifier: GPL-2.0-only
//! Going through mem_access, as before Xen commit 0012ae8afb, with the lock dropped.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::p2m::reentry::mem_access_check_and_get_page;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::translate::Gv2mFlags;
use p2m_rs::types::addr::Gva;
use p2m_rs::xen::vcpu::Vcpu;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, vcpu: &Vcpu, gva: Gva, flags: Gv2mFlags) {
    drop(p2m.read(cx));
    let _ = mem_access_check_and_get_page(cx, gva, flags, vcpu);
}

fn main() {}
