// SPDX-License-Identifier: GPL-2.0-only
//! The programs this tool calls, the Debian packages that bring them, and their versions.

use anyhow::{ensure, Result};

use crate::base::cli::P2m;
use crate::base::command;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::version::Version;
use crate::host::packages;
use crate::host::rust_toolchain;

/// Prefix of the cross tools' names (and, on an arm64 machine, of the native ones).
pub(crate) const CROSS: &str = "aarch64-linux-gnu-";

/// The emulator.
pub(crate) const QEMU: &str = "qemu-system-aarch64";

/// Older emulators lack something the boot needs.
const QEMU_MIN: Version = Version::new(7, 2);

/// What a tool is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Building Xen, whichever p2m.
    Build,
    /// Building the Rust p2m: a toolchain, and libclang, through which bindgen reads headers.
    Rust,
    /// Booting.
    Boot,
    /// Booting with a device tree of our own.
    Tree,
    /// Booting as a board does: from U-Boot, from UEFI.
    Firmware,
    /// Compiling Xen's C for this machine.
    Oracle,
    /// Compiling both p2m for this machine: Xen's C and the archive.
    Native,
    /// Checks of the source, and of a user's Xen tree: rustfmt, clippy, git, patch.
    Checks,
}

impl Use {
    /// What building Xen with this p2m takes.
    pub(crate) fn build(p2m: P2m) -> Vec<Self> {
        match p2m {
            P2m::C => vec![Self::Build],
            P2m::Rust => vec![Self::Build, Self::Rust],
        }
    }
}

/// A program or a file, and where it comes from.
#[derive(Debug)]
pub(crate) struct Tool {
    /// A program in PATH, a file's path, or `libclang`.
    pub(crate) name: &'static str,
    /// The Debian package that has it.
    pub(crate) package: &'static str,
    /// When it is needed.
    pub(crate) needed_for: &'static [Use],
}

const fn tool(name: &'static str, package: &'static str, needed_for: &'static [Use]) -> Tool {
    Tool {
        name,
        package,
        needed_for,
    }
}

/// The certificates that Debian's cargo trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What is not a program but a library.
const LIBCLANG: &str = "libclang";

/// Everything that may have to be installed. apt, dpkg, tar, df and setpriv are on every Debian.
pub(crate) const TOOLS: &[Tool] = &[
    tool("aarch64-linux-gnu-gcc", CROSS_GCC, &[Use::Build]),
    tool("aarch64-linux-gnu-ld", CROSS_BINUTILS, &[Use::Build]),
    tool("gcc", "gcc", &[Use::Build, Use::Oracle, Use::Native]),
    tool(
        "/usr/include/stdio.h",
        "libc6-dev",
        &[Use::Build, Use::Oracle, Use::Native],
    ),
    tool("make", "make", &[Use::Build]),
    tool("flex", "flex", &[Use::Build]),
    tool("bison", "bison", &[Use::Build]),
    tool("patch", "patch", &[Use::Build, Use::Checks]),
    tool("python3", "python3", &[Use::Build]),
    tool("xz", "xz-utils", &[Use::Build, Use::Oracle]),
    // cargo fetches what core's source depends on.
    tool(CERTIFICATES, "ca-certificates", &[Use::Rust]),
    tool(LIBCLANG, "libclang-dev", &[Use::Rust]),
    tool(QEMU, "qemu-system-arm", &[Use::Boot]),
    tool("dtc", "device-tree-compiler", &[Use::Tree]),
    tool(
        "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
        "u-boot-qemu",
        &[Use::Firmware],
    ),
    tool(
        "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
        "qemu-efi-aarch64",
        &[Use::Firmware],
    ),
    tool("git", "git", &[Use::Checks]),
];

