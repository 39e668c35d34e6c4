// SPDX-License-Identifier: GPL-2.0-only
//! Mistakes put into the p2m, one at a time, that the host tests must notice: `cargo xtask mutants`.
//!
//! cargo-mutants makes them and runs the tests. All of them take many hours, so they are tried in [`PIECES`] pieces,
//! each drawn across all files. What the pieces found is kept below `target/mutation`; it is all of one commit, whatever
//! is committed meanwhile, and a stop costs the piece that was being tried. What was missed can be tried once more with
//! the tests that there are by then.

mod judged;
mod outcome;
mod record;
mod tool;
mod tree;

use std::path::{Path, PathBuf};

use anyhow::{ensure, Result};

use crate::base::cli::MutantsArgs;
use crate::base::commit::short;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use judged::Judged;
use outcome::Found;
use record::Record;
use tool::{Selection, Tool, PIECES};
use tree::Tree;

/// Tries the mistakes and prints what became of them; true when the tests notice enough of them.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &MutantsArgs) -> Result<bool> {
    let dir = paths.target().join("mutation");
    let advice = "another cargo xtask mutants is at work there: wait for its end";
    lock::in_folder(&dir, advice, || {
        if args.restart {
            forget(&dir)?;
        }
        tried(paths, progress, args, &dir)
    })
}

fn tried(paths: &Paths, progress: Progress, args: &MutantsArgs, dir: &Path) -> Result<bool> {
    let tree = Tree::open(paths, dir)?;
    let tool = Tool::require(paths, progress)?;
    let pieces = usize::from(args.pieces);
    let (commit, tried) = (kept_commit(dir, &tree)?, done(dir, pieces));
    let missing: Vec<usize> = (0..pieces)
        .filter(|piece| !args.report && !args.retry && !tried.contains(piece))
        .collect();
    if !missing.is_empty() {
        tree.check_out(&commit)?;
        tree.passes(paths, progress)?;
    }
    for piece in missing {
        let shown = format!(
            "Trying piece {} of {PIECES} of {}",
            piece + 1,
            short(&commit)
        );
        let task = progress.start(shown);
        tool.run(&tree, &Selection::Piece(piece), &piece_folder(dir, piece))?;
        task.done();
    }
    let mut found = Found::new();
    let done = done(dir, pieces);
    for piece in &done {
        found.extend(outcome::read(&piece_folder(dir, *piece))?);
    }
    ensure!(
        !found.is_empty(),
        "no mistake was tried: {} is empty",
        dir.display()
    );
    let judged = Judged::read(paths)?;
    let retried = dir.join("retried");
    if args.retry {
        let missed = judged.doubtful(&found);
        let head = tree.newest()?;
        tree.check_out(&head)?;
        tree.passes(paths, progress)?;
        let shown = format!(
            "Trying {} once more, with the tests of {}",
            missed.len(),
            short(&head)
        );
        let task = progress.start(shown);
        tool.run(&tree, &Selection::These(missed), &retried)?;
        files::write(&retried.join(COMMIT), &head)?;
        task.done();
    }
    let mut tests = None;
    if tool::is_done(&retried) {
        let again = outcome::read(&retried)?;
        // A pattern may fit others that are alike, which were not asked for.
        for (mistake, verdict) in again {
            found.entry(mistake).and_modify(|known| *known = verdict);
        }
        tests = Some(files::read_text(&retried.join(COMMIT))?);
    }
    let record = Record {
        commit: &commit,
        tests: tests.as_deref(),
        pieces: done.len(),
        tool: tool.version(),
        judged: &judged,
        found: &found,
    };
    record.print();
    if args.write {
        record.write(paths)?;
    }
    Ok(record.is_enough())
}

/// The file that says which commit it is all of.
const COMMIT: &str = "commit";

/// The commit that the pieces are of: the first one that was tried.
fn kept_commit(dir: &Path, tree: &Tree) -> Result<String> {
    let file = dir.join(COMMIT);
    if !file.exists() {
        files::write(&file, tree.newest()?)?;
    }
    Ok(files::read_text(&file)?.trim().to_owned())
}

fn piece_folder(dir: &Path, piece: usize) -> PathBuf {
    dir.join(format!("piece-{piece:02}"))
}

/// Those of the first pieces that were tried.
fn done(dir: &Path, pieces: usize) -> Vec<usize> {
    (0..pieces)
        .filter(|piece| tool::is_done(&piece_folder(dir, *piece)))
        .collect()
}

/// Throws away what earlier runs found. The tree stays: what was built in it is worth keeping.
fn forget(dir: &Path) -> Result<()> {
    for entry in files::sorted_entries(dir)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("piece-") || name == "retried" {
            std::fs::remove_dir_all(&entry)?;
        } else if name == COMMIT {
            std::fs::remove_file(&entry)?;
        }
    }
    Ok(())
}
