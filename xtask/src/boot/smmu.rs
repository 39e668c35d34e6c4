// SPDX-License-Identifier: GPL-2.0-only
//! A machine with a device behind an SMMU that shares the tables of whoever owns it.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};

use crate::base::cli::Extra;
use crate::base::paths::Paths;
use crate::base::version::Version;
use crate::boot::dom0less;
use crate::boot::qemu::{commas, Machine};

/// For whom the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A guest, to which dom0 gives it.
    Guest,
    /// dom0, with the whole PCI bus, as a device of the device tree.
    Dom0,
    /// dom0, which tells Xen of each device that it finds on the bus.
    Dom0ByPci,
}

/// A disk for dom0.
const DISK_SIZE: u64 = 64 << 20;

impl Owner {
    /// What Xen of a release can do for dom0: from 4.21 on its driver for the SMMU takes PCI devices.
    pub(crate) fn dom0(release: Version) -> (Self, Extra) {
        if release >= Version::new(4, 21) {
            (Self::Dom0ByPci, Extra::SmmuPci)
        } else {
            (Self::Dom0, Extra::Smmu)
        }
    }

    /// What says so, for the device tree.
    fn nodes(self) -> &'static str {
        match self {
            Self::Guest => include_str!("../../assets/smmu/guest.dts"),
            Self::Dom0ByPci => "",
            Self::Dom0 => include_str!("../../assets/smmu/dom0.dts"),
        }
    }

    /// An NVMe controller in the slot that the nodes say.
    fn device(self, dir: &Path) -> Result<Vec<OsString>> {
        if self == Self::Guest {
            return Ok(vec!["-device".into(), "nvme,serial=xtask,addr=1".into()]);
        }
        let disk = dir.join("disk");
        File::create(&disk)
            .and_then(|file| file.set_len(DISK_SIZE))
            .with_context(|| format!("cannot write {}", disk.display()))?;
        Ok(vec![
            "-blockdev".into(),
            format!(
                "driver=raw,node-name=disk,file.driver=file,file.filename={}",
                commas(&disk)
            )
            .into(),
            "-device".into(),
            "nvme,serial=xtask,addr=1,drive=disk".into(),
        ])
    }

    /// Makes the device tree in `dir`; returns what QEMU needs to be told.
    pub(crate) fn devices(
        self,
        paths: &Paths,
        machine: &Machine,
        dir: &Path,
    ) -> Result<Vec<OsString>> {
        let mut devices = dom0less::tree(paths, machine, self.nodes(), dir)?;
        devices.extend(self.device(dir)?);
        Ok(devices)
    }
}

#[cfg(test)]
mod tests {
    use super::Owner;

    /// The slot that QEMU is told is the one whose stream and configuration space the nodes have.
    #[test]
    fn the_device_is_in_the_slot_of_its_stream() {
        const SLOT: u64 = 1;
        let (stream, config) = (SLOT << 3, 0x1000_0000 + (SLOT << 15));
        for owner in [Owner::Guest, Owner::Dom0] {
            let told = format!("iommus = <&{{/smmuv3@9050000}} {stream:#x}>;");
            assert!(owner.nodes().contains(&told));
        }
        let told = format!("reg = <0x40 {config:#x} 0x0 0x1000>");
        assert!(Owner::Guest.nodes().contains(&told));
    }
}
