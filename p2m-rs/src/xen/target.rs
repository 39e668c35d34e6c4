// SPDX-License-Identifier: GPL-2.0-only
//! What a caller asks to map.
//!
//! Which machine frames a guest may reach is decided by the callers of the
//! p2m: they have checked ownership, I/O permissions, grants. The p2m takes
//! their word, and that word is a value of type [`Target`], which only the
//! exported functions can make.

use xen_sys as sys;

use crate::types::addr::{Mfn, PAGE_SHIFT};
use crate::types::errno::{Errno, Result};
use crate::types::p2m_type::P2mType;

/// Machine frames that may be mapped with the given type.
///
/// # Invariants
///
/// The domain that it is for may reach these frames in that way, for as long as they are
/// mapped; of a foreign type it owns a reference to each page. It does not prove that the
/// frames are memory.
#[derive(Debug)]
pub struct Target {
    mfn: Mfn,
    pages: u64,
    ty: P2mType,
}

impl Target {
    /// The C caller's request.
    ///
    /// # Safety
    ///
    /// The domain may reach these `pages` frames in that way, for as long as they are
    /// mapped. For a foreign type, the caller owns one reference to each page
    /// and hands it to the mapping if the insertion succeeds.
    pub unsafe fn vouched(mfn: Mfn, pages: u64, ty: P2mType) -> Self {
        Self { mfn, pages, ty }
    }

    /// How many frames.
    #[inline(always)]
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The first frame and the type. (Who maps them takes the request itself, which can be granted
    /// once: it may come with references.)
    #[inline(always)]
    pub(crate) fn first(&self) -> (Mfn, P2mType) {
        (self.mfn, self.ty)
    }
}

/// The first frame of what the C caller asks to map.
///
/// # Invariants
///
/// The caller vouches for the frames that it asks to map from this one on, as
/// [`Target::vouched`] says. C passes one to an exported function.
#[repr(transparent)]
pub struct VouchedMfn(sys::mfn_t);

// SAFETY: `repr(transparent)`; what it says of the frames is the contract of the function
// that takes it.
unsafe impl sys::SameAbi<sys::mfn_t> for VouchedMfn {}

impl VouchedMfn {
    /// Of a frame that was found to be allowed here.
    ///
    /// # Safety
    ///
    /// As for [`Target::vouched`], of all that will be asked for from this frame on.
    pub(crate) unsafe fn new(mfn: sys::mfn_t) -> Self {
        Self(mfn)
    }

    /// The frame; `None` for INVALID_MFN.
    pub fn mfn(&self) -> Option<Mfn> {
        Mfn::from_c(self.0)
    }

    /// `nr` frames of type `t`: those that the same call names, for it is for them that the
    /// caller vouches. Uses the promise up, since it may come with references.
    ///
    /// # Errors
    ///
    /// [`Errno::EINVAL`] for what is no type, or beyond all physical memory.
    pub fn target(self, nr: u64, t: sys::p2m_type_t) -> Result<Target> {
        let ty = P2mType::from_c(t.into()).ok_or(Errno::EINVAL)?;
        let end = self.0.checked_add(nr).ok_or(Errno::EINVAL)?;
        if end > 1 << (sys::XS_PADDR_BITS - PAGE_SHIFT) {
            return Err(Errno::EINVAL);
        }
        // SAFETY: by the invariant.
        Ok(unsafe { Target::vouched(Mfn::new(self.0), nr, ty) })
    }
}
