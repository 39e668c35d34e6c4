// SPDX-License-Identifier: GPL-2.0-only
//! The list of rules is true: each has a checker, and is broken by hand.

#![allow(clippy::unwrap_used)] // a test may stop on the spot

use std::path::Path;

/// The ids in the table of `src/lib.rs`.
fn listed() -> Vec<&'static str> {
    include_str!("../src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next())
        .filter(|id| id.len() < 4 && id.ends_with(|c: char| c.is_ascii_digit()))
        .collect()
}

/// All sources in a folder whose names begin so.
fn sources(folder: &str, prefix: &str) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../test-harness")).join(folder);
    let mut text = String::new();
    for entry in std::fs::read_dir(root).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            text += &sources(&format!("{folder}/{name}"), prefix);
        } else if name.starts_with(prefix) && name.ends_with(".rs") {
            text += &std::fs::read_to_string(entry.path()).unwrap();
        }
    }
    text
}

#[test]
fn each_rule_has_a_checker_and_is_broken_by_hand() {
    let checkers = sources("src", "");
    // V3 is broken by abuse A8.
    let tests = sources("tests", "checkers_") + &sources("tests", "altp2m_states");
    let rules = listed();
    assert!(rules.len() > 25, "{rules:?}");
    for rule in rules {
        let noted = [format!("\"{rule}\""), format!("\"{rule}: ")];
        let found_in = |text: &str| noted.iter().any(|note| text.contains(note.as_str()));
        assert!(found_in(&checkers), "{rule} has no checker");
        assert!(found_in(&tests), "{rule} is never broken");
    }
}
