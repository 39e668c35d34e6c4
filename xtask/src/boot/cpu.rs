// SPDX-License-Identifier: GPL-2.0-only
//! QEMU's CPU models: which ones this Xen can run on.
//!
//! The model matters to the p2m: it decides the size of physical addresses, and so how many levels
//! the guests' tables have.

use anyhow::{bail, Result};

use crate::base::command;
use crate::host::tools::QEMU;

/// 64-bit CPUs; QEMU also lists 32-bit ones, on which this Xen cannot run.
const CPUS_64: &[&str] = &[
    "max",
    "a64fx",
    "neoverse-",
    "cortex-a3",
    "cortex-a5",
    "cortex-a7",
];
const CPUS_32: &[&str] = &["cortex-a7"];

/// What is taken for `max`.
///
/// QEMU's default pointer authentication takes most of the emulation's time.
///
/// Without FEAT_LPA2 Linux has 48 bits of address and no level -1. Where stage 2 refuses the walk
/// of stage 1, QEMU before 8.2 reports the level of stage 1, not that of stage 2. Xen knows no
/// fault of level -1, so that its guest is given an abort while a block that holds its first table
/// is split; for a permission fault QEMU itself stops at an assertion (`arm_fi_to_lfsc`). So guests with
/// 52 bits of address are run only by who asks for them: `--cpu max,pauth-impdef=on`, with a QEMU that can.
const MAX: &str = "max,pauth-impdef=on,lpa2=off";

/// Checks a CPU model's name with QEMU and completes it.
pub(crate) fn argument(name: &str) -> Result<String> {
    let help = command::output(command::clean(QEMU).args(["-machine", "virt", "-cpu", "help"]))?;
    let known = usable_cpus(&help);
    let model = name.split(',').next().unwrap_or(name);
    if !known.iter().any(|cpu| cpu == model) {
        bail!(
            "{name} is not a 64-bit CPU model of this QEMU: use one of {}",
            known.join(", ")
        );
    }
    Ok(match name {
        "max" => MAX.to_owned(),
        other => other.to_owned(),
    })
}

fn usable_cpus(help: &str) -> Vec<String> {
    help.lines()
        .filter(|line| line.starts_with(' '))
        .map(str::trim)
        .filter(|cpu| CPUS_64.iter().any(|start| cpu.starts_with(start)))
        .filter(|cpu| !CPUS_32.contains(cpu))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::usable_cpus;

    #[test]
    fn cpus_on_which_xen_runs() {
        let help =
            "Available CPUs:\n  a64fx\n  arm1026\n  cortex-a15\n  cortex-a53\n  cortex-a57\n  \
                    cortex-a7\n  cortex-a72\n  cortex-m3\n  max\n  neoverse-n1\n  ti925t\n";
        assert_eq!(
            usable_cpus(help),
            [
                "a64fx",
                "cortex-a53",
                "cortex-a57",
                "cortex-a72",
                "max",
                "neoverse-n1"
            ]
        );
        assert!(usable_cpus("no list").is_empty());
    }
}
