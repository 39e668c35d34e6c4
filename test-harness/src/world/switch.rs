// SPDX-License-Identifier: GPL-2.0-only
//! Who runs where: the boot, and context switches, with the p2m under test or another.

use super::{calls, World};
use crate::ground::handles::Vcpu;
use crate::rules::State;

impl World {
    /// Runs `setup_virt_paging()`, as `new` did, once more.
    pub fn setup_virt_paging(&self) {
        self.boot_with(calls::setup_virt_paging);
    }

    /// Runs a `setup_virt_paging()`. While Xen boots there is no guest whose VTTBR_EL2 would
    /// be foreign; at the end, what stands there is each CPU's own. After that Xen patches its alternatives.
    pub fn boot_with(&self, setup: impl FnOnce()) {
        self.locked(|m| m.cpus.alternatives = false);
        self.switching_all(true);
        setup();
        self.switching_all(false);
        self.locked(|m| m.cpus.alternatives = true);
    }

    /// A CPU comes up: the notifier of CPU_STARTING sets it up, interrupts off.
    pub fn bring_up(&self, cpu: usize) {
        let starting = |m: &mut State, is_it: bool| {
            let c = &mut m.cpus.cpus[cpu];
            (c.irqs_off, c.switching, c.home_vttbr) = (is_it, is_it, c.vttbr);
        };
        self.locked(|m| starting(m, true));
        self.on_cpu(cpu, calls::setup_virt_paging_one);
        self.locked(|m| starting(m, false));
    }

    fn switching_all(&self, switching: bool) {
        self.locked(|m| {
            for cpu in &mut m.cpus.cpus {
                cpu.switching = switching;
                cpu.home_vttbr = cpu.vttbr;
            }
        });
    }

    /// Switches `cpu` to `v` as `context_switch()` does, interrupts off: `v` is the current vCPU, then comes
    /// `p2m_save_state()` of the one before, then the guest's registers that are none of the p2m's, and
    /// `p2m_restore_state()`. An idle vCPU is neither saved nor restored.
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
            c.leaving = c.current;
            let previous = m.domains.vcpu(c.current).filter(|v| !v.idle);
            let previous = previous.map(|v| Vcpu(v.pointer));
            m.cpus.cpus[cpu].current = v.0.addr();
            previous
        });
        let is_idle = self.locked(|m| m.domains.vcpu(v.0.addr()).is_some_and(|v| v.idle));
        self.on_cpu(cpu, || {
            if let Some(previous) = previous {
                save(previous);
            }
            if !is_idle {
                self.locked(|m| m.stage1_registers_are_written(cpu));
                if !self.is_toolstack(v) {
                    restore(v);
                }
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
