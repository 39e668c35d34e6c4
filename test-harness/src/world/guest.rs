// SPDX-License-Identifier: GPL-2.0-only
//! What the guest that runs on a CPU does with memory, as far as the MMU is concerned; and what a
//! device of its does, as far as an IOMMU is that walks the p2m's tables.

use super::World;
use crate::ground::handles::Domain;
use crate::ground::pte;
use crate::model::guests::Want;

impl World {
    /// The memory accesses of the MMU: does the guest on `cpu` get through?
    #[must_use]
    pub fn guest_can(&self, cpu: usize, ipa: u64, write: bool) -> bool {
        let want = if write { Want::Write } else { Want::Read };
        self.locked(|m| m.hardware_walk(cpu, ipa, want).is_some())
    }

    /// The walks of the MMU through the guest's own tables: does one that comes to `ipa` get through?
    #[must_use]
    pub fn walker_can(&self, cpu: usize, ipa: u64, write: bool) -> bool {
        let want = if write {
            Want::WalkWrite
        } else {
            Want::WalkRead
        };
        self.locked(|m| m.hardware_walk(cpu, ipa, want).is_some())
    }

    /// The machine address that the guest on `cpu` reads at `ipa`.
    #[must_use]
    pub fn guest_reads(&self, cpu: usize, ipa: u64) -> Option<u64> {
        self.locked(|m| m.hardware_walk(cpu, ipa, Want::Read))
    }

    /// The guest frame that the guest on `cpu` comes to by a virtual address: by what the CPU's TLB
    /// still holds of the guest's own tables, if it holds anything.
    #[must_use]
    pub fn guest_translates(&self, cpu: usize, va: u64) -> Option<u64> {
        self.locked(|m| m.guest_translates(cpu, va))
    }

    /// The guest on `cpu` executes TLBI VAE1IS for a virtual address: on all CPUs, for the VMID that
    /// is loaded on this one.
    pub fn guest_invalidates(&self, cpu: usize, va: u64) {
        self.locked(|m| {
            let vmid = (m.cpus.cpus[cpu].vttbr >> 48) as u16;
            m.translations.invalidate(vmid, Some(va >> 12));
        });
    }

    /// May the guest on `cpu` execute there?
    #[must_use]
    pub fn guest_can_execute(&self, cpu: usize, ipa: u64) -> bool {
        self.locked(|m| m.hardware_walk(cpu, ipa, Want::Execute).is_some())
    }

    /// Is anything mapped there for the guest on `cpu`? What stage 2 refuses where it is not is
    /// a translation fault, and a permission fault where it is.
    #[must_use]
    pub fn guest_is_mapped(&self, cpu: usize, ipa: u64) -> bool {
        self.locked(|m| m.hardware_walk(cpu, ipa, Want::Mapping).is_some())
    }

    /// The machine frame that a device of the domain's comes to at a guest frame. `None` if it is
    /// refused there, or its IOMMU does not walk the p2m's tables.
    #[must_use]
    pub fn device_reaches(&self, d: Domain, gfn: u64, write: bool) -> Option<u64> {
        let right = if write { pte::WRITE } else { pte::READ };
        self.locked(|m| {
            let shares = m.config.iommu_shares_tables && m.is_behind_iommu(d.address());
            let found = m.iommu_find(d.address(), gfn).filter(|_| shares)?;
            (found.page & right != 0).then(|| pte::mfn(found.page))
        })
    }
}
