// SPDX-License-Identifier: GPL-2.0-only
//! Xen, made safe to call.
//!
//! Everything that touches C's memory, the hardware or raw pointers is here
//! (and in [`crate::lock`], [`crate::p2m`], [`crate::ffi`]); the rest of the
//! crate is safe Rust. One file a subject; raw C types do not leave this
//! directory.

pub mod console;
pub mod cpu;
pub mod domain;
pub mod iommu;
pub mod page;
pub mod pool;
pub mod reentry;
pub mod table;
pub mod target;
pub mod tlb;
pub mod translate;
pub mod vcpu;
