// SPDX-License-Identifier: GPL-2.0-only
//! The p2m operations for a running guest: traps, cache maintenance, hypercall buffers and
//! context switches.
#![forbid(unsafe_code)]

pub(crate) mod cache;
pub(crate) mod context;
pub(crate) mod fault;
pub(crate) mod gva;
pub(crate) mod permission;
