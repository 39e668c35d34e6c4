// SPDX-License-Identifier: GPL-2.0-only
//! Our own guest and our own programs for dom0, from `xtask/guests/`: a few kilobytes of C and assembly
//! against Xen's public headers, without a C library.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::host::tools::CROSS;

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
    "refused.c",
    "share.c",
    "same.c",
    "table.c",
    "views.c",
    "dma/dma.c",
    "dma/nvme.c",
    "dma/skip.S",
    "hostile/hostile.c",
    "hostile/tables.c",
    "hostile/calls.c",
    "hostile/vectors.S",
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

/// Compiles the program for dom0 into `dir`, with the public headers of a Xen tree.
pub(crate) fn probe(paths: &Paths, tree: &Path, dir: &Path) -> Result<PathBuf> {
    let (mut gcc, probe) = (gcc(paths, tree, dir)?, dir.join("probe"));
    gcc.arg("probe.c").arg("-o").arg(&probe);
    command::logged(&mut gcc, &paths.log("probe"))?;
    Ok(probe)
}

/// Compiles the program with which a dom0 without tools makes a guest with views of its memory.
pub(crate) fn create(paths: &Paths, tree: &Path, dir: &Path) -> Result<PathBuf> {
    let (mut gcc, create) = (gcc(paths, tree, dir)?, dir.join("create"));
    let header = files::read_text(&tree.join("xen/include/public/domctl.h"))?;
    if header.contains(VIEWS_BY_NUMBER) {
        gcc.arg("-DALTP2M_NR");
    }
    gcc.arg("create.c").arg("-o").arg(&create);
    command::logged(&mut gcc, &paths.log("create"))?;
    Ok(create)
}

/// In the header where a domain is created with a number of views.
const VIEWS_BY_NUMBER: &str = "    } altp2m;\n";

/// The compiler, where the sources are.
fn gcc(paths: &Paths, tree: &Path, dir: &Path) -> Result<Command> {
    files::create_dir(dir)?;
    let mut gcc = command::bound(format!("{CROSS}gcc"));
    gcc.args(FLAGS)
        .arg("-I")
        .arg(tree.join("xen/include"))
        .current_dir(sources(paths));
    Ok(gcc)
}

fn sources(paths: &Paths) -> PathBuf {
    paths.root().join("xtask/guests")
}

/// Compiles the guest, an Image for `kernel=` or dom0less.
pub(crate) fn guest(paths: &Paths, tree: &Path, dir: &Path) -> Result<PathBuf> {
    let mut gcc = gcc(paths, tree, dir)?;
    let guest = dir.join("guest");
    let log = paths.log("e2e-guest");
    let script = dir.join("guest.lds");
    let text = files::read_text(&sources(paths).join("guest.lds"))?;
    files::write(&script, text.replace("IMAGE_OFFSET", IMAGE_OFFSET))?;
    let elf = dir.join("guest.elf");
    command::logged(
        gcc.arg(format!("-DIMAGE_OFFSET={IMAGE_OFFSET}"))
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
            .arg(&guest),
        &log,
    )?;
    Ok(guest)
}