#[cfg(target_arch = "aarch64")]
const CROSS_GCC: &str = "gcc";
#[cfg(target_arch = "aarch64")]
const CROSS_BINUTILS: &str = "binutils";
#[cfg(not(target_arch = "aarch64"))]
const CROSS_GCC: &str = "gcc-aarch64-linux-gnu";
#[cfg(not(target_arch = "aarch64"))]
const CROSS_BINUTILS: &str = "binutils-aarch64-linux-gnu";

impl Tool {
    fn is_there(&self) -> bool {
        if self.name == LIBCLANG {
            libclang().is_some()
        } else {
            command::which(self.name).is_some()
        }
    }

    /// Its version as it tells it, or where it is; `None` when it is missing.
    pub(crate) fn found(&self) -> Option<String> {
        if self.name == LIBCLANG {
            return libclang();
        }
        let path = command::which(self.name)?;
        if self.name.starts_with('/') {
            return Some("there".to_owned());
        }
        let shown = command::output(command::clean(&path).arg("--version")).unwrap_or_default();
        let first = shown.lines().next().unwrap_or_default().trim();
        Some(if first.is_empty() {
            path.display().to_string()
        } else {
            first.to_owned()
        })
    }
}

/// The packages that are missing for these uses, all of them, so that one line mends it.
pub(crate) fn missing(uses: &[Use]) -> Result<Vec<String>> {
    let mut packages: Vec<String> = TOOLS
        .iter()
        .filter(|tool| tool.needed_for.iter().any(|n| uses.contains(n)) && !tool.is_there())
        .map(|tool| tool.package.to_owned())
        .collect();
    packages.dedup();
    if uses.contains(&Use::Checks) {
        packages.extend(rust_toolchain::missing_checks());
    }
    let no_rust = uses.contains(&Use::Rust) && rust_toolchain::find().is_none();
    let no_native = || {
        let target = rust_toolchain::NATIVE;
        uses.contains(&Use::Native) && rust_toolchain::find_for(target).is_none()
    };
    if no_rust || no_native() {
        packages.extend(rust_toolchain::debian_packages()?);
    }
    Ok(packages)
}

/// Makes sure that everything for these uses is there, installing it when that is allowed.
pub(crate) fn require(paths: &Paths, progress: Progress, uses: &[Use]) -> Result<()> {
    // What is missing, and which packages have it, is said by lists that are up to date.
    if !missing(uses).is_ok_and(|packages| packages.is_empty()) {
        packages::refresh(paths, progress);
    }
    packages::install(paths, progress, &missing(uses)?)?;
    if uses.contains(&Use::Boot) {
        check_qemu(&command::output(command::clean(QEMU).arg("--version"))?)?;
    }
    Ok(())
}

/// Is the emulator new enough?
pub(crate) fn check_qemu(printed: &str) -> Result<()> {
    let version = Version::find_in(printed);
    ensure!(
        version.is_some_and(|version| version >= QEMU_MIN),
        "{QEMU} is {}, and {QEMU_MIN} or newer is needed: upgrade the package qemu-system-arm",
        version.map_or_else(|| "of an unknown version".to_owned(), |v| v.to_string())
    );
    Ok(())
}

/// libclang.so of any LLVM release, where Debian puts them and clang-sys looks.
fn libclang() -> Option<String> {
    if let Some(path) = std::env::var_os("LIBCLANG_PATH") {
        return Some(path.to_string_lossy().into_owned());
    }
    let mut found: Vec<String> = std::fs::read_dir("/usr/lib")
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("llvm-"))
        })
        .map(|path| path.join("lib/libclang.so"))
        .filter(|lib| lib.exists())
        .map(|lib| lib.display().to_string())
        .collect();
    found.sort();
    found.pop()
}

#[cfg(test)]
mod tests {
    use super::check_qemu;

    #[test]
    fn old_emulators_are_refused() {
        assert!(check_qemu("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)").is_ok());
        assert!(check_qemu("QEMU emulator version 10.0.2").is_ok());
        assert!(check_qemu("QEMU emulator version 5.2.0").is_err());
        assert!(check_qemu("no version").is_err());
    }
}
