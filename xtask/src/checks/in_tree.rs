// SPDX-License-Identifier: GPL-2.0-only
//! The Rust inside Xen's own tree: the series is made for a clean tree, applied as somebody would who got
//! it by mail, and built without a network, by the lines of the README that it brings along.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};

use super::own_tree;
use crate::base::cli::{P2m, SeriesArgs};
use crate::base::command;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::Row;
use crate::host::rust_toolchain::{self, Toolchain};
use crate::host::tools::{self, Use, CROSS};
use crate::xen::build;
use crate::xen::release;
use crate::xen::series::{self, Identity};
use crate::xen::source::Source;

/// Where the Rust is in Xen's tree, and what says how it is built without a network.
const HOME: &str = "xen/arch/arm/rust";
const SECTION: &str = "## Without a network";

/// The archive in a Xen tree.
const ARCHIVE: &str = "xen/arch/arm/libxen_p2m.a";

/// What a user's environment may have for other projects: none of it may change the archive.
const NOT_FOR_IT: [(&str, &str); 5] = [
    ("CARGO_ENCODED_RUSTFLAGS", "-Copt-level=1"),
    ("CARGO_INCREMENTAL", "1"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("TARGET_CFLAGS", "-O0"),
];

/// What git says when it applies a patch and has nothing to complain of.
const APPLYING: &str = "Applying: ";

/// Makes the series, applies it, and builds it.
pub(crate) fn run(paths: &Paths, progress: Progress) -> Row {
    let result = lock::alone(paths, progress, || in_tree(paths, progress));
    Row::of(
        "in Xen's own tree",
        result.map_err(|error| format!("{error:#}")),
    )
}

fn in_tree(paths: &Paths, progress: Progress) -> Result<String> {
    let mut uses = Use::build(P2m::Rust);
    uses.push(Use::Checks);
    tools::require(paths, progress, &uses)?;
    let toolchain = rust_toolchain::require()?;
    let log = paths.log("in-tree");
    let source = Source::download(paths, progress, release::DEFAULT)?;
    let tree = paths
        .xen_trees()
        .join(format!("{}-in-tree", release::DEFAULT));
    files::make_whole(paths, &tree, "", |scratch| {
        source.unpack(paths, scratch)?;
        own_tree::into_git(scratch, &log)
    })?;
    let out = paths.series().with_extension("test");
    files::remove(&out)?;
    let args = SeriesArgs {
        xen_tree: tree.clone(),
        out: Some(out),
        branch: None,
        url: None,
    };
    let who = Identity {
        name: "xtask".to_owned(),
        email: "xtask@localhost".to_owned(),
    };
    let made = series::make(paths, progress, &tree, &args, &who)?;
    ensure!(
        made.left_out.is_empty(),
        "the series lacks {}",
        made.left_out.join("; ")
    );
    let (letter, patches) = made.patches.split_first().context("there are no patches")?;
    ensure!(
        !files::read_text(letter)?.contains("***"),
        "the cover letter is not filled in"
    );
    apply(&tree, patches)?;

    let build = Build {
        tree: &tree,
        toolchain: &toolchain,
        log: &log,
    };
    let task = progress.start("Fetching the crates of others into one folder");
    build.vendor()?;
    task.done();
    let task = progress.start("Building Xen with the Rust in its tree, without a network");
    let how = build.make(paths)?;
    build::is_silent(&log)?;
    task.done();
    let same = compare(paths, &tree)?;
    clean(&tree)?;
    // They are made anew by the next run, and nothing is left to be looked at.
    files::remove(&tree)?;
    files::remove(&own_tree::tree(paths))?;
    Ok(format!("{} commits, built {how}; {same}", patches.len()))
}

/// `git am`, which must have nothing to say.
fn apply(tree: &Path, patches: &[PathBuf]) -> Result<()> {
    let mut am = command::clean("git");
    am.arg("-C").arg(tree);
    am.args(["-c", "apply.whitespace=warn", "am"]).args(patches);
    let done = am.output().context("cannot start git")?;
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    let other: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with(APPLYING))
        .collect();
    ensure!(
        done.status.success() && other.is_empty(),
        "git am ({}) says:\n{}",
        done.status,
        other.join("\n")
    );
    Ok(())
}

struct Build<'a> {
    tree: &'a Path,
    toolchain: &'a Toolchain,
    log: &'a Path,
}

