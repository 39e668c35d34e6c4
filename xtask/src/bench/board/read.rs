// SPDX-License-Identifier: GPL-2.0-only
//! `cargo xtask image --read`: from what a board printed to the tables.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};

use super::log::{self, Boot};
use super::report::{self, Pair};
use super::rows;
use super::verdict;
use crate::base::cli::P2m;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::table::{self, Row};

/// How many damaged lines are shown.
const SHOWN: usize = 5;

/// What came of some logs.
#[derive(Debug)]
pub(super) struct Reading {
    /// What was found, and whether it is as it must be.
    pub(super) rows: Vec<Row>,
    /// What the numbers are.
    pub(super) head: Option<String>,
    /// The benchmark.
    pub(super) pairs: Vec<Pair>,
    /// Nanoseconds of the timer's tick.
    pub(super) tick: Option<f64>,
}

/// Reads, prints, and keeps every number; true when all is as it must be.
pub(super) fn run(paths: &Paths, logs: &[PathBuf]) -> Result<bool> {
    let reading = read(logs)?;
    if !reading.pairs.is_empty() {
        if let Some(head) = &reading.head {
            println!("{head}\n");
        }
        println!("{}", report::table(&reading.pairs, reading.tick));
        if let Some(means) = report::means(&reading.pairs) {
            println!("{means}\n");
        }
        let tsv = paths.target().join("image/counts.tsv");
        if let Some(dir) = tsv.parent() {
            files::create_dir(dir)?;
        }
        files::write(&tsv, report::tsv(&reading.pairs))?;
        println!("Each run's numbers: {}", tsv.display());
    }
    Ok(table::conclude("What the board printed", &reading.rows))
}

/// Reads files.
pub(super) fn read(logs: &[PathBuf]) -> Result<Reading> {
    let mut boots = Vec::new();
    for file in logs {
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        boots.extend(found(file, &bytes)?);
    }
    reading(boots)
}

/// The boots in a file; it must have one.
pub(super) fn found(file: &Path, bytes: &[u8]) -> Result<Vec<Boot>> {
    let name = file.display().to_string();
    let boots = log::boots(&name, bytes);
    ensure!(
        !boots.is_empty(),
        "{name} has no line of the tests (`p2m-board: ...` and the like): is it the console's log, and did Xen get the \
         arguments that the folder's README.md has?"
    );
    let damaged: Vec<&(usize, String)> = boots.iter().flat_map(|boot| &boot.damaged).collect();
    if boots
        .iter()
        .all(|boot| boot.board.is_empty() && boot.rows.is_empty())
    {
        if let Some((line, text)) = damaged.first() {
            bail!(
                "{name}, line {line}: `{text}` does not end with the sum of its characters, as no line here does: give Xen \
                 p2m-board=5 on its command line, or look for what the cable or the capturing program changes"
            );
        }
    }
    Ok(boots)
}

/// The boot that counts: the last that went to its end, or else the last.
fn chosen(boots: &[Boot], p2m: P2m) -> Option<&Boot> {
    let mut of_it = boots.iter().rev().filter(|boot| boot.p2m == Some(p2m));
    let last = of_it.clone().next();
    of_it.find(|boot| boot.is_complete()).or(last)
}

/// What the boots come to.
pub(super) fn reading(boots: Vec<Boot>) -> Result<Reading> {
    let (c, rust) = (chosen(&boots, P2m::C), chosen(&boots, P2m::Rust));
    let mut rows = Vec::new();
    let Some(any) = rust.or(c) else {
        let place = boots.first().map(Boot::place).unwrap_or_default();
        bail!(
            "{place}: which p2m this was is not known, since the lines that say so (`p2m-board: start`, `p2m-board: end`) are \
             damaged or missing: boot it again"
        );
    };
    rows.push(Row::info("board", report::machine(any)));
    for (name, boot) in [("C", c), ("Rust", rust)] {
        rows.push(match boot {
            None => Row::info(
                name,
                "no log of it: there is nothing to compare with".to_owned(),
            ),
            Some(boot) => Row::of(name, whole(boot)),
        });
        rows.extend(boot.and_then(damage));
    }
    rows.extend(others(&boots, [c, rust]));
    if let (Some(c), Some(rust)) = (c, rust) {
        rows.extend(same_board(c, rust));
        rows.push(match (c.has_selftest(), rust.has_selftest()) {
            (false, false) => Row::info("self-test", "was not asked for".to_owned()),
            _ => Row::of("self-test", verdict::agreement(c, rust)),
        });
    } else if any.has_selftest() {
        let judged = match any.selftest().failure() {
            Some(failure) => Err(failure),
            None => Ok("came to its end; whether it agrees, the other log tells".to_owned()),
        };
        rows.push(Row::of("self-test", judged));
    }
    let of = |boot: Option<&Boot>| boot.map_or(Ok(Vec::new()), rows::measured);
    let pairs = report::pairs(of(c)?, of(rust)?);
    if !pairs.is_empty() && c.is_some() && rust.is_some() {
        rows.push(Row::of("benchmark", all_there(&pairs)));
    }
    Ok(Reading {
        head: Some(report::what_they_are(any)),
        tick: report::tick(any),
        rows,
        pairs,
    })
}

