// SPDX-License-Identifier: GPL-2.0-only
//! Whose entries TLBs may hold under a VMID.

use std::collections::HashMap;

use xen_sys::XS_NR_CPUS;

/// Whose entries TLBs may hold, by VMID.
#[derive(Debug)]
pub(crate) struct Vmids {
    pub(crate) domains: HashMap<u16, usize>,
    pub(crate) vcpus: Vec<HashMap<u16, usize>>,
    /// For each CPU, of which tables its TLB may hold stage-2 entries: the root.
    pub(crate) roots: Vec<HashMap<u16, u64>>,
}

impl Default for Vmids {
    fn default() -> Self {
        Self {
            domains: HashMap::new(),
            vcpus: vec![HashMap::new(); XS_NR_CPUS as usize],
            roots: vec![HashMap::new(); XS_NR_CPUS as usize],
        }
    }
}
