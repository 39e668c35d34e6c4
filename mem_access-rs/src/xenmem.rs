// SPDX-License-Identifier: GPL-2.0-only
//! `xenmem_access_t`, the public interface's accesses: those of the p2m, by
//! the same values, and one for the domain's default.
#![forbid(unsafe_code)]

use p2m_rs::access::P2mAccess;

/// An access as a monitor names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XenmemAccess {
    /// This one.
    Is(P2mAccess),
    /// The domain's default access (`XENMEM_access_default`).
    Default,
}

/// `XENMEM_access_default`: one above the last access.
const DEFAULT: u64 = P2mAccess::RPw as u64 + 1;

impl XenmemAccess {
    /// From C; `None` for what is no access.
    pub fn from_c(value: u64) -> Option<Self> {
        match value {
            DEFAULT => Some(Self::Default),
            _ => P2mAccess::from_c(value).map(Self::Is),
        }
    }
}

/// The values are those of this Xen's headers.
#[cfg(target_os = "none")]
mod checks {
    use static_assertions::const_assert_eq;
    use xen_sys as sys;

    use super::{P2mAccess, DEFAULT};

    macro_rules! same {
        ($($ours:ident: $p2m:ident, $xenmem:ident;)*) => {$(
            const_assert_eq!(P2mAccess::$ours as u32, sys::$p2m);
            const_assert_eq!(P2mAccess::$ours as u32, sys::$xenmem);
        )*};
    }

    same! {
        N: p2m_access_n, XENMEM_access_n;
        R: p2m_access_r, XENMEM_access_r;
        W: p2m_access_w, XENMEM_access_w;
        Rw: p2m_access_rw, XENMEM_access_rw;
        X: p2m_access_x, XENMEM_access_x;
        Rx: p2m_access_rx, XENMEM_access_rx;
        Wx: p2m_access_wx, XENMEM_access_wx;
        Rwx: p2m_access_rwx, XENMEM_access_rwx;
        Rx2rw: p2m_access_rx2rw, XENMEM_access_rx2rw;
        N2rwx: p2m_access_n2rwx, XENMEM_access_n2rwx;
        RPw: p2m_access_r_pw, XENMEM_access_r_pw;
    }
    const_assert_eq!(DEFAULT, sys::XENMEM_access_default as u64);
}
