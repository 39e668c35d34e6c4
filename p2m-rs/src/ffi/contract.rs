// SPDX-License-Identifier: GPL-2.0-only
//! What an exported function wants of its caller, as data: [`Export`], and [`exports!`](crate::exports!),
//! which makes a table of them and compares it with the functions.

use core::mem::MaybeUninit;

use xen_sys as sys;

use crate::p2m::guest_copy::GuestArray;
use crate::p2m::lock::{ReadLockedByC, WriteLockGivenUpByC, WriteLockedByC};
use crate::p2m::token::CalledUnlocked;
use crate::xen::domain::{Domain, UnsharedDomain};
use crate::xen::pool::PoolLockedByC;
use crate::xen::target::VouchedMfn;
use crate::xen::vcpu::{CurrentVcpu, SwitchedVcpu, Vcpu};
#[cfg(config_altp2m)]
use crate::xen::{domain::PausedDomain, vcpu::PausedVcpu};

/// Which locks the caller holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Whatever it likes, but what is taken inside.
    Any,
    /// No p2m lock.
    NoP2mLock,
    /// The p2m lock, for reading or writing.
    P2mLock,
    /// The p2m lock, for writing.
    P2mWriteLock,
    /// The paging lock.
    PagingLock,
}

/// The outermost lock that is taken inside; others follow in the order of docs/exports.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// None.
    Nothing,
    /// The p2m lock, for reading.
    Read,
    /// The p2m lock, for writing.
    Write,
    /// Both, one after the other.
    ReadThenWrite,
    /// The paging lock.
    Paging,
    /// The lock of the VMIDs.
    Vmids,
}

/// An exported function.
#[derive(Clone, Copy, Debug)]
pub struct Export {
    /// The C file that it is from.
    pub file: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The cfg that says whether a tree's headers declare it so (`xen-sys/build/facts.rs`);
    /// empty if those of every release do.
    pub when: &'static str,
    /// Which of `ffi/forms.rs` it is, if it has more than one form.
    pub form: &'static str,
    /// What its caller holds.
    pub holds: Holds,
    /// What it takes.
    pub takes: Takes,
    /// The Rust function that does it; empty for what Arm does not have.
    pub calls: &'static str,
}

/// A type of an exported function's parameter.
pub trait Parameter {
    /// What it says of the caller's locks.
    const HOLDS: Holds = Holds::Any;
}

macro_rules! parameters {
    ($($ty:ty $(=> $holds:ident)?;)*) => {$(
        impl Parameter for $ty {
            $(const HOLDS: Holds = Holds::$holds;)?
        }
    )*};
}

parameters! {
    ReadLockedByC<'_> => P2mLock;
    WriteLockedByC<'_> => P2mWriteLock;
    WriteLockGivenUpByC<'_> => P2mWriteLock;
    PoolLockedByC<'_> => PagingLock;
    &Domain;
    UnsharedDomain<'_>;
    &Vcpu;
    CurrentVcpu<'_>;
    SwitchedVcpu<'_>;
    &sys::Opaque<sys::cpu_user_regs>;
    VouchedMfn;
    u64;
    u32;
    u16;
    bool;
    sys::hsr;
    &mut u64;
    &mut MaybeUninit<u32>;
    &mut MaybeUninit<u16>;
    *mut core::ffi::c_void;
    *const core::ffi::c_void;
}

#[cfg(config_altp2m)]
parameters! {
    PausedDomain<'_>;
    PausedVcpu<'_>;
}

impl<A> Parameter for CalledUnlocked<'_, A> {
    const HOLDS: Holds = Holds::NoP2mLock;
}

impl<T> Parameter for super::Out<'_, T> {}

impl<T> Parameter for GuestArray<T> {}

/// A type of exported functions.
pub trait Function {
    /// What its parameters say of the caller's locks.
    const HOLDS: Holds;
}

/// What two parameters say.
const fn both(one: Holds, other: Holds) -> Holds {
    match (one, other) {
        (holds, Holds::Any) | (Holds::Any, holds) => holds,
        _ => panic!("two parameters speak of locks"),
    }
}

macro_rules! functions {
    ($($($a:ident)*;)*) => {$(
        impl<R, $($a: Parameter),*> Function for unsafe extern "C" fn($($a),*) -> R {
            const HOLDS: Holds = {
                let holds = Holds::Any;
                $(let holds = both(holds, $a::HOLDS);)*
                holds
            };
        }
    )*};
}
functions! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
}

/// Whether the parameters say the same as the table.
pub const fn agrees<F: Function + Copy>(_: F, holds: Holds) -> bool {
    F::HOLDS as u8 == holds as u8
}

const _: () = {
    extern "C" fn any(_: u64) {}
    let any = any as unsafe extern "C" fn(u64);
    assert!(agrees(any, Holds::Any) && !agrees(any, Holds::PagingLock));
};

/// Declares the exported functions of one C file: parameters, what the caller holds, what
/// is taken inside, the function that does it.
///
/// That the lock state is what the types of the parameters say, and that there is such a
/// function, is checked wherever this is compiled. In the build for the hypervisor the
/// whole prototype is compared with the header's (`header`), if C declares one (else
/// `own`). A row with a cfg is for the trees where it holds; where a function has more than
/// one form, `as` says which of `ffi/forms.rs` it is.
#[macro_export]
macro_rules! exports {
    ($(#[$meta:meta])* $table:ident = $file:literal, $module:ident: $(
        $(#[cfg($when:ident)])?
        $from:ident $name:ident $(as $form:ident)? ($($a:ident),*):
            $holds:ident, $takes:ident $(=> $calls:expr)?;
    )*) => {
        $(#[$meta])*
        pub const $table: &[$crate::ffi::contract::Export] = &[$(
            $(#[cfg($when)])?
            $crate::ffi::contract::Export {
            file: $file,
            name: stringify!($name),
            when: concat!($(stringify!($when))?),
            form: concat!($(stringify!($form))?),
            holds: $crate::ffi::contract::Holds::$holds,
            takes: $crate::ffi::contract::Takes::$takes,
            calls: concat!($(stringify!($calls))?),
        }),*];

        $(
        $(#[cfg($when)])?
        const _: () = {
            assert!(
                $crate::ffi::contract::agrees(
                    $crate::exports!(@function $module $name $($form)?) as unsafe extern "C" fn($(xen_sys::infer!($a)),*) -> _,
                    $crate::ffi::contract::Holds::$holds,
                ),
                concat!(stringify!($name), ": its parameters say something else of locks")
            );
            $(let _ = $calls;)?
            $crate::exports!(@$from $module $name ($($form)?) $($a)*);
        };
        )*
    };
    (@function $module:ident $name:ident) => { $module::$name };
    (@function $module:ident $name:ident $form:ident) => { $crate::ffi::forms::$form };
    (@header $module:ident $name:ident ($($form:ident)?) $($a:ident)*) => {
        #[cfg(target_os = "none")]
        xen_sys::same_prototype(
            $crate::exports!(@function $module $name $($form)?)
                as unsafe extern "C" fn($(xen_sys::infer!($a)),*) -> _,
            xen_sys::prototypes::$name as unsafe extern "C" fn($(xen_sys::infer!($a)),*) -> _,
        );
    };
    (@own $module:ident $name:ident () $($a:ident)*) => {};
}
