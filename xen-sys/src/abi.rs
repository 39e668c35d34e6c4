// SPDX-License-Identifier: GPL-2.0-only
//! Which Rust types may stand for which C types in a prototype, and the check of whole
//! prototypes against the headers.

use core::mem::MaybeUninit;

use crate::Opaque;

/// A type of a Rust prototype that may stand for `C` of the header's.
///
/// # Safety
///
/// Both are passed in the same way, and every value that may be passed by the function's
/// documentation is one of either type: C passes null only where that is said, and else
/// pointers to live structures.
pub unsafe trait SameAbi<C> {}

// SAFETY: the same type.
unsafe impl<T> SameAbi<T> for T {}
// SAFETY: a reference is a pointer that is not null. C's `const` is no part of the ABI.
unsafe impl<T> SameAbi<*mut T> for &Opaque<T> {}
// SAFETY: as above.
unsafe impl<T> SameAbi<*const T> for &Opaque<T> {}
// SAFETY: as above, and null for `None`: the language guarantees it.
unsafe impl<T> SameAbi<*mut T> for Option<&Opaque<T>> {}
// SAFETY: as above.
unsafe impl<T> SameAbi<*const T> for Option<&Opaque<T>> {}
// SAFETY: a local variable of the caller's, which nobody else knows of.
unsafe impl<T> SameAbi<*mut T> for &mut T {}
// SAFETY: as above. Not to be read before it is written.
unsafe impl<T> SameAbi<*mut T> for &mut MaybeUninit<T> {}
// SAFETY: as above, and null for `None`.
unsafe impl<T> SameAbi<*mut T> for Option<&mut MaybeUninit<T>> {}

/// A function pointer type that may stand for the C function pointer type `C`.
#[diagnostic::on_unimplemented(
    message = "this tree's headers declare the function with another prototype than xen-p2m knows",
    label = "the header has `{C}`, and this is `{Self}`"
)]
pub trait SamePrototype<C> {}

macro_rules! prototypes {
    ($($($ours:ident $c:ident)*;)*) => {$(
        impl<R: SameAbi<S>, S, $($ours: SameAbi<$c>, $c,)*>
            SamePrototype<unsafe extern "C" fn($($c),*) -> S>
            for unsafe extern "C" fn($($ours),*) -> R {}
    )*};
}
prototypes! {
    ;
    A1 C1;
    A1 C1 A2 C2;
    A1 C1 A2 C2 A3 C3;
    A1 C1 A2 C2 A3 C3 A4 C4;
    A1 C1 A2 C2 A3 C3 A4 C4 A5 C5;
    A1 C1 A2 C2 A3 C3 A4 C4 A5 C5 A6 C6;
    A1 C1 A2 C2 A3 C3 A4 C4 A5 C5 A6 C6 A7 C7;
}

/// Compiles if the Rust prototype may stand for the header's.
pub const fn same_prototype<R: SamePrototype<C> + Copy, C: Copy>(_rust: R, _c: C) {}

/// The type of a parameter of this name: the compiler finds it.
#[doc(hidden)]
#[macro_export]
macro_rules! infer {
    ($name:ident) => {
        _
    };
}