/// Did it go to its end, and what of it arrived?
fn whole(boot: &Boot) -> Result<String, String> {
    let place = boot.place();
    if let Some((line, what)) = &boot.crash {
        return Err(format!("{}, line {line}: {what}", boot.log));
    }
    if !boot.ended {
        return Err(format!(
            "{place}: the last line (`p2m-board: end`) is missing: the board stopped, was restarted, or the capture ended too \
             early; boot it again"
        ));
    }
    let version = boot.version.as_deref().unwrap_or("?");
    let version = version.split(' ').next().unwrap_or("?");
    match boot.rows_printed {
        Some(printed) if printed > boot.rows.len() => Ok(format!(
            "Xen {version}; {} of {printed} lines of the benchmark arrived ({place})",
            boot.rows.len()
        )),
        Some(printed) => Ok(format!(
            "Xen {version}; {printed} lines of the benchmark ({place})"
        )),
        None => Ok(format!("Xen {version} ({place})")),
    }
}

/// The lines that did not arrive whole.
fn damage(boot: &Boot) -> Option<Row> {
    let count = boot.damaged.len();
    if count == 0 {
        return None;
    }
    let mut text = format!("{}: {count} lines are damaged, and left out:", boot.log);
    for (line, what) in boot.damaged.iter().take(SHOWN) {
        let start: String = what.chars().take(60).collect();
        text.push_str(&format!("\nline {line}: {start}"));
    }
    if count > SHOWN {
        text.push_str("\n...");
    }
    Some(Row::info("", text))
}

/// The boots that do not count.
fn others(boots: &[Boot], chosen: [Option<&Boot>; 2]) -> Vec<Row> {
    let is_chosen = |boot: &Boot| {
        let mut chosen = chosen.iter().flatten();
        chosen.any(|one| one.log == boot.log && one.line == boot.line)
    };
    let left = boots.iter().filter(|boot| !is_chosen(boot));
    left.map(|boot| {
        let how = if boot.is_complete() {
            "an earlier one"
        } else {
            "it did not go to its end"
        };
        Row::info(
            "not used",
            format!("{}, {}: {how}", boot.name(), boot.place()),
        )
    })
    .collect()
}

/// Were both on one board, and of one Xen?
fn same_board(c: &Boot, rust: &Boot) -> Option<Row> {
    let mut differs: Vec<String> = Vec::new();
    for key in ["midr", "timer", "cpus", "debug", "runs"] {
        // Of a damaged line nothing is known.
        if let (Some(a), Some(b)) = (c.board.get(key), rust.board.get(key)) {
            if a != b {
                differs.push(format!("{key} is {a} and {b}"));
            }
        }
    }
    if let (Some(a), Some(b)) = (&c.model, &rust.model) {
        if a != b {
            differs.push(format!("the model is {a} and {b}"));
        }
    }
    (!differs.is_empty()).then(|| {
        let text = format!(
            "C and Rust ran on different machines, or with different arguments: {}",
            differs.join(", ")
        );
        Row::of("same board", Err(text))
    })
}

/// Has each row come from both?
fn all_there(pairs: &[Pair]) -> Result<String, String> {
    let missing: Vec<String> = pairs
        .iter()
        .filter_map(|pair| match (&pair.c, &pair.rust) {
            (Some(_), Some(_)) => None,
            (None, _) => Some(format!("{} is missing from the C's log", pair.name)),
            (_, None) => Some(format!("{} is missing from the Rust's log", pair.name)),
        })
        .collect();
    if missing.is_empty() {
        Ok(format!("{} rows", pairs.len()))
    } else {
        Err(format!("{}: boot that one again", missing.join("; ")))
    }
}
