// SPDX-License-Identifier: GPL-2.0-only
//! `printk`, with formats that are compared with their arguments when they are compiled.

use core::ffi::{c_char, c_int, c_uint, CStr};
use core::marker::PhantomData;

use xen_sys as sys;

use crate::xen::domain::Domain;
use crate::xen::page::Page;
use crate::xen::vcpu::Vcpu;

/// What a conversion takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `%d`, `%u`, `%x`: 32 bits.
    Word,
    /// `%ld`, `%lu`, `%lx`: 64 bits.
    Long,
    /// `%p`: an address, which is printed only.
    Pointer,
    /// `%pd`: a live domain.
    Domain,
    /// `%pv`: a live vCPU.
    Vcpu,
    /// `%s`: a text of this code's.
    Text,
}

/// A type that may stand for an argument.
pub(super) trait Argument {
    /// Of such a conversion.
    const KIND: Kind;
    /// C's type.
    type C: sys::PrintkArgument;
    /// For C.
    fn to_c(self) -> Self::C;
}

macro_rules! arguments {
    ($($ty:ty: $kind:ident as $c:ty, $it:ident => $to_c:expr;)*) => {$(
        impl Argument for $ty {
            const KIND: Kind = Kind::$kind;
            type C = $c;
            #[inline(always)]
            fn to_c(self) -> $c {
                let $it = self;
                $to_c
            }
        }
    )*};
}

arguments! {
    c_uint: Word as c_uint, it => it;
    c_int: Word as c_int, it => it;
    u64: Long as u64, it => it;
    Page: Pointer as *mut sys::page_info, it => it.c().as_ptr();
    &Domain: Domain as *mut sys::domain, it => it.c().as_ptr();
    &Vcpu: Vcpu as *mut sys::vcpu, it => it.c().as_ptr();
    &'static CStr: Text as *const c_char, it => it.as_ptr();
}

/// Arguments for one `printk`.
pub(super) trait Arguments {
    /// Of these conversions.
    const KINDS: &'static [Kind];
    /// Prints.
    ///
    /// # Safety
    ///
    /// The format has conversions of [`Self::KINDS`], and no others.
    unsafe fn print(self, format: &'static CStr);
}

macro_rules! tuples {
    ($($($a:ident)*;)*) => {$(
        impl<$($a: Argument),*> Arguments for ($($a,)*) {
            const KINDS: &'static [Kind] = &[$($a::KIND),*];

            #[inline(always)]
            #[allow(non_snake_case)] // a type parameter's name for its value
            unsafe fn print(self, format: &'static CStr) {
                let ($($a,)*) = self;
                // SAFETY: the arguments have the C types that the conversions name, by
                // the caller's promise; pointers are to live structures.
                unsafe { sys::printk!(format $(, $a.to_c())*) };
            }
        }
    )*};
}
tuples! {
    ;
    A;
    A B;
    A B C;
    A B C D E;
    A B C D E F G H I;
}

/// A format for arguments of the types `A`.
///
/// # Invariants
///
/// Its conversions are those of `A`, in this order, and no others.
pub(super) struct Format<A>(&'static CStr, PhantomData<fn(A)>);

impl<A: Arguments> Format<A> {
    /// Stops the compiler if the format is for other arguments.
    pub(super) const fn new(text: &'static CStr) -> Self {
        assert!(
            takes(text.to_bytes(), A::KINDS),
            "a format for other arguments"
        );
        Self(text, PhantomData)
    }

    /// Prints.
    #[inline(always)]
    pub(super) fn print(self, arguments: A) {
        // SAFETY: by the invariant.
        unsafe { arguments.print(self.0) };
    }
}

/// Whether the conversions of `format` are of these kinds.
const fn takes(format: &[u8], kinds: &[Kind]) -> bool {
    let (mut format, mut kinds) = (format, kinds);
    while let [byte, rest @ ..] = format {
        format = rest;
        if *byte != b'%' {
            continue;
        }
        // Flags and width.
        while let [b'#' | b'0'..=b'9', rest @ ..] = format {
            format = rest;
        }
        let (kind, rest) = match format {
            [b'd' | b'u' | b'x', rest @ ..] => (Kind::Word, rest),
            [b'l', b'd' | b'u' | b'x', rest @ ..] => (Kind::Long, rest),
            [b's', rest @ ..] => (Kind::Text, rest),
            [b'p', b'd', rest @ ..] => (Kind::Domain, rest),
            [b'p', b'v', rest @ ..] => (Kind::Vcpu, rest),
            [b'p', rest @ ..] => (Kind::Pointer, rest),
            _ => return false,
        };
        match kinds {
            [first, others @ ..] if *first as u8 == kind as u8 => kinds = others,
            _ => return false,
        }
        format = rest;
    }
    kinds.is_empty()
}

const _: () = {
    assert!(takes(b"dom%d IPA 0x%016lx\n", &[Kind::Word, Kind::Long]));
    assert!(takes(
        b"%pv %pd %p %#05lx",
        &[Kind::Vcpu, Kind::Domain, Kind::Pointer, Kind::Long]
    ));
    assert!(takes(b"%s=%u", &[Kind::Text, Kind::Word]) && !takes(b"%s", &[Kind::Pointer]));
    assert!(!takes(b"%d", &[Kind::Long]) && !takes(b"%ld", &[Kind::Word]));
    assert!(!takes(b"%d", &[]) && !takes(b"", &[Kind::Word]) && !takes(b"%s", &[Kind::Word]));
    assert!(
        !takes(b"%p", &[Kind::Domain]) && !takes(b"%pd", &[Kind::Pointer]) && !takes(b"%", &[])
    );
};
