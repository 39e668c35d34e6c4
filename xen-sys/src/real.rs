// SPDX-License-Identifier: GPL-2.0-only
//! What bindgen read from the configured tree.

// Generated text: C's names and C's habits, not ours to restyle. (The oldest rustc does not know each
// of these lints.)
#[allow(
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unknown_lints,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::missing_safety_doc,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

/// The headers' prototypes: of what is called, which [`crate::imports`] declares for use,
/// and of what Rust defines.
// As above; and `imports` has references where these have pointers, which the lint takes
// for another function, and `same_prototype` compares.
#[allow(
    clashing_extern_declarations,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unknown_lints,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::missing_safety_doc,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing
)]
pub mod prototypes {
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/prototypes.rs"));
}

pub use bindings::*;

/// A list of pages; on Arm an ordinary list, by a macro.
pub use bindings::list_head as page_list_head;

/// Calls Xen's `printk` with a C format string and arguments of C's types.
///
/// Evaluates to an expression that is `unsafe`: the arguments must match the
/// conversions of the format.
#[macro_export]
macro_rules! printk {
    ($format:expr $(, $argument:expr)* $(,)?) => {
        $crate::prototypes::printk($format.as_ptr() $(, $argument)*)
    };
}

/// Calls Xen's `panic`: like [`printk!`], and never returns.
#[macro_export]
macro_rules! panic_xen {
    ($format:expr $(, $argument:expr)* $(,)?) => {
        $crate::prototypes::panic($format.as_ptr() $(, $argument)*)
    };
}

/// What may be an argument of [`printk!`]: C does not say.
pub trait PrintkArgument {}
impl<T> PrintkArgument for T {}
