// SPDX-License-Identifier: GPL-2.0-only
//! The git repository that the commits are made in. It is a temporary one, which borrows the objects of
//! the caller's: of that nothing is changed, but for a new branch if one is asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, ensure, Context, Result};

use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::xen::source::Source;

/// Who signs the commits off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `user.name`.
    pub(crate) name: String,
    /// `user.email`.
    pub(crate) email: String,
}

impl Identity {
    /// Whom git knows in a folder.
    pub(super) fn of(dir: &Path) -> Result<Self> {
        let ask = |key: &str| {
            let value = command::output(git(dir).args(["config", "--get", key]));
            let value = value.unwrap_or_default().trim().to_owned();
            ensure!(
                !value.is_empty(),
                "git does not know your {key}, and each commit is signed off in your name: run \
                 `git config --global user.name \"Your Name\"` and `git config --global \
                 user.email you@example.org`, then this again"
            );
            Ok(value)
        };
        Ok(Self {
            name: ask("user.name")?,
            email: ask("user.email")?,
        })
    }

    /// `Name <address>`.
    pub(super) fn shown(&self) -> String {
        format!("{} <{}>", self.name, self.email)
    }
}

/// A repository that stands at a commit of Xen.
pub(super) struct Repository {
    dir: PathBuf,
    /// The commit that the series is for.
    base: String,
    /// The caller's repository, if their tree is one.
    origin: Option<PathBuf>,
}

/// What begins the line of who vouches for a commit.
const SIGN_OFF: &str = "Signed-off-by: ";

/// The branch that the commits are on.
const BRANCH: &str = "refs/heads/series";

impl Repository {
    /// Checks out what a tree has committed, or, if it is in no repository, what it has, into an empty
    /// folder.
    pub(super) fn of(paths: &Paths, tree: &Path, dir: &Path, who: &Identity) -> Result<Self> {
        let mut made = Self {
            dir: dir.to_path_buf(),
            base: String::new(),
            origin: is_git(tree).then(|| tree.to_path_buf()),
        };
        made.run(&["init", "--quiet", "."])?;
        // Whatever the caller's own configuration says.
        for (name, value) in [
            ("user.name", who.name.as_str()),
            ("user.email", who.email.as_str()),
            ("commit.gpgsign", "false"),
            ("core.autocrlf", "false"),
            ("core.hooksPath", "/dev/null"),
            ("core.quotePath", "false"),
            ("diff.noprefix", "false"),
            ("diff.mnemonicPrefix", "false"),
            ("diff.renames", "true"),
            ("apply.whitespace", "error-all"),
        ] {
            made.run(&["config", name, value])?;
        }
        made.run(&["symbolic-ref", "HEAD", BRANCH])?;
        if let Some(origin) = &made.origin {
            let ask = |args: &[&str]| {
                let said = command::output(git(origin).arg("rev-parse").args(args))?;
                Ok::<_, anyhow::Error>(said.trim().to_owned())
            };
            let objects = origin.join(ask(&["--git-path", "objects"])?);
            let objects = objects
                .canonicalize()
                .with_context(|| format!("cannot find {}", objects.display()))?;
            files::write(
                &dir.join(".git/objects/info/alternates"),
                format!("{}\n", objects.display()),
            )?;
            let shallow = origin.join(ask(&["--git-path", "shallow"])?);
            if shallow.is_file() {
                files::write(&dir.join(".git/shallow"), files::read_text(&shallow)?)?;
            }
            let head = ask(&["--verify", "HEAD^{commit}"])?;
            made.run(&["update-ref", BRANCH, &head])?;
            made.run(&["reset", "--quiet", "--hard"])?;
        } else {
            Source::Tree(tree.to_path_buf()).unpack(paths, dir)?;
            made.run(&["add", "--all", "--force"])?;
            made.run(&["commit", "--quiet", "--message=Xen as it was"])?;
        }
        made.base = made.output(&["rev-parse", "HEAD"])?.trim().to_owned();
        Ok(made)
    }

    /// The folder that is checked out.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Is the caller's tree in git?
    pub(super) fn has_origin(&self) -> bool {
        self.origin.is_some()
    }

