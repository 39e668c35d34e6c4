// SPDX-License-Identifier: GPL-2.0-only
//! The Rust next to Xen's C: `cargo xtask diff --host`.
//!
//! The crate `oracle` does the work, built with the C of a pristine Xen tree, one process a
//! machine; here it is built, run on all processors, and its answers are put into a table.

mod mutation_check;
pub(super) mod oracle;
pub(crate) mod soak;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Mutex;

use anyhow::{bail, ensure, Result};

use crate::base::cli::DiffArgs;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row};
use crate::xen::image;

use self::oracle::{build, compare, Meter, Outcome};

/// The machines: every shape of root, with each kind of IOMMU, without and with mem_access.
fn machines(wanted: &[String]) -> Result<Vec<String>> {
    let all = ["32", "36", "40", "42", "44", "48"]
        .iter()
        .flat_map(|bits| {
            ["off", "coherent", "noncoherent"]
                .iter()
                .flat_map(move |iommu| {
                    ["plain", "access"].map(|access| format!("{bits}-{iommu}-{access}"))
                })
        });
    let chosen: Vec<String> = all
        .filter(|name| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())))
        .collect();
    if chosen.is_empty() {
        bail!(
            "no machine is called {}: they are like 40-noncoherent-access",
            wanted.join(" or ")
        );
    }
    Ok(chosen)
}

/// Runs the comparison and prints the table; true when all machines agreed.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &DiffArgs) -> Result<bool> {
    if args.mutation.as_deref() == Some("all") {
        return mutation_check::run(paths, progress, args);
    }
    let mutation = args.mutation.as_deref();
    let oracle = lock::alone(paths, progress, || build(paths, progress, args, mutation))?;
    if let Some(file) = &args.replay {
        let status = Command::new(&oracle).arg("replay").arg(file).status()?;
        if status.success() {
            println!("equal");
        }
        return Ok(status.success());
    }
    let names = machines(&args.machine)?;
    let results = all_machines(paths, progress, &oracle, &names, (args.seed, args.ops))?;
    let compilers = image::compilers_of_program(&oracle)?.join(", ");
    Ok(report(&names, &results, compilers))
}

/// Runs all machines, as many at once as there are processors; the operations are divided among them.
fn all_machines(
    paths: &Paths,
    progress: Progress,
    oracle: &Path,
    names: &[String],
    (seed, operations): (u64, u64),
) -> Result<BTreeMap<usize, Outcome>> {
    let share = operations.div_ceil(names.len() as u64);
    let dir = paths.run("diff");
    let task = Mutex::new(progress.start(format!(
        "Comparing {} operations on {} machines, seed {seed}",
        share * names.len() as u64,
        names.len(),
    )));
    let meter = Meter {
        task: &task,
        done: AtomicU64::new(0),
        total: share * names.len() as u64,
    };
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, Outcome>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(name) = names.get(at) else { break };
                let outcome = compare(oracle, name, seed, share, &dir, &meter);
                if let Ok(mut results) = results.lock() {
                    let outcome = outcome.unwrap_or_else(Outcome::broken);
                    results.insert(at, outcome.of_at_least(share));
                }
            });
        }
    });
    if let Ok(task) = task.into_inner() {
        task.done();
    }
    let results = results.into_inner().unwrap_or_default();
    ensure!(
        results.len() == names.len(),
        "not all machines came to an end"
    );
    Ok(results)
}

/// Prints what came of it; true when all machines agreed.
fn report(names: &[String], results: &BTreeMap<usize, Outcome>, compilers: String) -> bool {
    let mut rows = Vec::new();
    let mut used: BTreeMap<String, u64> = BTreeMap::new();
    let mut done: BTreeMap<String, u64> = BTreeMap::new();
    let mut operations = 0;
    for (name, outcome) in names.iter().zip(results.values()) {
        let agreed = outcome.operations();
        operations += agreed;
        for (list, all) in [("fixes", &mut used), ("kinds", &mut done)] {
            for (name, count) in outcome.counts(list) {
                *all.entry(name).or_default() += count;
            }
        }
        rows.push(Row::of(
            name,
            if outcome.passed {
                Ok(format!("{agreed} operations agree"))
            } else {
                Err(outcome.summary.clone())
            },
        ));
        if !outcome.passed && !outcome.details.is_empty() {
            println!("{name}:\n{}", outcome.details);
        }
    }
    rows.push(Row::info("compilers", compilers));
    rows.push(Row::info("operations that agree", operations.to_string()));
    // A part of the machines need not meet all.
    let everywhere = machines(&[]).is_ok_and(|all| all.len() == names.len());
    let met = if everywhere { operations } else { 0 };
    rows.push(all_met("operations, by kind", &done, met));
    let ids = |list| {
        let found = results.values().map(|outcome| outcome.list(list));
        found.into_iter().find(|ids| !ids.is_empty())
    };
    let (mended, without) = (ids("mended"), ids("without"));
    // What was left out cannot be met.
    used.retain(|id, _| !is_one_of(id, without.unwrap_or_default()));
    rows.push(all_met("differences on purpose, by use", &used, met));
    for (ids, name) in [
        (mended, "mended in this Xen's C already"),
        (without, "edits of the C left out"),
    ] {
        rows.extend(ids.map(|ids| Row::info(name, ids.replace(',', ", "))));
    }
    table::conclude("The Rust and Xen's C", &rows)
}

