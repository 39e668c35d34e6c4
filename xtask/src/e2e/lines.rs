// SPDX-License-Identifier: GPL-2.0-only
//! The final table: the C and the Rust side by side.

use super::scenario::Verdict;
use crate::base::table::{self, Row};

/// One line of the final table.
pub(super) struct Line {
    pub(super) title: String,
    pub(super) c: String,
    pub(super) rust: String,
    pub(super) verdict: Verdict,
}

impl Line {
    /// The verdict as a row, which has what both did where it is a failure.
    fn row(&self) -> Row {
        let seen = match &self.verdict {
            Verdict::Fail(who) => Err(format!("{who}; C: {}; Rust: {}", self.c, self.rust)),
            passed => Ok(passed.text()),
        };
        Row::of(&self.title, seen)
    }
}

/// Prints them all, those that failed once more, and how many passed.
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
    let rows: Vec<Row> = lines.iter().map(Line::row).collect();
    table::print_closing(rows.iter());
}
