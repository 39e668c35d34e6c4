// SPDX-License-Identifier: GPL-2.0-only
//! The layers of each crate: who may use whom.
//!
//! The source is parsed, and every path that a file writes down, in a `use` line, in an
//! expression or in a macro, is an arrow to the file that it leads to. [`plan`] lists the floors
//! of each crate; [`rules`] compares. A failure names the line, the arrow and what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test may stop on the spot

mod graph;
mod plan;
mod planted;
mod reader;
mod rules;
mod sources;

use plan::PLANS;
use sources::Sources;

#[test]
fn each_crate_keeps_its_layers() {
    let found = |plan| rules::faults(plan, &Sources::read(plan.folder));
    let faults: Vec<String> = PLANS.iter().flat_map(found).collect();
    assert!(
        faults.is_empty(),
        "{} faults\n{}",
        faults.len(),
        faults.join("\n")
    );
}
