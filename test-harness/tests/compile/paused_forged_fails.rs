// SPDX-License-Identifier: GPL-2.0-only
//! Having any domain stop to use views, whose vCPUs may be running in them.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::token::Unlocked;
use p2m_rs::views::set_use;
use p2m_rs::xen::domain::{Domain, PausedDomain};

pub fn f(cx: &mut Unlocked<'_>, d: &Domain, paused: PausedDomain<'_>) -> bool {
    let begins = d.is_paused() && set_use(cx, paused, true).is_ok();
    let stops = set_use(cx, PausedDomain(d), false);
    begins && stops.is_ok()
}

fn main() {}
