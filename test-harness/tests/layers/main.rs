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

use plan::{PLANS, UNPLANNED};
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

#[test]
fn each_crate_of_the_workspace_has_a_plan_or_a_reason() {
    let manifest = include_str!("../../../Cargo.toml");
    let members = manifest.split_once("members = [").unwrap().1;
    let members = members.split_once(']').unwrap().0;
    for member in members.split(',').map(|m| m.trim().trim_matches('"')) {
        let planned = PLANS.iter().filter(|plan| plan.name == member).count();
        let unplanned = UNPLANNED.iter().filter(|(name, _)| *name == member).count();
        assert_eq!(planned + unplanned, 1, "{member}");
    }
    assert!(UNPLANNED.iter().all(|(_, reason)| !reason.is_empty()));
}
