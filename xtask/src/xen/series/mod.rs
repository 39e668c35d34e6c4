// SPDX-License-Identifier: GPL-2.0-only
//! The Rust inside Xen's own tree: this repository's sources, the patches and the entries in Xen's
//! files as one series of commits, for mail or as a branch.

mod cover;
mod entries;
mod lockfile;
mod manifest;
mod plan;
mod repository;
mod sources;

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};

use self::cover::Facts;
use self::plan::{HOME, STEPS};
use self::repository::Repository;
use self::sources::Sources;
use super::patches::Series;
use super::release;
use crate::base::cli::SeriesArgs;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;

pub(crate) use self::repository::Identity;

/// What Kconfig has with the Rust, in whichever file.
const OPTION: &str = "config ARM_P2M_RUST";

/// A patch that adds this is the self-test, which comes behind the entries, as do the debug key and views. The
/// benchmark stays here: what it counts means something only beside this project's tables.
const SELFTEST: &str = "+config P2M_SELFTEST";

/// What the patch with the debug key adds, and its files.
const DUMP: &str = "+config ARM_P2M_DUMP";
const DUMP_FILES: [&str; 2] = [
    "xen/arch/arm/include/asm/p2m-dump.h",
    "xen/arch/arm/p2m-dump.c",
];
const BENCH: &str = "+config P2M_BENCH";

/// What the patch for views adds, and its files.
const VIEWS: &str = "+config ALTP2M";
const VIEWS_FILES: [&str; 3] = [
    "xen/arch/arm/altp2m.c",
    "xen/arch/arm/include/asm/altp2m.h",
    "xen/arch/arm/include/asm/p2m-views.h",
];

/// What the patch for the self-test of views adds, beside 0003's files.
const VIEWS_SELFTEST: &str = "+obj-$(CONFIG_ALTP2M) += views-step.o";

/// Where the self-test is.
const SELFTEST_HOME: &str = "xen/arch/arm/p2m-selftest";

/// Said of each series, as long as it holds.
const NOT_YET: &str =
    "Do not send this to a public list yet: it describes defects of Xen that a guest \
                       can use, of which Xen's security team must have heard first (SECURITY.md).";

/// What was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// The cover letter and the patches, in order; none if only a branch was asked for.
    pub(crate) patches: Vec<PathBuf>,
    /// What could not be added to Xen's own files, and why.
    pub(crate) left_out: Vec<String>,
}

/// Makes the series in the name of whoever git says the caller is.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &SeriesArgs) -> Result<bool> {
    let tree = args
        .xen_tree
        .canonicalize()
        .with_context(|| format!("there is no Xen tree at {}", args.xen_tree.display()))?;
    let who = Identity::of(&tree)?;
    let made = lock::alone(paths, progress, || make(paths, progress, &tree, args, &who))?;
    for reason in &made.left_out {
        progress.say(&format!("Left out: {reason}"));
    }
    if let Some(branch) = &args.branch {
        println!("branch {branch} in {}", tree.display());
    }
    for patch in &made.patches {
        println!("{}", patch.display());
    }
    progress.say(NOT_YET);
    Ok(true)
}

/// Makes the series; the caller holds the lock.
pub(crate) fn make(
    paths: &Paths,
    progress: Progress,
    tree: &Path,
    args: &SeriesArgs,
    who: &Identity,
) -> Result<Made> {
    let version = release::of_tree(tree)?;
    release::require_supported(tree, version)?;
    let out = match (&args.out, &args.branch) {
        (Some(out), _) => Some(absolute(out)?),
        (None, Some(_)) => None,
        (None, None) => Some(paths.series()),
    };
    if let Some(out) = out.as_deref() {
        make_room(out, args.out.is_some())?;
    }
    let sources = Sources::read(paths.root())?;
    let task = progress.start(format!("Making the commits on {}", tree.display()));
    let scratch = files::scratch_dir(paths)?;
    let xen = Repository::of(paths, tree, scratch.path(), who)?;
    require_new(tree, &xen)?;
    if let Some(branch) = &args.branch {
        ensure!(
            xen.has_origin(),
            "{} is not a git repository, so there is no branch to make: leave --branch out",
            tree.display()
        );
        ensure!(
            !xen.has_branch(branch),
            "{} has a branch {branch} already: give --branch another name",
            tree.display()
        );
    }
    for (at, step) in STEPS.iter().enumerate() {
        let there = STEPS.get(..=at).unwrap_or(STEPS);
        put(&xen.dir().join(HOME), &sources.after(there)?)?;
        xen.commit(&message(step.subject, step.body))?;
    }
    let (first, last) = patches(&Series::of(paths, version)?)?;
    for patch in &first {
        apply(&xen, patch, tree)?;
    }
    let left_out = enter(&xen, who, &last)?;
    for patch in &last {
        apply(&xen, patch, tree)?;
    }
    xen.check()?;
    if let Some(branch) = &args.branch {
        xen.publish(branch)?;
    }
    let mut made = Made {
        patches: Vec::new(),
        left_out,
    };
    if let Some(out) = out {
        made.patches = xen.write_patches(&out)?;
        let facts = Facts {
            release: &version.to_string(),
            url: args.url.as_deref(),
            left_out: &made.left_out,
        };
        let letter = made.patches.first().context("git wrote no patches")?;
        let filled = cover::fill(&files::read_text(letter)?, &facts)?;
        files::write(letter, filled)?;
    }
    task.done();
    Ok(made)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
}

