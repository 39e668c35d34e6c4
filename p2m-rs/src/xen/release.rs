// SPDX-License-Identifier: GPL-2.0-only
//! What the C of this tree's release does otherwise than that of other releases. Which functions a
//! release has is said where they are exported (`declared_*` in `ffi/` and `globals.rs`), which
//! prototypes in `ffi/forms.rs`. Where the answers come from: [`xen_sys::Facts`].
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

/// Whether `p2m_teardown` itself must empty the root: the release has no
/// `p2m_clear_root_pages`, or its `p2m_final_teardown` calls `p2m_teardown` without that. (A few
/// commits between 4.17 and 4.18 have both.)
pub(crate) fn teardown_clears_root() -> bool {
    !facts().root_is_cleared_apart || final_teardown_frees_tables()
}

/// Whether mem_access is part of the hypervisor: a fact of a configuration, not of a release. Without it there are
/// no functions of it, and a call that the compiler could not remove would not link. So the answer must be a constant
/// in the caller.
#[inline(always)]
pub(crate) fn has_mem_access() -> bool {
    facts().mem_access
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
pub fn xenmem_access_default() -> u64 {
    let last = if facts().r_pw {
        P2mAccess::RPw
    } else {
        P2mAccess::N2rwx
    };
    u64::from(last.to_c()) + 1
}
