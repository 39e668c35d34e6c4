// SPDX-License-Identifier: GPL-2.0-only
//! cargo-mutants: installed below `target/`, and run on a part of the mistakes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use super::outcome::Mistake;
use super::tree::Tree;
use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;

/// All mistakes are divided into so many pieces.
pub(super) const PIECES: usize = 50;

/// The version whose files [`super::outcome`] reads.
const VERSION: &str = "27.1.0";

/// The last file that is written into a folder.
const DONE: &str = "done";

/// Its exit codes when it has tried all: nothing was missed, something was, something took too long.
const TRIED: [i32; 3] = [0, 2, 3];

/// The program.
#[derive(Debug)]
pub(super) struct Tool {
    program: PathBuf,
}

/// Which mistakes.
pub(super) enum Selection {
    /// Each fiftieth.
    Piece(usize),
    /// These, and what is like them in the same function.
    These(Vec<Mistake>),
}

impl Tool {
    /// Installs it, if it is not there.
    pub(super) fn require(paths: &Paths, progress: Progress) -> Result<Self> {
        let root = paths.target().join("tools");
        let program = root.join("bin/cargo-mutants");
        let is_there = program.exists()
            && command::output(command::clean(&program).args(["mutants", "--version"]))?
                .contains(VERSION);
        if !is_there {
            let task = progress.start(format!("Installing cargo-mutants {VERSION} below target/"));
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut install = Command::new(cargo);
            install
                .args([
                    "install",
                    "--locked",
                    "--force",
                    "--version",
                    VERSION,
                    "cargo-mutants",
                    "--root",
                ])
                .arg(&root);
            command::logged(&mut install, &paths.log("mutants-install"))?;
            task.done();
        }
        Ok(Self { program })
    }

    /// Tries the mistakes in the tree and leaves what it found in `into`.
    pub(super) fn run(&self, tree: &Tree, selection: &Selection, into: &Path) -> Result<()> {
        if into.exists() {
            // Of an earlier try, or of a half one.
            std::fs::remove_dir_all(into)
                .with_context(|| format!("cannot remove {}", into.display()))?;
        }
        files::create_dir(into)?;
        let log = into.join("log");
        let mut mutants = command::bound(&self.program);
        mutants
            .args([
                "mutants",
                "--in-place",
                "--workspace",
                "--colors",
                "never",
                "--output",
            ])
            .arg(into)
            .current_dir(tree.dir());
        match selection {
            Selection::Piece(piece) => {
                mutants.args([
                    "--shard",
                    &format!("{piece}/{PIECES}"),
                    "--sharding",
                    "round-robin",
                ]);
            }
            Selection::These(mistakes) => {
                for mistake in mistakes {
                    mutants.args(["--re", &mistake.pattern()]);
                }
            }
        }
        let out = std::fs::File::create(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let status = mutants
            .stdout(out.try_clone()?)
            .stderr(out)
            .status()
            .context("cannot start cargo-mutants")?;
        if !status.code().is_some_and(|code| TRIED.contains(&code)) {
            bail!(
                "cargo-mutants failed ({status}); its output ends with\n{}",
                command::tail(&log, 20)
            );
        }
        files::write(&into.join(DONE), "")
    }

    /// As it says itself.
    pub(super) fn version(&self) -> &'static str {
        VERSION
    }
}

/// Was all tried that belongs there?
pub(super) fn is_done(into: &Path) -> bool {
    into.join(DONE).exists()
}
