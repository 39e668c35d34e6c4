// SPDX-License-Identifier: GPL-2.0-only
//! The README's lines for a user's own Xen tree, read out of it and run as they stand there: on a clean
//! tree of the release in git, with Arm's default configuration, which no other build here has.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};

use crate::base::cli::{BootArgs, P2m};
use crate::base::command;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row};
use crate::base::version::Version;
use crate::boot;
use crate::boot::dom0::steps;
use crate::checks::gates;
use crate::host::rust_toolchain;
use crate::host::tools::{self, Use};
use crate::xen::build::{self, BuiltXen};
use crate::xen::patches::Series;
use crate::xen::release;
use crate::xen::source::Source;

/// The README's section, and what stands there for the directory of this repository.
const SECTION: &str = "## In your own Xen tree";
const HERE: &str = "/path/to/xen-p2m";

/// Follows the README, then checks the exports of what came out, and boots it.
pub(crate) fn run(paths: &Paths, progress: Progress) -> Vec<Row> {
    let name = "README: your own Xen tree";
    let xen = match build(paths, progress) {
        Ok(xen) => xen,
        Err(error) => return vec![Row::of(name, Err(format!("{error:#}")))],
    };
    let built = format!("Arm's default configuration, {}", xen.tree.display());
    let exports = gates::exports_alone(paths, progress, &xen);
    vec![
        Row::of(name, Ok(built)),
        Row::of("its patches", recognised(paths, &xen.tree)),
        Row::of(
            "its exports",
            exports.unwrap_or_else(|error| Err(format!("{error:#}"))),
        ),
        Row::of("its boot", booted(paths, progress, &xen)),
    ]
}

/// The commands of the section's first block of code.
fn lines(readme: &str) -> Vec<&str> {
    readme
        .lines()
        .skip_while(|line| *line != SECTION)
        .skip_while(|line| *line != "```")
        .skip(1)
        .take_while(|line| *line != "```")
        .collect()
}

fn build(paths: &Paths, progress: Progress) -> Result<BuiltXen> {
    let mut uses = Use::build(P2m::Rust);
    uses.extend([Use::Boot, Use::Checks]);
    tools::require(paths, progress, &uses)?;
    let toolchain = rust_toolchain::require()?;
    let readme = files::read_text(&paths.root().join("README.md"))?;
    let lines = lines(&readme);
    ensure!(!lines.is_empty(), "README.md has no lines in \"{SECTION}\"");
    lock::alone(paths, progress, || {
        let release = release::DEFAULT;
        let source = Source::download(paths, progress, release)?;
        let name = name(release);
        let tree = tree(paths);
        let log = paths.log("readme");
        let task = progress.start("Unpacking a clean tree into git");
        files::make_whole(paths, &tree, "", |scratch| {
            source.unpack(paths, scratch)?;
            into_git(scratch, &log)
        })?;
        task.done();
        for line in lines {
            let task = progress.start(format!("Running {line}"));
            let here = paths.root().to_string_lossy();
            let mut shell = command::bound("sh");
            shell
                .args(["-e", "-c", &line.replace(HERE, &here)])
                .current_dir(&tree)
                .env("MAKEFLAGS", format!("-j{}", build::jobs()))
                .envs(toolchain.variables())
                .envs(toolchain.env.iter().cloned());
            command::logged(&mut shell, &log).with_context(|| format!("README.md: {line}"))?;
            task.done();
        }
        let config = files::read_text(&tree.join("xen/.config"))?;
        let on = |option: &str| config.lines().any(|line| line == format!("{option}=y"));
        ensure!(
            on("CONFIG_ARM_P2M_RUST") && !on("CONFIG_MEM_ACCESS"),
            "this is not Arm's default configuration with the Rust p2m"
        );
        Ok(BuiltXen {
            release,
            p2m: P2m::Rust,
            debug: on("CONFIG_DEBUG"),
            dumps: on("CONFIG_ARM_P2M_DUMP"),
            views: on("CONFIG_ALTP2M"),
            source: source.describe(),
            tree,
            name,
        })
    })
}

fn name(release: Version) -> String {
    format!("{release}-readme")
}

/// Where the tree is that was built by the README.
pub(super) fn tree(paths: &Paths) -> PathBuf {
    paths.xen_trees().join(name(release::DEFAULT))
}

/// Makes a git repository of a tree, with all that is in it, and with a committer for `git am`.
pub(super) fn into_git(tree: &Path, log: &Path) -> Result<()> {
    let git = |args: &[&str]| {
        let mut git = command::bound("git");
        command::logged(git.args(args).current_dir(tree), log)
    };
    git(&["init", "--quiet"])?;
    for (name, value) in [
        ("user.name", "xtask"),
        ("user.email", "xtask@localhost"),
        ("commit.gpgsign", "false"),
    ] {
        git(&["config", name, value])?;
    }
    git(&["add", "--all", "--force"])?;
    git(&["commit", "--quiet", "--message=Xen as it was released"])
}

/// `--xen-tree` must see that this tree has the series.
fn recognised(paths: &Paths, tree: &Path) -> Result<String, String> {
    let left =
        Series::find(paths).and_then(|series| Ok((series.len(), series.missing_from(tree)?.len())));
    match left {
        Ok((all, 0)) => Ok(format!("all {all} recognised as applied")),
        Ok((all, left)) => Err(format!("{left} of {all} not recognised as applied")),
        Err(error) => Err(format!("{error:#}")),
    }
}

fn booted(paths: &Paths, progress: Progress, xen: &BuiltXen) -> Result<String, String> {
    let steps = steps::without_mem_access();
    let outcome = boot::built(paths, progress, &BootArgs::of(P2m::Rust), xen, &steps)
        .map_err(|error| format!("{error:#}"))?;
    table::print(&format!("{}, as in README", outcome.title), &outcome.rows);
    table::none_failed(&outcome.rows).map(|()| "dom0, guest; no mem_access".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{lines, HERE};
    use crate::base::files::read_text;
    use crate::base::paths::Paths;

    #[test]
    fn the_lines_are_those_of_the_section() {
        let text =
            "## Other\n```\nno\n```\n## In your own Xen tree\n\n```\na b\nc\n```\n```\nno\n```\n";
        assert_eq!(lines(text), ["a b", "c"]);
        assert!(lines("## Other\n```\nno\n```\n").is_empty());
    }

    #[test]
    fn the_readme_has_the_three_steps() -> anyhow::Result<()> {
        let readme = read_text(&Paths::find()?.root().join("README.md"))?;
        let lines = lines(&readme);
        for (line, part) in lines
            .iter()
            .zip(["git am ", "olddefconfig", "XEN_P2M_RUST_DIR="])
        {
            assert!(line.contains(part), "{line}");
        }
        assert_eq!(lines.len(), 3);
        assert_eq!(lines.iter().filter(|line| line.contains(HERE)).count(), 2);
        Ok(())
    }
}
