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

    /// Applies patches with `git am` to each of some commits, in a clone of the clone's that has only the files
    /// below `part`; says which do not take them. (`git am` knows no fuzz.)
    pub(crate) fn take(
        paths: &Paths,
        clone: &Path,
        all: &[Self],
        patches: &[PathBuf],
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
        let run = |args: &[&str]| {
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
            if args.first() == Some(&"am") {
                git.args(patches);
            }
            command::logged(&mut git, &log)
        };
        run(&["sparse-checkout", "set", "--no-cone", part])?;
        let mut refused = Vec::new();
        for branch in all {
            run(&["checkout", "--quiet", "--force", "--detach", &branch.commit])?;
            if run(&["am", "--quiet", "--no-3way"]).is_err() {
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
