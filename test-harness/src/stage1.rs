// SPDX-License-Identifier: GPL-2.0-only
//! A guest's own translation, and the hardware's walk of both stages.
//!
//! Stage 1 is a map that the test fills. Its tables lie in a guest page of the
//! test's choice, so a walk needs that page through stage 2, as on hardware.
//! Stage 2 is read from the machine's memory the way the MMU does: from the
//! root in VTTBR_EL2, by bit 0, bit 1, the address and S2AP (Arm ARM, D8.3).

use std::collections::HashMap;

use crate::machine::State;
use crate::pte;

/// A stage-1 mapping of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage1Entry {
    /// The guest frame.
    pub gfn: u64,
    /// The guest may write through it.
    pub writable: bool,
}

/// The stage-1 tables of one vCPU.
#[derive(Debug, Default, Clone)]
pub(crate) struct Stage1 {
    /// The guest frame that holds the tables; `None` when the MMU needs none.
    pub(crate) tables_in: Option<u64>,
    pub(crate) pages: HashMap<u64, Stage1Entry>,
}

/// Stage-1 tables by address of `struct vcpu`.
pub(crate) type Guests = HashMap<usize, Stage1>;

/// What an access wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Read,
    Write,
}

impl State {
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
        (want == Want::Read || entry.writable).then_some(entry.gfn << 12 | va & 0xFFF)
    }

    /// `AT S12E1R/W`: virtual to machine address.
    pub(crate) fn at_stage12(&mut self, cpu: usize, va: u64, want: Want) -> Option<u64> {
        let ipa = self.at_stage1(cpu, va, want)?;
        self.hardware_walk(cpu, ipa, want)
    }
}
