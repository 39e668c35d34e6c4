// SPDX-License-Identifier: GPL-2.0-only
//! Rule T7: what TLBs hold under a VMID is of the domain and vCPU that run.
//!
//! A VMID outlives its domain, and TLB entries outlive both: before another
//! domain runs with the VMID it must be flushed. TLB entries know the ASID but
//! not the vCPU: before another vCPU of the domain runs on a CPU that CPU's
//! entries must go (Xen commit 607ad85d85).
//!
//! And rule T11, which is about the same moment: a vCPU whose MMU is off may fetch from the point of
//! coherency, and its CPU's instruction cache keep that, while another cleans what it writes to the point of
//! unification only. So before another vCPU of the domain runs on that CPU the cache must go.

use std::collections::HashMap;

use xen_sys::XS_NR_CPUS;

use super::State;
use crate::ground::handles::{Domain, Vcpu};
use crate::model::domains::DomainRecord;

impl State {
    /// A vCPU starts to run on a CPU.
    pub(crate) fn enter_guest(&mut self, cpu: usize, v: Vcpu) {
        let Some(record) = self.domains.vcpu(v.0.addr()) else {
            return;
        };
        if record.idle || self.domains.is_control(record.domain) {
            return;
        }
        let (domain, vcpu) = (record.domain, v.0.addr());
        let fetched = self.vmids.icaches[cpu].insert(domain, vcpu);
        if fetched.is_some_and(|other| other != vcpu) {
            let now = self.domains.name(vcpu);
            self.broken(
                "T11",
                format!("{now} runs on CPU {cpu}, whose instruction cache is another vCPU's"),
            );
        }
        self.cpus.cpus[cpu].walks = true;
        self.tables_are_walked(cpu);
        let vmid = (self.cpus.cpus[cpu].vttbr >> 48) as u16;
        let before = self.vmids.domains.insert(vmid, domain);
        let other = before.filter(|&before| before != domain);
        let ran = self.vmids.vcpus[cpu].insert(vmid, vcpu);
        if let Some(other) = other {
            let (now, then) = (self.domains.name(vcpu), self.domains.name(other));
            self.broken(
                "T7",
                format!("{now} runs with VMID {vmid}, under which TLBs may hold entries of {then}"),
            );
        } else if ran.is_some_and(|ran| ran != vcpu) {
            let now = self.domains.name(vcpu);
            self.broken(
                "T7",
                format!("{now} runs on CPU {cpu} after another vCPU and no local flush"),
            );
        }
    }

    /// The tables in VTTBR_EL2 may be walked, by a guest or an AT, and what is found be cached. No
    /// entry of other tables with the same VMID may be left in this CPU's TLB.
    pub(crate) fn tables_are_walked(&mut self, cpu: usize) {
        let vttbr = self.cpus.cpus[cpu].vttbr;
        let (vmid, root) = ((vttbr >> 48) as u16, vttbr & 0x0000_FFFF_FFFF_FFFE);
        let before = self.vmids.roots[cpu].insert(vmid, root);
        if let Some(before) = before.filter(|&before| before != root) {
            self.broken(
                "T7",
                format!(
                    "CPU {cpu} walks the tables at {root:#x} while its TLB may hold entries of \
                     those at {before:#x} with the same VMID {vmid}"
                ),
            );
        }
    }

    /// VTTBR_EL2 is written. On CPUs with the AT speculation erratum, which may walk these tables at any time, there
    /// are always some.
    pub(crate) fn check_root_loaded(&mut self, cpu: usize, vttbr: u64) {
        if self.config.at_speculate && vttbr & 0x0000_FFFF_FFFF_FFFE == 0 {
            self.broken(
                "A1",
                format!("CPU {cpu} loads {vttbr:#x} into VTTBR_EL2: page 0 is no table"),
            );
        }
    }

