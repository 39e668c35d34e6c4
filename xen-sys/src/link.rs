// SPDX-License-Identifier: GPL-2.0-only
//! Pointers from one structure of C's to another. Only views (altp2m) need them.

use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use crate::{Opaque, ViewOf};

/// A pointer in a structure of C's, to another one.
///
/// # Invariants
///
/// It is null, or points to a structure that lives as long as anybody can have borrowed this
/// field. Whoever declares the field says why ([`fields!`](crate::fields)).
#[repr(transparent)]
pub struct Link<T>(AtomicPtr<T>);

impl<T> Link<T> {
    /// Lets it point somewhere else, or nowhere.
    ///
    /// # Safety
    ///
    /// The invariants hold for the structure, and the one before lives until nobody has it borrowed.
    #[inline(always)]
    pub unsafe fn set(&self, it: Option<&Opaque<T>>) {
        let it = it.map_or(core::ptr::null_mut(), Opaque::as_ptr);
        self.0.store(it, Relaxed);
    }

    /// What it points to.
    #[inline(always)]
    pub fn get(&self) -> Option<&Opaque<T>> {
        let it = self.0.load(Relaxed);
        // SAFETY: by the type's invariants, it lives as long as `self` is borrowed.
        (!it.is_null()).then(|| unsafe { Opaque::from_ptr(it) })
    }
}

// SAFETY: it is transparent over what may.
unsafe impl<T> ViewOf<*mut T> for Link<T> {}
// SAFETY: an array has no padding between its elements.
unsafe impl<T, const N: usize> ViewOf<[*mut T; N]> for [Link<T>; N] {}
