// SPDX-License-Identifier: GPL-2.0-only
//! The crate `oracle`: how it is built with Xen's C, and what a run of it says.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::base::cli::DiffArgs;
use crate::base::command;
use crate::base::files::{self, Fingerprint};
use crate::base::paths::Paths;
use crate::base::progress::{Progress, Task};
use crate::host::tools::{self, Use};
use crate::xen::source::{Chosen, Source};

/// What one machine's run said.
#[derive(Debug, Default)]
pub(in crate::checks) struct Outcome {
    pub(in crate::checks) passed: bool,
    pub(in crate::checks) summary: String,
    /// The sequence and both answers.
    pub(in crate::checks) details: String,
}

impl Outcome {
    pub(super) fn broken(error: anyhow::Error) -> Self {
        Self {
            summary: format!("{error:#}"),
            ..Self::default()
        }
    }

    /// `mended=B1,B4c`, without the name.
    pub(in crate::checks) fn list(&self, name: &str) -> &str {
        let found = self
            .summary
            .split(' ')
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default()
    }

    /// The same, which has not passed unless so many operations agreed: an episode is never left unfinished.
    pub(super) fn of_at_least(mut self, asked: u64) -> Self {
        let agreed = self.operations();
        if self.passed && agreed < asked {
            self.passed = false;
            self.summary = format!("only {agreed} operations of {asked}: {}", self.summary);
        }
        self
    }

    /// How many operations agreed.
    pub(in crate::checks) fn operations(&self) -> u64 {
        self.counts("operations").iter().map(|(_, n)| n).sum()
    }

    /// `operations=..`, `fixes=B1:3,B2:0`, as name and number.
    pub(in crate::checks) fn counts(&self, list: &str) -> Vec<(String, u64)> {
        let entries = self.list(list).split(',');
        entries
            .filter_map(|entry| {
                let (name, count) = entry.split_once(':').unwrap_or((list, entry));
                Some((name.to_owned(), count.parse().ok()?))
            })
            .collect()
    }
}

/// How far all of them are.
pub(in crate::checks) struct Meter<'a> {
    pub(in crate::checks) task: &'a Mutex<Task>,
    pub(in crate::checks) done: AtomicU64,
    pub(in crate::checks) total: u64,
}

impl Meter<'_> {
    pub(super) fn add(&self, operations: u64) {
        let done = self.done.fetch_add(operations, Ordering::Relaxed) + operations;
        if let Ok(mut task) = self.task.lock() {
            task.note(&format!(
                "{} %",
                (done * 20 / self.total.max(1)).min(20) * 5
            ));
        }
    }
}

/// Runs one machine's operations.
pub(in crate::checks) fn compare(
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

/// The oracle, with the C of a pristine tree in it.
pub(in crate::checks) fn build(
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
        .env_remove(command::HOST_WITHOUT)
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
        .env("XEN_P2M_ORACLE_TREE", &tree)
        .env("XEN_P2M_ORACLE_WITHOUT", args.without.join(","));
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
    let chosen = Chosen::by(&args.source)?;
    let release = chosen.release();
    let source = match chosen.source(paths, progress)? {
        Source::Tree(tree) => return Ok(tree),
        source => source,
    };
    let mut hash = Fingerprint::default();
    source.fingerprint(&mut hash)?;
    let stamp = hash.hex();
    let tree = paths.xen_trees().join(format!("{release}-source"));
    if !files::is_current(&tree, &stamp) {
        let task = progress.start("Unpacking Xen");
        files::make_whole(paths, &tree, &stamp, |scratch| {
            source.unpack(paths, scratch)
        })?;
        task.done();
    }
    Ok(tree)
}
