// SPDX-License-Identifier: GPL-2.0-only
//! The table of results that a command ends with.

use std::fmt;
use std::time::{Duration, Instant};

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

/// Minutes, to the tenth.
pub(crate) fn minutes(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64() / 60.0)
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

/// Rows, and how long each took. Of several that come from one run the first has the time of all.
#[derive(Debug)]
pub(crate) struct Timed {
    rows: Vec<(Row, Option<Duration>)>,
    since: Instant,
    begin: Instant,
}

impl Timed {
    /// The clock goes from here.
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self {
            rows: Vec::new(),
            since: now,
            begin: now,
        }
    }

    /// Rows of what was done since the last ones.
    pub(crate) fn add(&mut self, rows: impl IntoIterator<Item = Row>) {
        let mut took = Some(self.since.elapsed());
        let rows = rows.into_iter().map(|row| (row, took.take()));
        self.rows.extend(rows);
        self.since = Instant::now();
    }

    /// Rows that know their time.
    pub(crate) fn add_timed(&mut self, rows: impl IntoIterator<Item = (Row, Duration)>) {
        let rows = rows.into_iter().map(|(row, took)| (row, Some(took)));
        self.rows.extend(rows);
        self.since = Instant::now();
    }

    /// How many came out so.
    pub(crate) fn count(&self, status: Status) -> usize {
        let rows = self.rows.iter();
        rows.filter(|(row, _)| row.status == status).count()
    }

    /// Prints them, with their minutes, and how long it took in all.
    pub(crate) fn print(&self, title: &str) {
        let cells = self.rows.iter().map(|(row, took)| {
            let took = took.map_or_else(String::new, minutes);
            let status = row.status.to_string();
            [row.name.clone(), status, took, row.detail.clone()]
        });
        let all = format!("{} min in all", minutes(self.begin.elapsed()));
        print_columns([title, "", "min", &all], cells);
    }
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

#[cfg(test)]
mod tests {
    use super::{minutes, Row, Status, Timed};
    use std::time::Duration;

    #[test]
    fn the_first_row_of_a_run_has_its_time() {
        let mut timed = Timed::start();
        let row = |name: &str| Row::info(name, String::new());
        timed.add([row("a"), row("b")]);
        timed.add_timed([(row("c"), Duration::from_secs(90))]);
        let times: Vec<bool> = timed.rows.iter().map(|(_, took)| took.is_some()).collect();
        assert_eq!(times, [true, false, true]);
        assert_eq!(timed.count(Status::Info), 3);
        let last = timed.rows.last().and_then(|(_, took)| took.map(minutes));
        assert_eq!(last.as_deref(), Some("1.5"));
    }
}
