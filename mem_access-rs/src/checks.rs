// SPDX-License-Identifier: GPL-2.0-only
//! What Rust and C must agree on, checked against the tree's headers when the
//! archive is built: the public accesses. (Of `r_pw` and the default, which releases differ
//! in: `xen-sys/build/facts.rs`.)

use p2m_rs::types::access::P2mAccess;
use static_assertions::const_assert_eq;
use xen_sys as sys;

macro_rules! same_value {
    ($($ours:expr => $c:ident;)*) => { $(const_assert_eq!($ours as u64, sys::$c as u64);)* };
}

same_value! {
    P2mAccess::N => XENMEM_access_n;
    P2mAccess::R => XENMEM_access_r;
    P2mAccess::W => XENMEM_access_w;
    P2mAccess::Rw => XENMEM_access_rw;
    P2mAccess::X => XENMEM_access_x;
    P2mAccess::Rx => XENMEM_access_rx;
    P2mAccess::Wx => XENMEM_access_wx;
    P2mAccess::Rwx => XENMEM_access_rwx;
    P2mAccess::Rx2rw => XENMEM_access_rx2rw;
    P2mAccess::N2rwx => XENMEM_access_n2rwx;
}
