// SPDX-License-Identifier: GPL-2.0-only
//! Crashing a domain, which dumps its stack through the p2m, with the write lock held.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::P2m;
use p2m_rs::p2m::reentry::domain_crash;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::xen::domain::Domain;

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, domain: &Domain) {
    let _guard = p2m.write(cx);
    domain_crash(cx, domain);
}

fn main() {}
