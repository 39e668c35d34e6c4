// SPDX-License-Identifier: GPL-2.0-only
//! A release in a clone of xen.git, which is only read.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

use super::release;
use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::version::Version;

/// A commit, and how it was found.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    clone: PathBuf,
    /// `refs/heads/stable-4.19`, a remote's, or a tag.
    name: String,
    /// In full.
    pub(crate) commit: String,
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.rsplit('/').next().unwrap_or(&self.name);
        write!(f, "{name} {}", self.commit.get(..12).unwrap_or_default())
    }
}

impl Branch {
    /// The tip of a release: its stable branch; for what has none yet, the branch that says it is this
    /// release. The clone's own branches may be older than those of the remote it was made from: the newest counts.
    pub(crate) fn find(clone: &Path, release: Version) -> Result<Self> {
        for name in [
            &format!("stable-{release}"),
            &format!("staging-{release}"),
            "staging",
            "master",
        ] {
            let refs = [
                format!("refs/heads/{name}"),
                format!("refs/remotes/*/{name}"),
            ];
            for (name, commit) in listed(clone, &refs)? {
                let branch = Self {
                    clone: clone.to_path_buf(),
                    name,
                    commit,
                };
                if branch.release()? == Some(release) {
                    return Ok(branch);
                }
            }
        }
        bail!(
            "{} has no branch of Xen {release}: stable-{release} is what xen.git calls it (`git fetch` in a clone \
             with all branches), or staging before it is released",
            clone.display()
        )
    }

    /// All tags of the tested releases, oldest first, and the tips of their branches.
    pub(crate) fn all(clone: &Path) -> Result<Vec<Self>> {
        let mut patterns = Vec::new();
        for release in release::RELEASES {
            patterns.push(format!("refs/tags/RELEASE-{release}.*"));
            for kind in ["stable", "staging"] {
                patterns.push(format!("refs/heads/{kind}-{release}"));
                patterns.push(format!("refs/remotes/*/{kind}-{release}"));
            }
        }
        for name in ["staging", "master"] {
            patterns.push(format!("refs/heads/{name}"));
            patterns.push(format!("refs/remotes/*/{name}"));
        }
        let mut found: Vec<Self> = Vec::new();
        for (name, commit) in listed(clone, &patterns)? {
            // A remote's branch and the clone's own, a tag and the tip that it is.
            if found.iter().all(|branch| branch.commit != commit) {
                let clone = clone.to_path_buf();
                found.push(Self {
                    clone,
                    name,
                    commit,
                });
            }
        }
        found.reverse();
        Ok(found)
    }

    /// Applies the patches for its release with `git am` to each of some commits, in a clone of the clone's that
    /// has only the files below `part`; says which do not take them. (`git am` knows no fuzz.)
    pub(crate) fn take(
        paths: &Paths,
        clone: &Path,
        all: &[Self],
        patches: impl Fn(Version) -> Result<Vec<PathBuf>>,
        part: &str,
    ) -> Result<Vec<String>> {
        let log = paths.log("git-am");
        let scratch = files::scratch_dir(paths)?;
        let dir = scratch.path().join("xen");
        let mut command = command::bound("git");
        command
            .args(["clone", "--quiet", "--shared", "--no-checkout"])
            .args([clone, &dir]);
        command::logged(&mut command, &log)?;
        let git = |args: &[&str]| {
            let mut git = command::bound("git");
            git.arg("-C").arg(&dir);
            for setting in [
                "user.name=xtask",
                "user.email=xtask@localhost",
                "commit.gpgsign=false",
            ] {
                git.args(["-c", setting]);
            }
            git.args(args);
            git
        };
        let run = |args: &[&str]| command::logged(&mut git(args), &log);
        run(&["sparse-checkout", "set", "--no-cone", part])?;
        let mut refused = Vec::new();
        for branch in all {
            run(&["checkout", "--quiet", "--force", "--detach", &branch.commit])?;
            let release = branch.release()?;
            let patches = patches(release.with_context(|| format!("which release is {branch}?"))?)?;
            let mut am = git(&["am", "--quiet", "--no-3way"]);
            if command::logged(am.args(patches), &log).is_err() {
                refused.push(branch.to_string());
                run(&["am", "--abort"])?;
            }
        }
        Ok(refused)
    }

    /// What its Makefile says.
    fn release(&self) -> Result<Option<Version>> {
        let shown = format!("{}:xen/Makefile", self.commit);
        let makefile = command::output(git(&self.clone).args(["show", &shown]))?;
        Ok(release::parse(&makefile))
    }

    /// Puts its files into the empty folder `dir`.
    pub(crate) fn export(&self, paths: &Paths, dir: &Path, log: &Path) -> Result<()> {
        let scratch = files::scratch_dir(paths)?;
        let packed = scratch.path().join("xen.tar");
        command::logged(
            git(&self.clone)
                .args(["archive", "--format=tar", "--output"])
                .arg(&packed)
                .arg(&self.commit),
            log,
        )?;
        command::logged(
            command::bound("tar")
                .args(["--extract", "--file"])
                .arg(&packed)
                .arg("--directory")
                .arg(dir),
            log,
        )
    }
}

