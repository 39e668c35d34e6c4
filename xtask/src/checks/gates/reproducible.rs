// SPDX-License-Identifier: GPL-2.0-only
//! The archive does not depend on where it is built: the workspace, the Xen tree and cargo's output are copied into other
//! folders, all crates of the workspace are compiled again there, and what comes out is compared to the byte.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};

use crate::base::command;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::host::rust_toolchain::{self, TARGET};
use crate::xen::build::{self, BuiltXen};

/// What of the workspace's folder is no source of the archive.
const LEFT_OUT: [&str; 3] = [".git", "fuzz", "target"];

/// The archive within a Xen tree.
const ARCHIVE: &str = "xen/arch/arm/libxen_p2m.a";

/// The crates of the archive. Those of others, and `core`, have no path of the workspace in them.
const CRATES: [&str; 4] = ["xen-sys", "p2m-rs", "mem_access-rs", "xen-p2m"];

/// Builds `xen`'s archive a second time.
pub(super) fn run(
    paths: &Paths,
    progress: Progress,
    xen: &BuiltXen,
) -> Result<Result<String, String>> {
    let toolchain = rust_toolchain::require()?;
    let there = Paths::at(paths.elsewhere());
    let copy = BuiltXen {
        tree: there.xen_trees().join(&xen.name),
        ..xen.clone()
    };
    lock::alone(paths, progress, || {
        files::require_space(&paths.target(), 1024)?;
        copy_sources(paths, &there)?;
        copy_entry(paths, &xen.tree, &copy.tree)?;
        files::remove(&copy.tree.join(ARCHIVE))?;
        let name = build::cargo_target(&copy, &toolchain);
        let output = there.p2m_target(&name);
        copy_entry(paths, &paths.p2m_target(&name), &output)?;
        forget_crates(&output)?;
        build::rebuild(&there, progress, &copy, &toolchain)
    })?;
    let read = |tree: &Path| {
        let archive = tree.join(ARCHIVE);
        fs::read(&archive).with_context(|| format!("cannot read {}", archive.display()))
    };
    let (first, second) = (read(&xen.tree)?, read(&copy.tree)?);
    Ok(match same(&first, &second) {
        Ok(what) => {
            // What differs is kept to be looked at.
            files::remove(there.root())?;
            Ok(what)
        }
        Err(why) => Err(format!(
            "{why}: {} and {}",
            xen.tree.join(ARCHIVE).display(),
            copy.tree.join(ARCHIVE).display()
        )),
    })
}

/// The workspace as it is now, with its times.
fn copy_sources(paths: &Paths, there: &Paths) -> Result<()> {
    files::create_dir(there.root())?;
    let is_left_out = |entry: &Path| {
        let name = entry.file_name().unwrap_or_default();
        LEFT_OUT.iter().any(|out| name == *out)
    };
    for old in files::sorted_entries(there.root())? {
        if !is_left_out(&old) {
            files::remove(&old)?;
        }
    }
    for entry in files::sorted_entries(paths.root())? {
        if !is_left_out(&entry) {
            let name = entry.file_name().unwrap_or_default();
            copy_entry(paths, &entry, &there.root().join(name))?;
        }
    }
    Ok(())
}

/// Removes what cargo knows of the workspace's crates in its output, with what their build scripts made.
fn forget_crates(output: &Path) -> Result<()> {
    let mut forgotten = 0;
    for release in ["release", &format!("{TARGET}/release")] {
        for folder in [".fingerprint", "build"] {
            for entry in files::sorted_entries(&output.join(release).join(folder))? {
                let name = entry.file_name().unwrap_or_default().to_string_lossy();
                let is_ours = |krate: &&str| {
                    name.strip_prefix(*krate)
                        .is_some_and(|rest| rest.starts_with('-'))
                };
                if CRATES.iter().any(is_ours) {
                    files::remove(&entry)?;
                    forgotten += 1;
                }
            }
        }
        files::remove(&output.join(release).join("libxen_p2m.a"))?;
    }
    ensure!(
        forgotten >= CRATES.len(),
        "{} has no crates of this workspace",
        output.display()
    );
    Ok(())
}

/// Copies a file or a folder, with its times; what was there before goes.
fn copy_entry(paths: &Paths, from: &Path, to: &Path) -> Result<()> {
    files::remove(to)?;
    if let Some(parent) = to.parent() {
        files::create_dir(parent)?;
    }
    let mut cp = command::bound("cp");
    cp.args(["--archive", "--no-target-directory"]);
    command::logged(cp.arg(from).arg(to), &paths.log("elsewhere"))
}

/// Are they the same, and not empty?
fn same(first: &[u8], second: &[u8]) -> Result<String, String> {
    let differs = first.iter().zip(second).position(|(a, b)| a != b);
    match differs {
        Some(at) => Err(format!("they differ from byte {at} on")),
        None if first.len() != second.len() => Err(format!(
            "they have {} and {} bytes",
            first.len(),
            second.len()
        )),
        None if first.is_empty() => Err("they are empty".to_owned()),
        None => Ok(format!("{} bytes, the same in two folders", first.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn one_byte_more_or_other_is_a_difference() {
        assert!(same(b"archive", b"archive").is_ok());
        assert!(same(b"archive", b"archivE").is_err());
        assert!(same(b"archive", b"archive2").is_err());
        assert!(same(b"", b"").is_err());
    }
}
