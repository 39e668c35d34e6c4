// SPDX-License-Identifier: GPL-2.0-only
//! A Xen tree of our own below `target/xen/`: unpacked, patched, configured, built.
//!
//! A tree is made anew when its source or the patches change, configured anew when the options
//! change; otherwise it is left to Xen's `make` to see what there is to do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use super::config::{self, Fragment};
use super::image;
use super::patches::Series;
use super::source::{Chosen, Source};
use crate::base::cli::{BuildArgs, Extra, P2m, Patches};
use crate::base::command;
use crate::base::files::{self, Fingerprint};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::version::Version;
use crate::host::rust_toolchain::{self, Toolchain};
use crate::host::tools::{self, Use, CROSS};

/// The C with the deadlock of the seed put back, for the test that shows it.
const OLD_LOCKING: &str = "test/old-locking.patch";

/// A Xen that was built.
#[derive(Clone, Debug)]
pub(crate) struct BuiltXen {
    /// Its release.
    pub(crate) release: Version,
    /// Which p2m was asked for.
    pub(crate) p2m: P2m,
    /// Built with CONFIG_DEBUG=y?
    pub(crate) debug: bool,
    /// Has it the debug key that prints stage 2?
    pub(crate) dumps: bool,
    /// Can a domain have views of its memory?
    pub(crate) views: bool,
    /// What it was made from.
    pub(crate) source: String,
    /// The root of the tree.
    pub(crate) tree: PathBuf,
    /// Short name of this configuration: folders and logs are called by it.
    pub(crate) name: String,
}

impl BuiltXen {
    /// What is booted.
    pub(crate) fn binary(&self) -> PathBuf {
        self.tree.join("xen/xen")
    }

    /// The same as an ELF file with symbols.
    pub(crate) fn syms(&self) -> PathBuf {
        self.tree.join("xen/xen-syms")
    }

    /// The compilers of what is in it, as the image itself says: rustc first, if there is Rust.
    pub(crate) fn compilers(&self) -> Result<String> {
        Ok(image::compilers(&self.syms())?.join(", "))
    }

    /// The compiler of the Rust code in it.
    pub(crate) fn rustc(&self) -> Result<String> {
        let all = image::compilers(&self.syms())?;
        all.into_iter()
            .find(|name| name.starts_with(image::RUSTC))
            .with_context(|| format!("{} has no Rust code", self.syms().display()))
    }
}

/// Links a Xen that was built again, with the archive of another compiler.
pub(crate) fn rebuild(
    paths: &Paths,
    progress: Progress,
    xen: &BuiltXen,
    toolchain: &Toolchain,
) -> Result<()> {
    let make = Make {
        paths,
        xen,
        toolchain: Some(toolchain),
        cargo_target: cargo_target(xen, toolchain),
    };
    make.compile(progress)
}

/// Cargo's target directory: one for all trees, for what takes the time (core, bindgen) is the same for each.
/// Debug and release builds, and compilers, have their own, since cargo would throw away the output of the
/// other at each change.
pub(crate) fn cargo_target(xen: &BuiltXen, toolchain: &Toolchain) -> String {
    let kind = if xen.debug { "debug" } else { "release" };
    let compiler =
        Version::find_in(&toolchain.version).map_or_else(String::new, |v| format!("-rust-{v}"));
    format!("{kind}{compiler}")
}

/// Builds what the arguments ask for, installing what is missing.
pub(crate) fn build(paths: &Paths, progress: Progress, args: &BuildArgs) -> Result<BuiltXen> {
    let chosen = Chosen::by(&args.source)?;
    let version = chosen.release();
    let mut series = match args.patches {
        Patches::All => Series::of(paths, version)?,
        Patches::WithoutViews => Series::find(paths)?,
        Patches::None => Series::default(),
    };
    if args.extra == Some(Extra::OldLocking) {
        series.add(paths.patches().join(OLD_LOCKING));
    }
    if let Chosen::Tree(tree, _) = &chosen {
        series = missing_from(progress, &series, tree)?;
        series.require_untouched(tree)?;
    }
    tools::require(paths, progress, &Use::build(args.p2m))?;
    let toolchain = match args.p2m {
        P2m::C => None,
        P2m::Rust => Some(rust_toolchain::require()?),
    };
    let name = name(args, &chosen);
    let source = chosen.source(paths, progress)?;
    let xen = BuiltXen {
        release: version,
        p2m: args.p2m,
        debug: args.debug,
        dumps: args.extra == Some(Extra::Dump),
        views: matches!(
            args.extra,
            Some(Extra::Views | Extra::SelftestViews | Extra::TwoCpus)
        ),
        source: source.describe(),
        tree: paths.xen_trees().join(&name),
        name,
    };
    make_tree(paths, progress, &xen.tree, &source, &series)?;
    let mut fragment = Fragment::new(config::mem_access_option(&xen.tree)?, args.p2m, args.debug);
    if let Some(extra) = args.extra {
        fragment.add(extra);
    }
    if let Some(port) = &args.early_printk {
        fragment.add_early_printk(port);
    }
    let make = Make {
        paths,
        xen: &xen,
        toolchain: toolchain.as_ref(),
        cargo_target: toolchain
            .as_ref()
            .map_or_else(String::new, |toolchain| cargo_target(&xen, toolchain)),
    };
    make.configure(progress, &fragment)?;
    make.compile(progress)?;
    Ok(xen)
}

