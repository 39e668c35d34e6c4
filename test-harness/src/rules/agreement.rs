// SPDX-License-Identifier: GPL-2.0-only
//! Rule X2: at the end of a call, what the running vCPU's structures say is what
//! its registers hold. A guest runs with the registers; Xen, its tools and the
//! next context switch look at the structures.

use super::State;
use crate::ground::handles::{Domain, Vcpu};

impl State {
    /// The CPU leaves an exported function.
    pub(crate) fn check_agreement(&mut self, cpu: usize, call: &str) {
        let c = &self.cpus.cpus[cpu];
        // Xen makes the vCPU that comes the current one before it saves the one that goes.
        let is_save = call == "p2m_save_state" && c.switching;
        let who = if is_save { c.leaving } else { c.current };
        let Some(v) = self.domains.vcpu(who) else {
            return;
        };
        let (idle, vcpu, id) = (v.idle, Vcpu(v.pointer), v.id);
        let Some(d) = self.domains.by_address(v.domain) else {
            return;
        };
        let d = Domain(d.pointer);
        let c = &self.cpus.cpus[cpu];
        // The tables that the vCPU is to run on: those of its view.
        let views = d.views();
        let view = views.iter().find(|(number, _)| *number == vcpu.view());
        let vttbr = view.map_or(d.vttbr(), |(_, view)| view.vttbr());
        let structures = (vcpu.hcr(), vttbr);
        let wrong = match call {
            _ if is_save => {
                (vcpu.sctlr() != c.sctlr).then(|| format!("SCTLR_EL1 is {:#x}", c.sctlr))
            }
            // An idle one has no guest's registers.
            "p2m_restore_state" if c.switching && !idle => {
                let same = structures == (c.hcr, c.vttbr) && vcpu.sctlr() == c.sctlr;
                let ran = d.last_vcpu_ran(cpu);
                // In a view the number is noted with the view.
                let noted = if view.is_some() { 0xFF } else { id };
                (!same || i32::from(ran) != noted).then(|| {
                    format!(
                        "HCR_EL2 {:#x}, VTTBR_EL2 {:#x}, SCTLR_EL1 {:#x}, vCPU {ran} ran last",
                        c.hcr, c.vttbr, c.sctlr
                    )
                })
            }
            // Others do not switch; where no guest's context was ever loaded, there
            // is none to compare with.
            _ if c.switching || idle || c.home_vttbr == 0 || c.home_vttbr != vttbr => None,
            _ => (structures != (c.hcr, c.vttbr))
                .then(|| format!("HCR_EL2 is {:#x}, VTTBR_EL2 {:#x}", c.hcr, c.vttbr)),
        };
        if let Some(registers) = wrong {
            let what = format!(
                "after {call}() on CPU {cpu} {registers}; the structures say HCR_EL2 {:#x}, \
                 VTTBR_EL2 {:#x}, SCTLR_EL1 {:#x}, vCPU {id}",
                structures.0,
                structures.1,
                vcpu.sctlr()
            );
            self.broken("X2", what);
        }
    }
}
