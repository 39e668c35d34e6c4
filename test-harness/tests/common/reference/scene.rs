// SPDX-License-Identifier: GPL-2.0-only
//! The guest that the operations are about, and its neighbour.

use test_harness::{Config, Domain, Vcpu, World};

use crate::common::{ram, M2};

/// The memory of the scenario's two domains.
pub(super) fn is_memory(mfn: u64) -> bool {
    (ram(0)..ram(0) + 8 * M2).contains(&mfn) || (ram(1)..ram(1) + 8 * M2).contains(&mfn)
}

/// What the operations are about.
pub struct Scene<'w> {
    pub(super) w: &'w World,
    pub(super) config: Config,
    pub(super) d: Domain,
    pub(super) owner: Domain,
    pub(super) v: Vcpu,
}

impl Scene<'_> {
    /// What the guest's vCPU does, or Xen for it.
    pub(super) fn as_guest<R>(&self, body: impl FnOnce() -> R) -> R {
        self.w.run(0, self.v);
        body()
    }

    /// Rules C1 and C2 say what had to be cleaned.
    pub(super) fn clean(&self, gfn: u64, nr: u64, vm: bool) {
        if vm && !self.config.iommu_shares_tables {
            self.v.set_need_flush_to_ram(true);
            self.as_guest(|| self.v.flush_vm());
        } else {
            assert_eq!(self.d.cache_flush(gfn, gfn + nr).0, 0);
        }
    }
}
