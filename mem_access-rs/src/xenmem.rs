// SPDX-License-Identifier: GPL-2.0-only
//! [`XenmemAccess`]: the public interface's `xenmem_access_t`, which has the accesses of the
//! p2m with the same values, and one more for the domain's default access.
#![forbid(unsafe_code)]

use p2m_rs::types::access::P2mAccess;

/// An access in a request of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XenmemAccess {
    /// This access.
    Is(P2mAccess),
    /// The domain's default access (`XENMEM_access_default`).
    Default,
}

/// The value of `XENMEM_access_default`, one above the last access.
pub(crate) const DEFAULT: u64 = P2mAccess::RPw as u64 + 1;

impl XenmemAccess {
    /// Converts C's value; `None` for values that no access has.
    pub fn from_c(value: u64) -> Option<Self> {
        match value {
            DEFAULT => Some(Self::Default),
            _ => P2mAccess::from_c(value).map(Self::Is),
        }
    }
}
