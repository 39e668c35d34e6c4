// SPDX-License-Identifier: GPL-2.0-only
//! Does the comparison notice mistakes? `cargo xtask diff --host --mutation all` plants each mistake of
//! `oracle/src/edits/mutations.rs` in the C, one at a time, and each must be found.

use std::sync::atomic::AtomicU64;
use std::sync::Mutex;

use anyhow::{ensure, Result};

use super::oracle::{build, compare, Meter, Outcome};
use crate::base::cli::DiffArgs;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row};

/// Machines to look for a mistake on, one after another: one has mem_access, one a level-0 root.
const MACHINES: [&str; 2] = ["40-off-access", "48-noncoherent-plain"];

/// The table's title.
const TITLE: &str = "Mistakes planted in the C, and what gave them away";

/// Operations on each, at most.
const OPERATIONS: u64 = 80_000;

/// Plants each mistake; true when all are found, and nothing is where none is planted.
pub(super) fn run(paths: &Paths, progress: Progress, args: &DiffArgs) -> Result<bool> {
    let source = paths.root().join("oracle/src/edits/mutations.rs");
    let names = names(&files::read_text(&source)?);
    ensure!(!names.is_empty(), "{} has no mutations", source.display());
    let control = unmutated(paths, progress, args)?;
    let mut rows = vec![Row::of("no mistake", control.clone())];
    if control.is_err() {
        // Then whatever is found below says nothing.
        return Ok(table::conclude(TITLE, &rows));
    }
    for name in &names {
        let oracle = lock::alone(paths, progress, || build(paths, progress, args, Some(name)))?;
        let task = Mutex::new(progress.start(format!("Looking for the mistake `{name}`")));
        let meter = Meter {
            task: &task,
            done: AtomicU64::new(0),
            total: OPERATIONS * MACHINES.len() as u64,
        };
        let mut found = Err("no difference".to_owned());
        let mut is_planted = true;
        for machine in MACHINES {
            let dir = paths.run("diff").join(name);
            let outcome = compare(&oracle, machine, args.seed, OPERATIONS, &dir, &meter)?;
            is_planted = !outcome.list("mended").split(',').any(|id| id == name);
            if !is_planted {
                break;
            }
            if !outcome.passed {
                println!("{name} on {machine}:\n{}", outcome.details);
                found = Ok(outcome.summary);
                break;
            }
        }
        rows.push(if is_planted {
            Row::of(name, found)
        } else {
            Row::info(name, "this Xen's C has nothing of the kind".to_owned())
        });
    }
    Ok(table::conclude(TITLE, &rows))
}

/// The same comparisons with no mistake planted: all must agree, or a difference is no sign of one.
fn unmutated(paths: &Paths, progress: Progress, args: &DiffArgs) -> Result<Result<String, String>> {
    let oracle = lock::alone(paths, progress, || build(paths, progress, args, None))?;
    let task = Mutex::new(progress.start("Comparing without a mistake"));
    let meter = Meter {
        task: &task,
        done: AtomicU64::new(0),
        total: OPERATIONS * MACHINES.len() as u64,
    };
    let dir = paths.run("diff").join("no-mistake");
    let mut outcomes = Vec::new();
    for machine in MACHINES {
        let outcome = compare(&oracle, machine, args.seed, OPERATIONS, &dir, &meter)?;
        if !outcome.passed {
            println!("without a mistake, on {machine}:\n{}", outcome.details);
        }
        outcomes.push((machine, outcome));
    }
    Ok(agreed(&outcomes))
}

/// Did each machine agree, in all of its operations?
fn agreed(outcomes: &[(&str, Outcome)]) -> Result<String, String> {
    let bad = outcomes
        .iter()
        .find(|(_, outcome)| !outcome.passed || outcome.operations() == 0);
    match bad {
        Some((machine, outcome)) => Err(format!("{machine}: {}", outcome.summary)),
        None => Ok(format!(
            "{} operations agree",
            outcomes.iter().map(|(_, o)| o.operations()).sum::<u64>()
        )),
    }
}

/// The names in the table of mutations.
fn names(source: &str) -> Vec<String> {
    source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{agreed, names, Outcome};

    #[test]
    fn a_difference_without_a_mistake_is_noticed() {
        let outcome = |passed, summary: &str| Outcome {
            passed,
            summary: summary.to_owned(),
            ..Outcome::default()
        };
        let good = || ("a", outcome(true, "operations=7 fixes="));
        assert_eq!(
            agreed(&[good(), good()]),
            Ok("14 operations agree".to_owned())
        );
        for bad in [
            outcome(false, "operations=7 fixes="),
            outcome(true, "operations=0"),
            outcome(true, ""),
        ] {
            assert!(agreed(&[good(), ("b", bad)]).is_err());
        }
    }

    #[test]
    fn names_of_the_mutations() {
        let source = include_str!("../../../../oracle/src/edits/mutations.rs");
        let names = names(source);
        assert_eq!(names.len(), source.matches("    Mutation {").count());
        assert!(names.contains(&"permission".to_owned()));
    }
}