/// Whether the id is in a list such as `B1,B12`; B12 has several, B12a and so on.
fn is_one_of(id: &str, list: &str) -> bool {
    let stem = id.trim_end_matches(|c: char| c.is_ascii_lowercase());
    list.split(',').any(|one| one == id || one == stem)
}

/// So many operations on all machines together are of each kind, and come to each difference that there is: the
/// rarest was met seven times in 500,000.
const ENOUGH: u64 = 5_000_000;

/// How often each was met. What is never met is not compared, and a difference that is never met is one that nothing
/// shows to be there.
fn all_met(name: &str, used: &BTreeMap<String, u64>, operations: u64) -> Row {
    let never: Vec<&str> = used
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(fix, _)| fix.as_str())
        .collect();
    let each: Vec<String> = used.iter().map(|(fix, n)| format!("{fix} {n}")).collect();
    if operations < ENOUGH || never.is_empty() && !used.is_empty() {
        return Row::info(name, each.join(", "));
    }
    let all = if used.is_empty() { "all" } else { "" };
    Row::of(name, Err(format!("never met: {all}{}", never.join(", "))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::oracle::Outcome;
    use super::{all_met, is_one_of, machines, ENOUGH};
    use crate::base::table::all_passed;

    #[test]
    fn what_is_left_out_need_not_be_met() {
        assert!(is_one_of("B3", "B1,B3") && is_one_of("B12a", "B12") && is_one_of("B12a", "B12a"));
        assert!(!is_one_of("B3", "B1,B13") && !is_one_of("B12b", "B12a") && !is_one_of("B3", ""));
    }

    #[test]
    fn what_no_operation_meets_is_refused_where_there_are_enough() {
        let used = |count| BTreeMap::from([("B1".to_owned(), 7), ("B3".to_owned(), count)]);
        let fails = |count, operations| !all_passed(&[all_met("x", &used(count), operations)]);
        assert!(fails(0, ENOUGH));
        assert!(!fails(0, ENOUGH - 1) && !fails(1, ENOUGH));
        assert!(!all_passed(&[all_met("x", &BTreeMap::new(), ENOUGH)]));
    }

    #[test]
    fn machines_by_a_part_of_their_name() -> anyhow::Result<()> {
        assert_eq!(machines(&[])?.len(), 36);
        assert_eq!(
            machines(&["48-off".to_owned()])?,
            ["48-off-plain", "48-off-access"]
        );
        assert!(machines(&["52".to_owned()]).is_err());
        Ok(())
    }

    #[test]
    fn a_machine_agrees_in_all_that_was_asked() {
        let said = |summary: &str| Outcome {
            summary: summary.to_owned(),
            passed: true,
            ..Outcome::default()
        };
        assert!(said("operations=7 fixes=").of_at_least(7).passed);
        assert!(!said("operations=6 fixes=").of_at_least(7).passed);
        assert!(!said("operation=7 fixes=").of_at_least(7).passed);
        assert!(!Outcome::default().of_at_least(0).passed);
    }

    #[test]
    fn counts_of_a_summary() {
        let outcome = Outcome {
            summary: "operations=7 fixes=B1:3,B12a:0 rules= mended=B4c,B7 without=".to_owned(),
            ..Outcome::default()
        };
        assert_eq!(outcome.counts("operations"), [("operations".to_owned(), 7)]);
        let fixes = [("B1".to_owned(), 3), ("B12a".to_owned(), 0)];
        assert_eq!(outcome.counts("fixes"), fixes);
        assert!(outcome.counts("rules").is_empty());
        assert_eq!(outcome.list("mended"), "B4c,B7");
        assert_eq!(outcome.list("without"), "");
    }
}
