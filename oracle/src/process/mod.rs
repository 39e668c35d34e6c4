// SPDX-License-Identifier: GPL-2.0-only
//! Processes: one works, another watches it, and makes short what it found.

pub mod shrink;
pub mod supervise;
#[cfg(xen_c)]
pub mod worker;
