// SPDX-License-Identifier: GPL-2.0-only
//! One run at a time prepares things below `target/`, and one at a time boots a configuration.

use std::fs::{File, OpenOptions};
use std::path::Path;

use anyhow::{bail, Context, Result};
use fd_lock::RwLock;

use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;

/// Does something while no other run does such a thing, after clearing what an interrupted one
/// left half made.
pub(crate) fn alone<T>(
    paths: &Paths,
    progress: Progress,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    files::create_dir(&paths.target())?;
    let mut lock = RwLock::new(open(&paths.target().join("xtask.lock"))?);
    // Asked twice: the borrow checker does not let go of a failed first try.
    if lock.try_write().is_err() {
        progress.say("Waiting for another cargo xtask to finish its build");
    }
    let _guard = lock.write().context("cannot lock target/xtask.lock")?;
    let scratch = paths.scratch();
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)
            .with_context(|| format!("cannot remove {}", scratch.display()))?;
    }
    work()
}

/// Boots in `dir`, unless another run does: they would write to the same log.
pub(crate) fn booting<T>(dir: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let advice =
        "another run is booting the same: wait for its end, or choose another --cpu or --smp";
    in_folder(dir, advice, work)
}

/// Works in `dir`, unless another run does; an error says what it does and what to do, which is `advice`.
pub(crate) fn in_folder<T>(
    dir: &Path,
    advice: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    files::create_dir(dir)?;
    let mut lock = RwLock::new(open(&dir.join("lock"))?);
    let Ok(_guard) = lock.try_write() else {
        bail!("{}: {advice}", dir.display());
    };
    work()
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}: is target/ writable?", path.display()))
}