/// What of the series a user's tree has not got yet.
fn missing_from(progress: Progress, series: &Series, tree: &Path) -> Result<Series> {
    let missing = series.missing_from(tree)?;
    let (all, left) = (series.len(), missing.len());
    if left < all {
        progress.say(&format!(
            "{} has {} of the {all} patches already",
            tree.display(),
            all - left
        ));
    }
    Ok(missing)
}

/// `4.20-rust-release`; a user's tree adds a hash of where it is.
fn name(args: &BuildArgs, chosen: &Chosen) -> String {
    let release = chosen.release();
    let kind = if args.debug { "debug" } else { "release" };
    let extra = match args.extra {
        None => "",
        Some(Extra::Selftest) => "-selftest",
        Some(Extra::SelftestViews) => "-selftest-views",
        Some(Extra::Smmu) => "-smmu",
        Some(Extra::SmmuPci) => "-smmupci",
        Some(Extra::Bench) => "-bench",
        Some(Extra::Dump) => "-dump",
        Some(Extra::OldLocking) => "-oldlocking",
        Some(Extra::StaticMemory) => "-static",
        Some(Extra::Ubsan) => "-ubsan",
        Some(Extra::LivepatchAndColoring) => "-livepatch-coloring",
        Some(Extra::TwoCpus) => "-2cpus",
        Some(Extra::Views) => "-views",
        Some(Extra::NoMemAccess) => "-plain",
    };
    let patches = match args.patches {
        Patches::All => "",
        Patches::WithoutViews => "-without-views",
        Patches::None => "-pristine",
    };
    let early = if args.early_printk.is_some() {
        "-early"
    } else {
        ""
    };
    let base = format!("{release}-{}-{kind}{extra}{early}{patches}", args.p2m);
    match chosen {
        Chosen::Debian(_) => base,
        Chosen::Git { .. } => format!("{base}-git"),
        Chosen::Tree(tree, _) => {
            let mut hash = Fingerprint::default();
            hash.add(tree.as_os_str().as_encoded_bytes());
            let hex = hash.hex();
            format!("{base}-own-{}", hex.get(..8).unwrap_or(&hex))
        }
    }
}

fn make_tree(
    paths: &Paths,
    progress: Progress,
    tree: &Path,
    source: &Source,
    series: &Series,
) -> Result<()> {
    let mut hash = Fingerprint::default();
    source.fingerprint(&mut hash)?;
    series.fingerprint(&mut hash)?;
    let stamp = hash.hex();
    if files::is_current(tree, &stamp) {
        return Ok(());
    }
    files::require_space(&paths.target(), 1024)?;
    let task = progress.start("Unpacking and patching Xen");
    files::make_whole(paths, tree, &stamp, |scratch| {
        source.unpack(paths, scratch)?;
        series.apply(paths, scratch)
    })?;
    task.done();
    Ok(())
}

/// Xen's make, with what it has to be told.
struct Make<'a> {
    paths: &'a Paths,
    xen: &'a BuiltXen,
    toolchain: Option<&'a Toolchain>,
    /// Which of cargo's target directories.
    cargo_target: String,
}

