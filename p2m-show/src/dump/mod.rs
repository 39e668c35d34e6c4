// SPDX-License-Identifier: GPL-2.0-only
//! A dump of a domain's stage 2, as `p2m-rs/src/xen/console/stage2.rs` prints it and docs/show.md describes it.

mod counts;
mod field;
mod log;
mod model;
pub mod values;

pub use log::{find, read, Error, Found};
pub use model::{Dump, EmptyTables, Mapping, Run, Shape, Supply, FORMAT, MARK};
pub use values::{Access, Size, Type, Valid};
