// SPDX-License-Identifier: GPL-2.0-only
//! Processes: one works, another watches it, and makes short what it found.
#![forbid(unsafe_code)]

pub mod shrink;
pub mod supervise;
#[cfg(xen_c)]
pub mod worker;
