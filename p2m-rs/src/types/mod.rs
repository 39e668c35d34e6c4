// SPDX-License-Identifier: GPL-2.0-only
//! Values: numbers, entries and error codes. Nothing here uses Xen's
//! structures, memory or locks.
#![forbid(unsafe_code)]

pub mod access;
pub mod addr;
pub mod errno;
pub mod level;
pub mod owner;
pub mod p2m_type;
pub(crate) mod progress;
pub mod pte;
pub mod vttbr;
