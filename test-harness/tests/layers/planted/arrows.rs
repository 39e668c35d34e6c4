// SPDX-License-Identifier: GPL-2.0-only
//! Arrows: what is one, and where it may lead.

use super::{found, nothing, says, LOW_AND_HIGH};
use crate::plan::Plan;

#[test]
fn an_arrow_down_is_no_fault() {
    nothing(&found(
        &LOW_AND_HIGH,
        &[
            ("high/c.rs", "use crate::low::a::A;\nuse super::d::D;"),
            ("lib.rs", "mod low; mod high; pub use high::c; use low::a;"),
        ],
    ));
}

#[test]
fn a_use_line_that_leads_up_is_a_fault() {
    let faults = found(
        &LOW_AND_HIGH,
        &[("low/a.rs", "// first line\nuse crate::high::c::C;")],
    );
    says(
        &faults,
        &[
            "planted/src/low/a.rs:2: `crate::high::c::C` leads to high/c.rs",
            "up from floor 0 (low) to floor 1 (high)",
            "move what both need",
        ],
    );
}

#[test]
fn every_way_to_write_a_path_is_an_arrow() {
    for text in [
        "use crate::{low::b::B, high::{d, c::C}};",
        "use super::super::high::c as other;",
        "pub use crate::high::c::C;",
        "use crate::high::c::*;",
        "fn f() { crate::high::c::g() }",
        "fn f() { use crate::high::c; }",
        "fn f(x: crate::high::c::C) {}",
        "fn f() -> Vec<crate::high::c::C> { Vec::new() }",
        "fn f() { println!(\"{}\", 1 + crate::high::c::ONE) }",
        "fn f() { crate::high::c::shout!() }",
        "macro_rules! m { () => { vec![crate::high::c::C] } }",
        "macro_rules! m { () => { $crate::high::c::C } }",
        "mod inner { use super::super::super::high::c::C; }",
        "use crate::high; fn f() { high::c::g() }",
        "impl crate::high::c::Speaks for u8 {}",
    ] {
        let faults = found(&LOW_AND_HIGH, &[("low/a.rs", text)]);
        let names_it = faults.iter().any(|f| f.contains("leads to high/c.rs"));
        assert!(names_it, "{text}: {faults:#?}");
    }
}

#[test]
fn what_is_compiled_for_tests_alone_is_no_arrow() {
    nothing(&found(
        &LOW_AND_HIGH,
        &[
            (
                "low/a.rs",
                "#[cfg(test)] use crate::high::c::C;\n#[cfg(all(unix, test))] use crate::high::d;\n#[cfg(test)] mod tests { use crate::high::c; }",
            ),
            ("low/mod.rs", "pub mod a; pub mod b; #[cfg(test)] mod t;"),
            ("low/t.rs", "use crate::high::c::C;"),
        ],
    ));
}

#[test]
fn an_exported_macro_may_name_what_the_crate_hands_out() {
    nothing(&found(
        &LOW_AND_HIGH,
        &[(
            "low/a.rs",
            "macro_rules! m { () => { $crate::call($crate::Thing::from(1)) } }",
        )],
    ));
}

#[test]
fn what_another_condition_compiles_is_an_arrow() {
    for condition in [
        "not(test)",
        "xen_c",
        "any(test, xen_c)",
        "feature = \"test\"",
    ] {
        let text = format!("#[cfg({condition})] use crate::high::c::C;");
        let faults = found(&LOW_AND_HIGH, &[("low/a.rs", text.as_str())]);
        says(&faults, &["leads to high/c.rs"]);
    }
}

#[test]
fn a_declaration_and_a_visibility_are_no_arrows() {
    nothing(&found(
        &LOW_AND_HIGH,
        &[(
            "low/a.rs",
            "pub(super) fn f() {} pub(in crate::low) fn g() {}",
        )],
    ));
}

#[test]
fn rooms_of_one_floor_do_not_know_each_other() {
    let plan = Plan {
        floors: &[&["low", "high"]],
        ..LOW_AND_HIGH
    };
    let faults = found(&plan, &[("high/c.rs", "use crate::low::a::A;")]);
    says(
        &faults,
        &["planted/src/high/c.rs:1", "rooms of the same floor"],
    );
}

#[test]
fn the_root_stands_above_all_floors() {
    let faults = found(&LOW_AND_HIGH, &[("low/a.rs", "use crate::Thing;")]);
    says(&faults, &["the crate's root, which stands above it"]);
}

#[test]
fn the_programs_of_a_crate_may_use_its_library() {
    nothing(&found(
        &LOW_AND_HIGH,
        &[("main.rs", "use planted::high::c; fn main() { c::run() }")],
    ));
}

#[test]
fn a_module_may_say_which_file_it_is() {
    let faults = found(
        &LOW_AND_HIGH,
        &[
            (
                "low/mod.rs",
                "pub mod a; pub mod b; #[path = \"e.rs\"] mod other;",
            ),
            ("low/e.rs", "use crate::high::c::C;"),
        ],
    );
    says(&faults, &["planted/src/low/e.rs:1", "up from floor 0"]);
}
