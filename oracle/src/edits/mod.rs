// SPDX-License-Identifier: GPL-2.0-only
//! Edits of the C before it is compiled, by `build.rs`, too.
#![forbid(unsafe_code)]

pub mod edit;
pub mod facts;
pub mod fixes;
pub mod mutations;
