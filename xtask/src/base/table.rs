// SPDX-License-Identifier: GPL-2.0-only
//! The table of results that a command ends with.

use std::fmt;
use std::time::{Duration, Instant};

use comfy_table::{presets, ContentArrangement, Table};
use console::Term;

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

    /// A row that failed, as one line of a log.
    fn failure(&self) -> String {
        format!("{}: {}: {}", self.status, self.name, self.detail)
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
    print_closing(rows.iter());
    all_passed(rows)
}

/// What comes below a table: its failures once more, since a reader of a log begins at its end, and how many
/// rows passed.
pub(crate) fn print_closing<'a>(rows: impl Iterator<Item = &'a Row>) {
    for line in closing(rows) {
        println!("{line}");
    }
}

fn closing<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<String> {
    let (mut passed, mut lines) = (0, Vec::new());
    for row in rows {
        match row.status {
            Status::Pass => passed += 1,
            Status::Fail => lines.push(row.failure()),
            Status::Info => {}
        }
    }
    lines.push(format!("{passed} passed, {} failed", lines.len()));
    lines
}

/// Minutes, to the tenth.
pub(crate) fn minutes(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64() / 60.0)
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
        self.take(rows.into_iter().map(|row| (row, took.take())));
    }

    /// Rows that know their time.
    pub(crate) fn add_timed(&mut self, rows: impl IntoIterator<Item = (Row, Duration)>) {
        self.take(rows.into_iter().map(|(row, took)| (row, Some(took))));
    }

    /// A failure is told at once: the table comes much later, or never if somebody ends the run.
    fn take(&mut self, rows: impl Iterator<Item = (Row, Option<Duration>)>) {
        for (row, took) in rows {
            if row.status == Status::Fail {
                eprintln!("{}", row.failure());
            }
            self.rows.push((row, took));
        }
        self.since = Instant::now();
    }

    /// Prints them, with their minutes, how long it took in all, and how many passed; true when none failed.
    pub(crate) fn conclude(&self, title: &str) -> bool {
        let cells = self.rows.iter().map(|(row, took)| {
            let took = took.map_or_else(String::new, minutes);
            let status = row.status.to_string();
            [row.name.clone(), status, took, row.detail.clone()]
        });
        let all = format!("{} min in all", minutes(self.begin.elapsed()));
        print_columns([title, "", "min", &all], cells);
        let rows = || self.rows.iter().map(|(row, _)| row);
        print_closing(rows());
        rows().all(|row| row.status != Status::Fail)
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
    // Without a terminal a width at which a line stays a line in most logs.
    let width = Term::stdout()
        .size_checked()
        .map_or(110, |(_, columns)| columns);
    table.set_width(width);
    for row in rows {
        table.add_row(row);
    }
    println!("{table}");
}

#[cfg(test)]
mod tests {
    use super::{closing, minutes, Row, Timed};
    use std::time::Duration;

    #[test]
    fn failures_are_named_below_the_table_and_the_last_line_counts() {
        let rows = [
            Row::of("lints", Ok("clean".to_owned())),
            Row::of("boot", Err("no dom0".to_owned())),
            Row::info("compilers", String::new()),
        ];
        let lines = closing(rows.iter());
        assert_eq!(lines, ["FAIL: boot: no dom0", "1 passed, 1 failed"]);
    }

    #[test]
    fn the_first_row_of_a_run_has_its_time() {
        let mut timed = Timed::start();
        let row = |name: &str| Row::info(name, String::new());
        timed.add([row("a"), row("b")]);
        timed.add_timed([(row("c"), Duration::from_secs(90))]);
        let times: Vec<bool> = timed.rows.iter().map(|(_, took)| took.is_some()).collect();
        assert_eq!(times, [true, false, true]);
        let last = timed.rows.last().and_then(|(_, took)| took.map(minutes));
        assert_eq!(last.as_deref(), Some("1.5"));
    }
}
