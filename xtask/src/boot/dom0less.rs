// SPDX-License-Identifier: GPL-2.0-only
//! The machine's device tree with guests for Xen to make: what QEMU would have given, and nodes for them, put
//! together by dtc.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};

use super::qemu::{commas, Machine};
use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;

/// Where nodes say that the guests' images are, and that there is so much room for each.
pub(crate) const IMAGES_AT: [u64; 2] = [0x7000_0000, 0x7010_0000];
const ROOM: u64 = 0x10_0000;

/// Do these nodes have the images where they are loaded?
#[cfg(test)]
pub(crate) fn images_are_there(nodes: &str) -> bool {
    IMAGES_AT.iter().all(|at| {
        nodes.contains(&format!("module@{at:x}"))
            && nodes.contains(&format!("reg = <0x0 {at:#x} 0x0 {ROOM:#x}>"))
    })
}

/// Makes the tree in `dir`, with the guests' images; returns what QEMU needs to be told.
pub(crate) fn devices(
    paths: &Paths,
    machine: &Machine,
    guest: &Path,
    nodes: &str,
    dir: &Path,
) -> Result<Vec<OsString>> {
    let mut devices = tree(paths, machine, nodes, dir)?;
    // The whole of the room: Xen takes the size from the tree.
    let image = dir.join("guest-padded");
    let mut bytes =
        std::fs::read(guest).with_context(|| format!("cannot read {}", guest.display()))?;
    bytes.resize(usize::try_from(ROOM)?, 0);
    files::write(&image, bytes)?;
    for at in IMAGES_AT {
        devices.push("-device".into());
        devices.push(format!("loader,file={},addr={at:#x},force-raw=on", commas(&image)).into());
    }
    Ok(devices)
}

/// The tree that QEMU would have given, with these nodes, in `dir`; returns what QEMU needs to be told.
pub(crate) fn tree(
    paths: &Paths,
    machine: &Machine,
    nodes: &str,
    dir: &Path,
) -> Result<Vec<OsString>> {
    let log = paths.log("device-tree");
    let [plain, source, tree] = ["plain.dtb", "tree.dts", "tree.dtb"].map(|name| dir.join(name));
    machine.dump_tree(&plain, &log)?;
    let text = command::output(
        command::clean("dtc")
            .args(["-q", "-I", "dtb", "-O", "dts"])
            .arg(&plain),
    )?;
    files::write(&source, text + nodes)?;
    command::logged(
        command::bound("dtc")
            .args(["-q", "-I", "dts", "-O", "dtb", "-o"])
            .arg(&tree)
            .arg(&source),
        &log,
    )?;
    Ok(vec!["-dtb".into(), tree.into()])
}