    /// A guest traps to EL2: whatever was waited for before, its accesses since
    /// then may have begun walks that are still in flight (rule T10).
    pub(crate) fn guest_traps(&mut self, cpu: usize) {
        let c = &self.cpus.cpus[cpu];
        if self.domains.vcpu(c.current).is_some_and(|v| !v.idle) {
            self.cpus.cpus[cpu].walks = true;
        }
    }

    /// `ctxt_switch_to()` loads TCR_EL1, TTBR0_EL1, TTBR1_EL1 and MAIR_EL1 of the vCPU that comes before it
    /// calls `p2m_restore_state()`. Walks of the one that goes would go on with them.
    pub(crate) fn stage1_registers_are_written(&mut self, cpu: usize) {
        if self.cpus.cpus[cpu].walks {
            let what = format!(
                "CPU {cpu} writes TCR_EL1 and TTBR0_EL1 while a guest's walks may be in flight"
            );
            self.broken("T10", what);
        }
    }

    /// TLBI for a VMID on all CPUs. A vCPU that runs with it may fill its CPU's
    /// TLB again; not so a dying domain's, which does not run any more.
    pub(crate) fn vmid_flushed(&mut self, vmid: u16) {
        // A domain that is dying has run for the last time, and another one may get its structure.
        let domains = self.domains.domains.iter().map(|d| Domain(d.pointer));
        for dying in domains.filter(|d| d.is_dying() && d.vmid() == vmid) {
            for icache in &mut self.vmids.icaches {
                icache.remove(&dying.address());
            }
        }
        let mut in_use = false;
        for cpu in 0..XS_NR_CPUS as usize {
            let c = &self.cpus.cpus[cpu];
            let runs = (c.home_vttbr >> 48) as u16 == vmid
                && self.domains.vcpu(c.current).is_some_and(|v| {
                    let domain = self.domains.by_address(v.domain);
                    let lives = |d: &DomainRecord| !Domain(d.pointer).is_dying();
                    let guest = !v.idle && !self.domains.is_control(v.domain);
                    guest && domain.is_some_and(lives)
                });
            if !runs {
                self.vmids.vcpus[cpu].remove(&vmid);
                self.vmids.roots[cpu].remove(&vmid);
            }
            in_use |= runs;
        }
        if !in_use {
            self.vmids.domains.remove(&vmid);
        }
    }

    /// The instruction caches of all CPUs are invalidated. A vCPU that runs may fill its CPU's again.
    pub(crate) fn icaches_invalidated(&mut self) {
        for cpu in 0..XS_NR_CPUS as usize {
            let current = self.cpus.cpus[cpu].current;
            self.vmids.icaches[cpu].retain(|_, vcpu| *vcpu == current);
        }
    }

    /// What one CPU holds of stage 2 goes; every VMID for `None`.
    pub(crate) fn stage2_flushed_locally(&mut self, cpu: usize, vmid: Option<u16>) {
        self.vmids.roots[cpu].retain(|&v, _| vmid.is_some_and(|vmid| v != vmid));
    }

    /// The same of stage 1.
    pub(crate) fn vmid_flushed_locally(&mut self, cpu: usize, vmid: Option<u16>) {
        self.vmids.vcpus[cpu].retain(|&v, _| vmid.is_some_and(|vmid| v != vmid));
    }

    /// No two domains share a VMID, and none has the reserved one.
    pub(crate) fn check_vmids(&mut self) {
        let mut owners: HashMap<u16, usize> = HashMap::new();
        let domains: Vec<_> = self.domains.domains.iter().map(|d| d.pointer).collect();
        for d in domains.into_iter().map(Domain) {
            if !d.p2m_is_initialised() || d.root().is_null() {
                continue;
            }
            let other = owners.insert(d.vmid(), d.address());
            if d.vmid() == 0 || other.is_some() {
                let name = self.domains.name(d.address());
                self.broken(
                    "T7",
                    format!("{name} has VMID {}, which is not its own", d.vmid()),
                );
            }
        }
    }
}
