// SPDX-License-Identifier: GPL-2.0-only
//! Operations as data, and where they come from.
#![forbid(unsafe_code)]

mod frames;
pub mod generate;
pub mod machine;
pub mod op;
pub mod rng;
