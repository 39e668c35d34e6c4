// SPDX-License-Identifier: GPL-2.0-only
//! Wrong sources, planted one a rule: each must be noticed, and its correct twin must not.

mod arrows;
mod circles;
mod methods;

use crate::plan::{Plan, MOST_FILES, MOST_FOLDERS};
use crate::rules;
use crate::sources::Sources;

const LOW_AND_HIGH: Plan = Plan {
    name: "planted",
    folder: "planted/src",
    floors: &[&["low"], &["high"]],
    extended: &[],
};

const ROOT: &str = "mod low; mod high;";

/// What is found in files of a crate with the folders `low` and `high`.
fn found(plan: &Plan, files: &[(&str, &str)]) -> Vec<String> {
    let has = |wanted: &str| files.iter().any(|(path, _)| *path == wanted);
    let mut all = files.to_vec();
    let empty = [
        ("lib.rs", ROOT),
        ("low/mod.rs", "pub mod a; pub mod b;"),
        ("low/a.rs", ""),
        ("low/b.rs", ""),
        ("high/mod.rs", "pub mod c; pub mod d;"),
        ("high/c.rs", ""),
        ("high/d.rs", ""),
    ];
    all.extend(empty.into_iter().filter(|(path, _)| !has(path)));
    rules::faults(plan, &Sources::planted(&all))
}

/// Exactly one fault, which says all of this.
#[track_caller]
fn says(faults: &[String], parts: &[&str]) {
    assert_eq!(faults.len(), 1, "{faults:#?}");
    for part in parts {
        assert!(faults[0].contains(part), "{part} is not in {faults:#?}");
    }
}

#[track_caller]
fn nothing(faults: &[String]) {
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_file_that_the_plan_does_not_know_is_a_fault() {
    let faults = found(
        &LOW_AND_HIGH,
        &[
            ("lib.rs", "mod low; mod high; mod loose;"),
            ("loose.rs", "use crate::high::c::C;"),
        ],
    );
    says(&faults, &["planted/src/loose.rs stands on no floor"]);
}

#[test]
fn a_file_that_no_module_names_is_a_fault() {
    let faults = found(&LOW_AND_HIGH, &[("low/left.rs", "")]);
    says(&faults, &["planted/src/low/left.rs is not compiled"]);
}

#[test]
fn a_room_that_is_gone_is_a_fault_of_the_plan() {
    let plan = Plan {
        floors: &[&["low"], &["middle"], &["high"]],
        ..LOW_AND_HIGH
    };
    says(&found(&plan, &[]), &["planted/src/middle does not exist"]);
}

/// A crate with some files in `low`, and some folders there.
fn crowded(files: usize, folders: usize) -> Vec<String> {
    let names: Vec<(String, String)> = (0..files)
        .map(|n| (format!("m{n}"), format!("low/m{n}.rs")))
        .chain((0..folders).map(|n| (format!("f{n}"), format!("low/f{n}/mod.rs"))))
        .collect();
    let declared: String = names
        .iter()
        .map(|(name, _)| format!("mod {name};"))
        .collect();
    let mut all = vec![("lib.rs", "mod low;"), ("low/mod.rs", declared.as_str())];
    all.extend(names.iter().map(|(_, path)| (path.as_str(), "")));
    let plan = Plan {
        floors: &[&["low"]],
        ..LOW_AND_HIGH
    };
    rules::faults(&plan, &Sources::planted(&all))
}

#[test]
fn a_folder_with_too_many_files_is_a_fault() {
    // mod.rs is one of them.
    nothing(&crowded(MOST_FILES - 1, 0));
    says(&crowded(MOST_FILES, 0), &["planted/src/low has 13 files"]);
}

#[test]
fn a_folder_with_too_many_folders_is_a_fault() {
    nothing(&crowded(1, MOST_FOLDERS));
    says(
        &crowded(1, MOST_FOLDERS + 1),
        &["planted/src/low has 9 folders"],
    );
}
