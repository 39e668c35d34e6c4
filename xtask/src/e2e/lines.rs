// SPDX-License-Identifier: GPL-2.0-only
//! The final table: the C and the Rust side by side.

use super::scenario::Verdict;
use crate::base::table;

/// One line of the final table.
pub(super) struct Line {
    pub(super) title: String,
    pub(super) c: String,
    pub(super) rust: String,
    pub(super) verdict: Verdict,
}

/// Prints them all, and how many passed.
pub(super) fn print(lines: &[Line]) {
    let rows = lines.iter().map(|line| {
        [
            line.title.clone(),
            line.c.clone(),
            line.rust.clone(),
            line.verdict.text(),
        ]
    });
    table::print_columns(["End to end", "C", "Rust", ""], rows);
    let passed = lines.iter().filter(|line| line.verdict.passed()).count();
    table::print_count(passed, lines.len() - passed);
}
