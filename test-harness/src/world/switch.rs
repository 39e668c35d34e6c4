// SPDX-License-Identifier: GPL-2.0-only
//! Who runs where: the boot, and context switches, with the p2m under test or another.

use super::{calls, World};
use crate::ground::handles::Vcpu;

impl World {
    /// Runs `setup_virt_paging()`, as `new` did, once more.
    pub fn setup_virt_paging(&self) {
        self.boot_with(calls::setup_virt_paging);
    }

    /// Runs a `setup_virt_paging()`. While Xen boots there is no guest whose VTTBR_EL2 would
    /// be foreign; at the end, what stands there is each CPU's own.
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

    /// Switches `cpu` to `v` as the scheduler does: `p2m_save_state()` of who
    /// runs, `p2m_restore_state()` of who comes, interrupts off.
    pub fn run(&self, cpu: usize, v: Vcpu) {
        self.switch(cpu, v, Vcpu::save_state, Vcpu::restore_state);
    }

    /// [`World::run`] on CPU 0 with another `p2m_save_state()` and
    /// `p2m_restore_state()`; the calling thread is that CPU.
    pub fn run_with(&self, v: Vcpu, save: impl FnOnce(Vcpu), restore: impl FnOnce(Vcpu)) {
        self.switch(0, v, save, restore);
    }

    /// A context switch.
    fn switch(&self, cpu: usize, v: Vcpu, save: impl FnOnce(Vcpu), restore: impl FnOnce(Vcpu)) {
        let previous = self.locked(|m| {
            m.guest_traps(cpu);
            let c = &mut m.cpus.cpus[cpu];
            (c.irqs_off, c.switching) = (true, true);
            let previous = m.domains.vcpu(m.cpus.cpus[cpu].current);
            previous.map(|v| Vcpu(v.pointer))
        });
        self.on_cpu(cpu, || {
            if let Some(previous) = previous {
                save(previous);
            }
            self.locked(|m| m.cpus.cpus[cpu].current = v.0.addr());
            if !self.is_toolstack(v) {
                restore(v);
            }
        });
        self.locked(|m| {
            let c = &mut m.cpus.cpus[cpu];
            (c.irqs_off, c.switching) = (false, false);
            c.home_vttbr = c.vttbr;
            m.enter_guest(cpu, v);
        });
    }
}
