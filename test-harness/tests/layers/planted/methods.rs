// SPDX-License-Identifier: GPL-2.0-only
//! Methods that stand far from their type.

use super::{found, nothing, says, LOW_AND_HIGH};
use crate::plan::{Extension, Plan};

#[test]
fn methods_in_another_folder_than_their_type_are_a_fault() {
    let faults = found(
        &LOW_AND_HIGH,
        &[
            ("low/a.rs", "pub struct A<T>(T);"),
            (
                "high/c.rs",
                "use crate::low::a::A;\nimpl<T> A<T> { fn f() {} }",
            ),
        ],
    );
    says(
        &faults,
        &[
            "planted/src/high/c.rs:2: `impl A` stands in another folder",
            "planted/src/low/a.rs",
        ],
    );
}

#[test]
fn methods_are_found_through_what_hands_the_type_on() {
    let faults = found(
        &LOW_AND_HIGH,
        &[
            ("low/a.rs", "pub enum A {}"),
            (
                "low/mod.rs",
                "pub mod a; pub mod b; pub use a::A as Renamed;",
            ),
            ("high/c.rs", "impl crate::low::Renamed { fn f() {} }"),
        ],
    );
    says(&faults, &["`impl Renamed` stands in another folder"]);
}

#[test]
fn methods_beside_the_type_and_traits_anywhere_are_no_fault() {
    nothing(&found(
        &LOW_AND_HIGH,
        &[
            ("low/a.rs", "pub struct A;"),
            ("low/b.rs", "use super::a::A; impl A { fn f() {} }"),
            (
                "high/c.rs",
                "use crate::low::a::A; impl Clone for A { fn clone(&self) -> A { A } }",
            ),
        ],
    ));
}

#[test]
fn an_extension_is_listed_with_its_reason_or_is_a_fault() {
    let files = [
        ("low/a.rs", "pub struct A;"),
        ("high/c.rs", "use crate::low::a::A; impl A { fn f() {} }"),
    ];
    let plan = |reason| Plan {
        extended: Box::leak(Box::new([Extension {
            name: "A",
            folder: "high",
            reason,
        }])),
        ..LOW_AND_HIGH
    };
    nothing(&found(&plan("a reason"), &files));
    says(
        &found(&plan(""), &files),
        &["does not say why high extends A"],
    );
    says(
        &found(&plan("a reason"), &files[..1]),
        &["high has no `impl A` any more"],
    );
}
