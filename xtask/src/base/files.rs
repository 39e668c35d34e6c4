// SPDX-License-Identifier: GPL-2.0-only
//! Making folders whole or not at all, and knowing when they must be made anew.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::base::command;
use crate::base::paths::Paths;

/// A hash over everything a product depends on, one input after another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds an input; the length keeps "ab","c" apart from "a","bc".
    pub(crate) fn add(&mut self, input: impl AsRef<[u8]>) -> &mut Self {
        let input = input.as_ref();
        self.0.update(input.len().to_le_bytes());
        self.0.update(input);
        self
    }

    /// Adds a file's content.
    pub(crate) fn add_file(&mut self, path: &Path) -> Result<&mut Self> {
        let mut file =
            fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut content = Sha256::new();
        io::copy(&mut file, &mut content)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let sum = content.finalize();
        Ok(self.add(sum))
    }

    /// The hash so far, as text.
    pub(crate) fn hex(&self) -> String {
        self.0
            .clone()
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The name of the file that says what a finished folder was made from.
const STAMP: &str = ".xtask-stamp";

/// Is `dir` there, finished, and made from exactly this?
pub(crate) fn is_current(dir: &Path, stamp: &str) -> bool {
    fs::read_to_string(dir.join(STAMP)).is_ok_and(|found| found == stamp)
}

/// Makes `dir` by `fill`ing a scratch folder, which takes the place of `dir` only when `fill` is
/// through. An interruption leaves either the old folder or none, never half of one.
pub(crate) fn make_whole(
    paths: &Paths,
    dir: &Path,
    stamp: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let scratch = scratch_dir(paths)?;
    fill(scratch.path())?;
    write(&scratch.path().join(STAMP), stamp)?;
    if dir.exists() {
        let old = scratch_dir(paths)?;
        rename(dir, &old.path().join("old"))?;
    }
    if let Some(parent) = dir.parent() {
        create_dir(parent)?;
    }
    rename(scratch.path(), dir)?;
    // Made private by tempfile; what is in it is not.
    set_mode(dir, 0o755)
}

/// A folder that goes away by itself, on the same file system as the rest of `target/`.
pub(crate) fn scratch_dir(paths: &Paths) -> Result<tempfile::TempDir> {
    create_dir(&paths.scratch())?;
    tempfile::Builder::new()
        .prefix("tmp-")
        .tempdir_in(paths.scratch())
        .with_context(|| format!("cannot make a folder in {}", paths.scratch().display()))
}

/// `mkdir -p`.
pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))
}

/// Writes a file.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a file that must be text.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The entries of a folder, in the order of their names.
pub(crate) fn sorted_entries(dir: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut entries = fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()
        })
        .with_context(|| format!("cannot list {}", dir.display()))?;
    entries.sort();
    Ok(entries)
}

/// Removes a file or a folder with all that is in it, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

/// Fails with a clear sentence when the disk has less than this many MiB left.
pub(crate) fn require_space(dir: &Path, mib: u64) -> Result<()> {
    create_dir(dir)?;
    let free = free_mib(dir)?;
    anyhow::ensure!(
        free >= mib,
        "{} has {free} MiB left and this needs {mib} MiB: make room and run the same command again",
        dir.display()
    );
    Ok(())
}

/// Fails when a folder cannot grow to this many MiB, of which it may have some already.
pub(crate) fn require_room(dir: &Path, mib: u64) -> Result<()> {
    create_dir(dir)?;
    let free = free_mib(dir)?;
    if free >= mib {
        return Ok(());
    }
    let shown = command::output(command::clean("du").args(["-sxm"]).arg(dir))?;
    let used = shown.split_whitespace().next().and_then(|n| n.parse().ok());
    let used: u64 = used.with_context(|| format!("cannot read what du says: {shown:?}"))?;
    anyhow::ensure!(
        used + free >= mib,
        "{} grows to {mib} MiB, has {used} MiB, and the disk has {free} MiB left: make room and run the same \
         command again",
        dir.display()
    );
    Ok(())
}

/// MiB that the disk has left.
fn free_mib(dir: &Path) -> Result<u64> {
    let shown = command::output(
        command::clean("df")
            .args(["--output=avail", "-B1M"])
            .arg(dir),
    )?;
    let free = shown.lines().nth(1).and_then(|n| n.trim().parse().ok());
    free.with_context(|| format!("cannot read what df says of {shown:?}"))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)
        .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{free_mib, require_room, Fingerprint};

    #[test]
    fn a_folder_that_cannot_grow_so_far_is_told_before() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        assert!(require_room(dir.path(), 1).is_ok());
        let too_much = 2 * free_mib(dir.path())? + 1024;
        let why = require_room(dir.path(), too_much);
        assert!(why.is_err_and(|why| why.to_string().contains("make room")));
        Ok(())
    }

    #[test]
    fn boundaries_between_inputs_count() {
        let mut one = Fingerprint::default();
        one.add("ab").add("c");
        let mut two = Fingerprint::default();
        two.add("a").add("bc");
        assert_ne!(one.hex(), two.hex());
    }
}
