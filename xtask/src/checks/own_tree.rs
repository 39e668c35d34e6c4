// SPDX-License-Identifier: GPL-2.0-only
//! The lines for a user's own Xen tree, of the README and of docs/altp2m.md, read out of the texts and run as
//! they stand there: on a clean tree of the release in git, with Arm's default configuration, and with what
//! docs/altp2m.md adds to it, which no other build here has.

use std::os::unix::fs::{chown, MetadataExt};
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

/// A text with lines to type.
struct Text {
    file: &'static str,
    section: &'static str,
    /// What its tree is called.
    tree: &'static str,
    /// The patches that its lines apply.
    patches: fn(&Paths, Version) -> Result<Series>,
    /// Options that must be on in the end, and off.
    on: &'static [&'static str],
    off: &'static [&'static str],
}

const README: Text = Text {
    file: "README.md",
    section: "## In your own Xen tree",
    tree: "readme",
    patches: |paths, _| Series::find(paths),
    on: &["CONFIG_ARM_P2M_RUST"],
    off: &["CONFIG_MEM_ACCESS", "CONFIG_ALTP2M"],
};

const VIEWS: Text = Text {
    file: "docs/altp2m.md",
    section: "## How to get one",
    tree: "altp2m",
    patches: Series::of,
    on: &["CONFIG_ARM_P2M_RUST", "CONFIG_MEM_ACCESS", "CONFIG_ALTP2M"],
    off: &[],
};

/// Debian's user that owns nothing.
const NOBODY: u32 = 65534;

/// What stands there for the directory of this repository.
const HERE: &str = "/path/to/xen-p2m";

/// Follows the README, then checks the exports of what came out, and boots it; and follows docs/altp2m.md.
pub(crate) fn run(paths: &Paths, progress: Progress) -> Vec<Row> {
    let name = "README: your own Xen tree";
    let mut rows = match build(paths, progress, &README) {
        Ok(xen) => vec![
            Row::of(name, Ok(built(&xen, "Arm's default configuration"))),
            Row::of("its patches", recognised(paths, &README, &xen.tree)),
            Row::of("its exports", exports(paths, progress, &xen)),
            installed(paths, progress, &xen),
            Row::of("its boot", booted(paths, progress, &xen)),
        ],
        Err(error) => vec![Row::of(name, Err(format!("{error:#}")))],
    };
    let name = "docs/altp2m.md: with views";
    rows.extend(match build(paths, progress, &VIEWS) {
        Ok(xen) => vec![
            Row::of(
                name,
                Ok(built(&xen, "Arm's default configuration and ALTP2M")),
            ),
            Row::of("its patches", recognised(paths, &VIEWS, &xen.tree)),
            Row::of(
                "its exports",
                exports(paths, progress, &xen).and_then(|exports| {
                    // The next run makes it anew.
                    files::remove(&xen.tree).map_err(|error| format!("{error:#}"))?;
                    Ok(exports)
                }),
            ),
        ],
        Err(error) => vec![Row::of(name, Err(format!("{error:#}")))],
    });
    rows
}

fn built(xen: &BuiltXen, configuration: &str) -> String {
    format!("{configuration}, {}", xen.tree.display())
}

fn exports(paths: &Paths, progress: Progress, xen: &BuiltXen) -> Result<String, String> {
    gates::exports_alone(paths, progress, xen).unwrap_or_else(|error| Err(format!("{error:#}")))
}

/// The commands of the section's first block of code.
fn lines<'a>(text: &'a str, section: &str) -> Vec<&'a str> {
    text.lines()
        .skip_while(|line| *line != section)
        .skip_while(|line| *line != "```")
        .skip(1)
        .take_while(|line| *line != "```")
        .collect()
}

