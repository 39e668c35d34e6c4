// SPDX-License-Identifier: GPL-2.0-only
//! Which QEMU runs: the machine's own, or one whose SMMU translates in two stages, so that Xen shares its tables with it.
//!
//! QEMU's SMMU does that from 8.1 on. Where this machine's is older, a later one of Debian is unpacked
//! below `target/`, with the libraries it was built for, and runs with those; the system's stays.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::version::Version;
use crate::host::archive::Archive;
use crate::host::tools::QEMU;
use crate::host::unpack;

/// The first QEMU that can.
const FIRST: Version = Version::new(8, 1);

/// The release of Debian with one that can.
const SUITE: &str = "trixie";

/// For the board of a machine with an SMMU, and what makes that one translate stage 2.
pub(crate) const SMMU_BOARD: &str = ",iommu=smmuv3";
pub(crate) const SMMU_STAGE_2: [&str; 2] = ["-global", "arm-smmuv3.stage=2"];

/// A program and its first arguments.
#[derive(Clone, Debug)]
pub(crate) struct Emulator {
    program: PathBuf,
    args: Vec<OsString>,
    /// As it says itself.
    pub(crate) version: String,
}

impl Emulator {
    /// The machine's own, whichever it is.
    pub(crate) fn own() -> Result<Self> {
        Self::of(PathBuf::from(QEMU), Vec::new())
    }

    /// One with an SMMU of two stages.
    pub(crate) fn with_smmu(paths: &Paths, progress: Progress) -> Result<Self> {
        let own = Self::own()?;
        if can(&own.version) {
            return Ok(own);
        }
        let root = paths.cache().join(format!("qemu-{SUITE}"));
        if !files::is_current(&root, SUITE) {
            let mut task = progress.start(format!("Downloading the QEMU of Debian {SUITE}"));
            files::require_space(&paths.cache(), 1024)?;
            let archive = Archive::open_host(paths, SUITE)?;
            archive.update()?;
            files::make_whole(paths, &root, SUITE, |scratch| {
                unpack::merged_usr(scratch)?;
                let debs = archive.closure(&["qemu-system-arm"])?;
                task.note("unpacking");
                debs.iter()
                    .try_for_each(|deb| unpack::unpack(paths, deb, scratch))?;
                archive.forget()
            })?;
            task.done();
        }
        let usr = root.join("usr");
        let libraries = libraries(&usr.join("lib"))?;
        let loader = libraries.join(loader(&libraries)?);
        let args = vec![
            "--library-path".into(),
            libraries.into_os_string(),
            usr.join("bin").join(QEMU).into_os_string(),
            "-L".into(),
            usr.join("share/qemu").into_os_string(),
        ];
        Self::of(loader, args)
    }

    /// A run of it.
    pub(crate) fn command(&self) -> Command {
        let mut qemu = command::bound(&self.program);
        qemu.args(&self.args);
        qemu
    }

    fn of(program: PathBuf, args: Vec<OsString>) -> Result<Self> {
        let shown = command::output(command::clean(&program).args(&args).arg("--version"))?;
        let version = version(&shown).context("QEMU does not say which version it is")?;
        Ok(Self {
            program,
            args,
            version,
        })
    }
}

/// Does the SMMU of this version translate in two stages?
fn can(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => Version::new(major, minor) >= FIRST,
        _ => false,
    }
}

/// `QEMU emulator version 10.0.2 (Debian ...)`.
fn version(shown: &str) -> Option<String> {
    let (_, rest) = shown.split_once("version ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// The folder of an architecture's libraries, the one with the dynamic loader in it.
fn libraries(lib: &Path) -> Result<PathBuf> {
    let dirs = files::sorted_entries(lib)?;
    let mut dirs = dirs.into_iter().filter(|dir| dir.is_dir());
    dirs.find(|dir| loader(dir).is_ok())
        .with_context(|| format!("{} has no dynamic loader", lib.display()))
}

fn loader(libraries: &Path) -> Result<String> {
    let names = files::sorted_entries(libraries)?;
    let mut names = names
        .iter()
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
    names
        .find(|name| name.starts_with("ld-linux-"))
        .with_context(|| format!("{} has no dynamic loader", libraries.display()))
}

#[cfg(test)]
mod tests {
    use super::{can, version};

    #[test]
    fn versions() {
        let shown = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright";
        assert_eq!(version(shown).as_deref(), Some("7.2.22"));
        assert!(!can("7.2.22") && !can("8.0.0") && !can("x"));
        assert!(can("8.1.0") && can("10.0.2"));
    }
}
