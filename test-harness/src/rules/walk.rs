// SPDX-License-Identifier: GPL-2.0-only
//! The hardware's walk of both stages.
//!
//! Stage 1 is [`crate::model::guests`]'s; a walk of it needs the page with its tables through
//! stage 2, as on hardware. Stage 2 is read from the machine's memory the way the MMU does: from
//! the root in VTTBR_EL2, by bit 0, bit 1, the address, S2AP and XN (Arm ARM, D8.3).

use super::State;
use crate::ground::pte;
use crate::model::guests::Want;

impl State {
    /// The MMU reads the current domain's tables like any other reader: an
    /// entry that is being replaced would make the translation fail.
    pub(crate) fn check_walk_is_locked(&mut self, cpu: usize) {
        let current = self.domains.vcpu(self.cpus.cpus[cpu].current);
        let lock = current
            .and_then(|v| self.domains.by_address(v.domain))
            .map(|d| d.lock_address());
        if lock.is_none_or(|lock| !self.locks.holds(lock, cpu)) {
            self.broken(
                "L4",
                format!("CPU {cpu} translates through stage 2 with no lock"),
            );
        }
    }

    /// The MMU's stage-2 walk for the tables that this CPU has loaded:
    /// the machine address, or `None` for a fault.
    pub(crate) fn hardware_walk(&mut self, cpu: usize, ipa: u64, want: Want) -> Option<u64> {
        let (root_level, pages) = self.config.root();
        if ipa >> self.config.ipa_bits != 0 {
            return None;
        }
        let base = (self.cpus.cpus[cpu].vttbr & 0x0000_FFFF_FFFF_FFFE) >> 12;
        let shift = |level: u32| 12 + 9 * (3 - level);
        let concatenated = (ipa >> (shift(root_level) + 9)) as usize;
        if concatenated >= pages {
            return None;
        }
        let mut table = base + concatenated as u64;
        for level in root_level..=3 {
            let index = (ipa >> shift(level)) as usize & 0x1FF;
            let entry = self.frames.pages.load(table, index);
            if entry & 1 == 0 {
                return None;
            }
            if level < 3 && entry & 2 != 0 {
                table = pte::mfn(entry);
                continue;
            }
            if level == 0 || (level == 3 && entry & 2 == 0) {
                return None;
            }
            let allowed = match want {
                Want::Read => entry & pte::READ != 0,
                Want::Write => entry & pte::WRITE != 0,
                Want::Execute => entry & pte::XN == 0,
            };
            let mask = (1u64 << shift(level)) - 1;
            return allowed.then_some(pte::mfn(entry) << 12 & !mask | ipa & mask);
        }
        None
    }

    /// `AT S1E1R/W`: virtual to intermediate physical address.
    pub(crate) fn at_stage1(&mut self, cpu: usize, va: u64, want: Want) -> Option<u64> {
        let tables = self.guests.get(&self.cpus.cpus[cpu].current)?.tables_in;
        if let Some(gfn) = tables {
            self.hardware_walk(cpu, gfn << 12, Want::Read)?;
        }
        let stage1 = self.guests.get(&self.cpus.cpus[cpu].current)?;
        let entry = stage1.pages.get(&(va >> 12))?;
        (want != Want::Write || entry.writable).then_some(entry.gfn << 12 | va & 0xFFF)
    }

    /// `AT S12E1R/W`: virtual to machine address.
    pub(crate) fn at_stage12(&mut self, cpu: usize, va: u64, want: Want) -> Option<u64> {
        let ipa = self.at_stage1(cpu, va, want)?;
        self.hardware_walk(cpu, ipa, want)
    }
}
