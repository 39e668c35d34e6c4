// SPDX-License-Identifier: GPL-2.0-only
//! What a caller asks to map.
//!
//! Which machine frames a guest may reach is decided by the callers of the
//! p2m: they have checked ownership, I/O permissions, grants. The p2m takes
//! their word, and that word is a value of type [`Target`], which only the
//! exported functions can make.

use crate::types::addr::Mfn;
use crate::types::p2m_type::P2mType;

/// Machine frames that may be mapped with the given type.
#[derive(Debug)]
pub struct Target {
    mfn: Mfn,
    ty: P2mType,
}

impl Target {
    /// The C caller's request.
    ///
    /// # Safety
    ///
    /// The domain may reach these frames in that way, for as long as they are
    /// mapped. For a foreign type, the caller owns one reference to each page
    /// and hands it to the mapping if the insertion succeeds.
    pub unsafe fn vouched(mfn: Mfn, ty: P2mType) -> Self {
        Self { mfn, ty }
    }

    /// The first frame and the type. A request can be granted once: it may
    /// come with references.
    pub(crate) fn into_parts(self) -> (Mfn, P2mType) {
        (self.mfn, self.ty)
    }
}
