// SPDX-License-Identifier: GPL-2.0-only
//! Are the patches for Xen's own C right? `cargo xtask upstream` applies each patch of `patches/upstream/` to a copy of
//! a tree, compiles what it touches, and compares the C with the Rust without the oracle's edits that the patch stands
//! for: the C as it came must differ, or break a rule of the test harness, and the patched C must not.

mod evidence;
mod readme;
mod tree;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{ensure, Context, Result};

use crate::base::cli::UpstreamArgs;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row};
use crate::host::tools::{self, Use};
use evidence::Judge;
use readme::Patch;
use tree::Tree;

/// Tries the patches and prints a table; true when all are right.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &UpstreamArgs) -> Result<bool> {
    tools::require(paths, progress, &[Use::Build, Use::Oracle, Use::Checks])?;
    let folder = paths.patches().join("upstream");
    let all = readme::patches(&files::read_text(&folder.join("README.md"))?)?;
    let wanted = |patch: &Patch| {
        args.only.is_empty()
            || args.only.contains(&patch.number)
            || patch.mends.iter().any(|id| args.only.contains(id))
    };
    let chosen: Vec<&Patch> = all.iter().filter(|patch| wanted(patch)).collect();
    ensure!(
        !chosen.is_empty(),
        "no patch is called {}: they are in {}",
        args.only.join(" or "),
        folder.join("README.md").display()
    );
    lock::alone(paths, progress, || {
        let attempt = Attempt {
            folder,
            all: &all,
            tree: Tree::copy(paths, progress, &args.xen_tree)?,
            judge: Judge::new(paths, progress, args.ops),
        };
        let mut rows: Vec<Row> = chosen
            .iter()
            .map(|patch| {
                let name = format!("{} {}", patch.number, patch.mends.join(", "));
                row(&name, attempt.one(patch))
            })
            .collect();
        if chosen.len() == all.len() {
            rows.push(row("all of them", attempt.together()));
        }
        attempt.tree.reset()?;
        Ok(table::conclude("Patches for Xen's own C", &rows))
    })
}

fn row(name: &str, result: Result<String>) -> Row {
    Row::of(name, result.map_err(|error| format!("{error:#}")))
}

struct Attempt<'a> {
    folder: PathBuf,
    all: &'a [Patch],
    tree: Tree<'a>,
    judge: Judge<'a>,
}

impl Attempt<'_> {
    /// A patch alone, but for those that it needs; what was seen.
    fn one(&self, patch: &Patch) -> Result<String> {
        self.tree.reset()?;
        let before = self.judge.unpatched(&self.tree, patch, &self.folder)?;
        let mut edits: BTreeSet<&str> = patch.edits.iter().map(String::as_str).collect();
        for number in &patch.after {
            let other = self.all.iter().find(|other| other.number == *number);
            let other = other.with_context(|| format!("there is no patch {number}"))?;
            self.tree.am(&self.folder.join(&other.file))?;
            edits.extend(other.edits.iter().map(String::as_str));
        }
        self.tree.am(&self.folder.join(&patch.file))?;
        let objects = self.tree.compile()?;
        let after = self
            .judge
            .patched(&self.tree, patch, &edits, &self.folder)?;
        Ok(format!(
            "applies, {objects} objects compile; before: {before}; after: {after}"
        ))
    }

    /// All of them, one on another.
    fn together(&self) -> Result<String> {
        self.tree.reset()?;
        let mut edits = BTreeSet::new();
        for patch in self.all {
            self.tree.am(&self.folder.join(&patch.file))?;
            edits.extend(patch.edits.iter().map(String::as_str));
        }
        let objects = self.tree.compile()?;
        let after = self.judge.agreement(&self.tree, &edits)?;
        Ok(format!("apply, {objects} objects compile; {after}"))
    }
}
