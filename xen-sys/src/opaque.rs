// SPDX-License-Identifier: GPL-2.0-only
//! C's structures as Rust may hold them: by reference, without a claim on what is in
//! them, and field by field.

use core::cell::UnsafeCell;

/// A structure that C owns and changes.
///
/// # Invariants
///
/// Every reference is to a structure of C's that lives as long as the reference. There
/// is no other way to get one than [`Self::from_ptr`], a function of C's that returns
/// one, and a field of another ([`Self::field`]).
///
/// It does not prove that the structure is initialised, nor that any lock is held, nor
/// that its fields stand still.
#[repr(transparent)]
pub struct Opaque<T>(UnsafeCell<T>);

impl<T> Opaque<T> {
    /// The structure that C hands in.
    ///
    /// # Safety
    ///
    /// `it` points to a structure of C's that lives for `'a`, and Rust has no reference
    /// to it of any other kind.
    #[inline(always)]
    pub const unsafe fn from_ptr<'a>(it: *mut T) -> &'a Self {
        // SAFETY: `repr(transparent)`; live, by the caller's promise. An UnsafeCell
        // claims nothing of what is inside.
        unsafe { &*it.cast::<Self>() }
    }

    /// For C.
    #[inline(always)]
    pub const fn as_ptr(&self) -> *mut T {
        self.0.get()
    }

    /// Borrows a field.
    #[inline(always)]
    pub fn field<F: Field<Of = T>>(&self, _field: F) -> &F::View {
        // SAFETY: inside of the structure, by the promise of `Field`.
        let place = unsafe { self.as_ptr().byte_add(F::OFFSET) };
        // SAFETY: a `View` lies there, by the same promise, as long as the structure lives.
        unsafe { &*place.cast::<F::View>() }
    }
}

/// A field of a C structure, and how Rust accesses it. [`fields!`](crate::fields)
/// implements it.
///
/// # Safety
///
/// [`Self::OFFSET`] is that of a field of [`Self::Of`], whose type [`Self::View`] may
/// stand for; and all that uses of the view assume of other CPUs' accesses is so.
pub unsafe trait Field {
    /// The structure.
    type Of;
    /// What the field is to Rust.
    type View;
    /// Where it is.
    const OFFSET: usize;
}

/// A Rust type that may stand for a field of C type `C`.
///
/// # Safety
///
/// The same size and alignment, and interior mutability: C changes the field meanwhile.
/// Every value that C's type has is one.
pub unsafe trait ViewOf<C> {}

macro_rules! views {
    ($($c:ty => $view:ident;)*) => {$(
        // SAFETY: core documents the same size, alignment and bit validity.
        unsafe impl ViewOf<$c> for core::sync::atomic::$view {}
        // SAFETY: an array has no padding between its elements.
        unsafe impl<const N: usize> ViewOf<[$c; N]> for [core::sync::atomic::$view; N] {}
    )*};
}
views! {
    bool => AtomicBool;
    u8 => AtomicU8;
    u16 => AtomicU16;
    u32 => AtomicU32;
    u64 => AtomicU64;
}
// SAFETY: as for u32: the sign is a matter of how a value is read.
unsafe impl ViewOf<i32> for core::sync::atomic::AtomicU32 {}
// SAFETY: as for the others.
unsafe impl<T> ViewOf<*mut T> for core::sync::atomic::AtomicPtr<T> {}
// SAFETY: a Cell is transparent.
unsafe impl<C: Copy> ViewOf<C> for core::cell::Cell<C> {}
// SAFETY: it is transparent, and claims nothing of what is inside.
unsafe impl<C> ViewOf<C> for Opaque<C> {}

/// Declares fields: a name for Rust, the place in C's structure, what it is to Rust, and
/// why that is sound. Whether the view fits the field's type is checked here; where the
/// field is, the compiler knows.
///
/// Each row says `unsafe`, since what the reason claims is not checked, and the lint against
/// unsafe code does not see the implementation in a macro of another crate.
///
/// A `Cell` is for what only one CPU can access at a time, or none writes any more; the
/// reason says so. All else is an atomic.
#[macro_export]
macro_rules! fields {
    ($(unsafe $name:ident: $of:ident . $($place:ident).+ as $view:ty, $why:literal;)*) => {$(
        #[doc = concat!("`", stringify!($of), ".", stringify!($($place).+), "`: ", $why, ".")]
        #[derive(Clone, Copy)]
        struct $name;

        // SAFETY: the offset is that of the field, whose type `fits` looks at. Of other
        // accesses, `$why`.
        unsafe impl $crate::Field for $name {
            type Of = $crate::$of;
            type View = $view;
            const OFFSET: usize = {
                const fn fits<C, V: $crate::ViewOf<C>>(_: fn(&$crate::$of) -> &C) {}
                fits::<_, $view>(|it| &it.$($place).+);
                core::mem::offset_of!($crate::$of, $($place).+)
            };
        }
    )*};
}
