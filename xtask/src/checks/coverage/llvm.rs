// SPDX-License-Identifier: GPL-2.0-only
//! The LLVM tools that read what rustc writes: of rustc's release of LLVM or a later one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::base::command;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::version::Version;
use crate::host::packages;

/// How many releases after rustc's are worth a look.
const LATER: u32 = 4;

/// `llvm-cov` and `llvm-profdata`.
#[derive(Debug)]
pub(super) struct Llvm {
    dir: PathBuf,
    /// For people.
    pub(super) version: String,
}

/// The cargo that runs this tool.
pub(super) fn cargo() -> Command {
    command::clean(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

impl Llvm {
    /// Finds the tools; installs them when they are missing and that is allowed.
    pub(super) fn require(paths: &Paths, progress: Progress) -> Result<Self> {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let printed = command::output(rustc.arg("-vV"))?;
        let major = llvm_of(&printed).context("rustc does not tell its LLVM's version")?;
        let majors = major..=major + LATER;
        if let Some(found) = find(majors.clone()) {
            return Ok(found);
        }
        packages::refresh(paths, progress);
        let package = |major| format!("llvm-{major}");
        let known = majors.clone().map(package);
        let offered = known.into_iter().find(|p| packages::candidate(p).is_some());
        packages::install(
            paths,
            progress,
            &[offered.unwrap_or_else(|| package(major))],
        )?;
        find(majors).context("the LLVM tools are installed and not to be found")
    }

    fn tool(&self, name: &str) -> Command {
        command::clean(self.dir.join(name))
    }

    /// Merges the profiles of many runs.
    pub(super) fn merge(&self, profiles: &[PathBuf], merged: &Path) -> Result<()> {
        let mut merge = self.tool("llvm-profdata");
        merge
            .args(["merge", "-sparse"])
            .args(profiles)
            .arg("-o")
            .arg(merged);
        command::output(&mut merge).map(drop)
    }

    /// What the programs ran through, as lcov.
    pub(super) fn export(&self, profile: &Path, programs: &[PathBuf]) -> Result<String> {
        let mut export = self.tool("llvm-cov");
        export
            .args(["export", "-format=lcov"])
            .arg("-instr-profile")
            .arg(profile);
        for program in programs {
            export.arg("-object").arg(program);
        }
        command::output(&mut export)
    }
}

/// The major version of rustc's LLVM, from `rustc -vV`.
fn llvm_of(printed: &str) -> Option<u32> {
    let line = printed
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    Version::find_in(line).map(|version| version.major)
}

/// Where Debian puts them.
fn find(mut majors: impl Iterator<Item = u32>) -> Option<Llvm> {
    majors.find_map(|major| {
        let dir = PathBuf::from(format!("/usr/lib/llvm-{major}/bin"));
        let is_there = |name: &str| dir.join(name).is_file();
        if !(is_there("llvm-cov") && is_there("llvm-profdata")) {
            return None;
        }
        let printed = command::output(command::clean(dir.join("llvm-cov")).arg("--version"));
        let version = printed.ok()?;
        let version = version.lines().find(|line| line.contains("version"))?;
        Some(Llvm {
            version: format!("llvm-cov, {}", version.trim()),
            dir,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::llvm_of;

    #[test]
    fn rustc_tells_its_llvm() {
        assert_eq!(llvm_of("release: 1.95.0\nLLVM version: 22.1.2\n"), Some(22));
        assert_eq!(llvm_of("release: 1.95.0\n"), None);
    }
}
