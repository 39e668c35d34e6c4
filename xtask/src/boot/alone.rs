// SPDX-License-Identifier: GPL-2.0-only
//! Xen by itself under QEMU: its command line says what it does, and then it powers off.

use std::path::Path;
use std::process::Command;

use super::qemu;
use crate::xen::build::BuiltXen;

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone<'a> {
    /// The hypervisor.
    pub(crate) xen: &'a BuiltXen,
    /// QEMU's `-cpu`.
    pub(crate) cpu: &'a str,
    /// Number of processors.
    pub(crate) smp: u32,
    /// Memory of the machine.
    pub(crate) memory_mib: u32,
    /// More for QEMU's `-machine`.
    pub(crate) board: &'a str,
    /// For Xen's command line.
    pub(crate) arguments: &'a str,
}

impl Alone<'_> {
    /// Adds the machine, with Xen on it and its console going to `log`.
    pub(crate) fn add_to(self, qemu: &mut Command, log: &Path) {
        let binary = self.xen.binary();
        qemu::add_machine(qemu, self.board, self.cpu, self.smp, self.memory_mib);
        qemu.arg("-kernel")
            .arg(&binary)
            // Never started, but without a kernel Xen takes the command line for dom0's.
            .arg("-device")
            .arg(format!(
                "guest-loader,addr={},kernel={},bootargs=none",
                qemu::KERNEL_AT,
                qemu::commas(&binary)
            ))
            .arg("-append")
            .arg(format!("console=dtuart noreboot {}", self.arguments))
            .arg("-serial")
            .arg(format!("file:{}", qemu::commas(log)));
    }
}
