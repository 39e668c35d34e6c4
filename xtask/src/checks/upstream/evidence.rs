// SPDX-License-Identifier: GPL-2.0-only
//! What the oracle says of a tree with and without a patch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::AtomicU64;
use std::sync::Mutex;

use anyhow::{bail, ensure, Context, Result};

use super::readme::{Patch, Shown};
use super::tree::Tree;
use crate::base::cli::{DiffArgs, SourceArgs};
use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::checks::diff::oracle::{build, compare, Meter, Outcome};

/// Machines on which a patched C must agree with the Rust: with and without mem_access, a level-0 root, a concatenated
/// root, IOMMUs of both kinds.
const MACHINES: [&str; 3] = [
    "40-off-access",
    "48-noncoherent-plain",
    "42-coherent-access",
];

/// Operations when a rule is looked for; the first ones break each.
const OPERATIONS: u64 = 20_000;

/// Seconds for the operations of one file, which take less than one if they end.
const PATIENCE: &str = "60";

/// What `timeout` says when they do not.
const TIMED_OUT: i32 = 124;

/// Builds oracles and asks them.
pub(super) struct Judge<'a> {
    paths: &'a Paths,
    progress: Progress,
    /// Operations on each machine.
    ops: u64,
}

impl<'a> Judge<'a> {
    pub(super) fn new(paths: &'a Paths, progress: Progress, ops: u64) -> Self {
        Self {
            paths,
            progress,
            ops,
        }
    }

    /// The C as it came, without the edits that the patch stands for: the defect must be seen.
    pub(super) fn unpatched(
        &self,
        tree: &Tree<'_>,
        patch: &Patch,
        folder: &Path,
    ) -> Result<String> {
        let edits: BTreeSet<&str> = patch.edits.iter().map(String::as_str).collect();
        match &patch.shown {
            Shown::Tests(names) => Ok(format!("see {}", names.join(", "))),
            Shown::Difference => {
                let oracle = self.oracle(tree, &edits)?;
                match replay(&oracle, &input(folder, patch))? {
                    Some(difference) => Ok(difference),
                    None => bail!("the unpatched C does with the input what the Rust does"),
                }
            }
            Shown::Rule { rule, machine } => {
                let oracle = self.oracle(tree, &edits)?;
                let times = broken(&self.compared(&oracle, machine, OPERATIONS)?, rule);
                ensure!(times > 0, "the unpatched C does not break rule {rule}");
                Ok(format!("breaks rule {rule} {times} times"))
            }
        }
    }

    /// The patched C, without the edits that the patches stand for: nothing may be seen.
    pub(super) fn patched(
        &self,
        tree: &Tree<'_>,
        patch: &Patch,
        edits: &BTreeSet<&str>,
        folder: &Path,
    ) -> Result<String> {
        let oracle = self.oracle(tree, edits)?;
        if patch.shown == Shown::Difference {
            if let Some(difference) = replay(&oracle, &input(folder, patch))? {
                bail!("the patched C still differs: {difference}");
            }
        }
        if let Shown::Rule { rule, machine } = &patch.shown {
            let times = broken(&self.compared(&oracle, machine, OPERATIONS)?, rule);
            ensure!(
                times == 0,
                "the patched C still breaks rule {rule}, {times} times"
            );
        }
        self.agrees(&oracle)
    }

    /// As [`Judge::patched`], without evidence for one patch.
    pub(super) fn agreement(&self, tree: &Tree<'_>, edits: &BTreeSet<&str>) -> Result<String> {
        self.agrees(&self.oracle(tree, edits)?)
    }

    fn oracle(&self, tree: &Tree<'_>, edits: &BTreeSet<&str>) -> Result<PathBuf> {
        let args = DiffArgs {
            without: edits.iter().map(|&edit| edit.to_owned()).collect(),
            source: SourceArgs {
                xen_tree: Some(tree.src()),
                ..SourceArgs::default()
            },
            ..DiffArgs::short(true, self.ops)
        };
        build(self.paths, self.progress, &args, None)
    }

    fn compared(&self, oracle: &Path, machine: &str, operations: u64) -> Result<Outcome> {
        let what = format!("Comparing {operations} operations on {machine}");
        let task = Mutex::new(self.progress.start(what));
        let meter = Meter {
            task: &task,
            done: AtomicU64::new(0),
            total: operations,
        };
        let dir = self.paths.run("upstream");
        files::create_dir(&dir)?;
        let outcome = compare(oracle, machine, 1, operations, &dir, &meter)?;
        ensure!(
            outcome.passed,
            "on {machine}: {}\n{}",
            outcome.summary,
            outcome.details
        );
        if let Ok(task) = task.into_inner() {
            task.done();
        }
        Ok(outcome)
    }

    fn agrees(&self, oracle: &Path) -> Result<String> {
        let mut operations = 0;
        for machine in MACHINES {
            let outcome = self.compared(oracle, machine, self.ops)?;
            operations += outcome
                .counts("operations")
                .iter()
                .map(|(_, n)| n)
                .sum::<u64>();
        }
        Ok(format!("{operations} operations agree"))
    }
}

/// How often a rule was broken.
fn broken(outcome: &Outcome, rule: &str) -> u64 {
    let counts = outcome.counts("rules");
    counts
        .iter()
        .filter(|(name, _)| name == rule)
        .map(|(_, n)| n)
        .sum()
}

fn input(folder: &Path, patch: &Patch) -> PathBuf {
    folder.join(format!("inputs/{}.ops", patch.number))
}

/// Carries the operations of a file out; how the two differ, if they do.
fn replay(oracle: &Path, file: &Path) -> Result<Option<String>> {
    let output = command::bound("timeout")
        .arg(PATIENCE)
        .arg(oracle)
        .arg("replay")
        .arg(file)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .output()
        .context("cannot start the oracle")?;
    if output.status.success() {
        return Ok(None);
    }
    if output.status.code() == Some(TIMED_OUT) {
        return Ok(Some(format!("it does not end within {PATIENCE} s")));
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().chain(complaint.lines()).next();
    Ok(Some(line.unwrap_or("it does not end well").to_owned()))
}
