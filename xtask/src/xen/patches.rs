// SPDX-License-Identifier: GPL-2.0-only
//! The patch series of one Xen release: which files it touches, and applying it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

use crate::command;
use crate::files::{self, Fingerprint};
use crate::paths::Paths;
use crate::version::Version;

/// `patches/xen-<release>/*.patch`, in order.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    patches: Vec<PathBuf>,
}

impl Series {
    /// Reads the names; the folder of a release without patches yet is an empty series.
    pub(crate) fn of(paths: &Paths, release: Version) -> Result<Self> {
        let mut patches = files::sorted_entries(&paths.patches().join(format!("xen-{release}")))?;
        patches.retain(|path| path.extension().is_some_and(|ext| ext == "patch"));
        Ok(Self { patches })
    }

    /// Adds a patch at the end.
    pub(crate) fn add(&mut self, patch: PathBuf) {
        self.patches.push(patch);
    }

    /// No patches?
    pub(crate) fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// Adds the patches to what a tree is made from.
    pub(crate) fn fingerprint(&self, hash: &mut Fingerprint) -> Result<()> {
        for patch in &self.patches {
            hash.add_file(patch)?;
        }
        Ok(())
    }

    /// The files the series changes or makes, below the tree's root.
    pub(crate) fn touched(&self) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for patch in &self.patches {
            all.extend(touched_by(&files::read_text(patch)?));
        }
        Ok(all)
    }

    /// Applies the series to a tree.
    pub(crate) fn apply(&self, paths: &Paths, tree: &Path) -> Result<()> {
        for patch in &self.patches {
            command::logged(
                command::bound("patch")
                    .args(["--strip=1", "--forward", "--batch", "--fuzz=0", "--input"])
                    .arg(patch)
                    .current_dir(tree),
                &paths.log("patch"),
            )
            .with_context(|| {
                format!(
                    "{} does not apply to this Xen tree: use a tree close to the base named in \
                     patches/README.md",
                    patch.display()
                )
            })?;
        }
        Ok(())
    }

    /// Refuses a git tree with uncommitted changes where the series wants to change something.
    pub(crate) fn require_untouched(&self, tree: &Path) -> Result<()> {
        let touched = self.touched()?;
        if touched.is_empty() || !tree.join(".git").exists() {
            return Ok(());
        }
        let shown = command::output(
            command::clean("git")
                .arg("-C")
                .arg(tree)
                .args(["status", "--porcelain", "--"])
                .args(&touched),
        )?;
        let changed: Vec<&str> = shown.lines().filter_map(|line| line.get(3..)).collect();
        if !changed.is_empty() {
            bail!(
                "{} has local changes in files that the patches change ({}): commit or stash them",
                tree.display(),
                changed.join(", ")
            );
        }
        Ok(())
    }
}

/// The names in a patch's `+++ b/...` and `--- a/...` lines.
fn touched_by(patch: &str) -> BTreeSet<String> {
    patch
        .lines()
        .filter_map(|line| {
            line.strip_prefix("+++ b/")
                .or_else(|| line.strip_prefix("--- a/"))
        })
        .map(|name| name.split('\t').next().unwrap_or(name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::touched_by;

    #[test]
    fn names_in_a_patch() {
        let patch = "--- a/xen/arch/arm/Kconfig\n+++ b/xen/arch/arm/Kconfig\n@@ -1 +1,2 @@\n x\n\
                     +++ not a header\n--- /dev/null\n+++ b/xen/arch/arm/p2m.mk\t2024\n";
        let names: Vec<String> = touched_by(patch).into_iter().collect();
        assert_eq!(names, ["xen/arch/arm/Kconfig", "xen/arch/arm/p2m.mk"]);
    }
}
