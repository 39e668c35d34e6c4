// SPDX-License-Identifier: GPL-2.0-only
//! The C of views: `xen/arch/arm/altp2m.c`, as the patch has it, compiled for this machine. What it
//! calls of Xen is in `xen.rs`; what it calls of the archive is the Rust itself, on the machine of
//! the harness, with all of its rules (`archive.rs`). What is promised is in docs/altp2m.md.
//!
//! The C compiler is the one that links Rust programs: `cc`.

#![cfg(config_altp2m)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)] // a test may stop on the spot

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod archive;
mod continuations;
mod creation;
mod faults;
mod library;
mod lists;
mod operations;
mod refusals;
mod request;
mod scene;
mod trees;
mod without;
mod xen;

const EPERM: i32 = -1;
const ESRCH: i32 = -3;
const ENOMEM: i32 = -12;
const EACCES: i32 = -13;
const EFAULT: i32 = -14;
const EBUSY: i32 = -16;
const EEXIST: i32 = -17;
const EINVAL: i32 = -22;
const ERESTART: i32 = -85;
const EOPNOTSUPP: i32 = -95;
