// SPDX-License-Identifier: GPL-2.0-only
//! dom0's initrd with what the scenarios need besides: a second archive behind the first, which Linux
//! unpacks over it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::scenarios;
use crate::boot::cpio::Cpio;
use crate::boot::images::{Images, Kernel};

use crate::base::paths::Paths;

/// Files for /e2e.
const FILES: &[(&str, &str)] = &[
    ("lib", include_str!("../../assets/e2e/lib")),
    ("lib-access", include_str!("../../assets/e2e/lib-access")),
    ("lib-dma", include_str!("../../assets/e2e/lib-dma")),
    ("lib-monitor", include_str!("../../assets/e2e/lib-monitor")),
    ("lib-views", include_str!("../../assets/e2e/lib-views")),
    ("ours.cfg", include_str!("../../assets/e2e/ours.cfg")),
    ("linux.cfg", include_str!("../../assets/e2e/linux.cfg")),
];

const BLOCK: &str = include_str!("../../assets/e2e/block");
const LINUX_INIT: &str = include_str!("../../assets/e2e/init");

/// dom0's side of a PV disk and the driver of a real one, below the kernel's modules.
const MODULES: &[&str] = &[
    "kernel/drivers/nvme/common/nvme-auth.ko.xz",
    "kernel/drivers/nvme/host/nvme-core.ko.xz",
    "kernel/drivers/nvme/host/nvme.ko.xz",
    "kernel/drivers/block/loop.ko.xz",
    "kernel/drivers/block/xen-blkback/xen-blkback.ko.xz",
];

/// The guest's side.
const FRONTEND: &str = "kernel/drivers/block/xen-blkfront";

/// The images of a plain boot with the scenarios added.
pub(super) fn extend(
    paths: &Paths,
    base: &Images,
    kernel: &Kernel,
    guest: &Path,
    monitor: Option<&Path>,
    dir: &Path,
) -> Result<Images> {
    let initrd = dir.join("dom0.cpio");
    let write = || format!("cannot write {}", initrd.display());
    fs::copy(&base.initrd, &initrd).with_context(write)?;
    let file = File::options()
        .append(true)
        .open(&initrd)
        .with_context(write)?;
    let mut cpio = Cpio::new(BufWriter::new(file));
    for (name, text) in FILES {
        cpio.file(&format!("e2e/{name}"), 0o644, text.as_bytes())?;
    }
    cpio.file("e2e/block", 0o755, BLOCK.as_bytes())?;
    cpio.tree(guest, "e2e/guest")?;
    if let Some(monitor) = monitor {
        cpio.tree(monitor, "e2e/monitor")?;
    }
    cpio.file("e2e/initrd", 0o644, &linux_initrd(paths, kernel, dir)?)?;
    for scenario in scenarios::all() {
        cpio.file(
            &format!("xtask/steps/{}", scenario.name),
            0o755,
            scenario.script.as_bytes(),
        )?;
    }
    for module in MODULES {
        cpio.tree(
            &kernel.modules.join(module),
            &format!("usr/lib/modules/{}/{module}", kernel.version),
        )?;
    }
    cpio.finish()?.flush().with_context(write)?;
    Ok(Images {
        kernel: base.kernel.clone(),
        initrd,
    })
}

/// The Linux guest's: busybox, our script, and the driver of its disk, which busybox wants unpacked.
fn linux_initrd(paths: &Paths, kernel: &Kernel, dir: &Path) -> Result<Vec<u8>> {
    let module = kernel.module(paths, FRONTEND, dir)?;
    let mut cpio = Cpio::new(Vec::new());
    for folder in ["dev", "proc", "sys"] {
        cpio.dir(folder)?;
    }
    cpio.tree(&kernel.busybox, "bin/busybox")?;
    cpio.file("init", 0o755, LINUX_INIT.as_bytes())?;
    cpio.file("xen-blkfront.ko", 0o644, &fs::read(&module)?)?;
    cpio.finish()
}
