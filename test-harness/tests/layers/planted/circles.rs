// SPDX-License-Identifier: GPL-2.0-only
//! Circles between files and between folders.

use super::{found, says, LOW_AND_HIGH};
use crate::plan::Plan;

#[test]
fn a_parent_that_hands_on_what_its_child_defines_uses_it() {
    let faults = found(
        &LOW_AND_HIGH,
        &[
            (
                "low/mod.rs",
                "pub mod a; pub mod b; pub use a::A; pub struct P;",
            ),
            ("low/a.rs", "use super::P; pub struct A;"),
        ],
    );
    says(
        &faults,
        &[
            "files that use each other in a circle",
            "low/mod.rs:1: `a::A` leads to low/a.rs",
            "low/a.rs:1: `super::P` leads to low/mod.rs",
        ],
    );
}

#[test]
fn files_that_use_each_other_are_a_fault() {
    let faults = found(
        &LOW_AND_HIGH,
        &[
            ("low/a.rs", "use super::b::B; pub struct A;"),
            ("low/b.rs", "use super::a::A; pub struct B;"),
        ],
    );
    says(&faults, &["circle", "low/a.rs:1", "low/b.rs:1"]);
}

#[test]
fn a_circle_through_three_files_is_a_fault() {
    let faults = found(
        &LOW_AND_HIGH,
        &[
            ("low/mod.rs", "pub mod a; pub mod b; pub mod e;"),
            ("low/a.rs", "use super::b::B;"),
            ("low/b.rs", "use super::e::E;"),
            ("low/e.rs", "use super::a::A;"),
        ],
    );
    says(&faults, &["low/a.rs:1", "low/b.rs:1", "low/e.rs:1"]);
}

#[test]
fn folders_that_use_each_other_are_a_fault_if_no_files_do() {
    let plan = Plan {
        floors: &[&["low"]],
        ..LOW_AND_HIGH
    };
    let faults = found(
        &plan,
        &[
            ("lib.rs", "mod low;"),
            ("low/mod.rs", "pub mod a; pub mod b; pub mod in_it;"),
            ("low/a.rs", "use super::in_it::x;"),
            ("low/in_it/mod.rs", "pub mod x; pub mod y;"),
            ("low/in_it/x.rs", ""),
            ("low/in_it/y.rs", "use crate::low::b::B;"),
            ("high/mod.rs", ""),
            ("high/c.rs", ""),
            ("high/d.rs", ""),
        ],
    );
    let circle = faults.iter().find(|f| f.starts_with("folders"));
    let circle = circle.expect("a circle of folders");
    assert!(circle.contains("low/a.rs:1: `super::in_it::x`"), "{circle}");
    assert!(circle.contains("low/in_it/y.rs:1"), "{circle}");
    assert!(!faults.iter().any(|f| f.starts_with("files")));
}
