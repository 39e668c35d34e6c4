// SPDX-License-Identifier: GPL-2.0-only
//! Asking the token which vCPU is the current one.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::p2m::token::{current_vcpu, Unlocked};
use p2m_rs::xen::vcpu::{CurrentVcpu, Vcpu};

pub fn f(cx: &mut Unlocked<'_>, vcpu: &Vcpu) -> bool {
    let known: CurrentVcpu<'_> = current_vcpu(cx);
    let current = known;
    known.is(vcpu) && current.has_cache_enabled()
}

fn main() {}
