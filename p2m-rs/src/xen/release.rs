// SPDX-License-Identifier: GPL-2.0-only
//! What the C of this tree's release does otherwise than that of others, as questions of the
//! code: all of it is here, and in the prototypes of `ffi/forms.rs`. Where the answers come
//! from: [`xen_sys::Facts`].
#![forbid(unsafe_code)]

use xen_sys::facts;

use crate::types::access::P2mAccess;

/// How many pages `p2m_init` puts into the pool: enough for the tables of the GICv2's CPU
/// interface, where `domain_create()` maps it before the toolstack can have given any.
pub(crate) fn pages_for_creation() -> u64 {
    if facts().creation_maps {
        16
    } else {
        0
    }
}

/// Whether `p2m_final_teardown` may find tables, because domain creation failed after it had
/// mapped something.
pub(crate) fn final_teardown_frees_tables() -> bool {
    facts().creation_maps
}

/// Whether `p2m_teardown` empties the root, because nobody does it before: no caller, or not
/// `p2m_final_teardown`. (Between 4.17 and 4.18 there were some weeks of both.)
pub(crate) fn teardown_clears_root() -> bool {
    !facts().root_is_cleared_apart || final_teardown_frees_tables()
}

/// Whether `p2m_set_mem_access_multi` does what it says. The C of every release answers
/// -EOPNOTSUPP.
pub fn has_set_access_multi() -> bool {
    facts().set_access_multi
}

/// An access from C's `p2m_access_t`; `None` for a value that has no meaning in this release.
pub fn access_from_c(value: u64) -> Option<P2mAccess> {
    P2mAccess::from_c(value).filter(|&access| facts().r_pw || access != P2mAccess::RPw)
}

/// `XENMEM_access_default`, one above the last access.
pub fn default_access() -> u64 {
    let last = if facts().r_pw {
        P2mAccess::RPw
    } else {
        P2mAccess::N2rwx
    };
    u64::from(last.to_c()) + 1
}
