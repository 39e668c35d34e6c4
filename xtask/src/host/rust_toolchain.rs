// SPDX-License-Identifier: GPL-2.0-only
//! Which Rust builds the hypervisor's part.
//!
//! `core` for `aarch64-unknown-none-softfloat` comes either ready made (a rustup target) or from
//! its source (`-Zbuild-std=core`; rustup's rust-src, or Debian's rust-src packages). The first
//! toolchain that offers one of the two is taken, in this order: the one that runs this tool, the
//! other rustup toolchains, Debian's. When there is none, Debian's is installed.
//!
//! The programs are called by their real paths, never through a rustup shim, and without what the
//! outer cargo put into the environment (see [`crate::base::command::clean`]).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

use crate::base::command;
use crate::base::files;
use crate::base::version::Version;
use crate::host::packages;

/// The target the archive is built for: Xen must not touch FP or SIMD registers.
pub(crate) const TARGET: &str = "aarch64-unknown-none-softfloat";

/// The target it is built for to be timed on this machine: like the hypervisor's, without an operating system.
pub(crate) const NATIVE: &str = "x86_64-unknown-none";

/// The workspace's MSRV.
pub(crate) const OLDEST: Version = Version::new(1, 85);

/// Debian's packages: releases 12 and 13 have the first set, made for browsers and newer than the
/// second, which is old in release 12.
pub(crate) const DEBIAN_SETS: [[&str; 3]; 2] = [
    ["rustc-web", "cargo-web", "rust-web-src"],
    ["rustc", "cargo", "rust-src"],
];

/// A toolchain that can build the archive, and how to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// The compiler.
    pub(crate) rustc: PathBuf,
    /// The cargo that belongs to it.
    pub(crate) cargo: PathBuf,
    /// What cargo needs to be told, e.g. `-Zbuild-std=core`.
    pub(crate) cargo_args: Vec<String>,
    /// The environment both need to run at all.
    pub(crate) env: Vec<(String, String)>,
    /// The compiler's version, for people.
    pub(crate) version: String,
}

impl Toolchain {
    /// The variables by which the make rules in `patches/` are told which toolchain to run.
    pub(crate) fn variables(&self) -> [(&'static str, OsString); 3] {
        [
            ("XEN_P2M_CARGO", self.cargo.clone().into()),
            ("XEN_P2M_RUSTC", self.rustc.clone().into()),
            ("XEN_P2M_CARGO_FLAGS", self.cargo_args.join(" ").into()),
        ]
    }
}

/// Where `core` comes from in a toolchain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Core {
    Installed,
    FromSource,
}

/// Finds a toolchain.
pub(crate) fn find() -> Option<Toolchain> {
    find_for(TARGET)
}

/// Finds one for another target than the hypervisor's.
pub(crate) fn find_for(target: &str) -> Option<Toolchain> {
    let found = |sysroot: &PathBuf| probe_for(target, sysroot, Vec::new());
    candidates().iter().find_map(found)
}

/// Finds a toolchain, after [`crate::host::tools::require`] saw to it that there is one.
pub(crate) fn require() -> Result<Toolchain> {
    find().context(
        "Debian's Rust packages are installed and still cannot build for \
         aarch64-unknown-none-softfloat: run `cargo xtask doctor`",
    )
}

/// The packages of this machine's Debian that are new enough; those of a set of which something is
/// installed come first.
pub(crate) fn debian_packages() -> Result<Vec<String>> {
    let names = |set: &[&str; 3]| set.iter().map(|&name| name.to_owned()).collect();
    let version = |name: &&str| Version::find_in(&packages::candidate(name)?);
    let mut sets = DEBIAN_SETS;
    sets.sort_by_key(|[rustc, ..]| !packages::is_installed(rustc));
    for set in &sets {
        if set
            .iter()
            .all(|name| version(name).is_some_and(|v| v >= OLDEST))
        {
            return Ok(names(set));
        }
    }
    // apt's lists may just not be there yet; a release that is known then has a known set.
    let [first, later] = &DEBIAN_SETS;
    match debian_release(&std::fs::read_to_string("/etc/os-release").unwrap_or_default()) {
        Some(12) => Ok(names(first)),
        Some(13..) => Ok(names(later)),
        _ => bail!("no Rust {OLDEST} for {TARGET}: run `rustup target add {TARGET}`"),
    }
}