impl Make<'_> {
    /// Writes `.config`, unless the one that is there was made from the same options.
    fn configure(&self, progress: Progress, fragment: &Fragment) -> Result<()> {
        let stamp = self.xen.tree.join(".xtask-config");
        let config = self.xen.tree.join("xen/.config");
        let current = std::fs::read_to_string(&stamp).is_ok_and(|text| text == fragment.text());
        if current && config.is_file() {
            return Ok(());
        }
        let task = progress.start("Configuring Xen");
        self.run("defconfig", "xen-config")?;
        let defaults = files::read_text(&config)?;
        files::write(&config, format!("{defaults}{}", fragment.text()))?;
        self.run("olddefconfig", "xen-config")?;
        fragment.check(&files::read_text(&config)?)?;
        files::write(&stamp, fragment.text())?;
        task.done();
        Ok(())
    }

    fn compile(&self, progress: Progress) -> Result<()> {
        let kind = if self.xen.debug { "debug" } else { "release" };
        let task = progress.start(format!(
            "Building Xen {} ({} p2m, {kind})",
            self.xen.release, self.xen.p2m
        ));
        self.run("build", "xen-build")?;
        for product in [self.xen.binary(), self.xen.syms()] {
            if !product.is_file() {
                bail!("Xen's make succeeded without making {}", product.display());
            }
        }
        task.done();
        Ok(())
    }

    fn run(&self, goal: &str, log: &str) -> Result<()> {
        let mut make = command::bound("make");
        make.arg("-C")
            .arg(self.xen.tree.join("xen"))
            .arg(format!("-j{}", jobs()))
            .arg("XEN_TARGET_ARCH=arm64")
            .arg(format!("CROSS_COMPILE={CROSS}"))
            .arg(goal);
        if let Some(toolchain) = self.toolchain {
            tell_about_rust(&mut make, self.paths, &self.cargo_target, toolchain);
        }
        let log = self.paths.log(&format!("{log}-{}", self.xen.name));
        command::logged(&mut make, &log)
    }
}

/// The contract with the patches: Xen's make runs this cargo, for this workspace.
fn tell_about_rust(make: &mut Command, paths: &Paths, tree: &str, toolchain: &Toolchain) {
    let assign = |name: &str, value: OsString| {
        let mut word = OsString::from(name);
        word.push("=");
        word.push(value);
        word
    };
    make.envs(toolchain.env.iter().map(|(name, value)| (name, value)))
        .arg(assign("XEN_P2M_RUST_DIR", paths.root().into()))
        .args(
            toolchain
                .variables()
                .map(|(name, value)| assign(name, value)),
        )
        .arg(assign(
            "XEN_P2M_CARGO_TARGET_DIR",
            paths.p2m_target(tree).into(),
        ));
}

/// What cargo says of a compiler's own source of `core`, and of a network that it tries once more.
const NOT_OURS: [&str; 2] = [
    "warning: the following packages contain code that will be rejected",
    "warning: spurious network error",
];

/// Has a build, whose output is in `log`, nothing to complain of? Xen's C is built with `-Werror`, and Rust's
/// compilers only say it, in the middle of all else.
pub(crate) fn is_silent(log: &Path) -> Result<()> {
    let said = files::read_text(log)?;
    let all = complaints(&said);
    if let Some(first) = all.first() {
        bail!(
            "the build has {} warnings, see {}; the first is\n    {first}",
            all.len(),
            log.display()
        );
    }
    Ok(())
}

/// The first lines of all warnings.
fn complaints(said: &str) -> Vec<&str> {
    said.lines()
        .filter(|line| line.starts_with("warning: "))
        .filter(|line| !NOT_OURS.iter().any(|not| line.starts_with(not)))
        .collect()
}

/// How many things make does at once.
pub(crate) fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::{complaints, name, Chosen};
    use crate::base::cli::{BuildArgs, Extra, P2m, Patches};
    use crate::base::version::Version;

    #[test]
    fn a_compilers_warnings_are_found_in_what_a_build_says() {
        let said = "  CC      lib/ctors.o
   Compiling core v0.0.0 (/usr/lib/rustlib/src/rust/library/core)
warning: unused import: `vcpu`
  --> xen-sys/src/imports.rs:15:32
warning: `xen-sys` (lib) generated 1 warning
warning: the following packages contain code that will be rejected by a future version of Rust: core v0.0.0
note: the lint that warns: here
";
        let found = complaints(said);
        assert_eq!(found.len(), 2);
        assert_eq!(found.first(), Some(&"warning: unused import: `vcpu`"));
        assert!(complaints("    Finished `release` profile\n").is_empty());
    }

    #[test]
    fn names_tell_configurations_apart() {
        let mut args = BuildArgs::of(P2m::C);
        let debian = Chosen::Debian(Version::new(4, 20));
        assert_eq!(name(&args, &debian), "4.20-c-release");
        args.extra = Some(Extra::Selftest);
        assert_eq!(name(&args, &debian), "4.20-c-release-selftest");
        args.extra = Some(Extra::OldLocking);
        assert_eq!(name(&args, &debian), "4.20-c-release-oldlocking");
        args.extra = None;
        args.patches = Patches::WithoutViews;
        assert_eq!(name(&args, &debian), "4.20-c-release-without-views");
        args.patches = Patches::All;
        args.p2m = P2m::Rust;
        args.debug = true;
        assert_eq!(name(&args, &debian), "4.20-rust-debug");
        let own = |path: &str| Chosen::Tree(path.into(), Version::new(4, 20));
        let one = name(&args, &own("/a"));
        let two = name(&args, &own("/b"));
        assert!(one.starts_with("4.20-rust-debug-own-"));
        assert_ne!(one, two);
    }
}
