// SPDX-License-Identifier: GPL-2.0-only
//! CPUs: registers, interrupts, who runs, and when Xen is asked to yield.
//!
//! Rule T6 lives here: while a CPU's VTTBR_EL2 is another domain's, no
//! interrupt may come in, and it is put back before interrupts are on again.
//!
//! So does rule T10. Walks that a guest began can continue after the trap to EL2,
//! and they use the registers of the EL1&0 regime as they find them (Arm ARM, D8.1.5,
//! R_LFHQG). So none of these may be written before a DSB that waits for loads,
//! which walks are: NSH, ISH or SY, and not ISHST. A guest that runs, and an AT
//! instruction, may begin walks.

use xen_sys::XS_NR_CPUS;

use crate::ground::event::Register;
use crate::model::locks::Broken;

/// HCR_EL2.TVM decides which instructions trap, and no walk looks at it.
const HCR_TVM: u64 = 1 << 26;

/// One CPU.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cpu {
    /// Address of the running `struct vcpu`; 0 until the world sets its idle one.
    pub(crate) current: usize,
    pub(crate) irqs_off: bool,
    /// It handles a device's interrupt (`in_irq`), with interrupts on.
    pub(crate) in_irq: bool,
    /// It handles another CPU's, with interrupts off.
    pub(crate) in_ipi: bool,
    pub(crate) vttbr: u64,
    /// The VTTBR_EL2 of whoever runs here, to which each flush must return.
    pub(crate) home_vttbr: u64,
    pub(crate) vtcr: u64,
    pub(crate) hcr: u64,
    pub(crate) sctlr: u64,
    /// A VTTBR_EL2 write that no ISB has followed yet.
    pub(crate) vttbr_pending: bool,
    /// In the context switch, which may load any VTTBR_EL2.
    pub(crate) switching: bool,
    /// Address of the `struct vcpu` that ran before the last context switch.
    pub(crate) leaving: usize,
    /// Walks of the guest's translation may be in flight.
    pub(crate) walks: bool,
    /// The address of the last translation by both stages, if it failed, and was done without the lock.
    pub(crate) failed_unlocked: Option<u64>,
    /// A translation by stage 1 alone failed, which proves nothing, and nothing has answered since.
    pub(crate) stage1_unanswered: bool,
    /// An ISB has come after the last lock that was taken or released.
    pub(crate) synchronized: bool,
}

/// When the next preemption check answers yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preempt {
    /// No work is pending.
    #[default]
    Never,
    /// Work is always pending.
    Always,
    /// At the k-th check from now (1 is the next), once.
    At(u64),
    /// At the k-th check from now and at all that follow: what waits does so until the call ends.
    From(u64),
}

/// What it is that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waiting {
    /// A softirq of the CPU.
    #[default]
    Softirq,
    /// An interrupt or event for the vCPU that runs.
    Event,
}

#[derive(Debug)]
pub(crate) struct Cpus {
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) preempt: Preempt,
    pub(crate) waiting: Waiting,
    pub(crate) preempt_checks: u64,
    /// AT is answered by what TLBs may still hold, where there is such a thing.
    pub(crate) stale_translations: bool,
    /// `apply_alternatives_all()` was called: after `setup_virt_paging()`. Until then
    /// `cpus_have_const_cap()` says no.
    pub(crate) alternatives: bool,
}

impl Default for Cpus {
    fn default() -> Self {
        Self {
            cpus: vec![Cpu::default(); XS_NR_CPUS as usize],
            preempt: Preempt::Never,
            waiting: Waiting::Softirq,
            preempt_checks: 0,
            stale_translations: false,
            alternatives: false,
        }
    }
}

impl Cpus {
    /// Counts a check. One that is blind to what waits is not one of those that
    /// [`Preempt::At`] counts down.
    pub(crate) fn preempt_check(&mut self, sees_events: bool) -> bool {
        self.preempt_checks += 1;
        if self.waiting == Waiting::Event && !sees_events {
            return false;
        }
        match self.preempt {
            Preempt::Never => false,
            Preempt::Always => true,
            Preempt::At(n) if n <= 1 => {
                self.preempt = Preempt::Never;
                true
            }
            Preempt::At(n) => {
                self.preempt = Preempt::At(n - 1);
                false
            }
            Preempt::From(n) => {
                self.preempt = match n {
                    0 | 1 => Preempt::Always,
                    _ => Preempt::From(n - 1),
                };
                n <= 1
            }
        }
    }

    pub(crate) fn write_vttbr(&mut self, cpu: usize, value: u64) -> Option<Broken> {
        let c = &mut self.cpus[cpu];
        c.vttbr = value;
        c.vttbr_pending = true;
        (value != c.home_vttbr && !c.irqs_off && !c.switching).then(|| {
            (
                "T6",
                format!("CPU {cpu} loads a foreign VTTBR_EL2 with interrupts on"),
            )
        })
    }

    /// A register of the EL1&0 regime is about to be written; `changed` are its bits that
    /// will differ.
    pub(crate) fn check_no_walks(
        &mut self,
        cpu: usize,
        register: Register,
        changed: u64,
    ) -> Option<Broken> {
        let only_traps = register == Register::Hcr && changed & !HCR_TVM == 0;
        (self.cpus[cpu].walks && !only_traps).then(|| {
            (
                "T10",
                format!("CPU {cpu} writes {register:?} while a guest's walks may be in flight"),
            )
        })
    }

    /// A DSB that waits for loads: the walks that this CPU has begun are over.
    pub(crate) fn walks_complete(&mut self, cpu: usize) {
        self.cpus[cpu].walks = false;
    }

    pub(crate) fn irq_restore(&mut self, cpu: usize, on: bool) -> Option<Broken> {
        let c = &mut self.cpus[cpu];
        c.irqs_off = !on;
        (on && c.vttbr != c.home_vttbr && !c.switching).then(|| {
            (
                "T6",
                format!("CPU {cpu} turns interrupts on with a foreign VTTBR_EL2"),
            )
        })
    }

    pub(crate) fn isb(&mut self, cpu: usize) {
        self.cpus[cpu].synchronized = true;
        self.cpus[cpu].vttbr_pending = false;
    }

    /// TLBI for the VMID in VTTBR_EL2, which must be there for sure.
    pub(crate) fn tlbi(&self, cpu: usize) -> (u16, Option<Broken>) {
        let c = &self.cpus[cpu];
        let vmid = (c.vttbr >> 48) as u16;
        let broken = if c.vttbr_pending {
            Some((
                "T2",
                format!("CPU {cpu}: TLBI with no ISB after the write of VTTBR_EL2"),
            ))
        } else if c.vttbr != c.home_vttbr && !c.irqs_off && !c.switching {
            Some((
                "T6",
                format!("CPU {cpu}: TLBI for a foreign VMID with interrupts on"),
            ))
        } else {
            None
        };
        (vmid, broken)
    }

    /// CPUs that were left with a VTTBR_EL2 that is not theirs.
    pub(crate) fn astray(&self) -> Vec<String> {
        self.cpus
            .iter()
            .enumerate()
            .filter(|(_, c)| c.vttbr != c.home_vttbr || c.irqs_off)
            .map(|(n, c)| {
                format!(
                    "CPU {n} is left with VTTBR_EL2 {:#x} (its own is {:#x}), interrupts {}",
                    c.vttbr,
                    c.home_vttbr,
                    if c.irqs_off { "off" } else { "on" }
                )
            })
            .collect()
    }
}
