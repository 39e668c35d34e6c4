// SPDX-License-Identifier: GPL-2.0-only
//! What a reader wants to know of a dump, as numbers.

mod changes;
mod sizes;
mod spans;
mod summary;

pub use changes::{changes, compared_until, groups, Change, Group, Sort};
pub use sizes::{GIB1, MIB2};
pub use spans::{spans, Span, State};
pub use summary::Summary;
