// SPDX-License-Identifier: GPL-2.0-only
//! What another compiler of the Rust code changes: the same rows, counted with the oldest and the newest
//! that this Debian offers.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::bounds;
use super::columns::{self, shown, INSTRUCTIONS};
use super::counts::Counted;
use super::machine::{self, Request};
use super::report::Pair;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::host::debian_rust;
use crate::xen::build::{self, BuiltXen};

/// From how much on a difference is told.
const PERCENT: f64 = 3.0;

/// The rows with one compiler.
#[derive(Debug)]
pub(super) struct Other {
    rustc: String,
    rows: Vec<Counted>,
}

/// Counts the Rust p2m with each of Debian's compilers that has not built it. The tree is left with the last one's
/// archive, which the next build replaces.
pub(super) fn others(
    paths: &Paths,
    progress: Progress,
    rust: &BuiltXen,
    request: Request<'_>,
    dir: &Path,
) -> Result<Vec<Other>> {
    let own = rust.rustc()?;
    let mut all = Vec::new();
    for toolchain in debian_rust::extremes(paths, progress)? {
        if toolchain.version == own {
            continue;
        }
        lock::alone(paths, progress, || {
            build::rebuild(paths, progress, rust, &toolchain)
        })?;
        let rows = lock::booting(dir, || machine::run(progress, rust, request, dir))?;
        let rustc = rust.rustc()?;
        bounds::check(&rustc, &rows)?;
        all.push(Other { rustc, rows });
    }
    Ok(all)
}

/// A table of the rows that differ, for each compiler.
pub(super) fn text(pairs: &[Pair], own: &str, others: &[Other]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if others.is_empty() {
        let _ = writeln!(
            text,
            "This Debian offers no other compiler to compare with."
        );
    }
    for other in others {
        let differing: Vec<(&str, f64, f64)> = pairs
            .iter()
            .filter_map(|pair| {
                let row = other.rows.iter().find(|row| row.name == pair.name())?;
                let ours = INSTRUCTIONS.per_call(&pair.rust)?;
                let theirs = INSTRUCTIONS.per_call(row)?;
                let percent = (theirs / ours - 1.0).abs() * 100.0;
                (ours > 0.0 && percent > PERCENT).then_some((pair.name(), ours, theirs))
            })
            .collect();
        let mean = mean(pairs, other);
        let _ = writeln!(
            text,
            "With {} the Rust p2m executes {} % of the instructions (geometric mean of all rows); these rows \
             differ by more than {PERCENT} %:\n",
            other.rustc,
            shown((mean * 1000.0).round() / 10.0)
        );
        if differing.is_empty() {
            let _ = writeln!(text, "none.\n");
            continue;
        }
        let _ = writeln!(
            text,
            "| operation | {own} | {} | |\n|---|--:|--:|--:|",
            short(&other.rustc)
        );
        for (name, ours, theirs) in differing {
            let percent = (theirs / ours - 1.0) * 100.0;
            let _ = writeln!(
                text,
                "| `{name}` | {} | {} | {percent:+.0} % |",
                shown(ours),
                shown(theirs)
            );
        }
        text.push('\n');
    }
    text
}

/// `rustc 1.85.0` without the commit.
pub(super) fn short(version: &str) -> &str {
    version.split(" (").next().unwrap_or(version)
}

fn mean(pairs: &[Pair], other: &Other) -> f64 {
    let logs: Vec<f64> = pairs
        .iter()
        .filter_map(|pair| {
            let row = other.rows.iter().find(|row| row.name == pair.name())?;
            let (ours, theirs) = (
                INSTRUCTIONS.per_call(&pair.rust)?,
                INSTRUCTIONS.per_call(row)?,
            );
            (ours > 0.0 && theirs > 0.0).then(|| (theirs / ours).ln())
        })
        .collect();
    let count = i64::try_from(logs.len()).unwrap_or(i64::MAX).max(1);
    (logs.iter().sum::<f64>() / columns::float(count)).exp()
}

#[cfg(test)]
mod tests {
    use super::{text, Other};
    use crate::bench::counts::Counted;
    use crate::bench::report::Pair;

    fn row(name: &str, instructions: i64) -> Counted {
        Counted {
            name: name.to_owned(),
            calls: 1,
            numbers: [("insn".to_owned(), instructions)].into(),
        }
    }

    #[test]
    fn only_rows_that_differ_are_told() {
        let pair = |name: &str| Pair {
            c: row(name, 500),
            rust: row(name, 100),
        };
        let other = Other {
            rustc: "rustc 1.85.0 (x)".to_owned(),
            rows: vec![row("same", 102), row("more", 104), row("less", 50)],
        };
        let pairs = [pair("same"), pair("more"), pair("less")];
        let said = text(&pairs, "rustc 1.96.0", &[other]);
        assert!(said.contains("| `more` | 100 | 104 | +4 % |"), "{said}");
        assert!(said.contains("| `less` | 100 | 50 | -50 % |"), "{said}");
        assert!(!said.contains("same"), "{said}");
        assert!(text(&pairs, "rustc 1.96.0", &[]).contains("no other compiler"));
    }
}
