// SPDX-License-Identifier: GPL-2.0-only
//! The p2m operations for a running guest: traps, cache maintenance, hypercall buffers and
//! context switches.
#![forbid(unsafe_code)]

pub mod cache;
pub mod context;
pub mod fault;
pub mod gva;
