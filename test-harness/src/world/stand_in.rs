// SPDX-License-Identifier: GPL-2.0-only
//! Another implementation of the exports on this machine: Xen's C, next to
//! which the Rust is compared.
//!
//! [`World`] calls the code under test by its C symbols. A second
//! implementation has other symbols; these are the steps that its caller has to
//! share with the machine.

use super::World;
use crate::ground::handles::{Domain, Vcpu};

impl World {
    /// Runs another `setup_virt_paging()`: as at boot, when no guest's VTTBR_EL2
    /// is loaded.
    pub fn boot_with(&self, setup: impl FnOnce()) {
        self.switching_all(true);
        setup();
        self.switching_all(false);
    }

    fn switching_all(&self, switching: bool) {
        self.locked(|m| {
            for cpu in &mut m.cpus.cpus {
                cpu.switching = switching;
                cpu.home_vttbr = cpu.vttbr;
            }
        });
    }

    /// The machine learns of the root that another `p2m_init()` made.
    pub fn adopt(&self, d: Domain) {
        self.locked(|m| {
            if let Some(root) = m.root_of(d.address()) {
                m.adopt_root(d.address(), root);
            }
        });
    }

    /// [`World::run`] on CPU 0 with another `p2m_save_state()` and
    /// `p2m_restore_state()`; the calling thread is that CPU.
    pub fn run_with(&self, v: Vcpu, save: impl FnOnce(Vcpu), restore: impl FnOnce(Vcpu)) {
        let previous = self.locked(|m| {
            m.guest_traps(0);
            let c = &mut m.cpus.cpus[0];
            (c.irqs_off, c.switching) = (true, true);
            let previous = m.domains.vcpu(m.cpus.cpus[0].current);
            previous.map(|v| Vcpu(v.pointer))
        });
        if let Some(previous) = previous {
            save(previous);
        }
        self.locked(|m| m.cpus.cpus[0].current = v.0.addr());
        if !self.is_toolstack(v) {
            restore(v);
        }
        self.locked(|m| {
            let c = &mut m.cpus.cpus[0];
            (c.irqs_off, c.switching) = (false, false);
            c.home_vttbr = c.vttbr;
            m.enter_guest(0, v);
        });
    }

    /// The guest on CPU 0 traps: what the next call finds in flight.
    pub fn guest_traps(&self) {
        self.locked(|m| m.guest_traps(0));
    }

    /// The guest on CPU 0 writes its SCTLR_EL1: no register that Xen writes.
    pub fn guest_writes_sctlr(&self, value: u64) {
        self.locked(|m| m.cpus.cpus[0].sctlr = value);
    }

    /// The idle vCPU of CPU 0.
    ///
    /// # Panics
    ///
    /// Never: the machine begins with it.
    #[must_use]
    pub fn idle(&self) -> Vcpu {
        self.locked(|m| {
            let idle = m.domains.vcpus.iter().find(|v| v.idle);
            Vcpu(idle.expect("an idle vCPU").pointer)
        })
    }
}
