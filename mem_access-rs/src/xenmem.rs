// SPDX-License-Identifier: GPL-2.0-only
//! `xenmem_access_t`, the public interface's accesses: those of the p2m, by
//! the same values, and one for the domain's default.
#![forbid(unsafe_code)]

use p2m_rs::types::access::P2mAccess;

/// An access as a monitor names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XenmemAccess {
    /// This one.
    Is(P2mAccess),
    /// The domain's default access (`XENMEM_access_default`).
    Default,
}

/// `XENMEM_access_default`: one above the last access.
pub(crate) const DEFAULT: u64 = P2mAccess::RPw as u64 + 1;

impl XenmemAccess {
    /// From C; `None` for what is no access.
    pub fn from_c(value: u64) -> Option<Self> {
        match value {
            DEFAULT => Some(Self::Default),
            _ => P2mAccess::from_c(value).map(Self::Is),
        }
    }
}
