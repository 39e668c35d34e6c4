// SPDX-License-Identifier: GPL-2.0-only
//! What Rust and C must agree on, checked against the tree's headers when the
//! archive is built: the public accesses, and every prototype.

use p2m_rs::types::access::P2mAccess;
use static_assertions::const_assert_eq;
use xen_sys as sys;

#[cfg(config_mem_access)]
use crate::ffi;
use crate::xenmem::DEFAULT;

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
    P2mAccess::RPw => XENMEM_access_r_pw;
    DEFAULT => XENMEM_access_default;
}

/// Both elements of an array have one type: that of the header's prototype.
/// (`p2m_set_mem_access_multi` takes guest handles, which are structures of
/// one pointer in C and pointers here: the same to the ABI, not to this test.)
///
/// Without mem_access in the configuration two of them are static inlines of the
/// header, and nothing of this crate is linked.
#[cfg(config_mem_access)]
macro_rules! same_prototype {
    ($($name:ident)*) => { $(const _: () = { let _ = [sys::$name, ffi::$name]; };)* };
}

#[cfg(config_mem_access)]
same_prototype! {
    p2m_mem_access_check_and_get_page p2m_mem_access_check p2m_set_mem_access
    p2m_get_mem_access arch_p2m_set_access_required
}
