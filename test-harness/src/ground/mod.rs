// SPDX-License-Identifier: GPL-2.0-only
//! What everything else stands on: names, numbers, and what happens.

pub mod abi;
pub mod config;
pub mod event;
pub(crate) mod handles;
pub(crate) mod hash;
pub(crate) mod log;
pub(crate) mod memory_map;
pub(crate) mod panics;
pub mod pte;
pub mod symbols;
pub mod trace;
