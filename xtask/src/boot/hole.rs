// SPDX-License-Identifier: GPL-2.0-only
//! A board whose RAM has a hole: two parts of 2 GiB, the second at 32 GiB. Xen's frame table and direct map leave out
//! what is between, so that an address in the direct map is not the machine's with something added.
//!
//! This board has no guest-loader, and Xen takes a command line without a kernel for dom0's; so Xen's is a property of its
//! own in the device tree.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::alone::Alone;
use super::qemu::commas;
use crate::base::command;
use crate::base::files;
use crate::host::tools::QEMU;

/// The board's processors, of which Xen brings up two.
pub(crate) const CPU: &str = "cortex-a72";
/// As many as the board has.
pub(crate) const SMP: u32 = 4;

/// Adds the machine, with Xen on it and its console going to `log`; the device tree is put into `dir`.
pub(crate) fn add_to(alone: Alone<'_>, qemu: &mut Command, log: &Path, dir: &Path) -> Result<()> {
    let [plain, source, tree] = ["plain.dtb", "tree.dts", "tree.dtb"].map(|name| dir.join(name));
    let dtc = dir.join("device-tree.log");
    let mut dump = command::bound(QEMU);
    add_board(&mut dump, alone.memory_mib);
    command::logged(
        dump.arg("-machine")
            .arg(format!("dumpdtb={}", commas(&plain))),
        &dtc,
    )?;
    let text = command::output(
        command::clean("dtc")
            .args(["-q", "-I", "dtb", "-O", "dts"])
            .arg(&plain),
    )?;
    let arguments = format!("console=dtuart noreboot {}", alone.arguments);
    files::write(&source, with_arguments(&text, &arguments)?)?;
    command::logged(
        command::bound("dtc")
            .args(["-q", "-I", "dts", "-O", "dtb", "-o"])
            .arg(&tree)
            .arg(&source),
        &dtc,
    )?;
    add_board(qemu, alone.memory_mib);
    qemu.arg("-kernel")
        .arg(alone.xen.binary())
        .arg("-dtb")
        .arg(&tree)
        .arg("-serial")
        .arg(format!("file:{}", commas(log)));
    Ok(())
}

fn add_board(qemu: &mut Command, memory_mib: u32) {
    qemu.args(["-machine", "xlnx-versal-virt"])
        .args(["-smp", &SMP.to_string()])
        .args(["-m", &memory_mib.to_string()])
        .args(["-nodefaults", "-no-user-config", "-display", "none"]);
}

/// The tree with Xen's command line.
fn with_arguments(tree: &str, arguments: &str) -> Result<String> {
    let (before, after) = tree
        .split_once("chosen {")
        .context("QEMU's device tree has no node `chosen`")?;
    Ok(format!(
        "{before}chosen {{\n\t\txen,xen-bootargs = \"{arguments}\";{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::with_arguments;

    #[test]
    fn the_command_line_is_a_property_of_chosen() {
        let tree = with_arguments("/ {\n\tchosen {\n\t\ta = <1>;\n\t};\n};\n", "x=1,y")
            .unwrap_or_default();
        assert!(
            tree.contains("chosen {\n\t\txen,xen-bootargs = \"x=1,y\";\n\t\ta = <1>;"),
            "{tree}"
        );
        assert!(with_arguments("/ {};", "x").is_err());
    }
}