fn message(subject: &str, body: &str) -> String {
    format!("{subject}\n\n{}", body.trim_end())
}

/// Empties our own folder; somebody else's must have no patches, since those of two series cannot be
/// told apart.
fn make_room(out: &Path, theirs: bool) -> Result<()> {
    if !theirs {
        files::remove(out)?;
    }
    files::create_dir(out)?;
    for entry in files::sorted_entries(out)? {
        ensure!(
            entry.extension().is_none_or(|end| end != "patch"),
            "{} has patches already ({}): give --out an empty folder",
            out.display(),
            entry.file_name().unwrap_or_default().to_string_lossy()
        );
    }
    Ok(())
}

/// Fails if the tree has some of it already.
fn require_new(tree: &Path, xen: &Repository) -> Result<()> {
    let mut option = false;
    for file in files::sorted_entries(&xen.dir().join("xen/arch/arm"))? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        option |= name.starts_with("Kconfig")
            && files::read_text(&file)?.lines().any(|line| line == OPTION);
    }
    if option || xen.dir().join(HOME).exists() {
        bail!(
            "{} has the Rust p2m already ({}): make the series for a commit that has not",
            tree.display(),
            if option { OPTION } else { HOME }
        );
    }
    Ok(())
}

/// Makes a folder what it has to be.
fn put(home: &Path, tree: &std::collections::BTreeMap<String, String>) -> Result<()> {
    files::remove(home)?;
    for (path, text) in tree {
        let file = home.join(path);
        files::create_dir(file.parent().unwrap_or(home))?;
        files::write(&file, text)?;
    }
    Ok(())
}

/// The patches that come before the entries, and those of the self-test, the debug key and views.
fn patches(series: &Series) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for patch in series.files() {
        let text = files::read_text(patch)?;
        let adds = |line: &str| text.lines().any(|other| other == line);
        if [SELFTEST, DUMP, VIEWS, VIEWS_SELFTEST]
            .into_iter()
            .any(adds)
        {
            last.push(patch.clone());
        } else if !adds(BENCH) {
            first.push(patch.clone());
        }
    }
    ensure!(!first.is_empty(), "there are no patches for this release");
    Ok((first, last))
}

fn apply(xen: &Repository, patch: &Path, tree: &Path) -> Result<()> {
    xen.apply(patch).with_context(|| {
        format!(
            "{} does not apply to what {} has committed",
            patch.display(),
            tree.display()
        )
    })
}

/// Adds to Xen's own files; returns what could not be added.
fn enter(xen: &Repository, who: &Identity, last: &[PathBuf]) -> Result<Vec<String>> {
    let mut others = xen.added()?;
    others.retain(|file| !file.starts_with(HOME));
    if !last.is_empty() {
        others.push(format!("{SELFTEST_HOME}/"));
        others.extend(DUMP_FILES.map(str::to_owned));
    }
    // Not in every release.
    for patch in last {
        if files::read_text(patch)?.contains(VIEWS) {
            others.extend(VIEWS_FILES.map(str::to_owned));
        }
    }
    let mut left_out = Vec::new();
    let mut enter = |name: &str, what: &str, edit: &dyn Fn(&str) -> Result<String>| {
        let path = xen.dir().join(name);
        match files::read_text(&path).and_then(|text| edit(&text)) {
            Ok(text) => {
                files::write(&path, text)?;
                xen.commit(&format!("{name}: {what}"))
            }
            // A vendor's tree may have none, or another one.
            Err(error) => {
                left_out.push(format!("an entry in {name}: {error:#}"));
                Ok(())
            }
        }
    };
    let whom = who.shown();
    enter(
        "MAINTAINERS",
        "Add a section for Arm's p2m in Rust",
        &|text| entries::maintainers(text, &whom, &others),
    )?;
    enter(
        "SUPPORT.md",
        "Arm's p2m in Rust is experimental\n\nIt has been run on emulated machines only.",
        &entries::support,
    )?;
    enter(
        "CHANGELOG.md",
        "Mention Arm's p2m in Rust",
        &entries::changelog,
    )?;
    Ok(left_out)
}
