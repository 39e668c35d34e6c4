// SPDX-License-Identifier: GPL-2.0-only
//! Walking the guest's own tables, which takes the p2m lock, after a view was read.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::p2m::reentry::guest_walk;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::views::Number;
use p2m_rs::types::addr::Gva;
use p2m_rs::xen::vcpu::Vcpu;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, number: Number, vcpu: &Vcpu, gva: Gva) {
    let _access = p2m.read(cx).view(number).map(|view| view.default_access());
    let _ = guest_walk(cx, vcpu, gva);
}


fn main() {}