impl Build<'_> {
    /// Runs the README's line that fetches the crates.
    fn vendor(&self) -> Result<()> {
        let readme = files::read_text(&self.tree.join(HOME).join("README.md"))?;
        let from_source = !self.toolchain.cargo_args.is_empty();
        let line = vendor_line(&readme, from_source)
            .with_context(|| format!("README.md has no such line in \"{SECTION}\""))?;
        let dir = if line.starts_with("cd ") {
            self.tree.to_path_buf()
        } else {
            self.tree.join(HOME)
        };
        // The toolchain's own programs, by the names that they have in the README.
        let mut path = OsString::from(self.toolchain.cargo.parent().unwrap_or(Path::new("/")));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut shell = command::bound("sh");
        shell
            .args(["-e", "-c", line])
            .current_dir(dir)
            .envs(self.toolchain.env.iter().cloned())
            .env("RUSTC", &self.toolchain.rustc)
            .env("PATH", path);
        command::logged(&mut shell, self.log).with_context(|| format!("README.md: {line}"))
    }

    /// Configures and builds Xen; says how it was kept from the network.
    fn make(&self, paths: &Paths) -> Result<&'static str> {
        let config = self.tree.join("xen/.config");
        let run = |mut make: Command, goal: &str, home: Option<&Path>| {
            make.arg("make")
                .arg("-C")
                .arg(self.tree.join("xen"))
                .arg(format!("-j{}", build::jobs()))
                .args([
                    "XEN_TARGET_ARCH=arm64",
                    &format!("CROSS_COMPILE={CROSS}"),
                    goal,
                ])
                .envs(self.toolchain.env.iter().cloned())
                .envs(self.toolchain.variables())
                .envs(NOT_FOR_IT);
            if let Some(home) = home {
                make.env("CARGO_HOME", home);
            }
            command::logged(&mut make, self.log)
        };
        run(command::bound("env"), "defconfig", None)?;
        let defaults = files::read_text(&config)?;
        let ours = "CONFIG_UNSUPPORTED=y\nCONFIG_ARM_P2M_RUST=y\n";
        files::write(&config, defaults + ours)?;
        run(command::bound("env"), "olddefconfig", None)?;
        // Nothing was ever fetched into this one.
        let home = files::scratch_dir(paths)?;
        let namespaces: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
        let allowed = namespaces.iter().find(|args| {
            let mut unshare = command::bound("unshare");
            command::output(unshare.args(**args).arg("true")).is_ok()
        });
        let Some(args) = allowed else {
            run(command::bound("env"), "build", Some(home.path()))?;
            return Ok("by an offline cargo (network namespaces are not allowed here)");
        };
        let mut unshare = command::bound("unshare");
        unshare.args(*args).arg("--");
        run(unshare, "build", Some(home.path()))?;
        Ok("in a network namespace without a route")
    }
}

/// The line that makes the folder of crates; `core`'s own are only needed where it is compiled.
fn vendor_line(readme: &str, from_source: bool) -> Option<&str> {
    readme
        .lines()
        .skip_while(|line| *line != SECTION)
        .find(|line| {
            line.contains("cargo vendor --locked") && line.contains("--sync") == from_source
        })
}

/// git must not take for the user's work what the build has made.
fn clean(tree: &Path) -> Result<()> {
    let mut status = command::clean("git");
    status.arg("-C").arg(tree);
    let said = command::output(status.args(["status", "--porcelain", "--", "xen/arch/arm"]))?;
    ensure!(
        said.is_empty(),
        "git status after the build says:\n{}",
        said.trim_end()
    );
    Ok(())
}

/// The archive must be the one that the same rules make from this repository.
fn compare(paths: &Paths, tree: &Path) -> Result<String> {
    let outside = own_tree::tree(paths);
    let read = |tree: &Path| {
        let archive = tree.join(ARCHIVE);
        fs::read(&archive).with_context(|| format!("cannot read {}", archive.display()))
    };
    ensure!(
        read(tree)? == read(&outside)?,
        "{} and {} are not the same",
        tree.join(ARCHIVE).display(),
        outside.join(ARCHIVE).display()
    );
    Ok("the archive is the same to the byte as one from this repository".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{vendor_line, SECTION};

    #[test]
    fn the_readme_has_a_line_for_each_kind_of_toolchain() -> anyhow::Result<()> {
        let readme = include_str!("../../assets/series/README.md");
        let plain = vendor_line(readme, false).unwrap_or_default();
        assert!(
            plain.starts_with("cd xen/arch/arm/rust && cargo vendor"),
            "{plain}"
        );
        let with_core = vendor_line(readme, true).unwrap_or_default();
        assert!(with_core.starts_with("cargo vendor") && with_core.contains("library/Cargo.toml"));
        assert_eq!(
            vendor_line(&readme.replace(SECTION, "## Other"), true),
            None
        );
        Ok(())
    }
}
