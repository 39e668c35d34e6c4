// SPDX-License-Identifier: GPL-2.0-only
//! Copies of what the caller of a hypercall has in its memory (`copy_from_guest_offset` of
//! xen/guest_access.h).
//!
//! A guest handle is an address in the address space of the current vCPU, so the p2m that is
//! walked for it is that of the *current* domain, whichever domain the hypercall is about:
//! each page that the copy reaches takes its lock (`get_page_from_gva`). So a copy takes the
//! token, as everything in [`super::reentry`] does, and whoever wants many elements under a
//! lock copies them before it takes the lock.

use core::marker::PhantomData;

use xen_sys as sys;

use super::token::Unlocked;

/// An array of the caller's (`XEN_GUEST_HANDLE(const_...)`): the guest virtual address of the
/// first element. Nothing is known of it: not that anything is there, nor that it will be the
/// same when it is read again.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct GuestArray<T> {
    address: usize,
    _of: PhantomData<T>,
}

// SAFETY: C's is a union of a pointer and a `uint64_t`, which is passed as either is.
#[cfg(target_os = "none")]
unsafe impl sys::SameAbi<sys::__guest_handle_64_const_uint64> for GuestArray<u64> {}
// SAFETY: as above.
#[cfg(target_os = "none")]
unsafe impl sys::SameAbi<sys::__guest_handle_64_const_uint8> for GuestArray<u8> {}

/// What an element may be.
///
/// # Safety
///
/// Every pattern of bits is a value of the type.
pub unsafe trait Plain: Copy {}

// SAFETY: a number.
unsafe impl Plain for u8 {}
// SAFETY: a number.
unsafe impl Plain for u64 {}

impl<T: Plain> GuestArray<T> {
    /// Copies elements from `first` on into `to`. Returns how many whole elements were copied:
    /// fewer than there is room for if an address does not lead to RAM that the caller may
    /// read. The rest of `to` then has no meaning.
    ///
    /// Each element is read once: the caller may change it at any time, but what was checked is
    /// what is used.
    pub fn copy(self, _cx: &mut Unlocked<'_>, first: u32, to: &mut [T]) -> usize {
        // Wraps as C's pointer does; the translation of the address decides.
        let offset = (first as usize).wrapping_mul(size_of::<T>());
        let from = core::ptr::without_provenance(self.address.wrapping_add(offset));
        let bytes = size_of_val(to);
        let Ok(length) = u32::try_from(bytes) else {
            return 0;
        };
        // SAFETY: no p2m lock is held; the slice is written, and any bytes are numbers.
        let left = unsafe { sys::raw_copy_from_guest(to.as_mut_ptr().cast(), from, length) };
        let left = usize::try_from(left).unwrap_or(bytes);
        bytes.saturating_sub(left) / size_of::<T>()
    }
}
