// SPDX-License-Identifier: GPL-2.0-only
//! Xen's own C next to the Rust, operation by operation.
//!
//! Two worlds of the test harness run in lock step: on one works the Rust p2m,
//! on the other Xen's p2m.c, mmu/p2m.c and mem_access.c, compiled for this
//! machine as they are (`build.rs`, `c/shim.h`). After each operation all that
//! a caller, a tool or the hardware can see must be equal (`lockstep`). Where the
//! Rust differs on purpose, the C is mended first ([`edits::fixes`]).
//!
//! Floors, from the ground up; each uses those below it:
//!
//! | folder | what it is |
//! |---|---|
//! | [`edits`] | edits of the C: differences on purpose, and mistakes that the comparison must find |
//! | [`ops`] | operations as data: the machines, random operations from a seed |
//! | `sides` | the exports twice, what the C asks for, an implementation on its machine |
//! | `exec` | carrying an operation out on one side |
//! | `lockstep` | both sides, operation by operation, and all that is compared |
//! | [`process`] | processes; a short sequence for a difference |
//!
//! Without `XEN_P2M_ORACLE_TREE` in the environment of the build there is no C,
//! and the crate is what does not need it.

// It exists to stop on the spot, and what it converts are numbers of the C ABI.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

pub mod edits;
#[cfg(xen_c)]
mod exec;
#[cfg(xen_c)]
mod lockstep;
pub mod ops;
pub mod process;
#[cfg(xen_c)]
mod sides;
