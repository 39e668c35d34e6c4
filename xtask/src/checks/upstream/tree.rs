// SPDX-License-Identifier: GPL-2.0-only
//! A copy of a Xen tree, as a git repository with one commit, which patches are applied to and whose objects are built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::base::command;
use crate::base::files::{self, Fingerprint};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::host::tools::CROSS;
use crate::xen::build::jobs;
use crate::xen::source::Source;

/// What the patches change, and what includes the headers that they change.
const OBJECTS: [&str; 4] = ["mmu/p2m.o", "p2m.o", "mem_access.o", "traps.o"];

/// CONFIG_DEBUG off and on.
const KINDS: [&str; 2] = ["release", "debug"];

/// The commit of the tree as it came.
const BASE: &str = "base";

/// The copy: `src` is the tree, `out` has what make makes.
pub(super) struct Tree<'p> {
    paths: &'p Paths,
    dir: PathBuf,
}

impl<'p> Tree<'p> {
    /// Copies a tree, and builds it once in each kind: the headers that make writes are needed for any object.
    pub(super) fn copy(paths: &'p Paths, progress: Progress, from: &Path) -> Result<Self> {
        let from = from
            .canonicalize()
            .with_context(|| format!("there is no Xen tree at {}", from.display()))?;
        let source = Source::Tree(from);
        let mut hash = Fingerprint::default();
        source.fingerprint(&mut hash)?;
        let tree = Self {
            paths,
            dir: paths.xen_trees().join("upstream"),
        };
        let stamp = hash.hex();
        if !files::is_current(&tree.dir, &stamp) {
            files::require_space(&paths.target(), 2048)?;
            let task = progress.start("Copying the tree and building it once");
            files::make_whole(paths, &tree.dir, &stamp, |scratch| {
                let copy = scratch.join("src");
                files::create_dir(&copy)?;
                source.unpack(paths, &copy)
            })?;
            tree.git(&["init", "--quiet"])?;
            tree.git(&["add", "--all", "--force"])?;
            tree.git(&["commit", "--quiet", "--message", BASE])?;
            tree.git(&["tag", BASE])?;
            task.done();
        }
        tree.reset()?;
        for kind in KINDS {
            if !tree.out(kind).join("xen-syms").is_file() {
                let task = progress.start(format!("Building it once ({kind})"));
                tree.configure(kind)?;
                tree.make(kind, &["xen"])?;
                task.done();
            }
        }
        Ok(tree)
    }

    /// The tree's root.
    pub(super) fn src(&self) -> PathBuf {
        self.dir.join("src")
    }

    fn out(&self, kind: &str) -> PathBuf {
        self.dir.join("out").join(kind)
    }

    /// The tree as it came.
    pub(super) fn reset(&self) -> Result<()> {
        self.git(&["reset", "--quiet", "--hard", BASE])
    }

    /// `git am`, which knows no fuzz.
    pub(super) fn am(&self, patch: &Path) -> Result<()> {
        let file = patch.to_str().context("the patch's path is no text")?;
        let applied = self.git(&["am", "--quiet", "--no-3way", file]);
        if applied.is_err() {
            // An am that is under way stays so.
            self.git(&["am", "--abort"])?;
        }
        applied
    }

    fn git(&self, args: &[&str]) -> Result<()> {
        let mut git = command::bound("git");
        git.arg("-C")
            .arg(self.src())
            .args(["-c", "user.name=xtask", "-c", "user.email=xtask@localhost"])
            .args([
                "-c",
                "commit.gpgSign=false",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(args);
        command::logged(&mut git, &self.paths.log("upstream-git"))
    }

    fn configure(&self, kind: &str) -> Result<()> {
        files::create_dir(&self.out(kind))?;
        self.make(kind, &["defconfig"])?;
        let config = self.out(kind).join(".config");
        let debug = match kind {
            "debug" => "CONFIG_DEBUG=y",
            _ => "# CONFIG_DEBUG is not set",
        };
        // mem_access.c belongs to either option, which one depends on the release.
        let wanted = format!("CONFIG_VM_EVENT=y\nCONFIG_MEM_ACCESS=y\n{debug}\n");
        files::write(&config, files::read_text(&config)? + &wanted)?;
        self.make(kind, &["olddefconfig"])?;
        let got = files::read_text(&config)?;
        let has = |wanted: &str| got.lines().any(|line| line == wanted);
        if !has(debug) || !(has("CONFIG_VM_EVENT=y") || has("CONFIG_MEM_ACCESS=y")) {
            bail!("{} is not as asked for", config.display());
        }
        Ok(())
    }

    fn make(&self, kind: &str, goals: &[&str]) -> Result<()> {
        let mut make: Command = command::bound("make");
        make.arg("-C")
            .arg(self.src().join("xen"))
            .arg(format!("-j{}", jobs()))
            .arg("XEN_TARGET_ARCH=arm64")
            .arg(format!("CROSS_COMPILE={CROSS}"))
            .arg(format!("O={}", self.out(kind).display()))
            .args(goals);
        command::logged(&mut make, &self.paths.log("upstream-make"))
    }

    /// Compiles what the patches touch, in each kind; how many objects that were.
    pub(super) fn compile(&self) -> Result<usize> {
        let goals = OBJECTS.map(|object| format!("arch/arm/{object}"));
        let goals: Vec<&str> = goals.iter().map(String::as_str).collect();
        for kind in KINDS {
            for goal in &goals {
                // make goes by times, which this run sets anew at each patch.
                let _ = std::fs::remove_file(self.out(kind).join(goal));
            }
            self.make(kind, &goals)
                .with_context(|| format!("it does not compile ({kind})"))?;
        }
        Ok(goals.len() * KINDS.len())
    }
}
