// SPDX-License-Identifier: GPL-2.0-only
//! The patch series, which is one for all releases of Xen: which files it touches, and applying it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Result};

use super::diff;
use crate::base::command;
use crate::base::files::{self, Fingerprint};
use crate::base::paths::Paths;
use crate::base::version::Version;

/// The first release in which a domain can be created with altp2m.
pub(crate) const ALTP2M_SINCE: Version = Version::new(4, 19);

/// What the first patch adds to Kconfig.
const OPTION: &str = "ARM_P2M_RUST";

/// The patches of `patches/xen`, in order; and of `patches/altp2m`, for releases that know altp2m.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    patches: Vec<PathBuf>,
}

impl Series {
    /// Those for all releases.
    pub(crate) fn find(paths: &Paths) -> Result<Self> {
        Self::in_folder(paths, "xen")
    }

    /// All for a release.
    pub(crate) fn of(paths: &Paths, release: Version) -> Result<Self> {
        let mut all = Self::find(paths)?;
        if release >= ALTP2M_SINCE {
            all.patches
                .extend(Self::in_folder(paths, "altp2m")?.patches);
        }
        Ok(all)
    }

    fn in_folder(paths: &Paths, name: &str) -> Result<Self> {
        let mut patches = files::sorted_entries(&paths.patches().join(name))?;
        patches.retain(|path| path.extension().is_some_and(|ext| ext == "patch"));
        Ok(Self { patches })
    }

    /// Adds a patch at the end.
    pub(crate) fn add(&mut self, patch: PathBuf) {
        self.patches.push(patch);
    }

