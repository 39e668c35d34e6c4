// SPDX-License-Identifier: GPL-2.0-only
//! Whose entries TLBs may hold under a VMID, and whose instructions a CPU's cache.

use xen_sys::XS_NR_CPUS;

use crate::ground::hash::MapBy;

/// Whose entries TLBs may hold, by VMID.
#[derive(Debug)]
pub(crate) struct Vmids {
    pub(crate) domains: MapBy<u16, usize>,
    pub(crate) vcpus: Vec<MapBy<u16, usize>>,
    /// For each CPU, of which tables its TLB may hold stage-2 entries: the root.
    pub(crate) roots: Vec<MapBy<u16, u64>>,
    /// For each CPU, and each domain that ran there, the vCPU whose instructions its cache may hold.
    pub(crate) icaches: Vec<MapBy<usize, usize>>,
}

impl Default for Vmids {
    fn default() -> Self {
        Self {
            domains: MapBy::default(),
            vcpus: vec![MapBy::default(); XS_NR_CPUS as usize],
            roots: vec![MapBy::default(); XS_NR_CPUS as usize],
            icaches: vec![MapBy::default(); XS_NR_CPUS as usize],
        }
    }
}
