// SPDX-License-Identifier: GPL-2.0-only
//! What a caller asks to map.
//!
//! Which machine frames a guest may reach is decided by the callers of the
//! p2m: they have checked ownership, I/O permissions, grants. The p2m takes
//! their word, and that word is a value of type [`Target`], which only the
//! exported functions can make.

use crate::addr::Mfn;
use crate::types::P2mType;

/// Machine frames that may be mapped with the given type.
#[derive(Clone, Copy, Debug)]
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

    /// The first frame.
    pub fn mfn(self) -> Mfn {
        self.mfn
    }

    /// The type.
    pub fn ty(self) -> P2mType {
        self.ty
    }

    /// What is left of the request after `pages` of it were mapped.
    #[must_use]
    pub fn skip(self, pages: u64) -> Self {
        Self {
            mfn: self.mfn.add(pages),
            ..self
        }
    }
}
