// SPDX-License-Identifier: GPL-2.0-only
//! The Rust next to Xen's C: `cargo xtask diff --host`.
//!
//! The crate `oracle` does the work, built with the C of a pristine Xen tree, one process a
//! machine; here it is built, run on all processors, and its answers are put into a table.

mod bite;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Mutex;

use anyhow::{bail, Context, Result};

use crate::cli::DiffArgs;
use crate::command;
use crate::files::{self, Fingerprint};
use crate::lock;
use crate::paths::Paths;
use crate::progress::{Progress, Task};
use crate::table::{self, Row, Status};
use crate::tools::{self, Use};
use crate::xen::{image, release, source::Source};

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
    if !args.host {
        bail!("only the comparison on the host exists: cargo xtask diff --host");
    }
    if args.mutation.as_deref() == Some("all") {
        return bite::run(paths, progress, args);
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
    let share = args.ops.div_ceil(names.len() as u64);
    let dir = paths.run("diff");
    let task = Mutex::new(progress.start(format!(
        "Comparing {} operations on {} machines, seed {}",
        share * names.len() as u64,
        names.len(),
        args.seed
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
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = compare(&oracle, name, args.seed, share, &dir, &meter);
                    let at = names.iter().position(|n| n == name).unwrap_or(0);
                    if let Ok(mut results) = results.lock() {
                        results.insert(at, outcome.unwrap_or_else(Outcome::broken));
                    }
                }
            });
        }
    });
    if let Ok(task) = task.into_inner() {
        task.done();
    }
    let results = results.into_inner().unwrap_or_default();
    let compilers = image::compilers_of_program(&oracle)?.join(", ");
    Ok(report(&names, &results, compilers))
}

/// What one machine's run said.
#[derive(Debug, Default)]
struct Outcome {
    passed: bool,
    summary: String,
    /// The sequence and both answers.
    details: String,
}

impl Outcome {
    fn broken(error: anyhow::Error) -> Self {
        Self {
            summary: format!("{error:#}"),
            ..Self::default()
        }
    }

    /// `operations=..`, `fixes=B1:3,B2:0`, as name and number.
    fn counts(&self, list: &str) -> Vec<(String, u64)> {
        let found = self
            .summary
            .split(' ')
            .find_map(|word| word.strip_prefix(list)?.strip_prefix('='));
        let entries = found.unwrap_or_default().split(',');
        entries
            .filter_map(|entry| {
                let (name, count) = entry.split_once(':').unwrap_or((list, entry));
                Some((name.to_owned(), count.parse().ok()?))
            })
            .collect()
    }
}

/// How far all of them are.
struct Meter<'a> {
    task: &'a Mutex<Task>,
    done: AtomicU64,
    total: u64,
}

impl Meter<'_> {
    fn add(&self, operations: u64) {
        let done = self.done.fetch_add(operations, Ordering::Relaxed) + operations;
        if let Ok(mut task) = self.task.lock() {
            task.note(&format!(
                "{} %",
                (done * 20 / self.total.max(1)).min(20) * 5
            ));
        }
    }
}

fn compare(
    oracle: &Path,
    name: &str,
    seed: u64,
    operations: u64,
    dir: &Path,
    meter: &Meter<'_>,
) -> Result<Outcome> {
    let mut child = command::bound(oracle)
        .args(["run", name, &seed.to_string(), &operations.to_string()])
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the oracle")?;
    let mut outcome = Outcome::default();
    let mut before = 0;
    let lines = BufReader::new(child.stdout.take().context("no pipe")?).lines();
    for line in lines.map_while(Result::ok) {
        if let Some(at) = line.strip_prefix("progress ") {
            let at = at.split(' ').next().and_then(|n| n.parse().ok());
            let at: u64 = at.unwrap_or(before);
            meter.add(at.saturating_sub(before));
            before = at.max(before);
        } else if let Some(summary) = line.strip_prefix("pass ") {
            outcome.passed = true;
            summary.clone_into(&mut outcome.summary);
        } else if let (true, Some(summary)) =
            // There is an operation of this name, too; it comes later.
            (outcome.summary.is_empty(), line.strip_prefix("fail "))
        {
            summary.clone_into(&mut outcome.summary);
        } else if !line.starts_with("shrinking ") {
            outcome.details.push_str(&line);
            outcome.details.push('\n');
        }
    }
    meter.add(operations.saturating_sub(before));
    let status: ExitStatus = child.wait().context("the oracle is gone")?;
    outcome.passed &= status.success();
    Ok(outcome)
}