/// The packages with rustfmt and clippy, as far as the cargo that runs this tool is Debian's and
/// lacks them; rustup has components for that, and says so itself.
pub(crate) fn missing_checks() -> Vec<String> {
    let cargo = std::env::var_os("CARGO").map(PathBuf::from);
    if cargo.and_then(|cargo| cargo.canonicalize().ok())
        != Path::new("/usr/bin/cargo").canonicalize().ok()
    {
        return Vec::new();
    }
    let packages = if packages::is_installed("rustc-web") {
        ["rustfmt-web", "rust-web-clippy"]
    } else {
        ["rustfmt", "rust-clippy"]
    };
    ["cargo-fmt", "cargo-clippy"]
        .iter()
        .zip(packages)
        .filter(|(program, _)| command::which(program).is_none())
        .map(|(_, package)| package.to_owned())
        .collect()
}

/// Debian's release number, from `/etc/os-release`.
fn debian_release(text: &str) -> Option<u32> {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    (value("ID") == Some("debian")).then(|| value("VERSION_ID")?.parse().ok())?
}

/// Sysroots worth a look, best first.
fn candidates() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = Vec::new();
    // The toolchain that runs this tool: here the shim's environment is wanted.
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let own = std::process::Command::new(rustc)
        .args(["--print", "sysroot"])
        .output();
    if let Ok(own) = own {
        all.push(PathBuf::from(String::from_utf8_lossy(&own.stdout).trim()));
    }
    let rustup = std::env::var_os("RUSTUP_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".rustup"),
        PathBuf::from,
    );
    all.extend(files::sorted_entries(&rustup.join("toolchains")).unwrap_or_default());
    all.push(PathBuf::from("/usr"));
    let mut seen = std::collections::HashSet::new();
    all.retain(|sysroot| sysroot.is_absolute() && seen.insert(sysroot.clone()));
    all
}

/// The toolchain at a sysroot, whose programs need this environment.
pub(crate) fn probe_with(sysroot: &Path, env: Vec<(String, String)>) -> Option<Toolchain> {
    probe_for(TARGET, sysroot, env)
}

fn probe_for(target: &str, sysroot: &Path, env: Vec<(String, String)>) -> Option<Toolchain> {
    let rustc = sysroot.join("bin/rustc");
    let cargo = sysroot.join("bin/cargo");
    let core = core_of(sysroot, target)?;
    if !cargo.is_file() {
        return None;
    }
    let mut ask = command::clean(&rustc);
    ask.arg("--version").envs(env.iter().cloned());
    let version = command::output(&mut ask).ok()?;
    if Version::find_in(&version)? < OLDEST {
        return None;
    }
    Some(Toolchain {
        rustc,
        cargo,
        cargo_args: match core {
            Core::Installed => Vec::new(),
            Core::FromSource => vec!["-Zbuild-std=core".to_owned()],
        },
        env,
        version: version.trim().to_owned(),
    })
}

fn core_of(sysroot: &Path, target: &str) -> Option<Core> {
    let lib = sysroot.join("lib/rustlib");
    if lib.join(target).join("lib").is_dir() {
        Some(Core::Installed)
    } else if lib.join("src/rust/library/core/src/lib.rs").is_file() {
        Some(Core::FromSource)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{core_of, debian_release, Core, NATIVE, TARGET};
    use std::fs;

    #[test]
    fn release_of_debian_only() {
        let text = "PRETTY_NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(debian_release(text), Some(12));
        assert_eq!(debian_release(&text.replace("ID=debian", "ID=other")), None);
        assert_eq!(debian_release(""), None);
    }

    #[test]
    fn an_installed_target_wins_over_the_source() -> anyhow::Result<()> {
        let sysroot = tempfile::tempdir()?;
        let lib = sysroot.path().join("lib/rustlib");
        assert_eq!(core_of(sysroot.path(), TARGET), None);
        let source = lib.join("src/rust/library/core/src");
        fs::create_dir_all(&source)?;
        assert_eq!(core_of(sysroot.path(), TARGET), None);
        fs::write(source.join("lib.rs"), "")?;
        assert_eq!(core_of(sysroot.path(), TARGET), Some(Core::FromSource));
        fs::create_dir_all(lib.join(TARGET).join("lib"))?;
        assert_eq!(core_of(sysroot.path(), TARGET), Some(Core::Installed));
        let other = core_of(sysroot.path(), NATIVE);
        assert_eq!(other, Some(Core::FromSource));
        Ok(())
    }
}