fn build(paths: &Paths, progress: Progress, text: &Text) -> Result<BuiltXen> {
    let mut uses = Use::build(P2m::Rust);
    uses.extend([Use::Boot, Use::Checks]);
    tools::require(paths, progress, &uses)?;
    let toolchain = rust_toolchain::require()?;
    let Text { file, section, .. } = text;
    let words = files::read_text(&paths.root().join(file))?;
    let lines = lines(&words, section);
    ensure!(!lines.is_empty(), "{file} has no lines in \"{section}\"");
    lock::alone(paths, progress, || {
        let release = release::DEFAULT;
        let source = Source::download(paths, progress, release)?;
        let name = text.name(release);
        let tree = paths.xen_trees().join(&name);
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
            command::logged(&mut shell, &log)
                .and_then(|()| build::is_silent(&log))
                .with_context(|| format!("{file}: {line}"))?;
            task.done();
        }
        let config = files::read_text(&tree.join("xen/.config"))?;
        let on = |option: &str| config.lines().any(|line| line == format!("{option}=y"));
        for option in text.on {
            ensure!(on(option), "{file}: {option} is off after its lines");
        }
        for option in text.off {
            ensure!(!on(option), "{file}: {option} is on after its lines");
        }
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

impl Text {
    fn name(&self, release: Version) -> String {
        format!("{release}-{}", self.tree)
    }
}

/// `sudo make install`: by another user than the one who has built it, and without the variables for the
/// archive, which must stay as it is.
fn installed(paths: &Paths, progress: Progress, xen: &BuiltXen) -> Row {
    let name = "its make install";
    let archive = xen.tree.join("xen/arch/arm/libxen_p2m.a");
    // The owner becomes somebody else, since this process cannot.
    let owner = std::fs::metadata(&archive).map_or(0, |data| data.uid());
    if chown(&archive, Some(NOBODY), None).is_err() {
        return Row::info(name, "only root can try it".to_owned());
    }
    let done = lock::alone(paths, progress, || {
        let read = || std::fs::read(&archive).context("cannot read the archive");
        let before = read()?;
        let place = xen.tree.join("installed");
        let task = progress.start("Installing it as another user");
        let log = paths.log("readme-install");
        let install = |rust: Option<&Path>| {
            let mut make = command::bound("make");
            if let Some(rust) = rust {
                make.env("XEN_P2M_RUST_DIR", rust);
            }
            make.arg("-C")
                .arg(xen.tree.join("xen"))
                .args(["XEN_TARGET_ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"])
                .arg(format!("DESTDIR={}", place.display()))
                .arg("install");
            command::logged(&mut make, &log)
        };
        let says = |words: &str| {
            let said = files::read_text(&log)?;
            ensure!(said.contains(words), "make does not say \"{words}\"");
            Ok(())
        };
        install(None)?;
        says("libxen_p2m.a, which another user has built")?;
        let image = place.join("boot/xen");
        ensure!(image.exists(), "there is no {}", image.display());
        ensure!(read()? == before, "the archive has changed");
        // The Rust that make is told of is newer; then what the archive was made for.
        let rust = files::scratch_dir(paths)?;
        files::write(&rust.path().join("Cargo.toml"), "")?;
        ensure!(
            install(Some(rust.path())).is_err(),
            "an archive of older Rust is installed"
        );
        says("Cargo.toml is missing, or newer than")?;
        let replaced = xen.tree.join("xen/arch/arm/mem_access.c");
        files::write(&replaced, files::read_text(&replaced)?)?;
        ensure!(install(None).is_err(), "an older archive is installed");
        says("mem_access.c is missing, or newer than")?;
        ensure!(read()? == before, "the archive has changed");
        task.done();
        files::remove(&place)
    });
    let back = chown(&archive, Some(owner), None).context("cannot give the archive back");
    let done = done.and(back);
    let is = done.map(|()| {
        "the archive of another user stays as it is, and an old one is refused".to_owned()
    });
    Row::of(name, is.map_err(|error| format!("{error:#}")))
}

/// Where the tree is that was built by the README.
pub(super) fn tree(paths: &Paths) -> PathBuf {
    paths.xen_trees().join(README.name(release::DEFAULT))
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
fn recognised(paths: &Paths, text: &Text, tree: &Path) -> Result<String, String> {
    let left = (text.patches)(paths, release::DEFAULT)
        .and_then(|series| Ok((series.len(), series.missing_from(tree)?.len())));
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
    use super::{lines, Text, HERE, README, VIEWS};
    use crate::base::files::read_text;
    use crate::base::paths::Paths;

    #[test]
    fn the_lines_are_those_of_the_section() {
        let text = "## Other\n```\nno\n```\n## How\n\n```\na b\nc\n```\n```\nno\n```\n";
        assert_eq!(lines(text, "## How"), ["a b", "c"]);
        assert!(lines("## Other\n```\nno\n```\n", "## How").is_empty());
    }

    /// The lines of a text each have the word, and two of them name this repository.
    fn has_the_steps(text: &Text, words: &[&str]) -> anyhow::Result<()> {
        let all = read_text(&Paths::find()?.root().join(text.file))?;
        let lines = lines(&all, text.section);
        for (line, word) in lines.iter().zip(words) {
            assert!(line.contains(word), "{line}");
        }
        assert_eq!(lines.len(), words.len());
        assert_eq!(lines.iter().filter(|line| line.contains(HERE)).count(), 2);
        Ok(())
    }

    #[test]
    fn the_readme_has_the_three_steps() -> anyhow::Result<()> {
        has_the_steps(&README, &["git am ", "olddefconfig", "XEN_P2M_RUST_DIR="])
    }

    #[test]
    fn the_text_of_views_also_looks_whether_they_are_there() -> anyhow::Result<()> {
        let words = [
            "git am ",
            "ALTP2M",
            "olddefconfig",
            "grep",
            "XEN_P2M_RUST_DIR=",
        ];
        has_the_steps(&VIEWS, &words)
    }
}