/// Prints what came of it; true when all machines agreed.
fn report(names: &[String], results: &BTreeMap<usize, Outcome>, compilers: String) -> bool {
    let mut rows = Vec::new();
    let mut used: BTreeMap<String, u64> = BTreeMap::new();
    let mut operations = 0;
    for (name, outcome) in names.iter().zip(results.values()) {
        let agreed: u64 = outcome.counts("operations").iter().map(|(_, n)| n).sum();
        operations += agreed;
        for (fix, count) in outcome.counts("fixes") {
            *used.entry(fix).or_default() += count;
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
    let used: Vec<String> = used.iter().map(|(fix, n)| format!("{fix} {n}")).collect();
    rows.push(Row::info("compilers", compilers));
    rows.push(Row::info("operations that agree", operations.to_string()));
    rows.push(Row::info("differences on purpose, by use", used.join(", ")));
    table::print("The Rust and Xen's C", &rows);
    let count = |status| rows.iter().filter(|row| row.status == status).count();
    println!(
        "{} passed, {} failed",
        count(Status::Pass),
        count(Status::Fail)
    );
    table::all_passed(&rows)
}

/// The oracle, with the C of a pristine tree in it.
fn build(
    paths: &Paths,
    progress: Progress,
    args: &DiffArgs,
    mutation: Option<&str>,
) -> Result<PathBuf> {
    tools::require(paths, progress, &[Use::Oracle])?;
    let tree = pristine(paths, progress, args)?;
    let task = progress.start("Building the oracle with Xen's C");
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = paths.target().join("oracle");
    let mut cargo = Command::new(program);
    cargo
        .args([
            "build",
            "--quiet",
            "--profile",
            "oracle",
            "--package",
            "oracle",
        ])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(paths.root())
        .env("XEN_P2M_ORACLE_TREE", &tree);
    match mutation {
        Some(mutation) => cargo.env("XEN_P2M_ORACLE_MUTATION", mutation),
        None => cargo.env_remove("XEN_P2M_ORACLE_MUTATION"),
    };
    command::logged(&mut cargo, &paths.log("oracle-build"))?;
    task.done();
    Ok(target.join("oracle/oracle"))
}

/// Xen's source as it was released: no patch, no build.
fn pristine(paths: &Paths, progress: Progress, args: &DiffArgs) -> Result<PathBuf> {
    if let Some(tree) = &args.xen_tree {
        release::of_tree(tree)?;
        return tree
            .canonicalize()
            .with_context(|| format!("there is no Xen tree at {}", tree.display()));
    }
    let source = Source::download(paths, progress, release::DEFAULT)?;
    let mut hash = Fingerprint::default();
    source.fingerprint(&mut hash)?;
    let stamp = hash.hex();
    let tree = paths
        .xen_trees()
        .join(format!("{}-source", release::DEFAULT));
    if !files::is_current(&tree, &stamp) {
        let task = progress.start("Unpacking Xen");
        files::make_whole(paths, &tree, &stamp, |scratch| {
            source.unpack(paths, scratch)
        })?;
        task.done();
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::{machines, Outcome};

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
    fn counts_of_a_summary() {
        let outcome = Outcome {
            summary: "operations=7 fixes=B1:3,B12a:0 rules=".to_owned(),
            ..Outcome::default()
        };
        assert_eq!(outcome.counts("operations"), [("operations".to_owned(), 7)]);
        let fixes = [("B1".to_owned(), 3), ("B12a".to_owned(), 0)];
        assert_eq!(outcome.counts("fixes"), fixes);
        assert!(outcome.counts("rules").is_empty());
    }
}