    /// The files.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.patches
    }

    /// How many patches?
    pub(crate) fn len(&self) -> usize {
        self.patches.len()
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

    /// The patches that a tree has not got yet; of a tree that has them all (by `git am`, `patch` or by hand)
    /// none.
    pub(crate) fn missing_from(&self, tree: &Path) -> Result<Self> {
        let read = |file: &str| fs::read_to_string(tree.join(file)).unwrap_or_default();
        let touched = self.touched()?.into_iter();
        let mut now: BTreeMap<_, _> = touched.map(|file| (file.clone(), read(&file))).collect();
        let mut patches = Vec::new();
        // From the last to the first, since a later one may change lines of an earlier one.
        for patch in self.patches.iter().rev() {
            let text = files::read_text(patch)?;
            let hunks = diff::hunks(&text);
            let is_in =
                |hunk: &diff::Hunk<'_>| now.get(hunk.file).is_some_and(|text| hunk.is_in(text));
            if hunks.is_empty() || !hunks.iter().all(is_in) {
                patches.push(patch.clone());
                continue;
            }
            for hunk in hunks.iter().rev() {
                if let Some(text) = now.get_mut(hunk.file) {
                    hunk.take_out(text);
                }
            }
        }
        patches.reverse();
        Ok(Self { patches })
    }

    /// Is the first patch still to come, although the tree has its option?
    fn is_there_in_another_state(&self, tree: &Path) -> Result<bool> {
        // Earlier states of the series had it in the first.
        let there = ["Kconfig", "Kconfig.p2m"].iter().any(|name| {
            fs::read_to_string(tree.join("xen/arch/arm").join(name))
                .is_ok_and(|kconfig| kconfig.contains(OPTION))
        });
        let Some(first) = self.patches.first().filter(|_| there) else {
            return Ok(false);
        };
        Ok(files::read_text(first)?.contains(&format!("+config {OPTION}")))
    }

    /// Applies the series to a tree.
    pub(crate) fn apply(&self, paths: &Paths, tree: &Path) -> Result<()> {
        let log = paths.log("patch");
        // Before any of ours is in it.
        let other_state = self.is_there_in_another_state(tree)?;
        for patch in &self.patches {
            let applied = command::logged(
                command::bound("patch")
                    .args(["--strip=1", "--forward", "--batch", "--fuzz=0", "--input"])
                    .arg(patch)
                    .current_dir(tree),
                &log,
            );
            if let Err(error) = applied {
                let said = fs::read_to_string(&log).unwrap_or_default();
                let text = files::read_text(patch)?;
                let name = patch.file_name().unwrap_or_default().to_string_lossy();
                match diff::refusal(&name, &text, &said) {
                    Some(refusal) => bail!("{refusal}\n{}", advice(other_state, patch)),
                    None => return Err(error),
                }
            }
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

/// What to do about a patch that a tree does not take.
fn advice(other_state: bool, patch: &Path) -> String {
    if other_state {
        format!(
            "The tree has {OPTION} already, in another state of these patches: take those commits out \
             (`git rebase --interactive`), then run the same command again."
        )
    } else {
        format!(
            "The tree's own changes are in the way. Apply the series there with `git am --3way \
             {}/*.patch`, put what is named above in by hand where git stops (`git am --continue`), and \
             run the same command again: patches that a tree has already are recognised.",
            patch.parent().unwrap_or(patch).display()
        )
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
    use super::{touched_by, Series, ALTP2M_SINCE};
    use crate::base::command;
    use crate::base::files::{create_dir, read_text, write};
    use crate::base::paths::Paths;
    use std::path::Path;

    const PATCH: &str =
        "Subject: x\n\n--- a/Kconfig\n+++ b/Kconfig\n@@ -1,2 +1,4 @@\n one\n+new\n+option\n \
                         two\n--- /dev/null\n+++ b/new.c\n@@ -0,0 +1,2 @@\n+int\n+x;\n-- \n2.39\n";

    fn series(dir: &Path) -> anyhow::Result<Series> {
        let patch = dir.join("0001-x.patch");
        write(&patch, PATCH)?;
        Ok(Series {
            patches: vec![patch],
        })
    }

    /// `cargo test` needs no program but cargo; `cargo xtask test` installs what these tests run.
    fn has_patch() -> bool {
        let has = command::which("patch").is_some();
        if !has {
            println!("not looked at: there is no `patch` here, which `cargo xtask test` installs");
        }
        has
    }

    #[test]
    fn patches_that_a_tree_has_are_recognised() -> anyhow::Result<()> {
        if !has_patch() {
            return Ok(());
        }
        let (dir, paths) = (tempfile::tempdir()?, Paths::find()?);
        let series = series(dir.path())?;
        let tree = dir.path().join("tree");
        create_dir(&tree)?;
        write(&tree.join("Kconfig"), "one\ntwo\n")?;
        assert_ne!(series.missing_from(&tree)?.len(), 0);
        series.apply(&paths, &tree)?;
        assert_eq!(read_text(&tree.join("Kconfig"))?, "one\nnew\noption\ntwo\n");
        assert_eq!(series.missing_from(&tree)?.len(), 0);
        // As somebody may have merged it by hand.
        write(&tree.join("Kconfig"), "one\nthree\nnew\noption\nfour\n")?;
        assert_eq!(series.missing_from(&tree)?.len(), 0);
        // Half of it is not it.
        write(&tree.join("Kconfig"), "one\nnew\nfour\n")?;
        assert_ne!(series.missing_from(&tree)?.len(), 0);
        Ok(())
    }

    const LATER: &str =
        "Subject: y\n\n--- a/new.c\n+++ b/new.c\n@@ -1,2 +1,2 @@\n int\n-x;\n+y;\n-- \n2.39\n";

    #[test]
    fn a_patch_is_recognised_whose_lines_a_later_one_has_changed() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let mut series = series(dir.path())?;
        let later = dir.path().join("0002-y.patch");
        write(&later, LATER)?;
        series.add(later.clone());
        let tree = dir.path().join("tree");
        create_dir(&tree)?;
        write(&tree.join("Kconfig"), "one\nnew\noption\ntwo\n")?;
        write(&tree.join("new.c"), "int\ny;\n")?;
        assert_eq!(series.missing_from(&tree)?.len(), 0);
        // Without the later one it is that one that is missing; and a third state is neither's.
        write(&tree.join("new.c"), "int\nx;\n")?;
        assert_eq!(series.missing_from(&tree)?.files(), [later]);
        write(&tree.join("new.c"), "int\nz;\n")?;
        assert_eq!(series.missing_from(&tree)?.len(), 2);
        Ok(())
    }

    #[test]
    fn a_change_in_the_way_is_named() -> anyhow::Result<()> {
        if !has_patch() {
            return Ok(());
        }
        let (dir, paths) = (tempfile::tempdir()?, Paths::find()?);
        let series = series(dir.path())?;
        let tree = dir.path().join("tree");
        create_dir(&tree)?;
        write(&tree.join("Kconfig"), "one\nthree\n")?;
        let error = series.apply(&paths, &tree).map_err(|e| e.to_string());
        let said = error.err().unwrap_or_default();
        for part in [
            "0001-x.patch",
            "Kconfig",
            "hunk 1",
            "@@ -1,2 +1,4 @@",
            "git am --3way",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        Ok(())
    }

    /// As docs/process/sending-patches.pandoc of Xen asks. (Those for upstream have a test of their own.)
    #[test]
    fn messages_are_as_xen_wants_them() -> anyhow::Result<()> {
        let paths = Paths::find()?;
        for patch in Series::of(&paths, ALTP2M_SINCE)?.files() {
            let text = read_text(patch)?;
            let (head, _) = text.split_once("\n---\n").unwrap_or((&text, ""));
            let lines = head.lines().map(|line| match line.split_once("] ") {
                Some((tag, subject)) if tag.starts_with("Subject: [PATCH ") => subject,
                _ => line,
            });
            let mut long = lines.filter(|line| line.len() > 75);
            let long = long.find(|line| !line.starts_with("Signed-off-by: "));
            assert_eq!(long, None, "{}", patch.display());
        }
        Ok(())
    }

    #[test]
    fn names_in_a_patch() {
        let patch = "--- a/xen/arch/arm/Kconfig\n+++ b/xen/arch/arm/Kconfig\n@@ -1 +1,2 @@\n x\n\
                     +++ not a header\n--- /dev/null\n+++ b/xen/arch/arm/p2m.mk\t2024\n";
        let names: Vec<String> = touched_by(patch).into_iter().collect();
        assert_eq!(names, ["xen/arch/arm/Kconfig", "xen/arch/arm/p2m.mk"]);
    }
}
