// SPDX-License-Identifier: GPL-2.0-only
//! Giving a VMID to a domain that C says nobody else can reach.
use {mem_access_rs as _, test_harness as _};

use p2m_rs::ffi::p2m::p2m_alloc_vmid;
use p2m_rs::xen::domain::{Domain, UnsharedDomain};

pub fn f(domain: &Domain, known: UnsharedDomain<'_>) -> i32 {
    let unshared = known;
    let _ = (domain.id(), known);
    p2m_alloc_vmid(unshared)
}

fn main() {}