/// Names and commits that match, the newest commit first.
fn listed(clone: &Path, patterns: &[String]) -> Result<Vec<(String, String)>> {
    let shown = command::output(
        git(clone)
            .args(["for-each-ref", "--sort=-committerdate"])
            .arg("--format=%(refname) %(objectname) %(*objectname)")
            .args(patterns),
    )
    .with_context(|| format!("{} is not a clone of xen.git", clone.display()))?;
    Ok(shown
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, object) = (words.next()?, words.next()?);
            // An annotated tag is an object of its own, with the commit behind it.
            Some((name.to_owned(), words.next().unwrap_or(object).to_owned()))
        })
        .collect())
}

fn git(clone: &Path) -> std::process::Command {
    let mut git = command::clean("git");
    git.arg("-C").arg(clone);
    git
}

/// The commits of a release's tags, `RELEASE-4.19.0` and later.
pub(crate) fn point_releases(clone: &Path, release: Version) -> Result<Vec<String>> {
    let tags = listed(clone, &[format!("refs/tags/RELEASE-{release}.*")])?;
    Ok(tags.into_iter().map(|(_, commit)| commit).collect())
}

/// A file of a commit; `None` if it has none of that name.
pub(crate) fn file(clone: &Path, commit: &str, path: &str) -> Result<Option<String>> {
    let name = format!("{commit}:{path}");
    let exists = git(clone)
        .args(["cat-file", "-e", &name])
        .stderr(std::process::Stdio::null())
        .status()
        .with_context(|| format!("cannot run git in {}", clone.display()))?;
    if !exists.success() {
        return Ok(None);
    }
    command::output(git(clone).args(["show", &name])).map(Some)
}

#[cfg(test)]
mod tests {
    use super::Branch;
    use crate::base::command;
    use crate::base::files::{create_dir, read_text, write};
    use crate::base::paths::Paths;
    use crate::base::version::Version;
    use std::path::Path;

    /// A clone with a tag of 4.19, its stable branch, and a master that says 4.23.
    fn clone(dir: &Path) -> anyhow::Result<()> {
        let git = |args: &[&str]| {
            let mut git = command::clean("git");
            git.arg("-C").arg(dir);
            git.args(["-c", "user.name=x", "-c", "user.email=x@localhost"]);
            command::output(git.args(args))
        };
        let commit = |minor: u32, line: &str| {
            let makefile = format!("export XEN_VERSION = 4\nexport XEN_SUBVERSION = {minor}\n");
            write(&dir.join("xen/Makefile"), makefile)?;
            write(
                &dir.join("xen/arch/arm/Makefile"),
                format!("one\n{line}\ntwo\n"),
            )?;
            git(&["add", "--all"])?;
            git(&["commit", "--quiet", "--message", line])
        };
        create_dir(&dir.join("xen/arch/arm"))?;
        git(&["init", "--quiet", "--initial-branch=master"])?;
        commit(19, "first")?;
        git(&["tag", "-a", "-m", "x", "RELEASE-4.19.0"])?;
        git(&["tag", "RELEASE-4.1.0"])?;
        git(&["branch", "stable-4.1"])?;
        git(&["checkout", "--quiet", "-b", "stable-4.19"])?;
        commit(19, "changed")?;
        git(&["checkout", "--quiet", "master"])?;
        commit(23, "first\nmore")?;
        Ok(())
    }

    #[test]
    fn the_branch_of_a_release() -> anyhow::Result<()> {
        let (dir, out) = (tempfile::tempdir()?, tempfile::tempdir()?);
        clone(dir.path())?;
        let find = |minor| Branch::find(dir.path(), Version::new(4, minor));
        assert!(find(19)?.to_string().starts_with("stable-4.19 "));
        assert!(find(23)?.to_string().starts_with("master "));
        let said = find(21).map_err(|error| error.to_string()).err();
        assert!(said.is_some_and(|said| said.contains("no branch of Xen 4.21")));
        assert!(Branch::find(out.path(), Version::new(4, 19)).is_err());
        let paths = Paths::find()?;
        find(19)?.export(&paths, out.path(), &out.path().join("log"))?;
        let exported = read_text(&out.path().join("xen/arch/arm/Makefile"))?;
        assert_eq!(exported, "one\nchanged\ntwo\n");
        Ok(())
    }

    #[test]
    fn what_does_not_take_the_patches_is_named() -> anyhow::Result<()> {
        let (dir, paths) = (tempfile::tempdir()?, Paths::find()?);
        clone(dir.path())?;
        let patch = dir.path().join("x.patch");
        write(
            &patch,
            "From: x <x@localhost>\nDate: Mon, 23 Nov 2026 01:40:50 +0000\nSubject: x\n\n---\n\
             --- a/xen/arch/arm/Makefile\n+++ b/xen/arch/arm/Makefile\n@@ -1,2 +1,3 @@\n one\n+new\n first\n",
        )?;
        let all = Branch::all(dir.path())?;
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        let patches = |_| Ok(vec![patch.clone()]);
        let refused = Branch::take(&paths, dir.path(), &all, patches, "/xen/arch/arm/")?;
        assert!(
            refused.len() == 1 && refused.iter().all(|name| name.starts_with("stable-4.19 ")),
            "{refused:?}"
        );
        Ok(())
    }
}
