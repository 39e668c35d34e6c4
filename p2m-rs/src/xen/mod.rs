// SPDX-License-Identifier: GPL-2.0-only
//! Xen, made safe to call: its structures, its functions, and this CPU.
//!
//! One file a subject. Nothing here takes a p2m lock or changes an entry of a table; what may
//! take a p2m lock somewhere inside is in [`crate::p2m::reentry`].

/// A type for a structure of C's, to which methods can be given.
///
/// A reference to one may stand for C's pointer in a prototype.
macro_rules! structure {
    ($(#[$meta:meta])* $name:ident($c:ident)) => {
        $(#[$meta])*
        #[repr(transparent)]
        pub struct $name(xen_sys::Opaque<xen_sys::$c>);

        impl $name {
            /// The structure that C hands in.
            ///
            /// # Safety
            ///
            /// As for [`xen_sys::Opaque::from_ptr`].
            #[inline(always)]
            pub unsafe fn from_ptr<'a>(it: *mut xen_sys::$c) -> &'a Self {
                // SAFETY: the caller's promise.
                Self::of(unsafe { xen_sys::Opaque::from_ptr(it) })
            }

            /// The same structure, with methods.
            #[inline(always)]
            pub(crate) const fn of(it: &xen_sys::Opaque<xen_sys::$c>) -> &Self {
                // SAFETY: `repr(transparent)`, and the same lifetime.
                unsafe { &*core::ptr::from_ref(it).cast::<Self>() }
            }

            /// For C.
            #[inline(always)]
            pub(crate) const fn c(&self) -> &xen_sys::Opaque<xen_sys::$c> {
                &self.0
            }
        }

        // SAFETY: `repr(transparent)` over `Opaque`, a reference to which may stand for the pointer.
        unsafe impl xen_sys::SameAbi<*mut xen_sys::$c> for &$name {}
        // SAFETY: as above.
        unsafe impl xen_sys::SameAbi<*const xen_sys::$c> for &$name {}
    };
}
pub(crate) use structure;

pub mod console;
pub mod cpu;
pub mod domain;
pub mod globals;
pub mod iommu;
pub mod page;
pub mod pool;
pub mod release;
pub mod target;
pub mod tlb;
pub mod vcpu;
pub mod vmid_pool;
