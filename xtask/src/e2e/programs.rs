// SPDX-License-Identifier: GPL-2.0-only
//! Our own guest and our own program for dom0, from `xtask/guests/`: a few kilobytes of C and assembly
//! against Xen's public headers, without a C library.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command;
use crate::files;
use crate::paths::Paths;
use crate::tools::CROSS;

/// Where the guest wants to be loaded, from the beginning of its memory.
const IMAGE_OFFSET: &str = "0x8000";

/// The guest's sources.
const GUEST: &[&str] = &[
    "start.S",
    "console.c",
    "mmu.c",
    "main.c",
    "load.c",
    "copy.c",
    "punch.c",
    "share.c",
];

/// What both are compiled with: no library, no vector registers, no position independence.
const FLAGS: &[&str] = &[
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-fno-pic",
    "-fno-pie",
    "-no-pie",
    "-fno-stack-protector",
    "-mgeneral-regs-only",
    "-mno-outline-atomics",
    "-mstrict-align",
    "-nostdlib",
    "-static",
    "-Wl,--build-id=none",
    "-D__XEN_TOOLS__",
];

/// The two programs.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// An Image for `kernel=` or dom0less.
    pub(super) guest: PathBuf,
    /// A program for dom0.
    pub(super) probe: PathBuf,
}

/// Compiles them into `dir`, with the public headers of a Xen tree.
pub(super) fn compile(paths: &Paths, tree: &Path, dir: &Path) -> Result<Programs> {
    files::create_dir(dir)?;
    let source = paths.root().join("xtask/guests");
    let programs = Programs {
        guest: dir.join("guest"),
        probe: dir.join("probe"),
    };
    let log = paths.log("e2e-programs");
    let gcc = || {
        let mut gcc = command::bound(format!("{CROSS}gcc"));
        gcc.args(FLAGS)
            .arg("-I")
            .arg(tree.join("xen/include"))
            .current_dir(&source);
        gcc
    };
    let script = dir.join("guest.lds");
    let text = files::read_text(&source.join("guest.lds"))?;
    files::write(&script, text.replace("IMAGE_OFFSET", IMAGE_OFFSET))?;
    let elf = dir.join("guest.elf");
    command::logged(
        gcc()
            .arg(format!("-DIMAGE_OFFSET={IMAGE_OFFSET}"))
            .arg("-DSTACK_SIZE=16384")
            .args(["-Wl,--no-warn-rwx-segments", "-Wl,-T"])
            .arg(&script)
            .args(GUEST)
            .arg("-o")
            .arg(&elf),
        &log,
    )?;
    command::logged(
        command::bound(format!("{CROSS}objcopy"))
            .args(["-O", "binary"])
            .arg(&elf)
            .arg(&programs.guest),
        &log,
    )?;
    command::logged(gcc().arg("probe.c").arg("-o").arg(&programs.probe), &log)?;
    Ok(programs)
}
