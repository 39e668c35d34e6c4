// SPDX-License-Identifier: GPL-2.0-only
//! Crashing a domain, which dumps its stack through the p2m, with the write lock held.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::xen::{domain::Domain, reentry::domain_crash};
use p2m_rs::{lock::Unlocked, p2m::P2m};

pub fn f(cx: &mut Unlocked<'_>, p2m: &P2m, domain: &Domain) {
    let _guard = p2m.write(cx);
    domain_crash(cx, domain);
}

fn main() {}
