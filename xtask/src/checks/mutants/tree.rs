// SPDX-License-Identifier: GPL-2.0-only
//! The copy of the repository in which the mistakes are made, one after the other.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::base::command;
use crate::base::commit;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;

/// What the tests are made of: a change of these that is not committed would not be tried.
const WHAT_COUNTS: [&str; 7] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "mem_access-rs",
    "p2m-rs",
    "test-harness",
    "xen-sys",
];

/// A clone below `target/`, with a target folder of its own, so that a mistake is built within seconds.
#[derive(Debug)]
pub(super) struct Tree {
    dir: PathBuf,
    root: PathBuf,
}

/// The part of `.cargo/mutants.toml` that says how the tests are run.
#[derive(Debug, Deserialize)]
struct Config {
    test_package: Vec<String>,
    profile: String,
    additional_cargo_test_args: Vec<String>,
}

impl Tree {
    /// The clone; it is made if there is none.
    pub(super) fn open(paths: &Paths, dir: &Path) -> Result<Self> {
        let tree = Self {
            dir: dir.join("tree"),
            root: paths.root().to_path_buf(),
        };
        if !tree.dir.join(".git").exists() {
            let mut git = command::clean("git");
            git.args(["clone", "--quiet"]).args([&tree.root, &tree.dir]);
            command::output(&mut git)?;
        }
        Ok(tree)
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The commit of the repository's HEAD, which must have all that counts.
    pub(super) fn newest(&self) -> Result<String> {
        commit::of(&self.root, &WHAT_COUNTS)
    }

    /// Puts a commit of the repository there, without any mistake.
    pub(super) fn check_out(&self, commit: &str) -> Result<()> {
        let git = |args: &[&str]| {
            let mut git = command::clean("git");
            command::output(git.arg("-C").arg(&self.dir).args(args))
        };
        git(&["fetch", "--quiet", "origin"])?;
        git(&["checkout", "--quiet", "--force", "--detach", commit])
            .with_context(|| format!("the repository does not have {commit}, which target/mutation is of: --restart takes the present commit"))?;
        Ok(())
    }

    /// Do the tests pass without a mistake? If not, none of them would be missed.
    pub(super) fn passes(&self, paths: &Paths, progress: Progress) -> Result<()> {
        let task = progress.start("Running the tests without a mistake");
        let config = files::read_text(&self.dir.join(".cargo/mutants.toml"))?;
        let config: Config = toml::from_str(&config).context("cannot read .cargo/mutants.toml")?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut tests = Command::new(cargo);
        tests.arg("test").arg("--profile").arg(&config.profile);
        for package in &config.test_package {
            tests.arg("--package").arg(package);
        }
        tests
            .env_remove(command::HOST_WITHOUT)
            .args(&config.additional_cargo_test_args)
            .current_dir(&self.dir);
        command::logged(&mut tests, &paths.log("mutants"))?;
        task.done();
        Ok(())
    }
}
