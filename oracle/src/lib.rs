// SPDX-License-Identifier: GPL-2.0-only
//! Xen's own C next to the Rust, operation by operation.
//!
//! Two worlds of the test harness run in lock step: on one works the Rust p2m,
//! on the other Xen's p2m.c, mmu/p2m.c and mem_access.c, compiled for this
//! machine as they are (`build.rs`, `c/shim.h`). After each operation all that
//! a caller, a tool or the hardware can see must be equal ([`compare`],
//! [`tree`]). Where the Rust differs on purpose, the C is mended first
//! ([`fixes`]).
//!
//! | module | what it is |
//! |---|---|
//! | [`machine`] | the configurations, and where memory is |
//! | [`op`] | an operation as data |
//! | [`generate`], [`places`], [`rng`] | random operations from a seed |
//! | [`face`], [`xen_c`] | the exports twice; what the C asks for |
//! | [`side`], [`exec`], [`guest`], [`lifetime`] | carrying an operation out on one side |
//! | [`episode`], [`compare`], [`tree`] | lock step |
//! | [`work`], [`supervise`], [`shrink`] | processes; a short sequence for a difference |
//! | [`fixes`], [`mutations`] | edits of the C: on purpose, and to prove that the comparison bites |
//!
//! Without `XEN_P2M_ORACLE_TREE` in the environment of the build there is no C,
//! and the crate is what does not need it.

// It exists to stop on the spot, and what it converts are numbers of the C ABI.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

pub mod fixes;
pub mod generate;
pub mod machine;
pub mod mutations;
pub mod op;
mod places;
pub mod rng;
pub mod shrink;
pub mod supervise;

#[cfg(xen_c)]
mod compare;
#[cfg(xen_c)]
mod episode;
#[cfg(xen_c)]
mod exec;
#[cfg(xen_c)]
mod face;
#[cfg(xen_c)]
mod guest;
#[cfg(xen_c)]
mod lifetime;
#[cfg(xen_c)]
mod reach;
#[cfg(xen_c)]
mod side;
#[cfg(xen_c)]
mod tree;
#[cfg(xen_c)]
pub mod work;
#[cfg(xen_c)]
mod xen_c;
