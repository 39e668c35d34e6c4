// SPDX-License-Identifier: GPL-2.0-only
//! The commit that a record is of.

use std::path::Path;

use anyhow::{ensure, Result};

use super::command;

/// The repository's HEAD, in full; an error, if anything of `what` is there that is in no commit.
pub(crate) fn of(root: &Path, what: &[&str]) -> Result<String> {
    let git = || {
        let mut git = command::clean("git");
        git.arg("-C").arg(root);
        git
    };
    let changed = command::output(git().args(["status", "--porcelain", "--"]).args(what))?;
    ensure!(
        changed.is_empty(),
        "what is tried is a commit, and this is in none: commit it, or put it away\n{changed}"
    );
    let commit = command::output(git().args(["rev-parse", "HEAD"]))?;
    Ok(commit.trim().to_owned())
}

/// A commit's name for people.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
