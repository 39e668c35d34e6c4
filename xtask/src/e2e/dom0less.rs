// SPDX-License-Identifier: GPL-2.0-only
//! Two guests of static memory for Xen to make, and what they share.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use crate::base::paths::Paths;
use crate::boot::dom0less;
use crate::boot::qemu::Machine;

/// Our nodes.
const NODES: &str = include_str!("../../assets/e2e/dom0less.dts");

/// Makes the device tree in `dir`; returns what QEMU needs to be told.
pub(super) fn devices(
    paths: &Paths,
    machine: &Machine,
    guest: &Path,
    dir: &Path,
) -> Result<Vec<OsString>> {
    dom0less::devices(paths, machine, guest, NODES, dir)
}

#[cfg(test)]
mod tests {
    use super::NODES;
    use crate::boot::dom0less::images_are_there;

    #[test]
    fn the_images_are_where_the_nodes_say() {
        assert!(images_are_there(NODES));
        assert!(!images_are_there(
            &NODES.replace("module@70100000", "module@70200000")
        ));
    }
}
