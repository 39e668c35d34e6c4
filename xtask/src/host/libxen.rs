// SPDX-License-Identifier: GPL-2.0-only
//! A program for dom0 against libxenctrl: Debian's headers and libraries for the emulated machine, and the
//! machine's own cross compiler.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::host::archive::Archive;
use crate::host::tools::CROSS;
use crate::host::unpack::{merged_usr, unpack};

/// The headers and libraries, with the C library's.
const PACKAGES: [&str; 2] = ["libxen-dev", "libc6-dev"];

/// The monitor's sources.
const MONITOR: &[&str] = &[
    "main.c",
    "events.c",
    "table.c",
    "sequence.c",
    "linux.c",
    "step.c",
    "dma.c",
    "dma_watch.c",
    "recover.c",
    "views/main.c",
    "views/puppet.c",
    "views/calls.c",
    "views/raw.c",
    "views/ops.c",
    "views/exec.c",
    "views/first.c",
    "views/shadow.c",
    "views/cycle.c",
    "views/step.c",
    "views/stage1.c",
    "views/end.c",
    "hostile/main.c",
    "hostile/calls.c",
    "hostile/answers.c",
];

const LIBRARIES: [&str; 4] = [
    "-lxenctrl",
    "-lxenevtchn",
    "-lxenforeignmemory",
    "-lxencall",
];

/// A tree with what a release of Debian has for programs that use Xen's libraries.
pub(crate) fn fetch(paths: &Paths, progress: Progress, suite: &str) -> Result<PathBuf> {
    let dir = paths.cache().join(format!("libxen-{suite}"));
    let stamp = PACKAGES.join(" ");
    if files::is_current(&dir, &stamp) {
        return Ok(dir);
    }
    files::require_space(&paths.cache(), 512)?;
    let archive = Archive::open(paths, suite)?;
    let mut task = progress.start("Downloading Xen's libraries for arm64");
    archive.update()?;
    files::make_whole(paths, &dir, &stamp, |scratch| {
        merged_usr(scratch)?;
        let debs = archive.closure(&PACKAGES)?;
        task.note("unpacking");
        debs.iter()
            .try_for_each(|deb| unpack(paths, deb, scratch))?;
        archive.forget()
    })?;
    task.done();
    Ok(dir)
}

/// Compiles `xtask/guests/monitor` into `dir`.
pub(crate) fn monitor(paths: &Paths, tree: &Path, dir: &Path) -> Result<PathBuf> {
    files::create_dir(dir)?;
    let monitor = dir.join("monitor");
    let mut gcc = command::bound(format!("{CROSS}gcc"));
    gcc.arg(format!("--sysroot={}", tree.display()))
        .args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"])
        .args(MONITOR)
        .arg("-o")
        .arg(&monitor)
        .args(LIBRARIES)
        .current_dir(paths.root().join("xtask/guests/monitor"));
    command::logged(&mut gcc, &paths.log("monitor"))?;
    Ok(monitor)
}