    /// Is there a branch of this name in the caller's repository?
    pub(super) fn has_branch(&self, name: &str) -> bool {
        self.origin.as_ref().is_some_and(|origin| {
            let mut ask = git(origin);
            ask.args(["show-ref", "--verify", "--quiet"])
                .arg(format!("refs/heads/{name}"));
            command::output(&mut ask).is_ok()
        })
    }

    /// Commits everything that has changed, signed off.
    pub(super) fn commit(&self, message: &str) -> Result<()> {
        self.run(&["add", "--all", "--force"])?;
        self.run(&["commit", "--quiet", "--signoff", "--message", message])
    }

    /// Applies a patch with its message, in the caller's name, as all other commits are: the sign-off
    /// in the patch is this project's, and Xen wants that of a person.
    pub(super) fn apply(&self, patch: &Path) -> Result<()> {
        self.run(&["am", "--quiet", &patch.to_string_lossy()])?;
        let said = self.output(&["log", "-1", "--format=%B"])?;
        let kept = said.lines().filter(|line| !line.starts_with(SIGN_OFF));
        let message = kept.collect::<Vec<_>>().join("\n");
        let mut amend = vec!["commit", "--quiet", "--amend", "--reset-author"];
        amend.extend(["--signoff", "--message", message.trim_end()]);
        self.run(&amend)
    }

    /// The files that are new since the base.
    pub(super) fn added(&self) -> Result<Vec<String>> {
        let said = self.output(&["diff", "--name-only", "--diff-filter=A", &self.base, "HEAD"])?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    /// Does a commit since the base add white space that git complains of?
    pub(super) fn check(&self) -> Result<()> {
        let mut log = git(&self.dir);
        log.args(["log", "--check", "--format="])
            .arg(format!("{}..HEAD", self.base));
        // It fails when it found something, which is on its stdout.
        let done = log.output().context("cannot start git")?;
        let each = String::from_utf8_lossy(&done.stdout);
        ensure!(
            done.status.success() && each.trim().is_empty(),
            "the series has white space that git complains of:\n{}",
            each.trim()
        );
        Ok(())
    }

    /// Writes the patches, and a cover letter whose subject and text are still to come.
    pub(super) fn write_patches(&self, out: &Path) -> Result<Vec<PathBuf>> {
        files::create_dir(out)?;
        let mut args = vec!["format-patch", "--quiet", "--cover-letter", "--numbered"];
        args.extend(["--suffix=.patch", "--from", "--no-attach", "--no-color"]);
        let base = format!("--base={}", self.base);
        if self.has_origin() {
            args.push(&base);
        }
        let range = format!("{}..HEAD", self.base);
        let out = out.to_string_lossy();
        args.extend(["--output-directory", &out, &range]);
        self.run(&args)?;
        let mut patches = files::sorted_entries(Path::new(&*out))?;
        patches.retain(|path| path.extension().is_some_and(|end| end == "patch"));
        Ok(patches)
    }

    /// Makes the commits a branch of the caller's repository; what is checked out there stays.
    pub(super) fn publish(&self, name: &str) -> Result<()> {
        let Some(origin) = &self.origin else {
            bail!("there is no repository to make the branch {name} in");
        };
        let mut fetch = git(origin);
        fetch
            .args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"])
            .arg(&self.dir)
            .arg(format!("{BRANCH}:refs/heads/{name}"));
        command::output(&mut fetch).map(drop)
    }

    fn run(&self, args: &[&str]) -> Result<()> {
        self.output(args).map(drop)
    }

    fn output(&self, args: &[&str]) -> Result<String> {
        command::output(git(&self.dir).args(args).stdin(Stdio::null()))
    }
}

/// Is a tree the top of what a git repository has checked out? A tree that was unpacked somewhere inside
/// another project's repository is not.
fn is_git(tree: &Path) -> bool {
    let top = command::output(git(tree).args(["rev-parse", "--show-toplevel"]));
    top.ok()
        .and_then(|top| fs::canonicalize(top.trim_end_matches('\n')).ok())
        .is_some_and(|top| fs::canonicalize(tree).is_ok_and(|tree| tree == top))
}

/// git in a folder, whatever repository the caller's environment speaks of.
fn git(dir: &Path) -> Command {
    let mut git = command::clean("git");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
    ] {
        git.env_remove(name);
    }
    git.arg("-C").arg(dir);
    git
}

#[cfg(test)]
#[path = "repository_tests.rs"]
mod tests;
