// SPDX-License-Identifier: GPL-2.0-only
//! What a running guest's traps and context switches need of its p2m.
#![forbid(unsafe_code)]

pub mod cache;
pub mod context;
pub mod fault;
pub mod gva;
