// SPDX-License-Identifier: GPL-2.0-only
//! The table of results that a command ends with.

use std::fmt;

use comfy_table::{presets, ContentArrangement, Table};

/// How a row came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// As it must be.
    Pass,
    /// Not so.
    Fail,
    /// Shown for information, not counted.
    Info,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Info => "info",
        })
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What was looked at.
    pub(crate) name: String,
    /// How it came out.
    pub(crate) status: Status,
    /// What was seen.
    pub(crate) detail: String,
}

impl Row {
    /// A row that passes with an `Ok` and fails with an `Err`, each saying what was seen.
    pub(crate) fn of(name: &str, result: Result<String, String>) -> Self {
        let (status, detail) = match result {
            Ok(detail) => (Status::Pass, detail),
            Err(detail) => (Status::Fail, detail),
        };
        Self {
            name: name.to_owned(),
            status,
            detail,
        }
    }

    /// A row that is not counted.
    pub(crate) fn info(name: &str, detail: String) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Info,
            detail,
        }
    }
}

/// Is there no failure among them?
pub(crate) fn all_passed(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.status != Status::Fail)
}

/// An error that names the rows that failed, if any did.
pub(crate) fn none_failed(rows: &[Row]) -> Result<(), String> {
    let failed = rows.iter().filter(|row| row.status == Status::Fail);
    let failed: Vec<&str> = failed.map(|row| row.name.as_str()).collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")))
    }
}

/// Prints the rows and how many passed, which is how a comparison ends; true when none failed.
pub(crate) fn conclude(title: &str, rows: &[Row]) -> bool {
    print(title, rows);
    let count = |status| rows.iter().filter(|row| row.status == status).count();
    print_count(count(Status::Pass), count(Status::Fail));
    all_passed(rows)
}

/// The last line of a table.
pub(crate) fn print_count(passed: usize, failed: usize) {
    println!("{passed} passed, {failed} failed");
}

/// Prints the rows to stdout.
pub(crate) fn print(title: &str, rows: &[Row]) {
    let cells = rows
        .iter()
        .map(|row| [row.name.clone(), row.status.to_string(), row.detail.clone()]);
    print_columns([title, "", ""], cells);
}

/// Prints a table of any number of columns to stdout.
pub(crate) fn print_columns<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if table.width().is_none() {
        // Not a terminal: a width at which a line stays a line in most logs.
        table.set_width(110);
    }
    for row in rows {
        table.add_row(row);
    }
    println!("{table}");
}
