// SPDX-License-Identifier: GPL-2.0-only
//! [`XenmemAccess`]: the public interface's `xenmem_access_t`, which has the accesses of the
//! p2m with the same values, and one more for the domain's default access.
#![forbid(unsafe_code)]

use p2m_rs::types::access::P2mAccess;
use p2m_rs::xen::release::{access_from_c, xenmem_access_default};

/// An access in a request of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XenmemAccess {
    /// This access.
    Is(P2mAccess),
    /// The domain's default access (`XENMEM_access_default`).
    Default,
}

impl XenmemAccess {
    /// Converts C's value; `None` for values that no access has.
    pub fn from_c(value: u64) -> Option<Self> {
        if value == xenmem_access_default() {
            Some(Self::Default)
        } else {
            access_from_c(value).map(Self::Is)
        }
    }

    /// The access that is asked for, where `default` tells the domain's default access.
    pub(crate) fn or_default(self, default: impl FnOnce() -> P2mAccess) -> P2mAccess {
        match self {
            Self::Is(access) => access,
            Self::Default => default(),
        }
    }
}
