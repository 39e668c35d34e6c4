// SPDX-License-Identifier: GPL-2.0-only
//! `cargo xtask image`: the self-test and the benchmark on a board.
//!
//! `write` makes the folder that a user boots from, `read` the tables from what the board printed: by `line`, `log`, and
//! `verdict` for the self-test, `rows` and `report` for the benchmark.

mod line;
mod log;
mod read;
#[cfg(test)]
mod read_tests;
mod report;
mod rows;
mod verdict;
mod write;

use std::path::PathBuf;

use anyhow::Result;

use crate::base::cli::ImageArgs;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::Row;

pub(crate) use write::{write, README};

/// Writes, or reads.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &ImageArgs) -> Result<bool> {
    if !args.read.is_empty() {
        return read::run(paths, &args.read);
    }
    let dir = write(paths, progress, args)?;
    println!("{}\n{}.tar", dir.display(), dir.display());
    Ok(true)
}

/// What came of logs: its rows, what is said above the table, and how many rows that has.
pub(crate) fn judged(logs: &[PathBuf]) -> Result<(Vec<Row>, String, usize)> {
    let reading = read::read(logs)?;
    let head = reading.head.unwrap_or_default();
    Ok((reading.rows, head, reading.pairs.len()))
}
